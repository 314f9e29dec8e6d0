"""Answers in every framing, and what an answer that ends after so many of its bytes must come to."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from raw_server import DONE, End, answer, chunked, event, head, piece

from .exchange import Action, Exchange

TEXT = "one two three"
SOUND = bytes(range(64))
_JSON, _STREAM, _AUDIO = "application/json", "text/event-stream", "audio/mpeg"
_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
_BODY = json.dumps({"data": TEXT, "finish_reason": "stop"}).encode()
_EVENTS = (piece("one "), piece("two "), piece("three"), piece("", "stop"), DONE)
_TYPED = (
    *(event({"type": "response.content_part.delta", "delta": text}) for text in ("one ", "two ", "three")),
    event({"type": "response.done", "response": {"status": "completed"}}),
)


def _zipped(*parts: bytes) -> list[bytes]:
    packer = zlib.compressobj(wbits=31)
    return [packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH) for part in parts] + [packer.flush()]


def _sized(kind: str, body: bytes, **more: str) -> bytes:
    return head(200, Content_Type=kind, Content_Length=str(len(body)), Connection="close", **more) + body


def _chunked(kind: str, *parts: bytes, **more: str) -> bytes:
    return head(200, Content_Type=kind, Transfer_Encoding="chunked", Connection="close", **more) + chunked(*parts)


def _until_close(kind: str, body: bytes) -> bytes:
    return head(200, Content_Type=kind, Connection="close") + body


def _padded(*parts: bytes) -> bytes:
    """Chunks whose sizes are written with leading zeros, as some servers do."""
    return b"".join(f"{len(part):06x}\r\n".encode() + part + b"\r\n" for part in parts) + b"000000\r\n\r\n"


@dataclass(frozen=True)
class Answer:
    """One answer as its bytes, the way it is asked for, and how a part of it is read."""

    framed: bytes
    method: Literal["chat", "chat-stream", "speech"]
    framing: Literal["sized", "chunked", "until close"]
    packed: bool = False
    error: str | None = None
    """The class that the whole answer is raised as."""

    @property
    def start(self) -> int:
        """Where the body begins, behind the last head."""
        return self.framed.index(b"\r\n\r\n", self.framed.rindex(b"HTTP/1.1 ")) + 4


ANSWERS = {
    "json": Answer(_sized(_JSON, _BODY), "chat", "sized"),
    "json-chunked": Answer(_chunked(_JSON, _BODY[:9], _BODY[9:30], _BODY[30:]), "chat", "chunked"),
    "json-until-close": Answer(_until_close(_JSON, _BODY), "chat", "until close"),
    "json-gzip": Answer(_sized(_JSON, b"".join(_zipped(_BODY)), Content_Encoding="gzip"), "chat", "sized"),
    "json-gzip-chunked": Answer(_chunked(_JSON, *_zipped(_BODY), Content_Encoding="gzip"), "chat", "chunked"),
    "json-after-hints": Answer(_HINTS + _sized(_JSON, _BODY), "chat", "sized"),
    "limit": Answer(answer(429, {"detail": "slow"}, Connection="close"), "chat", "sized", error="RateLimitError"),
    "limit-to-a-stream": Answer(
        answer(429, {"detail": "slow"}, Connection="close"), "chat-stream", "sized", error="RateLimitError"
    ),
    "events-chunked": Answer(_chunked(_STREAM, *_EVENTS), "chat-stream", "chunked"),
    "events-in-odd-chunks": Answer(
        _chunked(_STREAM, *(b"".join(_EVENTS)[n : n + 31] for n in range(0, len(b"".join(_EVENTS)), 31))),
        "chat-stream",
        "chunked",
    ),
    "events-until-close": Answer(_until_close(_STREAM, b"".join(_EVENTS)), "chat-stream", "until close"),
    "events-sized": Answer(_sized(_STREAM, b"".join(_EVENTS)), "chat-stream", "sized"),
    "events-gzip": Answer(
        _chunked(_STREAM, *_zipped(*_EVENTS), Content_Encoding="gzip"), "chat-stream", "chunked", packed=True
    ),
    "events-crlf": Answer(
        _until_close(_STREAM, b"".join(_EVENTS).replace(b"\n", b"\r\n")), "chat-stream", "until close"
    ),
    "typed-events": Answer(_until_close(_STREAM, b"".join(_TYPED)), "chat-stream", "until close"),
    "json-to-a-stream": Answer(_sized(_JSON, _BODY), "chat-stream", "sized"),
    "sound": Answer(_sized(_AUDIO, SOUND), "speech", "sized"),
    "sound-chunked": Answer(_chunked(_AUDIO, SOUND[:16], SOUND[16:]), "speech", "chunked"),
    "sound-in-padded-chunks": Answer(
        head(200, Content_Type=_AUDIO, Transfer_Encoding="chunked", Connection="close")
        + _padded(SOUND[:16], SOUND[16:]),
        "speech",
        "chunked",
    ),
}  # fmt: skip


UNFRAMED = _until_close(_AUDIO, SOUND)
"""Whose end is the connection's, and which by itself may end anywhere."""


@dataclass(frozen=True)
class Due:
    """What a cut answer must come to."""

    complete: bool
    partial: str | None = None
    """The text of a stream that broke midway; None: the call itself fails."""
    open: bool = False
    """Whether it may be the other way too: all of the content came, and not all of its framing."""


def due(asked: Answer, cut: int) -> Due:
    """By a reading of its own, which knows nothing of the client's."""
    if cut == len(asked.framed):
        return Due(complete=True, open=asked.framing == "until close")  # a RST says that not all had been read
    body = asked.framed[asked.start : cut]
    if asked.framing == "chunked" and asked.method != "chat-stream":
        missing = len(asked.framed) - cut
        return Due(complete=False, open=missing <= 2)  # the line of the last chunk is whole
    if asked.method != "chat-stream" or b"event-stream" not in asked.framed or not body:
        return Due(complete=False)
    body = _unchunked(body) if asked.framing == "chunked" else body
    if asked.packed:
        body = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body)
    blocks = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n")[:-1]
    if not blocks:
        return Due(complete=False)
    if any(b'"stop"' in block or b"response.done" in block for block in blocks):
        return Due(complete=True)
    return Due(complete=False, partial="".join(("one ", "two ", "three")[: len(blocks)]))


def _unchunked(body: bytes) -> bytes:
    found = b""
    while (end := body.find(b"\r\n")) > 0:
        size = int(body[:end], 16)
        found += body[end + 2 : end + 2 + size]
        body = body[end + 4 + size :]
    return found


def cutting(exchange: Exchange) -> Iterator[Action]:
    """Sends as much of an answer as the request asks for, and ends the connection as it asks."""
    exchange.read()
    name, cut, end = exchange.headers["x-cut"].split("/")
    yield (ANSWERS[name].framed if name in ANSWERS else UNFRAMED)[: int(cut)]
    yield End(end)
