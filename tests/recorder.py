"""A router that writes down what it is sent and answers anything plausibly."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

_USAGE = {"tokens_prompt": 1, "tokens_completion": 1, "tokens_total": 2, "cost": 0.001}
_MODEL = {"modelName": "some-model", "name": "openai/some-model", "type": "chat"}
_CHUNKS = (
    {"choices": [{"index": 0, "delta": {"content": "Yes"}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
)


@dataclass(frozen=True)
class Recorded:
    """One request."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case."""
    body: Any
    """The parsed JSON; text that is not JSON; None: there was none."""


class Recorder:
    """Serves on loopback. `refuse`: the status of each path (below its prefix) that is not answered."""

    def __init__(self, refuse: Mapping[str, int] | None = None) -> None:
        self.recorded: list[Recorded] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.recorded, refuse or {}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def take(self) -> list[Recorded]:
        """What came since it was last asked."""
        taken = self.recorded[:]
        del self.recorded[: len(taken)]
        return taken

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(recorded: list[Recorded], refuse: Mapping[str, int]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name above
            pass

        def _serve(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length") or 0))
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            recorded.append(Recorded(self.command, parts.path, parts.query, headers, _parsed(content)))
            path = parts.path.removeprefix("/api").removeprefix("/v1").strip("/")
            if not parts.path.startswith("/api/v1/"):
                self._answer({"detail": "Not Found"}, 404)
            elif path in refuse:
                self._answer({"detail": "Refused"}, refuse[path])
            else:
                self._answer(_plausible(path, recorded[-1].body))

        def _answer(self, answer: Any, status: int = 200) -> None:
            stream = isinstance(answer, tuple)
            content = (
                b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in answer) + b"data: [DONE]\n\n"
                if stream
                else json.dumps(answer).encode()
            )
            self.send_response(status)
            self.send_header("Content-Type", "text/event-stream" if stream else "application/json")
            self.send_header("Content-Length", str(len(content)))
            if isinstance(answer, dict) and "access_token" in answer:
                for name in ("access_token", "refresh_token"):
                    self.send_header("Set-Cookie", f"{name}={answer[name]}; Path=/; HttpOnly")
            self.end_headers()
            self.wfile.write(content)

    return Handler


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content) if content else None
    except ValueError:
        return content.decode()


def _plausible(path: str, body: Any) -> Any:
    body = body if isinstance(body, dict) else {}
    if path.startswith("auth/"):
        return {"access_token": "some-token", "refresh_token": "some-refresh-token", "expires_in": 3600}
    if path == "models":
        return [{"id": "openai", "name": "OpenAI", "models": [_MODEL]}]
    if path.startswith("models/"):
        provider, _, model = path.removeprefix("models/").partition("/")
        return _MODEL if model else {"id": provider, "name": provider, "models": [_MODEL]}
    if path == "user/usage":
        return {"total_requests": 0, "total_cost": 0.0, "remaining_credits": 1.0}
    if body.get("stream"):
        return _CHUNKS
    data: Any = "Yes"
    if path == "embeddings":
        data = [[0.6, 0.8] for _ in body.get("text", ())]
    elif path == "images/generations":
        data = [{"url": "http://127.0.0.1/image.png"}]
    return {"success": True, "provider": "openai", "model": "some-model", "usage": _USAGE, "data": data}
