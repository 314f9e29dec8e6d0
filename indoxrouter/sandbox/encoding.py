"""Values to bytes, as they go over the wire."""

import json
from typing import Any

DONE = b"data: [DONE]\n\n"


def to_json(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate in a prompt that is quoted
        return json.dumps(value, separators=(",", ":")).encode()


def event(value: Any) -> bytes:
    return b"data: " + to_json(value) + b"\n\n"


def seconds(value: float) -> int | float:
    """Whole seconds as an integer, as servers write them; fractions are kept."""
    return int(value) if value == int(value) else value
