"""Running the examples as a reader would, and the routers that they ask."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from indoxrouter.sandbox import Sandbox

FOLDER = Path(__file__).parent.parent / "examples"
ALONE = "No INDOX_ROUTER_API_KEY is set: a sandbox on this machine answers, and no model."


class Router(NamedTuple):
    """A sandbox that stands for the hosted router, and its books."""

    sandbox: Sandbox
    books: Path

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, **settings: Any) -> Iterator[Router]:
        books = folder / "books.sqlite"
        with Sandbox(database=books, **settings) as sandbox:
            yield cls(sandbox, books)

    @property
    def environment(self) -> dict[str, str]:
        return {"INDOX_ROUTER_API_KEY": self.sandbox.api_key, "INDOX_ROUTER_BASE_URL": self.sandbox.url}

    @property
    def first_line(self) -> str:
        return f"INDOX_ROUTER_API_KEY is set: asking {self.sandbox.url}"

    def charges(self) -> dict[str, tuple[int, Decimal]]:
        """Requests and US dollars of each model, added up from the single charges."""
        rows = self.look_up("SELECT model, sum(requests), sum(cost) FROM charges GROUP BY model")
        return {model: (count, Decimal(cost).scaleb(-12)) for model, count, cost in rows}

    def look_up(self, statement: str, *values: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.books)) as books:
            return books.execute(statement, values).fetchall()


def start(name: str, folder: Path, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("INDOX_ROUTER_")}
    return subprocess.Popen(
        [sys.executable, FOLDER / f"{name}.py"],
        cwd=folder,
        env=clean | (environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(name: str, folder: Path, environment: dict[str, str] | None = None) -> str:
    """The output of an example that has to succeed without a word on stderr."""
    output, errors, code = ended(start(name, folder, environment))
    assert (code, errors) == (0, ""), f"exit code {code}: {errors}"
    return output


class Ended(NamedTuple):
    output: str
    errors: str
    code: int


def ended(process: subprocess.Popen[str], seconds: float = 60, shown: str = "") -> Ended:
    """What a process had to say, and its exit code; `shown` was read of it already."""
    with process:
        try:
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return Ended(shown + output, errors, process.returncode)


def shown_until(process: subprocess.Popen[str], text: str) -> str:
    """What the example has shown when it has shown `text`."""
    assert process.stdout is not None
    shown = b""
    while text.encode() not in shown:
        byte = os.read(process.stdout.fileno(), 1)  # no more, and past Python's buffers: `ended` reads the rest
        assert byte, f"it ended early: {shown.decode()}"
        shown += byte
    return shown.decode()


def interrupted(process: subprocess.Popen[str], after: str) -> Ended:
    """How the example ends when Ctrl-C is pressed once it has shown `after`."""
    shown = shown_until(process, after)
    process.send_signal(signal.SIGINT)
    return ended(process, 10, shown)
