"""Undoing Content-Encoding, with a cap on what comes out and an eye on what is missing."""

from __future__ import annotations

import zlib

from indoxrouter.errors import NetworkError

ACCEPTED = "gzip, deflate"


class Decoder:
    """Bytes as they were sent, in; decoded bytes, out: at most `cap` of them in all."""

    def __init__(self, content_encoding: str | None, cap: int) -> None:
        name = (content_encoding or "identity").strip().lower()
        if name not in ("identity", "gzip", "x-gzip", "deflate"):
            raise NetworkError(
                f"the answer is encoded in a way not asked for: {name[:40]!r}", code="encoding", outcome="unknown"
            )
        self._packed = name != "identity"
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, by the header
        self._left = cap
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        if self._packed:
            data = self._inflate(data)
        self._left -= len(data)
        if self._left < 0:
            raise NetworkError("the answer is larger than the client accepts", code="too_large", outcome="unknown")
        return data

    def finish(self) -> None:
        """Raise where the end of the packed data never came."""
        if self._begun and not self._zlib.eof:
            raise NetworkError("the answer was cut inside its compressed body", code="truncated", outcome="unknown")

    def _inflate(self, data: bytes) -> bytes:
        out = bytearray()
        while data and len(out) <= self._left:
            if self._zlib.eof:  # another member follows (RFC 1952, 2.2)
                self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 32)
            self._begun = True
            try:
                out += self._zlib.decompress(data, self._left - len(out) + 1)
            except zlib.error:
                raise NetworkError("the answer's compression is broken", code="truncated", outcome="unknown") from None
            data = self._zlib.unconsumed_tail or self._zlib.unused_data
        return bytes(out)
