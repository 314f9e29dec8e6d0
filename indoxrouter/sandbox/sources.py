"""Pictures and films that come with a request: by URL, as a data: URL, or in base64."""

import base64
import re
from typing import Any
from urllib.parse import urlsplit

from indoxrouter.sandbox.errors import refused

_DATA = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w.+-]+=[^;,]*)*(?P<base64>;base64)?,", re.ASCII)


def check(body: dict[str, Any], *names: str) -> None:
    """Refuses a field, or an item of a list, that is none of these; nothing is fetched."""
    for name in names:
        value = body.get(name)
        for item in value if isinstance(value, list) else [value]:
            if item is not None and not _is_source(item):
                raise refused(f"{name} must be an http(s) URL, a data: URL or base64.", name)


def _is_source(text: str) -> bool:
    if re.match("https?://", text, re.IGNORECASE):
        return _has_host(text)
    match = _DATA.match(text)
    if match is None:
        return _is_base64(text)
    return len(text) > match.end() and (match["base64"] is None or _is_base64(text[match.end() :]))


def _has_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname) and not re.search(r"\s", url)
    except ValueError:
        return False


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode("".join(text.split()), validate=True))
    except ValueError:
        return False
