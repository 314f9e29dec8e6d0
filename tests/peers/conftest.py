from __future__ import annotations

from pathlib import Path

import pytest

from .published import install


@pytest.fixture(scope="session")
def published_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("published"))
