"""JSON, bounded in its bytes and in the objects and lists that it makes, which cost the most for their length."""

from __future__ import annotations

import codecs
import json
from typing import Any

MAX_BYTES = 64 * 2**20
"""Decoded bytes that a JSON answer may have."""
_DENSEST = 32
"""Bytes for each object and list where there are as many as may be: each costs a hundred or more when it is read,
however short it is written. The densest honest answers, the likeliest tokens at each place of a text, spend about
as many; embeddings are of many numbers, but few lists."""


class TooLargeError(ValueError):
    """It would cost more memory and time than any answer is worth."""


def first_of(content: bytes) -> bytes:
    """What it begins with, behind white space and a byte order mark: { for an object, [ for a list."""
    return content.removeprefix(codecs.BOM_UTF8).lstrip()[:1]


def loads(content: bytes | str, cap: int = MAX_BYTES, **how: Any) -> Any:
    """As json.loads, for what a server sent. Braces inside texts are counted too: that is cheap, and they are few."""
    if isinstance(content, str):
        containers = content.count("{") + content.count("[")
    else:
        containers = content.count(b"{") + content.count(b"[")
    if len(content) > cap or containers > cap // _DENSEST:
        raise TooLargeError("more JSON than the client accepts")
    return json.loads(content, **how)
