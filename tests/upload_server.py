"""A server that decides how much of each upload it reads, and when it answers."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from raw_server import ok
from socket_server import SocketServer

ServeUpload = Callable[["Taken"], object]
SAID = ok({"text": "said"})


@dataclass
class Taken:
    """One request whose head was read; what it does to its body is for the test to say."""

    path: str
    headers: dict[str, str] = field(repr=False)
    """Names in lower case."""
    connection: int
    number: int
    socket: socket.socket = field(repr=False)
    reader: BinaryIO = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    whole: bool = False
    """Whether the body came to its announced end."""

    def read(self, most: int) -> int:
        """Take so many bytes off the wire, as they come."""
        data = self.reader.read(most)
        self.body += data
        return len(data)

    def read_all(self) -> bytes:
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(self.reader.readline() or b"0", 16):
                self.body += self.reader.read(size)
                self.reader.readline()
            self.whole = self.reader.readline() == b"\r\n"
        else:
            announced = int(self.headers["content-length"])
            self.body += self.reader.read(announced - len(self.body))
            self.whole = len(self.body) == announced
        return self.body

    def discard(self) -> None:
        """Read on to wherever it ends, and keep nothing."""
        while self.reader.read(65536):
            pass

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    @property
    def file(self) -> bytes:
        """The bytes of the file's part, which comes first."""
        boundary = self.headers["content-type"].partition("boundary=")[2].encode()
        return self.body.partition(b"\r\n\r\n")[2].partition(b"\r\n--" + boundary)[0]


class UploadServer(SocketServer):
    """Where `serve` returns False the connection ends. Logins are answered."""

    def __init__(self, serve: ServeUpload, context: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self._serve_upload = serve
        self._context = context
        self.taken: list[Taken] = []
        self.logins = 0
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}/v1"

    def _serve(self, connection: socket.socket, number: int) -> None:
        if self._context is None:
            return self._requests(connection, number)
        with self._held(self._context.wrap_socket(connection, server_side=True)) as secured:
            return self._requests(secured, number)

    def _requests(self, connection: socket.socket, number: int) -> None:
        with connection.makefile("rb") as reader:
            while (taken := self._head(connection, reader, number)) is not None:
                if "/auth/" in taken.path:
                    self.logins += 1
                    taken.read_all()
                    taken.send(ok({"access_token": f"token-{self.logins}"}))
                    continue
                self.taken.append(taken)
                if self._serve_upload(taken) is False:
                    break

    def _head(self, connection: socket.socket, reader: Any, number: int) -> Taken | None:
        line = reader.readline()
        if not line:
            return None
        headers: dict[str, str] = {}
        while field_line := reader.readline().decode("latin-1").rstrip("\r\n"):
            name, _, value = field_line.partition(":")
            headers[name.lower()] = value.strip()
        return Taken(line.decode().split(" ")[1], headers, number, len(self.taken), connection, reader)


def accepting(taken: Taken) -> None:
    taken.read_all()
    taken.send(SAID)


@contextlib.contextmanager
def piped(content: bytes, *, close: bool = True) -> Iterator[Any]:
    """The reading end of a pipe, into which a thread writes."""
    reading, writing = os.pipe()

    def write() -> None:
        with contextlib.suppress(BrokenPipeError):
            left = memoryview(content)
            while left:
                left = left[os.write(writing, left) :]
        if close:
            os.close(writing)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    with open(reading, "rb") as file:
        yield file
    writer.join(5)
    if not close:
        os.close(writing)
