"""Behaviours x methods x streaming or not x new or reused connection x both clients.

Each cell ends with the right answer or with exactly one typed error, in time, without anybody
else's answer, without paying twice, and without a secret in anything that comes out.
"""

from __future__ import annotations

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


def page_as_transcript(cell: Cell) -> bool:
    return cell.method.name == "transcribe" and cell.fault.name in ("200-html", "200-empty-html")


def prove(cells: list[Cell], server: FaultServer, pulse: Pulse) -> None:
    few = any(cell.fault.hangs for cell in cells)  # limits of less than a second need room to be kept
    problems = run_all(cells, server, pulse, width=16 if few else 48)
    counts.RUN["cells"] += len(cells)
    assert not problems, f"{len(problems)} problems in {len(cells)} cells:\n" + "\n".join(problems[:200])


@pytest.mark.parametrize("group", GROUPS)
def test_matrix(group: str, server: FaultServer, pulse: Pulse, overheard: Overheard) -> None:
    prove([cell for cell in cells_of(GROUPS[group]) if not page_as_transcript(cell)], server, pulse)


def test_redirects(server: FaultServer, pulse: Pulse, overheard: Overheard) -> None:
    with FaultServer() as elsewhere:
        prove(list(cells_of(redirects(elsewhere.origin))), server, pulse)
        assert elsewhere.connections == 0


def test_a_page_is_no_transcript(server: FaultServer, pulse: Pulse) -> None:
    prove([cell for cell in cells_of(ODD_BODIES) if page_as_transcript(cell)], server, pulse)
