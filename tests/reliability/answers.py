"""Good answers, each quoting its request's nonce and words, in every framing that HTTP has."""

from __future__ import annotations

import functools
import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from raw_server import DONE, chunked, event, head, piece


@dataclass(frozen=True)
class Good:
    """The right answer to one request."""

    pieces: tuple[bytes, ...]
    """The events of a stream, or a whole body as one."""
    stream: bool
    request_id: str
    cookies: tuple[str, ...] = field(default=(), repr=False)

    @property
    def content(self) -> bytes:
        return b"".join(self.pieces)

    def head(self, **headers: str) -> bytes:
        kind = "text/event-stream" if self.stream else "application/json"
        if self.cookies:
            headers["Set_Cookie"] = "\r\nSet-Cookie: ".join(self.cookies)
        return head(200, Content_Type=kind, X_Request_Id=self.request_id, **headers)

    def sized(self, content: bytes | None = None, *, off: int = 0, **headers: str) -> bytes:
        """With a Content-Length, which may be off by so many bytes."""
        content = self.content if content is None else content
        return self.head(Content_Length=str(len(content) + off), **headers) + content

    def chunked(self, content: bytes | None = None, *, last: bool = True, **headers: str) -> bytes:
        parts = self.pieces if content is None else (content[:7], content[7:])
        return self.head(Transfer_Encoding="chunked", **headers) + chunked(*filter(None, parts), last=last)

    def until_close(self, **headers: str) -> bytes:
        """Its end is the connection's."""
        return self.head(Connection="close", **headers) + self.content

    def zipped(self) -> bytes:
        """The content by gzip, each piece readable as soon as it has come."""
        packer = zlib.compressobj(wbits=31)
        return (
            b"".join(packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH) for part in self.pieces) + packer.flush()
        )

    def usual(self) -> bytes:
        """As most servers frame it."""
        return self.chunked() if self.stream else self.sized()


@dataclass(frozen=True)
class Grant:
    """What a good login brings."""

    token: str
    cookies: tuple[str, ...] = ()


def login_answer(grant: Grant, nonce: str) -> Good:
    """The answer of a working router to a login."""
    content = json.dumps({"access_token": grant.token, "expires_in": 3600}).encode()
    return Good((content,), False, f"req-{nonce}", grant.cookies)


def said(nonce: str, quoted: str) -> str:
    """The text of a good chat or completion."""
    return f"{nonce} <{quoted}> {nonce}"


def answer_to(path: str, asked: dict[str, Any], nonce: str) -> Good:
    """The answer that a working router gives to this request."""
    path = path.partition("?")[0].rstrip("/")
    stream = asked.get("stream") is True
    words = _words(asked)
    if stream:
        pieces: tuple[bytes, ...] = tuple(_events(nonce, words))
    else:
        pieces = (json.dumps(_body(path, asked, nonce, words)).encode(),)
    return Good(pieces, stream, f"req-{nonce}")


def _words(asked: dict[str, Any]) -> str:
    if "messages" in asked:
        content = asked["messages"][-1].get("content")
        return content if isinstance(content, str) else json.dumps(content)
    return str(asked.get("prompt", ""))


def _events(nonce: str, words: str) -> Iterator[bytes]:
    yield piece(f"{nonce} ")
    yield piece(f"<{words}>")
    yield piece(f" {nonce}")
    yield piece("", "stop")
    yield event({"id": "c1", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}})
    yield DONE


def _body(path: str, asked: dict[str, Any], nonce: str, words: str) -> Any:
    number = int(nonce[6:]) if nonce[6:].isdigit() else 0
    if path.endswith("embeddings"):
        return _envelope(data=[[float(number), 0.5] for _ in asked.get("text", [])], dimensions=2)
    if path.endswith("images/generations"):
        return _envelope(data=[{"url": f"https://img.test/{nonce}.png"}])
    if path.endswith("tts/generations"):
        return _envelope(data={"url": f"https://audio.test/{nonce}.mp3"})
    if path.endswith("transcriptions"):
        return _envelope(text=f"heard {nonce}")
    if path.endswith("models"):
        return [{"id": nonce, "name": nonce, "models": [{"modelName": "m1", "name": f"{nonce}/m1"}]}]
    if path.endswith("usage"):
        return {"total_requests": number, "total_cost": 0.25, "endpoints": {}, "models": {}}
    return _envelope(data=said(nonce, words), finish_reason="stop")


def _envelope(**fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "provider": "openai", "success": True, **fields}


@functools.cache
def bomb(size: int) -> bytes:
    """So many bytes as a few, packed."""
    return gzip.compress(b" " * size, 9)
