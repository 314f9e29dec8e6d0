"""Chat, completion, embeddings and images, in OpenAI's shapes."""

import base64
import struct
import time
from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from indoxrouter.sandbox import shapes, writing
from indoxrouter.sandbox.billing import Bill
from indoxrouter.sandbox.call import Call
from indoxrouter.sandbox.catalogue import Model, usable
from indoxrouter.sandbox.desk import Body, Carrier, Desk
from indoxrouter.sandbox.errors import refused
from indoxrouter.sandbox.gallery import Gallery
from indoxrouter.sandbox.generations import embed, picture
from indoxrouter.sandbox.openai_api import fields
from indoxrouter.sandbox.reply import TextReply
from indoxrouter.sandbox.settings import Settings
from indoxrouter.sandbox.settling import Slot
from indoxrouter.sandbox.streams import Chunks

_IMAGE_MODEL = "openai/dall-e-3"


class OpenAIGenerations:
    """What the paid endpoints with a JSON answer do."""

    def __init__(self, settings: Settings, desk: Desk, gallery: Gallery) -> None:
        self._settings = settings
        self._desk = desk
        self._gallery = gallery
        self.endpoints: dict[str, Callable[[Request], Awaitable[ASGIApp]]] = {
            "chat/completions": partial(self._carry_out, "chat/completions", self._chat),
            "completions": partial(self._carry_out, "completions", self._completion),
            "embeddings": partial(self._carry_out, "embeddings", self._embeddings),
            "images/generations": partial(self._carry_out, "images/generations", self._images),
        }

    async def _carry_out(self, endpoint: str, carrier: Carrier, request: Request) -> ASGIApp:
        raw = await request.body()
        return await self._desk.carry_out(request, endpoint, raw, lambda: fields.body(raw, endpoint), carrier)

    def _chat(self, call: Call, body: Body, slot: Slot) -> ASGIApp:
        model = usable(body["model"], "chat")
        return self._text(model, writing.chat(model, body["messages"], body), call, body, slot)

    def _completion(self, call: Call, body: Body, slot: Slot) -> ASGIApp:
        model = usable(body["model"], "chat", "text_completions")
        return self._text(model, writing.completion(model, _texts(body["prompt"]), body), call, body, slot)

    def _text(self, model: Model, written: writing.Written, call: Call, body: Body, slot: Slot) -> ASGIApp:
        chat, name, asked = "messages" in body, body["model"], written.tokens_prompt
        reply = TextReply(call.request_id, chat, model, name, written.choices, asked, False, call.started)
        options = body.get("stream_options")
        if options is not None and self._settings.refuse_stream_options:
            raise refused("This server does not know stream_options.", "stream_options")
        if not body.get("stream"):
            if options is not None:
                raise refused("stream_options is for streams.", "stream_options")
            return self._desk.answer(slot, reply.bill(), call, shapes.openai(reply, cost=False))
        chunks = Chunks(router=False, usage=bool((options or {}).get("include_usage")))
        return self._desk.stream(reply, chunks, slot, call)

    def _embeddings(self, call: Call, body: Body, slot: Slot) -> Response:
        model = usable(body["model"], "embeddings")
        packed = self._packed(body.get("encoding_format"))
        vectors, count = embed(model, _texts(body["input"]), body.get("dimensions"))
        answer = {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": _base64(vector) if packed else vector}
                for index, vector in enumerate(vectors)
            ],
            "model": body["model"],
            "usage": {"prompt_tokens": count, "total_tokens": count},
        }
        return self._desk.answer(slot, Bill(model, count), call, answer)

    def _packed(self, encoding: str | None) -> bool:
        if encoding not in (None, "float", "base64"):
            raise refused(f"encoding_format must be float or base64, not {encoding}.", "encoding_format")
        if encoding == "base64" and self._settings.refuse_base64:
            raise refused("This server does not know encoding_format base64.", "encoding_format")
        return encoding == "base64" and not self._settings.ignore_base64

    def _images(self, call: Call, body: Body, slot: Slot) -> Response:
        wanted = body | {"model": body.get("model") or _IMAGE_MODEL}
        data, bill = picture(self._gallery, wanted, call.origin)
        return self._desk.answer(slot, bill, call, {"created": int(time.time()), "data": data})


def _texts(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
