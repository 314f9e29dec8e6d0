"""Framing of server-sent events (WHATWG HTML, section 9.2), linear in time and bounded in space."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

import sseclient

from indoxrouter.errors import StreamError

MAX_EVENT_BYTES = 16 * 2**20
MAX_EVENT_LINES = 10_000


class Framer:
    """Bytes in, cut anywhere; the data of whole events out."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._after_cr = False
        self._begun = False

    def feed(self, data: bytes) -> Iterator[str]:
        """The data of each event that these bytes complete. Raises StreamError."""
        self._take(data)
        start = 0
        while (end := self._buffer.find(b"\n\n", max(start, self._searched))) >= 0:
            block = bytes(self._buffer[start:end])
            start = self._searched = end + 2
            yield from _events(block)
        del self._buffer[:start]
        self._searched = max(0, len(self._buffer) - 1)
        if len(self._buffer) - self._buffer.endswith(b"\n") > MAX_EVENT_BYTES:
            raise _too_large(f"{MAX_EVENT_BYTES} bytes")

    def _take(self, data: bytes) -> None:
        """Add the bytes with every line ending, CR LF, CR or LF, as one LF."""
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
            self._after_cr = False
        if data:
            self._after_cr = data.endswith(b"\r")
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        self._buffer += data
        if not self._begun and (len(self._buffer) >= 3 or not codecs.BOM_UTF8.startswith(bytes(self._buffer))):
            self._begun = True
            if self._buffer.startswith(codecs.BOM_UTF8):
                del self._buffer[:3]


def _events(block: bytes) -> Iterator[str]:
    if len(block) > MAX_EVENT_BYTES:
        raise _too_large(f"{MAX_EVENT_BYTES} bytes")
    if block.count(b"\n") >= MAX_EVENT_LINES:
        raise _too_large(f"{MAX_EVENT_LINES} lines")
    try:
        if block.startswith(b"data:") and b"\n" not in block:
            if data := block[6 if block[5:6] == b" " else 5 :].decode():
                yield data
        elif block and (data := _several_lines(block)):
            yield data
    except UnicodeDecodeError:
        raise StreamError("an event is not UTF-8", code="undecodable", outcome="unknown") from None


def _too_large(limit: str) -> StreamError:
    return StreamError(f"one event has more than {limit}", code="event_too_large", outcome="unknown")


def _several_lines(block: bytes) -> str:
    block.decode()  # an event of which any line is no UTF-8 is refused
    # sseclient logs ids, names and unknown fields, which may be anything: it gets the data alone. And it copies
    # that anew for each of its lines: slices keep this linear.
    lines = [line for line in block.split(b"\n") if line == b"data" or line.startswith(b"data:")]
    slices = (b"\n".join(lines[n : n + 100]) + b"\n\n" for n in range(0, len(lines), 100))
    return "\n".join(event.data for event in sseclient.SSEClient(slices).events())
