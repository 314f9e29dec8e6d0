"""What of a server's words a message may repeat: nothing secret, and nothing that a terminal would obey."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping


def clean(text: str, secrets: Iterable[str], limit: int = 300) -> str:
    """One line of at most `limit` characters, in which no secret is left, however it is quoted."""
    text = _one_line(text)
    forms = {form for secret in secrets for form in _quoted(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    # What follows is slow on long text, and what is far behind the limit can't come into view.
    text = _LOOKS_SECRET.sub("***", text[: 4096 + limit])
    return _UNPRINTABLE.sub("\ufffd", text if len(text) <= limit else text[: limit - 1] + "…")


def worth_masking(texts: Iterable[str]) -> Iterator[str]:
    """Without what is so short that it stands in any sentence."""
    return (text for text in texts if len(text) > _WORD)


def header_secrets(headers: Mapping[str, str]) -> Iterator[str]:
    """The values of the caller's own headers, but for ids of requests and traces."""
    return worth_masking(value for name, value in headers.items() if not name.lower().endswith("-id"))


def _quoted(secret: str) -> Iterator[str]:
    """A secret as it is, and as JSON, Python and HTML write it; on one line, as the text is."""
    in_json = json.dumps(secret), json.dumps(secret, ensure_ascii=False)
    for form in (secret, *(written[1:-1] for written in (*in_json, repr(secret))), html.escape(secret)):
        line = _one_line(form)
        if line and (line == secret or len(line) > _WORD):
            yield line


def _one_line(text: str) -> str:
    return _SPACE.sub(" ", text).strip()


_SPACE = re.compile(r"\s{2,}|[^\S ]")
_WORD = 5
"""What is left of a secret without its white space may be so short that it stands in any sentence."""
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LOOKS_SECRET = re.compile(
    r"\b(?:sk|pk|rk)-[\w-]{8,}|(?<![\w-])eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?|(?<=Bearer )\S+"
    r"|(?<=Basic )(?-i:(?=\w*[A-Z0-9+/=]))\S{8,}",
    re.IGNORECASE,
)
