"""JSON, bounded in its bytes and in what is made of them: that costs memory and time by its number, not its length."""

from __future__ import annotations

import codecs
import json
from typing import Any

MAX_BYTES = 64 * 2**20
"""Decoded bytes that a JSON answer may have."""
_DENSEST_LISTS = 32
"""Bytes for each object and list where there are as many as may be: each costs a hundred or more when it is read,
however short it is written. The densest honest answers, the likeliest tokens at each place of a text, spend about
as many; embeddings are of many numbers, but few lists."""
_DENSEST_VALUES = 8
"""The same for values: the embeddings of 2,048 texts, each of 3,072 numbers, have the most, 6.3 million."""
_DENSEST_FIELDS = 64
"""The same for fields: where each has another name, a million take a second."""
MOST_NUMBERS = MAX_BYTES // _DENSEST_VALUES
_LONG = 28
"""Characters of a number that no honest one has, and by which reading it gets slow."""
_DENSEST_LONG = 1024
_AS_ZEROS = bytes.maketrans(b"123456789.eE+-\0", b"0" * 15)
"""What numbers are written with; NUL stands between their characters in UTF-16."""


class TooLargeError(ValueError):
    """It would cost more memory and time than any answer is worth."""


def first_of(content: bytes) -> bytes:
    """What it begins with, behind white space and a byte order mark: { for an object, [ for a list."""
    return content.removeprefix(codecs.BOM_UTF8).lstrip()[:1]


def loads(
    content: bytes | str, cap: int = MAX_BYTES, values: int | None = None, lists: int | None = None, **how: Any
) -> Any:
    """As json.loads, for what a server sent; `values` and `lists`: how many of them, where fewer than usual may be.

    Braces, commas and colons inside texts are counted too: that is cheap, and they are few.
    """
    values = cap // _DENSEST_VALUES if values is None else values
    lists = min(cap // _DENSEST_LISTS, values if lists is None else lists)
    if len(content) > min(cap // _DENSEST_FIELDS, lists):  # else nothing can be too many
        _check(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content, cap, values, lists)
    return json.loads(content, **how)


def _check(content: bytes, cap: int, values: int, lists: int) -> None:
    if (
        len(content) > cap
        or content.count(b"{") + content.count(b"[") > lists
        or content.count(b",") > values
        or content.count(b":") > cap // _DENSEST_FIELDS
        or content.translate(_AS_ZEROS).count(b"0" * _LONG) > cap // _DENSEST_LONG
    ):
        raise TooLargeError("more JSON than the client accepts")
