"""Images, in any of the forms that servers write them in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from indoxrouter.media import GeneratedImage
from indoxrouter.wire.fields import few, mapping, text

_URL = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
"""Base64 has no colon."""


def image_in(row: Any) -> GeneratedImage:
    """One image from a URL, base64, or an object that holds either; empty where there is none."""
    if isinstance(row, str):
        return GeneratedImage(url=row) if is_url(row) else GeneratedImage(b64_json=row or None)
    found = mapping(row)
    inner = found.get("image_url")
    return GeneratedImage(
        text(found.get("url")) or text(inner) or text(mapping(inner).get("url")),
        text(found.get("b64_json")) or text(found.get("result")),  # `result`: an image_generation_call's
        text(found.get("revised_prompt")),
    )


def images_in(value: Any) -> list[GeneratedImage] | None:
    """The images of an answer or of a chunk; None where there are none."""
    found = [image_in(row) for row in (few(value) if isinstance(value, list) else [value])]
    return [each for each in found if each.url or each.b64_json] or None


def image_rows(found: Sequence[GeneratedImage] | None) -> list[dict[str, Any]] | None:
    """Images as JSON has them in an answer of images."""
    return [{name: value for name, value in each.items() if value is not None} for each in found or ()] or None


def is_url(written: str) -> bool:
    return _URL.match(written) is not None
