"""Secrets that sing: every one holds the same rare word, so that a leak of any is found by one search."""

from __future__ import annotations

import logging
import pickle
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from indoxrouter import AsyncClient, Client, IndoxRouterError

WORD = "kanarie"
TESTS = Path(__file__).parent.parent
_FOUND = re.compile(rf"{WORD}[a-z.]*")


class Secrets:
    """The secrets of one client, one of each kind, all different."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self.kinds: set[str] = set()

    def __call__(self, kind: str) -> str:
        self.kinds.add(kind)
        return f"{WORD}.{kind.replace(' ', '.')}.{self._owner}"


class Overheard(logging.Handler):
    """Every record of every logger, as text."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.leaks: list[str] = []
        self.records = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.records += 1
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += " ".join(told for _, told in told_by_causes(record.exc_info[1]))
        self.leaks += [f"the log {record.name}: {leak}" for leak in leaks_in(text)]


def leaks_in(text: str) -> list[str]:
    return _FOUND.findall(text)


def told_by(error: IndoxRouterError) -> Iterator[tuple[str, str]]:
    """All that may be shown of an error, by the way it is shown; its body is in `details` alone."""
    yield "str", str(error)
    yield "repr", repr(error)
    yield "args", repr(error.args)
    yield "vars", repr({name: value for name, value in vars(error).items() if name not in ("details", "partial")})
    yield "pickle", pickle.dumps(error).decode("latin-1")
    yield "clone", repr(error.clone())


def told_by_causes(error: BaseException) -> Iterator[tuple[str, str]]:
    """What a crash reporter tells of any exception, and of all that it came of."""
    links, seen = [error], set[int]()
    while links:
        link = links.pop()
        if id(link) not in seen:
            seen.add(id(link))
            yield "cause", f"{link} {link!r} {link.args!r}"
            yield "traceback", "".join(_traceback(link))
            links += filter(None, (link.__cause__, link.__context__))


def leaks_of(error: BaseException) -> list[str]:
    told = [*told_by_causes(error), *(told_by(error) if isinstance(error, IndoxRouterError) else ())]
    return [f"{where}: {leak}" for where, text in told for leak in leaks_in(text)]


def leaks_of_objects(*objects: Any) -> list[str]:
    return [f"{where} of {type(item).__name__}: {leak}" for item in objects for where, leak in _leaks_of(item)]


def _leaks_of(item: Any) -> Iterator[tuple[str, str]]:
    yield from (("repr", leak) for leak in leaks_in(f"{item!r} {item!s}"))
    if isinstance(item, Client | AsyncClient):
        yield from (("pickle", leak) for leak in leaks_in(pickle.dumps(item).decode("latin-1")))


def _traceback(error: BaseException) -> list[str]:
    frames = traceback.TracebackException.from_exception(error, capture_locals=True)
    # The tests' own frames know the secrets.
    frames.stack[:] = [frame for frame in frames.stack if TESTS not in Path(frame.filename).parents]
    return list(frames.format(chain=False))
