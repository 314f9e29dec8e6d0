from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from .litellm_proxy import LiteLLMProxy
from .published import install


@pytest.fixture(scope="session")
def published_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="session")
def litellm_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiteLLMProxy]:
    with LiteLLMProxy(tmp_path_factory.mktemp("litellm")) as proxy:
        yield proxy


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where a test of LiteLLM's proxy fails, what the proxy printed is shown."""
    report = yield
    arguments: dict[str, Any] = getattr(item, "funcargs", {})
    if isinstance(proxy := arguments.get("litellm_proxy"), LiteLLMProxy):
        if report.failed:
            report.sections.append(("LiteLLM's proxy printed", proxy.log()[-8000:]))
        if report.when == "teardown":
            proxy.turn_page()
    return report
