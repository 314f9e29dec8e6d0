"""What a run of the proof leaves behind, for docs/reliability.md: counts by everybody, measurements by some."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from . import counts


class Figure(NamedTuple):
    name: str
    number: float
    unit: str


MEASURED: dict[str, Figure] = {}


def measured(name: str, number: float, unit: str) -> None:
    """Note a measurement; of several by one name the largest is kept, since it is the bounds that are proven."""
    number = max(round(number, 3), MEASURED[name].number if name in MEASURED else number)
    MEASURED[name] = Figure(name, number, unit)


def taken() -> dict[str, Any]:
    """All of this process, for the one that gathers them."""
    return {"counts": dict(counts.RUN), "measured": [list(figure) for figure in MEASURED.values()]}


def gathered(others: Mapping[str, Any]) -> None:
    """Add what another process has taken."""
    counts.RUN.update(others["counts"])
    for figure in others["measured"]:
        measured(*figure)


def lines() -> Iterable[str]:
    if counts.RUN:
        yield counts.line()
    for name, number, unit in MEASURED.values():
        yield f"  {name}: {number:,g} {unit}".rstrip()


def write(path: Path, command: str, seconds: float) -> None:
    figures = [*(Figure(name, number, "") for name, number in counts.RUN.items()), *MEASURED.values()]
    run = {"command": command, "python": platform.python_version(), "seconds": round(seconds, 1)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**run, "figures": [figure._asdict() for figure in figures]}, indent=2) + "\n")
