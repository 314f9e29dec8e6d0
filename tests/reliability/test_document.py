"""docs/reliability.md says how much is proven: what can be counted without a run is counted here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .cells import cells_of
from .cuts import ANSWERS, UNFRAMED
from .faults_of_answers import redirects
from .methods import LOGIN
from .test_canaries import KINDS_OF_SECRETS, echoes, forms
from .test_login_faults import FRAMINGS
from .test_login_faults import cuts_of as cuts_of_logins
from .test_matrix import GROUPS

TEXT = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text(encoding="utf-8")
ELSEWHERE = redirects("http://127.0.0.1:1")
CELLS = [cell for faults in (*GROUPS.values(), ELSEWHERE) for cell in cells_of(faults)]
LOGIN_CELLS = [
    cell
    for faults in (*(GROUPS[group] for group in GROUPS if group != "event streams"), ELSEWHERE)
    for cell in cells_of(faults, [LOGIN])
    if not cell.reused
]
SAMPLED = [cell for cell in CELLS if cell.sampled or cell.fault.name in {fault.name for fault in ELSEWHERE}]
COUNTED = {
    "cells": len(CELLS),
    "of them in every run": len(SAMPLED),
    "logins that meet a fault": len(LOGIN_CELLS),
    "cuts of answers": sum(4 * (len(one.framed) + 1) for one in ANSWERS.values()) + 4 * (len(UNFRAMED) + 1),
    "cuts of logins": 2 * sum(len(list(cuts_of_logins(framing))) for framing in FRAMINGS),
    "kinds of secrets": len(KINDS_OF_SECRETS),
    "echoed secrets": 2 * len(KINDS_OF_SECRETS) * len(echoes("x")) * len(forms("x")),
}


@pytest.mark.parametrize("what", COUNTED)
def test_the_document_counts_right(what: str) -> None:
    found = re.findall(rf"([\d,]+) {what}\b", TEXT)
    assert found == [f"{COUNTED[what]:,}"]


def test_its_commands_name_files_and_tests_that_are_there() -> None:
    root = Path(__file__).parents[2]
    commands = re.findall(r"`pytest [^`]*`", TEXT)
    assert len(commands) > 8
    for command in commands:
        [path] = re.findall(r"tests/\S+?\.py", command)
        source = (root / path).read_text()
        for word in [word for words in re.findall(r"-k '?([\w ]+)", command) for word in words.split(" or ")]:
            assert re.search(rf"def test_\w*{word}|class \w*{word}", source), command
