"""What of a server's words a message may repeat: nothing secret, and nothing that a terminal would obey."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus

_WINDOW = 2**14
"""Characters of a text that are looked at: of those behind, none comes into view."""
_BLANK = 2**6
"""How much longer it may be before its white space is taken together."""
_BEGINNING = 2**10
"""Characters by which a longer secret is known: a prompt may have millions."""
_AND_SO_ON = "***…"
_WORD = 5
"""What is left of a secret without its white space may be so short that it stands in any sentence."""
_LEVELS = 3
"""How often a secret may be quoted: JSON in JSON in a page, say."""


def clean(text: str, secrets: Iterable[str], limit: int = 300) -> str:
    """One line of at most `limit` characters, in which no secret is left, however it is quoted."""
    whole = _one_line(text[: _WINDOW * _BLANK])
    line = whole[:_WINDOW]
    if line:
        line = _masked(line, _suspects(line, secrets))
    if len(whole) > _WINDOW and not line.endswith(_AND_SO_ON):  # a secret may begin at its very end
        line = line[:-_BEGINNING] + "…"
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
        stripped = secret.strip()
        line = _one_line(stripped[:_BEGINNING])
        return cls(line, len(stripped) <= _BEGINNING) if line and (line == secret or len(line) > _WORD) else None


def _suspects(line: str, secrets: Iterable[str]) -> list[_Form]:
    """Those of the secrets that may be in it, the longest first: of thousands, few begin as anything in it does."""
    parts = {text[n : n + _WORD] for text in _readings(line) for n in range(len(text))}
    known = {form for secret in secrets if (form := _Form.of(secret)) and form.text[:_WORD] in parts}
    return sorted(known, key=lambda form: len(form.text), reverse=True)


def _readings(line: str) -> set[str]:
    """What it may have been before it was quoted, up to three times, in whatever ways."""
    found = fresh = {line}
    for _ in range(_LEVELS):
        fresh = {_one_line(reading(text)) for text in fresh for reading in _READINGS} - found
        found = found | fresh
    return found


def _masked(text: str, secrets: list[_Form], levels: int = _LEVELS) -> str:
    """Without the secrets; where one is quoted, as the text reads without its quoting."""
    if not secrets:
        return text
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
            text = text[:start] + _AND_SO_ON
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


def _as_utf8(text: str) -> str:
    """As it was before each of its bytes was taken for a character, as in Python's repr of bytes."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


_READINGS: tuple[Callable[[str], str], ...] = (_without_escapes, html.unescape, unquote, unquote_plus, _as_utf8)
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
