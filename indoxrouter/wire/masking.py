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
_WORK = 2**19
"""Characters that may be read anew, in all ways together: of what has more, no word is shown."""
_PER_PLACE = 8
"""As many take as long as a look at a place where a secret may begin."""


def clean(text: str, secrets: Iterable[str] | Mask, limit: int = 300) -> str:
    """One line of at most `limit` characters, in which no secret is left, however it is quoted."""
    whole = _one_line(text[: _WINDOW * _BLANK])
    line = whole[:_WINDOW]
    if line:
        line = _Masking(Mask.of(secrets)).of(line)
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


class Mask:
    """Secrets, to be found in texts in a time that does not grow with their number."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._heads: dict[int, set[str]] = {}
        """The first characters of each, by how many they are: 1, 2, 4 or 8."""
        self._known: dict[tuple[int, str], dict[int, dict[str, bool]]] = {}
        """By a beginning of at least half of it, each by its length, and whether it is whole."""
        for form in filter(None, map(_Form.of, secrets)):
            size = _power(len(form.text))
            head = form.text[: min(size, _HEAD)]
            self._heads.setdefault(len(head), set()).add(head)
            alike = self._known.setdefault((size, form.text[:size]), {}).setdefault(len(form.text), {})
            alike[form.text] = alike.get(form.text, True) and form.whole
        self._sizes = sorted({size for size, _ in self._known}, reverse=True)

    @classmethod
    def of(cls, secrets: Iterable[str] | Mask) -> Mask:
        return secrets if isinstance(secrets, Mask) else cls(secrets)

    def __bool__(self) -> bool:
        return bool(self._known)

    def over(self, text: str, places: Iterable[int]) -> str:
        """The text without the secrets that stand in it as they are; of those that overlap, none is left in part."""
        shown, end = [], 0
        for start in places:
            found, whole = self._longest(text, start)
            if not found:
                continue
            if start >= end:
                shown += [text[end:start], "***"]
            if not whole:
                return "".join(shown[:-1]) + _AND_SO_ON
            end = max(end, start + found)
        return "".join([*shown, text[end:]]) if shown else text

    def places(self, text: str) -> list[int]:
        """Where a secret may begin: of thousands, few begin as anything in the text does."""
        found: set[int] = set()
        for size, heads in self._heads.items():
            found.update([n for n in range(len(text) - size + 1) if text[n : n + size] in heads])
        return sorted(found)

    def _longest(self, text: str, start: int) -> tuple[int, bool]:
        """How many characters of a secret stand here, and whether it ends with them."""
        for size in self._sizes:
            if (alike := self._known.get((size, text[start : start + size]))) is None:
                continue
            for length in sorted(alike, reverse=True):
                if (whole := alike[length].get(text[start : start + length])) is not None:
                    return length, whole
        return 0, True


_HEAD = 8


def _power(number: int) -> int:
    """The largest power of two that is not greater."""
    return 1 << (number.bit_length() - 1)


class _TooMuchError(Exception):
    """A text can be read in more ways than anybody wrote it in."""


class _Masking:
    """The masking of one text, and what is known by now of its readings."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._over: dict[str, str] = {}
        self._plain: dict[str, list[str]] = {}
        self._left = _WORK

    def of(self, line: str) -> str:
        """Without the secrets; where one is quoted, as the text reads without its quoting."""
        if not self._mask:
            return line
        try:
            if all(self._without(text) == text for text in self._readings(line)):
                return line
            return self._masked(line, _LEVELS)
        except _TooMuchError:
            return _AND_SO_ON

    def _readings(self, line: str) -> Iterator[str]:
        """What it may have been before it was quoted, up to three times, in whatever ways."""
        found = fresh = {line: None}
        for level in range(_LEVELS + 1):
            yield from fresh
            if level < _LEVELS:
                fresh = {plain: None for text in fresh for plain in self._read(text) if plain not in found}
                found = found | fresh

    def _masked(self, text: str, levels: int) -> str:
        masked = self._without(text)
        for reading in range(len(_READINGS)) if levels else ():
            plain = self._read(masked)[reading]
            if plain != masked and (found := self._masked(plain, levels - 1)) != plain:
                masked = found
        return masked

    def _without(self, text: str) -> str:
        if (found := self._over.get(text)) is None:
            places = self._mask.places(text)
            self._work(_PER_PLACE * len(places))
            found = self._over[text] = self._mask.over(text, places)
        return found

    def _read(self, text: str) -> list[str]:
        """What it reads as in each way."""
        if (found := self._plain.get(text)) is None:
            self._work(len(text))
            found = self._plain[text] = [_one_line(reading(text)) for reading in _READINGS]
        return found

    def _work(self, characters: int) -> None:
        self._left -= characters
        if self._left < 0:
            raise _TooMuchError


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
    return " ".join(text.split())


_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LOOKS_SECRET = re.compile(
    r"\b(?:sk|pk|rk)-[\w-]{8,}|(?<![\w-])eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?|(?<=Bearer )\S+"
    r"|(?<=Basic )(?-i:(?=\w*[A-Z0-9+/=]))\S{8,}",
    re.IGNORECASE,
)
