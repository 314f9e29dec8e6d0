"""Behaviours x methods x streaming or not x new or reused connection x both clients.

Each cell ends with the right answer or with exactly one typed error, in time, without anybody
else's answer, without paying twice, and without a secret in anything that comes out.
"""

from __future__ import annotations

import pytest

from . import counts
from .canaries import Overheard
from .cells import cells_of, run_all
from .faults_of_answers import FAILED, HARMLESS, LIMITS, ODD_BODIES, REFUSALS, REFUSED, redirects
from .faults_of_http import BOMBS, CUT_BODIES, ENDS, FORMS, HANGS, LYING_BODIES
from .faults_of_streams import STREAMS
from .faultserver import FaultServer
from .judging import Cell
from .pulse import Pulse
from .verdicts import Fault

GROUPS: dict[str, list[Fault]] = {
    "good answers in every form": [*FORMS, *HARMLESS],
    "connections that end": ENDS,
    "bodies that are cut": CUT_BODIES,
    "bodies whose framing lies": LYING_BODIES,
    "bombs": BOMBS,
    "answers that never end": HANGS,
    "refusals": [*REFUSED, *REFUSALS],
    "failures": FAILED,
    "rate limits": LIMITS,
    "odd bodies": ODD_BODIES,
    "event streams": STREAMS,
}


def prove(cells: list[Cell], server: FaultServer, pulse: Pulse) -> None:
    few = any(cell.fault.hangs for cell in cells)  # limits of less than a second need room to be kept
    problems = run_all(cells, server, pulse, width=16 if few else 48)
    counts.RUN["cells"] += len(cells)
    assert not problems, f"{len(problems)} problems in {len(cells)} cells:\n" + "\n".join(problems[:200])


@pytest.mark.parametrize("group", GROUPS)
def test_matrix(group: str, server: FaultServer, pulse: Pulse, overheard: Overheard) -> None:
    """Every fault and method, each client on one kind of connection."""
    prove([cell for cell in cells_of(GROUPS[group]) if cell.sampled], server, pulse)


@pytest.mark.long
@pytest.mark.parametrize("group", GROUPS)
def test_whole_matrix(group: str, server: FaultServer, pulse: Pulse, overheard: Overheard) -> None:
    prove(list(cells_of(GROUPS[group])), server, pulse)


def test_redirects(server: FaultServer, pulse: Pulse, overheard: Overheard) -> None:
    with FaultServer() as elsewhere:
        prove(list(cells_of(redirects(elsewhere.origin))), server, pulse)
        assert elsewhere.connections == 0
