"""Files as callers give them: a path, bytes, or something open for reading."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

from indoxrouter.errors import ValidationError
from indoxrouter.wire.messages import FilePart

File = str | os.PathLike[str] | bytes | IO[bytes]


def file_part(file: File, params: dict[str, Any]) -> FilePart:
    """A file from its path, its bytes, or something open for reading; `filename` may name it."""
    name = params.pop("filename", None)
    try:
        if isinstance(file, bytes | bytearray):
            return FilePart(name or "audio_file", bytes(file))
        if isinstance(file, str | os.PathLike):
            path = Path(file)
            return FilePart(name or path.name, path.read_bytes())
        content = file.read()
    except OSError as error:
        shown = f" {os.fspath(file)!r}" if isinstance(file, str | os.PathLike) else ""
        raise ValidationError(f"the file{shown} can't be read: {error.strerror or type(error).__name__}") from None
    except AttributeError:
        raise ValidationError(f"file must be a path, bytes or an open file, not {type(file).__name__}") from None
    if not isinstance(content, bytes):
        raise ValidationError("file must be open in binary mode")
    found = name or getattr(file, "name", None)
    return FilePart(os.path.basename(found) if isinstance(found, str) else "audio_file", content)
