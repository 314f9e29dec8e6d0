"""A request's body as it is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from urllib3.filepost import encode_multipart_formdata

from indoxrouter.errors import ValidationError
from indoxrouter.wire.messages import FilePart, Request, Upload


def encoded(request: Request, extra: Mapping[str, Any]) -> tuple[bytes | Upload | None, dict[str, str]]:
    """The body, and the header that says what it is."""
    if request.file is not None:
        return _multipart(request.file, {**(request.body or {}), **extra})
    if request.body is None:
        return None, {}
    try:
        text = json.dumps({**request.body, **extra}, allow_nan=False, separators=(",", ":"), default=_jsonable)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValidationError(f"the parameters can't be sent as JSON: {type(error).__name__}: {error}"[:200]) from None
    return text.encode(), {"Content-Type": "application/json"}


def _multipart(file: FilePart, fields: Mapping[str, Any]) -> tuple[Upload, dict[str, str]]:
    """The file's part comes first, and is encoded empty: its bytes go where its head ends."""
    parts: list[tuple[str, Any]] = [("file", (file.name, b"", "application/octet-stream"))]
    for name, value in fields.items():
        several = value if isinstance(value, list | tuple) else [value]
        parts += [(name if several is not value else f"{name}[]", str(item)) for item in several]
    try:
        content, kind = encode_multipart_formdata(parts, file.boundary)
    except UnicodeEncodeError:
        raise ValidationError("the file's name or a parameter holds half a character (a lone surrogate)") from None
    head, blank, tail = content.partition(b"\r\n\r\n")
    return Upload(head + blank, file.source, tail), {"Content-Type": kind}


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form")
