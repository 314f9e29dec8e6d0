"""Values to bytes, as they go over the wire."""

import json
from decimal import Decimal
from typing import Any

DONE = b"data: [DONE]\n\n"


def to_json(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate in a prompt that is quoted
        return json.dumps(value, separators=(",", ":")).encode()


def exact_json(value: Any) -> bytes:
    """The same for values that have Decimals in them: they are written with all their digits."""
    return _exact(value).encode()


def _exact(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{_exact(entry)}" for name, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_exact, value)) + "]"
    return json.dumps(value)


def event(value: Any) -> bytes:
    return b"data: " + to_json(value) + b"\n\n"


def seconds(value: float) -> int | float:
    """Whole seconds as an integer, as servers write them; fractions are kept."""
    return int(value) if value == int(value) else value
