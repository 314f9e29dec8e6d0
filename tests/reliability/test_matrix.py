"""Behaviours x methods x streaming or not x new or reused connection x both clients.

Each cell ends with the right answer or with exactly one typed error, in time, without anybody
else's answer, without paying twice, and without a secret in anything that comes out.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from . import counts
from .canaries import Overheard
from .cells import cells_of, run_all
from .faults_of_answers import HARMLESS, LIMITS, ODD_BODIES, REFUSALS, STATUSES, redirects
from .faults_of_http import BODIES, ENDS, FORMS, HANGS
from .faults_of_streams import STREAMS
from .faultserver import FaultServer
from .judging import Cell
from .pulse import Pulse
from .verdicts import Fault

GROUPS: dict[str, list[Fault]] = {
    "good answers in every form": [*FORMS, *HARMLESS],
    "connections that end": ENDS,
    "bodies that are cut": BODIES,
    "answers that never end": HANGS,
    "error statuses": [*STATUSES, *REFUSALS],
    "rate limits": LIMITS,
    "odd bodies": ODD_BODIES,
    "event streams": STREAMS,
}


def _second_answer(cell: Cell) -> bool:
    return cell.asynchronous and cell.fault.name == "a-second-answer-later"


def _asked_again_by_aiohttp(cell: Cell) -> bool:
    ended = cell.fault.name.endswith(("-then-fin", "-then-rst")) and cell.fault.door is None and not cell.once
    return cell.asynchronous and not cell.method.paid and cell.fault in ENDS and ended


def _pages_as_speech(cell: Cell) -> bool:
    return cell.method.name == "speech" and cell.fault.name in ("200-html", "200-text", "200-empty-html")


KNOWN: dict[str, Callable[[Cell], bool]] = {
    "aiohttp takes what a server sends unasked, after an answer, for the answer to the next request": _second_answer,
    "aiohttp itself repeats a GET whose connection ended, and no record of attempts says so": _asked_again_by_aiohttp,
    "a page or a text under 200 is taken for spoken audio": _pages_as_speech,
}
"""Cells that fail, and why."""


def known(cell: Cell) -> str | None:
    """Which of the known failures a cell belongs to."""
    return next((why for why, belongs in KNOWN.items() if belongs(cell)), None)


def prove(cells: list[Cell], server: FaultServer, pulse: Pulse) -> None:
    few = any(cell.fault.hangs for cell in cells)  # limits of less than a second need room to be kept
    problems = run_all(cells, server, pulse, width=16 if few else 48)
    counts.RUN["cells"] += len(cells)
    assert not problems, f"{len(problems)} problems in {len(cells)} cells:\n" + "\n".join(problems[:200])


@pytest.mark.parametrize("group", GROUPS)
def test_matrix(group: str, server: FaultServer, pulse: Pulse, overheard: Overheard) -> None:
    prove([cell for cell in cells_of(GROUPS[group]) if not known(cell)], server, pulse)


def test_redirects(server: FaultServer, pulse: Pulse, overheard: Overheard) -> None:
    with FaultServer() as elsewhere:
        prove(list(cells_of(redirects(elsewhere.origin))), server, pulse)
        assert elsewhere.connections == 0


@pytest.mark.parametrize("why", [pytest.param(why, marks=pytest.mark.xfail(strict=True, reason=why)) for why in KNOWN])
def test_known(why: str, server: FaultServer, pulse: Pulse) -> None:
    every = [fault for group in GROUPS.values() for fault in group]
    prove([cell for cell in cells_of(every) if known(cell) == why], server, pulse)
