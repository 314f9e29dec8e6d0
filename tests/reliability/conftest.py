"""What the proof shares: a fault server, a pulse, an ear on every log, and a line of numbers at the end."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import pytest

from . import counts
from .canaries import Overheard
from .faultserver import FaultServer
from .pulse import Pulse


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture(scope="module")
def pulse() -> Iterator[Pulse]:
    with Pulse() as pulse:
        yield pulse


@pytest.fixture
def overheard() -> Iterator[Overheard]:
    """All that any logger says, at every level; it may hold no secret."""
    root, ear = logging.getLogger(), Overheard()
    level = root.level
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    yield ear
    root.setLevel(level)
    root.removeHandler(ear)
    counts.RUN["log records searched"] += ear.records
    assert not ear.leaks


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a worker of pytest-xdist there is no terminal but the one it inherited."""
    if counts.RUN and session.config.pluginmanager.get_plugin("terminalreporter") is None:
        sys.__stderr__.write(f"\n{counts.line()}\n")  # type: ignore[union-attr]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if counts.RUN:
        terminalreporter.write_line(counts.line())
