"""What of a server's words a message may repeat: nothing secret, and nothing that a terminal would obey."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus

_WINDOW = 2**14
"""Characters of a text that are looked at: of those behind, none comes into view."""
_BEGINNING = 2**10
"""Characters by which a longer secret is known: a prompt may have millions."""
_WORD = 5
"""What is left of a secret without its white space may be so short that it stands in any sentence."""


def clean(text: str, secrets: Iterable[str], limit: int = 300) -> str:
    """One line of at most `limit` characters, in which no secret is left, however it is quoted."""
    line = _one_line(text.lstrip()[:_WINDOW])
    if line:
        known = {form for secret in secrets if (form := _Form.of(secret))}
        line = _masked(line, sorted(known, key=lambda form: len(form.text), reverse=True))
    # What follows is slow on long text.
    line = _LOOKS_SECRET.sub("***", line[: 4096 + limit])
    return _UNPRINTABLE.sub("\ufffd", line if len(line) <= limit else line[: limit - 1] + "…")


def worth_masking(texts: Iterable[str]) -> Iterator[str]:
    """Without what is so short that it stands in any sentence."""
    return (text for text in texts if len(text) > _WORD)


def header_secrets(headers: Mapping[str, str]) -> Iterator[str]:
    """The values of the caller's own headers, but for ids of requests and traces."""
    return worth_masking(value for name, value in headers.items() if not name.lower().endswith("-id"))


class _Form(NamedTuple):
    """A secret on one line."""

    text: str
    whole: bool
    """Else its beginning, with which goes all that follows."""

    @classmethod
    def of(cls, secret: str) -> _Form | None:
        begins = secret.lstrip()[:_BEGINNING]
        line = _one_line(begins)
        return cls(line, begins == secret.strip()) if line and (line == secret or len(line) > _WORD) else None


def _masked(text: str, secrets: list[_Form], levels: int = 2) -> str:
    """Without the secrets; where one is quoted, perhaps twice over, as the text reads without its quoting."""
    masked = _replaced(text, secrets)
    for reading in _READINGS if levels else ():
        plain = _one_line(reading(masked))
        if plain != masked and (found := _masked(plain, secrets, levels - 1)) != plain:
            masked = found
    return masked


def _replaced(text: str, secrets: list[_Form]) -> str:
    for secret in secrets:
        if secret.whole:
            text = text.replace(secret.text, "***")
        elif (start := text.find(secret.text)) >= 0:
            text = text[:start] + "***…"
    return text


def _without_escapes(text: str) -> str:
    """As JSON and Python read it between quotation marks."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(_unescaped, text).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _unescaped(escape: re.Match[str]) -> str:
    code = escape[1]
    try:
        return chr(int(code[1:], 16)) if len(code) > 1 else _CONTROLS.get(code, code)
    except (ValueError, OverflowError):  # beyond the last character
        return escape[0]


_READINGS: tuple[Callable[[str], str], ...] = (_without_escapes, html.unescape, unquote, unquote_plus)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|.)")
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def _one_line(text: str) -> str:
    return _SPACE.sub(" ", text).strip()


_SPACE = re.compile(r"\s{2,}|[^\S ]")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LOOKS_SECRET = re.compile(
    r"\b(?:sk|pk|rk)-[\w-]{8,}|(?<![\w-])eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?|(?<=Bearer )\S+"
    r"|(?<=Basic )(?-i:(?=\w*[A-Z0-9+/=]))\S{8,}",
    re.IGNORECASE,
)
