"""What tests of media share: small files, answers that were parsed, and something to fetch from."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from indoxrouter import APIError
from indoxrouter.wire.hosted import completion
from indoxrouter.wire.messages import Result

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels" * 20
JPEG = b"\xff\xd8\xff\xe0" + b"pixels" * 20
MP4 = b"\0\0\0\x18ftypisom" + b"frames" * 20
REQUEST = completion("x", model="a/b", temperature=None, max_tokens=None, stream=False, params={})


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def result(body: Any) -> Result:
    return Result(body, REQUEST, "POST h/v1/videos/generations", {}, "ours")


class Web:
    """Addresses and what is behind them; counts how often it was asked."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = {f"https://h/{n}": content for n, content in enumerate(contents)}
        self.asked: list[str] = []

    def fetch(self, url: str) -> Iterator[bytes]:
        self.asked.append(url)
        if url not in self.contents:
            raise APIError("nothing there", status_code=404)
        yield self.contents[url][:7]
        yield self.contents[url][7:]
