"""One file of an answer: it came along as bytes or base64, or it is behind a URL."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import unquote_to_bytes

from indoxrouter import formats, saving
from indoxrouter.errors import APIError, public
from indoxrouter.saving import StrPath

Fetch = Callable[[str], Iterator[bytes]]
"""Gets what is behind a URL, in pieces; its failures are of the library's own tree.

The pieces may have a `content_type`, which is asked for after the last of them.
"""


class Source:
    """How what is behind a URL is fetched, and what was; copies of an answer share it, pickles lose it."""

    __slots__ = ("content_type", "fetch", "kept")

    def __init__(self, fetch: Fetch) -> None:
        self.fetch = fetch
        self.kept: tuple[str, bytes] | None = None
        self.content_type: str | None = None
        """Of what was fetched last."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(None), ()


class Medium:
    """What the classes of single files share; `_source` is a slot of theirs beside their fields."""

    __slots__ = ()
    NAME: ClassVar[str]
    """What it is; our own file names begin with it. Given without an annotation, it is no field."""
    url: str | None

    @public
    def save(self, path: StrPath = ".", overwrite: bool = False) -> Path:
        """Save it as the file `path`, or in that folder under the next free name; returns the file's path.

        A new file whose name has no extension gets that of what it is: `recordings` becomes `recordings.wav`.
        Names of ours are `image-1.png`, `speech-1.mp3` and so on. A missing folder, an existing file
        (unless `overwrite` is set) and a link in the file's place are errors. What has to be fetched may
        take as long as it keeps coming, unless the client has a deadline.
        """
        return saving.save(self._pieces(), path, self.NAME, overwrite, self._extension)

    def _sent(self) -> bytes | None:
        """The bytes, if they came along."""
        raise NotImplementedError

    def _type(self) -> str | None:
        """The MIME type, where a server told it."""
        if self._is_data():
            return (self.url or "")[5:100].partition(",")[0]
        return source.content_type if (source := self._fetcher()) else None

    def _extension(self, head: bytes) -> str:
        return formats.extension(head, self._type(), None if self._is_data() else self.url)

    def _is_data(self) -> bool:
        return (self.url or "")[:5].lower() == "data:"

    def _at_hand(self) -> bytes | None:
        """The bytes, if they need not be fetched."""
        if (content := self._sent()) is not None:
            return content
        if self.url and self._is_data():
            return _data(self.url, self.NAME)
        kept = source.kept if (source := self._fetcher()) else None
        return kept[1] if kept and kept[0] == self.url else None

    def _fetcher(self) -> Source | None:
        return getattr(self, "_source", None)  # a slot that nothing was put in

    def _pieces(self) -> Iterator[bytes]:
        if (content := self._at_hand()) is not None:
            yield content
        elif not self.url:
            raise unusable(f"the answer holds no {self.NAME}: neither its bytes nor a URL", "no_content")
        elif (source := self._fetcher()) is None:
            raise unusable(
                f"this {self.NAME} is behind a URL, which only the answer of a call can fetch:"
                " one that was unpickled or made by hand can't",
                "no_fetcher",
            )
        else:
            pieces = source.fetch(self.url)
            yield from pieces
            source.content_type = getattr(pieces, "content_type", None)

    def _whole(self) -> bytes:
        """The bytes; those that had to be fetched are kept, since such URLs expire."""
        if (content := self._at_hand()) is None:
            if not (content := b"".join(self._pieces())):
                raise unusable(f"there is nothing behind the URL of the {self.NAME}", "no_content")
            if self.url and (source := self._fetcher()):
                source.kept = self.url, content
        return content


class Encoded(Medium):
    """A file that JSON holds, as base64 or as a URL."""

    __slots__ = ()
    b64_json: str | None

    def __str__(self) -> str:
        return self.url or self.b64_json or ""

    def __repr__(self) -> str:
        url = f"<a data: URL of {len(self.url or ''):,} characters>" if self._is_data() else repr(self.url)
        encoded = f", b64_json=<{len(self.b64_json):,} characters>" if self.b64_json else ""
        return f"{type(self).__name__}(url={url}{encoded})"

    @property
    @public
    def content(self) -> bytes:
        """The bytes. Fetched from the URL at the first look and then kept; `save()` keeps nothing in memory."""
        return self._whole()

    def _sent(self) -> bytes | None:
        return decoded(self.b64_json, self.NAME) if self.b64_json else None


def save_all(media: Sequence[Medium], folder: StrPath, overwrite: bool) -> list[Path]:
    """Save media of one kind in a folder, a single one in a file too; where one can't be had, none is saved."""
    if len(media) == 1 and os.path.splitext(saving.path_of(folder))[1] and not os.path.isdir(folder):
        return [media[0].save(folder, overwrite)]
    name = media[0].NAME if media else ""
    return saving.save_all([medium._pieces() for medium in media], folder, name, overwrite)


def unusable(message: str, code: str) -> APIError:
    return APIError(message, code=code, outcome="done")


def _data(url: str, name: str) -> bytes:
    """What a data: URL holds."""
    kind, comma, written = url.partition(",")
    if not comma:
        raise unusable(f"the data: URL of the {name} is cut or damaged", "undecodable")
    content = unquote_to_bytes(written.encode("utf-8", "replace"))
    return decoded(content.decode("latin-1"), name) if kind.lower().endswith(";base64") else content


def decoded(written: str, name: str) -> bytes:
    """What base64 holds; `name` says what that is, where it is broken."""
    try:
        return base64.b64decode("".join(written.split()), validate=True)
    except ValueError:
        raise unusable(f"the base64 of the {name} is cut or damaged", "undecodable") from None
