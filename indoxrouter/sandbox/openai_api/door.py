"""The door of the OpenAI-compatible API: its key, its table of endpoints, its headers."""

import time
from collections.abc import Awaitable, Callable
from hashlib import blake2b

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from indoxrouter.sandbox import catalogue
from indoxrouter.sandbox.billing import dollars
from indoxrouter.sandbox.call import Call
from indoxrouter.sandbox.desk import JSON, Desk
from indoxrouter.sandbox.encoding import to_json
from indoxrouter.sandbox.errors import detail
from indoxrouter.sandbox.gallery import Gallery
from indoxrouter.sandbox.keyring import Key, KeyRing
from indoxrouter.sandbox.openai_api.audio import OpenAIAudio
from indoxrouter.sandbox.openai_api.files import OpenAIFiles
from indoxrouter.sandbox.openai_api.generations import OpenAIGenerations
from indoxrouter.sandbox.openai_api.ratelimits import RateLimits
from indoxrouter.sandbox.settings import Settings
from indoxrouter.sandbox.tiers import UNLIMITED

Endpoint = Callable[[Request], Awaitable[ASGIApp]]
Header = tuple[bytes, bytes]
_CREATED = 1_735_689_600  # 2025-01-01


class OpenAIDoor:
    """Endpoints by method and path, below the prefix."""

    def __init__(self, settings: Settings, keys: KeyRing, desk: Desk, gallery: Gallery) -> None:
        self._settings = settings
        self._keys = keys
        self._rates = RateLimits()
        generations = OpenAIGenerations(settings, desk, gallery)
        audio = OpenAIAudio(desk)
        self._files = files = OpenAIFiles()
        self.endpoints: list[tuple[str, str, Endpoint]] = [
            *(("POST", path, endpoint) for path, endpoint in (generations.endpoints | audio.endpoints).items()),
            ("POST", "files", files.create),
            ("GET", "files", files.list),
            ("GET", "files/{file}", files.retrieve),
            ("GET", "files/{file}/content", files.content),
            ("DELETE", "files/{file}", files.delete),
            ("GET", "models", self._models),
            ("GET", "models/{model:path}", self._model),
        ]

    def close(self) -> None:
        self._files.close()

    def check(self, authorization: str | None) -> Key | None:
        """The key that is sent; a call without one is refused, unless none is required."""
        scheme, _, written = (authorization or "").partition(" ")
        key = self._keys.find(written.strip()) if scheme.lower() == "bearer" else None
        if not self._settings.openai_key_required:
            return key
        if scheme.lower() != "bearer" or not written.strip():
            raise detail(401, "You didn't provide an API key: send Authorization: Bearer KEY.")
        if key is None:
            raise detail(401, "Incorrect API key provided.")
        return self._keys.used(key)

    def headers(self, call: Call, *, stream: bool) -> list[Header]:
        """What an answer's head tells besides its request id."""
        found = {"openai-processing-ms": str(round((time.perf_counter() - call.started) * 1000))}
        if self._settings.litellm_headers:
            found["x-litellm-call-id"] = call.request_id.removeprefix("req_")
            if call.bill is not None:
                found["x-litellm-model-id"] = blake2b(call.bill.model.id.encode(), digest_size=32).hexdigest()
                if not stream:  # what a stream costs is known at its end
                    found["x-litellm-response-cost"] = str(dollars(call.bill.cost))
        if self._settings.ratelimit_headers and self._settings.tier == UNLIMITED:  # else every answer has them
            bill = call.bill
            tokens = bill.tokens_prompt + bill.tokens_completion if bill else 0
            found |= self._rates.headers(time.monotonic(), tokens)
        return [(name.encode(), value.encode()) for name, value in found.items()]

    async def _models(self, _request: Request) -> Response:
        rows = [_row(model) for model in catalogue.MODELS]
        return Response(to_json({"object": "list", "data": rows}), media_type=JSON)

    async def _model(self, request: Request) -> Response:
        return Response(to_json(_row(catalogue.resolve(request.path_params["model"]))), media_type=JSON)


def _row(model: catalogue.Model) -> dict[str, str | int]:
    return {"id": model.id, "object": "model", "created": _CREATED, "owned_by": model.provider}
