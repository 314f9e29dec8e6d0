"""What the proof shares: a fault server, a pulse, an ear on every log, and figures at the end."""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from . import counts, figures
from .canaries import Overheard
from .faultserver import FaultServer
from .pulse import Pulse

BEGUN = time.monotonic()


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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--figures", type=Path, help="the JSON file to write the proof's figures to")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist hands its figures to the process that has the terminal."""
    config = session.config
    if (output := getattr(config, "workeroutput", None)) is not None:
        output["figures"] = figures.taken()
    elif path := config.getoption("figures"):
        figures.write(path, shlex.join(["pytest", *config.invocation_params.args]), time.monotonic() - BEGUN)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    figures.gathered(getattr(node, "workeroutput", {}).get("figures", {"counts": {}, "measured": []}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in figures.lines():
        terminalreporter.write_line(line)
