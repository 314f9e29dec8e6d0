"""A request's body as bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from urllib3.filepost import encode_multipart_formdata

from indoxrouter.errors import ValidationError
from indoxrouter.wire.messages import FilePart, Request


def encoded(request: Request, extra: Mapping[str, Any]) -> tuple[bytes | None, dict[str, str]]:
    """The body's bytes, and the header that says what they are."""
    if request.file is not None:
        return _multipart(request.file, {**(request.body or {}), **extra})
    if request.body is None:
        return None, {}
    try:
        text = json.dumps({**request.body, **extra}, allow_nan=False, separators=(",", ":"), default=_jsonable)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValidationError(f"the parameters can't be sent as JSON: {type(error).__name__}: {error}"[:200]) from None
    return text.encode(), {"Content-Type": "application/json"}


def _multipart(file: FilePart, fields: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
    parts: list[tuple[str, Any]] = [("file", (file.name, file.content, "application/octet-stream"))]
    for name, value in fields.items():
        several = value if isinstance(value, list | tuple) else [value]
        parts += [(name if several is not value else f"{name}[]", str(item)) for item in several]
    content, kind = encode_multipart_formdata(parts)
    return content, {"Content-Type": kind}


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form")
