"""What the fuzz targets check, over their corpus and some mutations of it; `make fuzz` goes on from there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from . import counts
from .claims import CLAIMS
from .decoders import CORPUS
from .mutations import mutated_bytes, mutated_events

FUZZ = CORPUS.parent
MUTATIONS = 1000


def corpus(target: str) -> dict[str, bytes]:
    folders = [target, "stream_events"] if target == "framer" else [target]
    files = [file for folder in folders for file in sorted((CORPUS / folder).iterdir())]
    return {f"{file.parent.name}/{file.name}": file.read_bytes() for file in files}


def test_every_claim_has_a_target_and_a_corpus() -> None:
    assert {file.stem.removeprefix("fuzz_") for file in FUZZ.glob("fuzz_*.py")} == set(CLAIMS)
    assert {folder.name for folder in CORPUS.iterdir()} == set(CLAIMS)
    for target in CLAIMS:
        assert len(corpus(target)) > 12


@pytest.mark.parametrize("target", CLAIMS)
def test_it_holds_for_the_corpus(target: str) -> None:
    for name, content in corpus(target).items():
        try:
            CLAIMS[target](content)
        except Exception as error:
            raise AssertionError(f"{name}: {content!r}") from error


@pytest.mark.parametrize("target", CLAIMS)
def test_it_holds_for_mutations(target: str) -> None:
    inputs = list(corpus(target).values())
    for n in range(MUTATIONS):
        random = Random(n)
        content = random.choice(inputs)
        content = mutated_events(content, random) if n % 2 else mutated_bytes(content, inputs, random)
        try:
            CLAIMS[target](content)
        except Exception as error:
            raise AssertionError(f"mutation {n}: {content!r}") from error
    counts.RUN["mutated inputs of the fuzz targets"] += MUTATIONS


@pytest.mark.peers
@pytest.mark.parametrize("target", CLAIMS)
def test_it_runs_under_atheris(target: str, tmp_path: Path) -> None:
    script = FUZZ / f"fuzz_{target}.py"
    command: list[str | Path] = [sys.executable, script, "-runs=300", f"-artifact_prefix={tmp_path}/", CORPUS / target]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "Done 300 runs" in done.stdout or "DONE" in done.stdout
    assert not list(tmp_path.iterdir())
