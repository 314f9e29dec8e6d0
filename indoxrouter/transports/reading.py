"""What is added below http.client: limits that hold for dripped bytes, and whole heads only.

Every read from a socket first sets the time that is left, so no watchdog is needed. A head that was
cut is not taken for an answer, nor is an informational one, nor one that http.client would read in part.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import math
import re
import socket
import ssl
import time
from contextvars import ContextVar
from typing import Any

from indoxrouter.transports import framing

_HEADS = re.compile(
    rb"""(?:
        HTTP/[^\r\n\0]*\r?\n
        (?:
            [!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*\r?\n
            (?:[ \t][^\r\n\0]*\r?\n)*  # more of the value
        )*
        \r?\n
    )+""",
    re.VERBOSE,
)
"""As RFC 9112 has them. Of others, http.client takes what stands before a bad line, and urllib3 logs the rest."""
UNTIL: ContextVar[float] = ContextVar("until")
"""The monotonic time at which the request that is being sent must have its head."""


def left(until: float) -> float:
    """Seconds up to a moment on the monotonic clock, of which there are some."""
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("timed out")
    return seconds


def interrupt(sock: Any) -> None:
    """End what waits for the socket in other threads."""
    with contextlib.suppress(OSError):  # it has come to its end by itself
        # Not SSLSocket's own, which would let the other thread read on without decrypting.
        socket.socket.shutdown(getattr(sock, "socket", sock), socket.SHUT_RDWR)


def holds_more(sock: Any) -> bool:
    """Whether TLS has taken bytes off the socket that nobody has read, which makes it readable to nobody."""
    inner = getattr(sock, "sslobj", sock)  # TLS within a proxy's TLS has what it has yet to decrypt, too
    left = isinstance(inner, ssl.SSLSocket | ssl.SSLObject) and inner.pending() > 0
    return left or (inner is not sock and (sock.incoming.pending > 0 or holds_more(sock.socket)))


class Reader(io.RawIOBase):
    """Reads a socket until a moment on the monotonic clock, whatever trickles in meanwhile."""

    def __init__(self, raw: socket.SocketIO, sock: socket.socket) -> None:
        self._raw = raw
        self.sock = sock
        self.until = UNTIL.get()
        self.last = time.monotonic()
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        self.sock.settimeout(left(self.until))
        count = self._raw.readinto(buffer)
        self.last = time.monotonic()
        self.ended = count == 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class MalformedHead(http.client.HTTPException):
    """Holds nothing of the head, which may hold what is secret."""


class _Lines(io.BufferedReader):
    """Lines that the end of the connection cut are no lines: "0" may be the beginning of a chunk's size."""

    kept: list[bytes] | None = None
    """Those of the head, as long as it is read."""

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        reader: Any = self.raw
        if reader.ended and line and not line.endswith(b"\n"):
            raise http.client.IncompleteRead(line)
        if self.kept is not None:
            self.kept.append(line)
        return line


class Head(http.client.HTTPResponse):
    """An answer whose head must be whole, and is not an informational one."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        buffered: Any = self.fp
        self.reader = Reader(buffered.detach(), sock)
        self.fp = _Lines(self.reader)
        self.early = False
        """Whether it came before the request was sent whole: what would follow on the connection is not known."""

    def begin(self) -> None:
        self._begin()
        while 100 <= self.status < 200:  # 103 and its like, which http.client takes for the answer
            self.headers = self.msg = None  # type: ignore[assignment] # begin() reads a head only where there is none
            self._begin()
        self.will_close = self.will_close or self.early

    def _begin(self) -> None:
        lines: Any = self.fp
        kept: list[bytes] = []
        lines.kept = kept
        super().begin()
        lines.kept = None
        if self.reader.ended:
            raise http.client.IncompleteRead(b"")
        told = (self.headers.get_all(name, []) for name in ("Transfer-Encoding", "Content-Length"))
        if not _HEADS.fullmatch(b"".join(kept)) or not framing.is_clear(*told):
            raise MalformedHead


class OuterTLS(ssl.SSLSocket):
    """A proxy's TLS, within which there is a server's: one read of that is as many of this as it takes.

    So a limit is for all that is read until another is set, not for each.
    """

    _until = math.inf

    def settimeout(self, value: float | None, /) -> None:
        self._until = math.inf if value is None else time.monotonic() + value
        super().settimeout(value)

    def recv(self, size: int = 1024, flags: int = 0) -> bytes:
        if self._until < math.inf:
            super().settimeout(left(self._until))
        return super().recv(size, flags)
