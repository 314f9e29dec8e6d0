"""What the tests share: a sandbox, clients of it, and an environment without anybody's keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from indoxrouter import Client
from indoxrouter.sandbox import Sandbox


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key, proxy or .env file of whoever runs the tests."""
    for name in ("API_KEY", "BASE_URL", "TIMEOUT", "MAX_RETRIES"):
        monkeypatch.delenv(f"INDOX_ROUTER_{name}", raising=False)
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


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    with Client(sandbox.api_key, sandbox.url) as client:
        yield client
