from collections.abc import Iterator

import pytest

from indoxrouter.sandbox import Sandbox

from .sandbox_api import Api, OpenAIApi


@pytest.fixture(scope="session")
def shared() -> Iterator[Sandbox]:
    """One sandbox for tests that neither count nor fail anything."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def api(shared: Sandbox) -> Iterator[Api]:
    with Api(shared) as api:
        yield api


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox of one's own."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def own(sandbox: Sandbox) -> Iterator[Api]:
    """Calls to a sandbox of one's own."""
    with Api(sandbox) as api:
        yield api


@pytest.fixture
def openai(shared: Sandbox) -> Iterator[OpenAIApi]:
    """Calls to the OpenAI-compatible API of the shared sandbox."""
    with OpenAIApi(shared) as api:
        yield api
