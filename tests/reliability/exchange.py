"""One request as a fault server gets it: read as far as its script wants, charged when carried out."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from raw_server import End

from .answers import Good, Grant, answer_to, login_answer
from .ledger import Ledger

NONCE = re.compile(rb"nonce-\d{9}")


@dataclass(frozen=True)
class Drip:
    """Bytes that go out a few at a time."""

    data: bytes
    size: int = 1
    every: float = 0.02


Action = bytes | float | Drip | End
"""Bytes are sent, numbers are seconds to sleep, an End ends the connection."""


class Wire:
    """A connection of which no more is read than was asked for."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self.number = number
        self._buffer = b""

    def until_blank_line(self) -> bytes | None:
        """A head; None where the client left."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if not (data := self.sock.recv(65536)):
                return None
            self._buffer += data
        found, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        return found

    def exactly(self, count: int) -> bytes:
        parts = [self._buffer[:count]]
        self._buffer = self._buffer[count:]
        left = count - len(parts[0])
        while left:
            if not (data := self.sock.recv(min(left, 65536))):
                raise ConnectionError("the client left")
            parts.append(data)
            left -= len(data)
        return b"".join(parts)

    def fin(self) -> None:
        """A true FIN: a socket that is closed with bytes unread sends RST instead."""
        with contextlib.suppress(OSError):  # the client may be gone already
            self.sock.shutdown(socket.SHUT_WR)
            self.sock.settimeout(0.5)
            while self.sock.recv(65536):
                pass

    def rst(self) -> None:
        """Takes effect when the socket is closed."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@dataclass
class Exchange:
    """One request, and what a script needs to answer it."""

    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    """Names in lower case."""
    wire: Wire = field(repr=False)
    ledger: Ledger = field(repr=False)
    case: str
    number: int
    """Counts the requests of a case, from 0; logins are not counted."""
    grant: Grant | None = field(default=None, repr=False)
    """What a good login brings; None: it is no login."""
    _body: bytes = field(default=b"", repr=False)

    @property
    def connection(self) -> int:
        return self.wire.number

    @property
    def key(self) -> str:
        """What the ledger charges under."""
        return self.headers.get("idempotency-key") or self.headers.get("x-client-request-id", "")

    def read(self, count: int | None = None) -> bytes:
        """Some bytes of the body, or all that is left of it."""
        left = int(self.headers.get("content-length", "0")) - len(self._body)
        self._body += self.wire.exactly(left if count is None else min(count, left))
        return self._body

    @property
    def body(self) -> bytes:
        return self.read()

    @property
    def whole(self) -> bool:
        return len(self._body) == int(self.headers.get("content-length", "0"))

    @property
    def nonce(self) -> str:
        """What this request's answer must quote; from the body, else from a header."""
        found = NONCE.search(self.body) or NONCE.search(self.headers.get("x-trace-id", "").encode())
        return found[0].decode() if found else "nonce-none"

    def json(self) -> Any:
        """What was asked; of an upload, nothing."""
        return json.loads(self.body) if self.body[:1] == b"{" else {}

    def good(self) -> Good:
        """Carry the request out, which is charged, and return its answer in all its forms."""
        asked = self.json()
        if self.grant is not None:
            return login_answer(self.grant, self.nonce)
        self.ledger.charge(self.case, self.key)
        return answer_to(self.path, asked, self.nonce)

    def echo(self) -> str:
        """The key, the token, the cookies, the caller's headers and the prompt, as a careless server repeats them."""
        asked = self.json()
        last = asked["messages"][-1]["content"] if "messages" in asked else ""
        words = [last, *(asked.get(name, "") for name in ("prompt", "input", "api_key")), *asked.get("text", [])]
        return " ".join([*(self.headers.get(name, "") for name in _CONFIDENTIAL), *words])


_CONFIDENTIAL = ("authorization", "cookie", "x-api-key", "x-gateway-key", "x-extra")


Script = Callable[[Exchange], Iterable[Action]]


def carry_out(wire: Wire, action: Action, stop: threading.Event) -> bool:
    """Whether the connection goes on afterwards."""
    match action:
        case bytes():
            wire.sock.sendall(action)
        case Drip(data, size, every):
            for start in range(0, len(data), size):
                wire.sock.sendall(data[start : start + size])
                stop.wait(every)
        case End.FIN:
            wire.fin()
            return False
        case End.RST:
            wire.rst()
            return False
        case End.HOLD:
            while wire.sock.recv(65536):
                pass
            return False
        case _:
            stop.wait(action)
    return not stop.is_set()
