"""What the tests share: a sandbox, clients of it, and an environment without anybody's keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from clients import KINDS, LOOP, Client, Kind, chosen

from indoxrouter.sandbox import Sandbox


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key, proxy or .env file of whoever runs the tests."""
    for name in ("API_KEY", "BASE_URL", "TIMEOUT", "MAX_RETRIES"):
        monkeypatch.delenv(f"INDOX_ROUTER_{name}", raising=False)
        monkeypatch.delenv(f"OPENAI_{name}", raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox: Sandbox) -> Iterator[Sandbox]:
    """A sandbox with its default settings; faults and counters are as new, the ledger is shared."""
    shared_sandbox.clear_faults()
    shared_sandbox.reset_stats()
    yield shared_sandbox
    shared_sandbox.clear_faults()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A module that names KINDS runs all its tests that use a client with each of these."""
    marks = list(metafunc.definition.iter_markers("kinds"))
    kinds = marks[0].args if marks else getattr(metafunc.module, "KINDS", None)
    makers = {"Client", "serving", "streaming", "two_clients"}
    uses_one = makers & set(names_in(metafunc.function.__code__))
    if kinds and (uses_one or {"client", "old"} & set(metafunc.fixturenames)):
        metafunc.parametrize("client_kind", [KINDS[name] for name in kinds], ids=kinds, indirect=True)


def names_in(code: CodeType) -> Iterator[str]:
    """The names that a function, or one within it, refers to."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from names_in(inner)


@pytest.fixture(autouse=True)
def client_kind(request: pytest.FixtureRequest) -> Iterator[Kind]:
    chosen[0] = getattr(request, "param", KINDS["sync"])
    yield chosen[0]
    chosen[0] = KINDS["sync"]


@pytest.fixture(scope="session", autouse=True)
def _one_event_loop() -> Iterator[None]:
    yield
    LOOP.close()


@pytest.fixture
def client(sandbox: Sandbox, client_kind: Kind) -> Iterator[Any]:
    url = sandbox.url if client_kind.dialect == "indox" else sandbox.openai_url
    with Client(sandbox.api_key, url) as client:
        yield client
