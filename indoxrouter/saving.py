"""Writing files: whole or not at all, under a name that was free, through no link.

A file is written under a temporary name in its folder, or in the one where that will be made, for nobody
else to read; it gets its own name when it is whole. Which folder is the caller's choice, links on the way
there included; inside it a link is neither followed nor replaced, and nothing but a regular file is ever
overwritten, whose mode stays.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from indoxrouter import formats
from indoxrouter.errors import APIError, IndoxRouterError, ValidationError

log = logging.getLogger("indoxrouter")

StrPath = str | os.PathLike[str]
Extension = Callable[[bytes], str]
"""The extension that a file should have, by how it begins."""


class _Draft(NamedTuple):
    """A whole file that has no name of its own yet."""

    path: str
    head: bytes
    mode: int
    """What a new file gets."""


def save(
    pieces: Iterator[bytes], path: StrPath, stem: str, overwrite: bool, extension: Extension = formats.extension
) -> Path:
    """Save in the file `path`, or in that folder as `stem`-1, -2, …; a new file without an extension gets one."""
    folder, name = _place(path)
    with _explained(path):
        if name is not None:
            _replaceable(os.path.join(folder, name), overwrite)
        with _draft(folder, pieces) as draft:
            found = extension(draft.head)
            if name is None:
                return _numbered(draft, folder, stem, _numbers(folder, stem, overwrite), overwrite, found)
            target = os.path.join(folder, name)
            if found != formats.UNKNOWN and not os.path.splitext(name)[1] and not os.path.lexists(target):
                target += f".{found}"
            _note_what_it_holds(target, found)
            try:
                return _named(draft, target, overwrite)
            except FileExistsError:
                raise _exists(target) from None


def save_all(files: Sequence[Iterator[bytes]], folder: StrPath, stem: str, overwrite: bool) -> list[Path]:
    """Save each in the folder; no file appears before all are whole, nor does a folder that is missing."""
    written = path_of(folder)
    with _explained(folder), ExitStack() as drafts:
        near = _near(written)
        whole = [drafts.enter_context(_draft(near, pieces)) for pieces in files]
        if whole:
            os.makedirs(written, exist_ok=True)
        numbers = _numbers(written, stem, overwrite)
        return [_numbered(draft, written, stem, numbers, overwrite, formats.extension(draft.head)) for draft in whole]


def path_of(path: StrPath) -> str:
    found = os.fspath(path) if isinstance(path, str | os.PathLike) else path
    if not isinstance(found, str):
        raise ValidationError(f"a path must be a str or a Path, not {type(found).__name__}")
    if not found:
        raise ValidationError("the path to save to is empty")
    return found


def _place(path: StrPath) -> tuple[str, str | None]:
    """The folder to save in, and the file's name, if the path names one."""
    written = path_of(path)
    folder, name = os.path.split(written)
    if name in ("", ".", "..") or os.path.isdir(written):
        folder, name = written, ""
    if not os.path.isdir(folder or "."):
        raise ValidationError(f"there is no folder {folder!r} to save in: make it first")
    return folder, name or None


def _near(folder: str) -> str:
    """The folder, or the one that it can be made in."""
    if os.path.isdir(folder):
        return folder
    if os.path.lexists(folder):
        raise ValidationError(f"{folder!r} is not a folder")
    if os.path.splitext(folder)[1].removeprefix(".").lower() in formats.KNOWN:
        raise ValidationError(
            f"{folder!r} looks like a file: several are saved in a folder; save one by one to name them"
        )
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder) or os.curdir
    return folder


def _note_what_it_holds(target: str, found: str) -> None:
    """A word in the log where a name says something else of a file than it is."""
    written = os.path.splitext(target)[1].removeprefix(".").lower()
    if {written, found} <= formats.KNOWN and written not in (found, *formats.ALSO.get(found, ())):
        log.warning("%r holds %s: its name says otherwise", target, found)


@contextmanager
def _explained(path: StrPath) -> Iterator[None]:
    """What the operating system refuses is an error of ours that says so."""
    try:
        yield
    except IndoxRouterError:
        raise  # some of them are OSErrors and ValueErrors too
    except FileExistsError:
        raise _exists(os.fspath(path)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or (str(error) if isinstance(error, ValueError) else "")
        shown = f"{os.fspath(path)!r}: {reason or type(error).__name__}"
        raise ValidationError(f"can't save to {shown}") from None


def _exists(target: str) -> ValidationError:
    return ValidationError(f"{target!r} exists already: pass overwrite=True to replace it")


def _replaceable(target: str, overwrite: bool) -> int | None:
    """The mode of the file that is there, if one is. Raises where it may not be replaced."""
    try:
        mode = os.lstat(target).st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        kind = "a link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise ValidationError(f"{target!r} is {kind}: it is neither written to nor replaced")
    if not overwrite:
        raise _exists(target)
    return mode


def _set_mode(path: str, mode: int) -> None:
    with suppress(OSError):  # a file system without modes
        os.chmod(path, stat.S_IMODE(mode))


@contextmanager
def _draft(folder: str, pieces: Iterator[bytes]) -> Iterator[_Draft]:
    """Write a file that is gone afterwards, unless it got a name of its own meanwhile."""
    path = os.path.join(folder, f".indoxrouter-{secrets.token_hex(8)}.part")
    try:
        head = b""
        with open(path, "xb") as file:  # exclusive: never an existing file, never through a link
            mode = os.fstat(file.fileno()).st_mode
            _set_mode(path, 0o600)
            for piece in pieces:
                head = head if len(head) >= formats.ENOUGH else head + piece[: formats.ENOUGH]
                file.write(piece)
            if not head:
                raise APIError("there is nothing to save: the file is empty", code="no_content", outcome="done")
            file.flush()
            os.fsync(file.fileno())  # a disk that is full may say so no earlier
        yield _Draft(path, head, mode)
    finally:
        with suppress(OSError):
            os.unlink(path)
        if (close := getattr(pieces, "close", None)) is not None:
            close()


def _named(draft: _Draft, target: str, overwrite: bool) -> Path:
    if overwrite:
        _set_mode(draft.path, _replaceable(target, overwrite) or draft.mode)
        os.replace(draft.path, target)  # should a link have come up just now: it is replaced, not followed
    else:
        _set_mode(draft.path, draft.mode)
        _link(draft.path, target)
    return Path(target)


def _numbered(draft: _Draft, folder: str, stem: str, numbers: Iterator[int], overwrite: bool, extension: str) -> Path:
    """Give it the first of the numbered names that is free."""
    while True:
        try:
            return _named(draft, os.path.join(folder, f"{stem}-{next(numbers)}.{extension}"), overwrite)
        except FileExistsError:
            continue  # somebody else was faster


def _numbers(folder: str, stem: str, overwrite: bool) -> Iterator[int]:
    """Numbers that no file of this stem has yet, whatever its extension; all of them to overwrite."""
    taken: set[int] = set()
    if not overwrite:
        pattern = re.compile(rf"{re.escape(stem)}-(\d{{1,9}})\.\w+", re.ASCII | re.IGNORECASE)
        with suppress(OSError), os.scandir(folder) as entries:  # where it can't be listed, names are tried in turn
            taken = {int(found[1]) for entry in entries if (found := pattern.fullmatch(entry.name))}
    return (number for number in itertools.count(1) if number not in taken)


def _link(draft: str, target: str) -> None:
    """Give the draft its name; FileExistsError: the name is taken."""
    try:
        os.link(draft, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: the name is taken first, then filled in one step
        with open(target, "xb"):
            pass
        try:
            os.replace(draft, target)
        except BaseException:
            os.unlink(target)
            raise
