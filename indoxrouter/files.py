"""Files as callers give them: a path, bytes, or something open for reading."""

from __future__ import annotations

import io
import os
import stat
from typing import IO, Any

from urllib3.filepost import choose_boundary

from indoxrouter.errors import ValidationError
from indoxrouter.wire.messages import FilePart, Source

File = str | os.PathLike[str] | bytes | IO[bytes]


def file_part(file: File, params: dict[str, Any]) -> FilePart:
    """What is to be uploaded, checked but not read; `filename` in the params may name it."""
    given = params.pop("filename", None)
    if given is not None and not isinstance(given, str):
        raise ValidationError(f"filename must be a string, not {type(given).__name__}")
    if isinstance(file, bytes | bytearray):
        source, found = Source(bytes(file)), ""
    elif isinstance(file, str | os.PathLike):
        source = _at(os.fsdecode(file))
        found = os.path.basename(os.fsdecode(file)).encode(errors="replace").decode()  # a name need not be UTF-8
    else:
        found = _name_of(file)
        source = _open_already(file, found)
    return FilePart(given or found or "audio_file", source, choose_boundary())


def _at(path: str) -> Source:
    name = f"the file {path!r}"
    try:
        plain = stat.S_ISREG(os.stat(path).st_mode)
        if plain or os.path.isdir(path):
            open(path, "rb").close()
        elif not os.access(path, os.R_OK):
            raise PermissionError(13, "Permission denied")
    except (OSError, ValueError) as error:
        raise ValidationError(f"{name} can't be read: {_reason(error)}") from None
    return Source(path, name, once=not plain)


def _open_already(file: Any, found: str) -> Source:
    name = f"the file {found!r}" if found else "the open file"
    if not callable(getattr(file, "read", None)):
        raise ValidationError(f"file must be a path, bytes or an open file, not {type(file).__name__}")
    if isinstance(file, io.TextIOBase):
        raise ValidationError(f"{name} must be open in binary mode")
    try:
        nothing = file.read(0)
        again = hasattr(file, "seekable") and file.seekable()
        start = file.tell() if again else 0
    except (OSError, ValueError, TypeError) as error:
        raise ValidationError(f"{name} can't be read: {_reason(error)}") from None
    if not isinstance(nothing, bytes):
        raise ValidationError(f"{name} must be open in binary mode")
    return Source(file, name, start, once=not again)


def _name_of(file: Any) -> str:
    name = getattr(file, "name", None)
    return os.path.basename(name) if isinstance(name, str) else ""


def _reason(error: Exception) -> str:
    if isinstance(error, io.UnsupportedOperation):
        return "it is not open for reading"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
