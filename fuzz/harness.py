"""Runs a claim of tests/reliability/claims.py under Atheris, which is installed in an environment of its own.

What libFuzzer keeps and finds goes to the user's cache, next to that environment; the committed corpus
stays as it is. Its options are libFuzzer's: https://llvm.org/docs/LibFuzzer.html#options
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from random import Random
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

from peers.environments import Environment, cache_folder  # noqa: E402 - found by the line above
from reliability.mutations import mutated_events  # noqa: E402 - so is this

ATHERIS = Environment("atheris", "3.0.0")


def _atheris() -> Any:
    if importlib.util.find_spec("atheris") is None:
        ATHERIS.ready()
        sys.path += map(str, ATHERIS.folder.glob("lib/*/site-packages"))
    return importlib.import_module("atheris")


def instrumented() -> AbstractContextManager[Any]:
    """What is imported within it reports its branches to the fuzzer."""
    found: AbstractContextManager[Any] = _atheris().instrument_imports(include=["indoxrouter", "sseclient"])
    return found


def fuzz(name: str, claim: Callable[[bytes], None]) -> None:
    """Until the options say stop, or the claim fails: then its input is kept, and its path printed."""
    kept, found = (cache_folder().with_name("indoxrouter-fuzz") / name / part for part in ("corpus", "found"))
    for folder in (kept, found):
        folder.mkdir(parents=True, exist_ok=True)
    defaults = [f"-artifact_prefix={found}/", f"-dict={HERE / 'words.dict'}", "-max_len=2048", "-timeout=10"]
    options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    given = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if not any(map(os.path.isfile, given)):  # files are run once each; of folders, the first takes what is new
        given = [str(kept), *(given or [str(HERE / "corpus" / name)])]
    atheris = _atheris()

    def mutate(content: bytes, size: int, seed: int) -> bytes:
        random = Random(seed)  # noqa: S311 - of mutations, not of secrets
        if random.random() < 0.5:
            found = mutated_events(content, random)
            if len(found) <= size:
                return found
        return bytes(atheris.Mutate(content, size))

    atheris.Setup([sys.argv[0], *defaults, *options, *given], claim, custom_mutator=mutate)
    atheris.Fuzz()
