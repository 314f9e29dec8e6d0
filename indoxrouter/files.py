"""Files as callers give them: a path, bytes, or something open for reading."""

from __future__ import annotations

import io
import os
import stat
from typing import IO, Any

from urllib3.filepost import choose_boundary

from indoxrouter import formats
from indoxrouter.errors import ValidationError
from indoxrouter.wire.messages import FilePart, Source

File = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]


def file_part(file: File, params: dict[str, Any]) -> FilePart:
    """What is to be uploaded, of which no more than the beginning is read; `filename` in the params may name it."""
    given = params.pop("filename", None)
    if given is not None and not isinstance(given, str):
        raise ValidationError(f"filename must be a string, not {type(given).__name__}")
    head = b""
    if isinstance(file, bytes | bytearray | memoryview):
        content, found = bytes(file), ""
        source, head = Source(content), content[: formats.ENOUGH]
    elif isinstance(file, str | os.PathLike):
        source = _at(os.fsdecode(file))
        found = os.path.basename(os.fsdecode(file)).encode(errors="replace").decode()  # a name need not be UTF-8
    else:
        found = _name_of(file)
        source, head = _open_already(file, found)
    return FilePart(given or found or _name_by(head), source, choose_boundary())


def _name_by(head: bytes) -> str:
    """Servers go by a file's name, so what it is stands in it, where its beginning tells."""
    found = formats.extension(head)
    kind = "image" if formats.image_type(head) else "audio"
    return "audio_file" if found == formats.UNKNOWN else f"{kind}.{_NAMED.get(found, found)}"


_NAMED = {"opus": "ogg"}
"""Servers know Opus by what it comes in."""


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


def _open_already(file: Any, found: str) -> tuple[Source, bytes]:
    """The source, and its first bytes, where they can be read again and there is no name."""
    name = f"the file {found!r}" if found else "the open file"
    if not callable(getattr(file, "read", None)):
        raise ValidationError(f"file must be a path, bytes or an open file, not {type(file).__name__}")
    if isinstance(file, io.TextIOBase):
        raise ValidationError(f"{name} must be open in binary mode")
    try:
        nothing = file.read(0)
        again = hasattr(file, "seekable") and file.seekable()
        start = file.tell() if again else 0
        head = file.read(formats.ENOUGH) if again and not found else b""
        if head:
            file.seek(start)
    except (OSError, ValueError, TypeError) as error:
        raise ValidationError(f"{name} can't be read: {_reason(error)}") from None
    if not isinstance(nothing, bytes):
        raise ValidationError(f"{name} must be open in binary mode")
    return Source(file, name, start, once=not again), head


def _name_of(file: Any) -> str:
    name = getattr(file, "name", None)
    return os.path.basename(name) if isinstance(name, str) else ""


def _reason(error: Exception) -> str:
    if isinstance(error, io.UnsupportedOperation):
        return "it is not open for reading"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
