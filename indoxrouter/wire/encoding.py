"""Undoing Content-Encoding, with a cap on what comes out and an eye on what is missing."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from indoxrouter.errors import NetworkError

ACCEPTED = "gzip, deflate"
_OTHERS = ("br", "zstd", "compress", "x-compress", "dcb", "dcz")
_PIECE = 2**14
"""Decoded bytes that are handed out at a time: between two of them, whoever reads looks at the clock."""
_SPARE = 2**20
"""Packed bytes that may come to nothing, as headers and flushes do; twice the unpacked ones may beside them."""


class Decoder:
    """Bytes as they were sent, in; decoded bytes, out: at most `cap` of them in all."""

    def __init__(self, content_encoding: str | None, cap: int) -> None:
        name = (content_encoding or "identity").strip().lower()
        if name not in ("identity", "gzip", "x-gzip", "deflate"):
            told = f": {name!r}" if name in _OTHERS else ""  # what else stands there may be anything
            message = f"the answer is encoded in a way not asked for{told}"
            raise NetworkError(message, code="encoding", outcome="unknown")
        self._name = name
        self._zlib: zlib._Decompress | None = None
        self._cap = cap
        self._came = self._unpacked = 0

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What these bytes decode to, a little at a time; to be taken whole before the next are given."""
        self._came += len(data)
        for piece in _cut(data) if self._name == "identity" else self._inflated(data):
            self._unpacked += len(piece)
            if self._unpacked > self._cap:
                raise NetworkError("the answer is larger than the client accepts", code="too_large", outcome="unknown")
            if piece:
                yield piece
        if self._came > 2 * self._unpacked + _SPARE:
            raise NetworkError("what comes unpacks to next to nothing", code="too_large", outcome="unknown")

    def finish(self) -> None:
        """Raise where the end of the packed data never came."""
        if self._zlib is not None and not self._zlib.eof:
            raise NetworkError("the answer was cut inside its compressed body", code="truncated", outcome="unknown")

    def _inflated(self, data: bytes) -> Iterator[bytes]:
        more_inside = False
        while data or more_inside:
            if self._zlib is None:
                self._zlib = zlib.decompressobj(self._format(data[0]))
            elif self._zlib.eof:
                data = data.lstrip(b"\0")  # padding, as gzip(1) has it
                if not data:
                    return
                self._zlib = zlib.decompressobj(_WRAPPED)  # another member follows (RFC 1952, 2.2)
            room = min(_PIECE, self._cap - self._unpacked + 1)
            try:
                piece = self._zlib.decompress(data, room)
            except zlib.error:
                raise NetworkError(
                    "the answer's compression is broken", code="undecodable", outcome="unknown"
                ) from None
            yield piece
            data = self._zlib.unconsumed_tail or self._zlib.unused_data
            more_inside = len(piece) == room and not self._zlib.eof

    def _format(self, first: int) -> int:
        """Some servers call deflate what has no zlib header, whose first byte would end in 8 (RFC 1950, 2.2)."""
        bare = self._name == "deflate" and first & 0x0F != 8 and first != _GZIP_MAGIC
        return -zlib.MAX_WBITS if bare else _WRAPPED


def _cut(data: bytes) -> Iterator[bytes]:
    if len(data) <= _PIECE:
        yield data
        return
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]


_WRAPPED = zlib.MAX_WBITS | 32
"""In gzip's or zlib's format, as its header says."""
_GZIP_MAGIC = 0x1F
