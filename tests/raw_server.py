"""A server on raw sockets whose every byte a test decides.

A script is called for each request and returns what to do: bytes are sent, numbers are seconds to
sleep, FIN and RST end the connection, HOLD keeps it silent until the client leaves. Logins are
answered by themselves unless the script is told to see them too.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from socket_server import SocketServer, shut


class End(Enum):
    """How a connection ends."""

    FIN = "fin"
    RST = "rst"
    HOLD = "hold"


FIN, RST, HOLD = End.FIN, End.RST, End.HOLD
Action = bytes | float | End


@dataclass
class Seen:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    """Names in lower case."""
    body: bytes = field(repr=False)
    number: int
    """Counts the requests of this server, from 0; answered logins are not counted."""
    connection: int

    def json(self) -> Any:
        return json.loads(self.body)


Script = Callable[[Seen], Iterable[Action]]


class RawServer(SocketServer):
    """Does as its script says, request by request."""

    def __init__(self, script: Script, *, logins: bool = True) -> None:
        super().__init__()
        self._script = script
        self._logins = logins
        self.requests: list[Seen] = []
        self.logins: list[Seen] = []
        self.origin = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.origin}/v1"

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection.makefile("rb") as reader:
            while (seen := self._read(reader, number)) is not None:
                for action in self._answer(seen):
                    if not _carry_out(connection, action):
                        return

    def _answer(self, seen: Seen) -> Iterable[Action]:
        if self._logins and "/auth/" in seen.path:
            self.logins.append(seen)
            return [ok({"access_token": f"token-{len(self.logins)}"})]
        self.requests.append(seen)
        return self._script(seen)

    def _read(self, reader: Any, connection: int) -> Seen | None:
        line = reader.readline()
        if not line:
            return None
        method, path, _ = line.decode().split(" ", 2)
        headers: dict[str, str] = {}
        while (line := reader.readline().decode("latin-1").rstrip("\r\n")) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = reader.read(int(headers.get("content-length", "0")))
        return Seen(method, path, headers, body, len(self.requests), connection)


def _carry_out(connection: socket.socket, action: Action) -> bool:
    """Whether the connection goes on afterwards."""
    match action:
        case bytes():
            connection.sendall(action)
        case End.FIN:
            shut(connection)
            return False
        case End.RST:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        case End.HOLD:
            while connection.recv(65536):
                pass
            return False
        case _:
            time.sleep(action)
    return True


def head(status: int = 200, **headers: str) -> bytes:
    """A response head; underscores in names stand for hyphens."""
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def answer(status: int, body: Any, **headers: str) -> bytes:
    """A whole answer; what is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content_Type": "application/json", "Content_Length": str(len(content)), **headers}
    return head(status, **headers) + content


def ok(body: Any, **headers: str) -> bytes:
    return answer(200, body, **headers)


def chat_body(text: str = "fine") -> dict[str, Any]:
    """A chat's answer in the envelope."""
    return {
        "data": text,
        "model": "gpt-4o-mini",
        "provider": "openai",
        "finish_reason": "stop",
        "success": True,
    }


STREAM_HEAD = head(200, Content_Type="text/event-stream", Connection="close")
"""Of a body that ends with the connection."""


def event(body: Any) -> bytes:
    return b"data: " + (body if isinstance(body, bytes) else json.dumps(body).encode()) + b"\n\n"


def piece(text: str, finish: str | None = None) -> bytes:
    """An OpenAI chunk as an event."""
    return event({"id": "c1", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]})


DONE = b"data: [DONE]\n\n"


def chunked(*parts: bytes, last: bool = True) -> bytes:
    """A chunked body."""
    body = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts)
    return body + (b"0\r\n\r\n" if last else b"")
