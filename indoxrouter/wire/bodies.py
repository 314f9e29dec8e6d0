"""A request's body as it is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from urllib3.filepost import encode_multipart_formdata

from indoxrouter.errors import ValidationError
from indoxrouter.wire.messages import FilePart, Request, Upload


def encoded(request: Request, extra: Mapping[str, Any]) -> tuple[bytes | Upload | None, dict[str, str]]:
    """The body, and the header that says what it is."""
    fields = {**(request.body or {}), **extra}
    if request.file is not None:
        return _multipart(request.file, fields)
    if request.body is None:
        return None, {}
    try:
        return _json(fields).encode(), {"Content-Type": "application/json"}
    except _UNWRITABLE as error:
        raise _refused(fields, error) from None


def _multipart(file: FilePart, fields: Mapping[str, Any]) -> tuple[Upload, dict[str, str]]:
    """The file's part comes first, and is encoded empty: its bytes go where its head ends."""
    parts: list[tuple[str, Any]] = [("file", (file.name, b"", "application/octet-stream"))]
    try:
        parts += [part for name, value in fields.items() for part in _parts(str(name), value)]
        content, kind = encode_multipart_formdata(parts, file.boundary)
    except UnicodeEncodeError:
        raise ValidationError("the file's name or a parameter holds half a character (a lone surrogate)") from None
    except _UNWRITABLE as error:
        raise _refused(fields, error) from None
    head, blank, tail = content.partition(b"\r\n\r\n")
    return Upload(head + blank, file.source, tail), {"Content-Type": kind}


def _parts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """A field as a form has it: text as it is, each item of a list by itself, anything else as JSON; not None."""
    several = isinstance(value, list | tuple)
    for item in value if several else [value]:
        if item is not None:
            yield f"{name}[]" if several else name, item if isinstance(item, str) else _json(item)


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"), default=_jsonable)


_UNWRITABLE = (TypeError, ValueError, RecursionError)
"""What `_json` raises."""


def _refused(fields: Mapping[str, Any], error: Exception) -> ValidationError:
    """The error that names the parameter which has no JSON form, and quotes nothing of it."""
    for name, value in fields.items():
        try:
            _json(value)
        except _UNWRITABLE as found:
            if name == "additional_params" and isinstance(value, Mapping):
                return _refused(value, found)
            return ValidationError(f"{name}: {found}"[:200])
    return ValidationError(f"the parameters can't be sent as JSON: {error}"[:200])


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"type {type(value).__name__} has no JSON form")
