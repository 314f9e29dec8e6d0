"""The environments of other packages: made once, used again, made anew when they are broken."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .environments import Environment, cache_folder

pytestmark = pytest.mark.peers

SMALL = Environment("iniconfig", "2.3.1")


def installed(python: Path) -> str:
    code = f"import importlib.metadata as m, {SMALL.package}; print(m.version({SMALL.package!r}))"
    return subprocess.run([python, "-I", "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def packages() -> Path:
    [folder] = SMALL.folder.glob("lib/*/site-packages")
    return folder


def lose_a_module() -> None:
    (packages() / SMALL.package / "__init__.py").unlink()


def cut_a_module() -> None:
    (packages() / SMALL.package / "__init__.py").write_text("")


def lose_the_interpreter() -> None:
    SMALL.python.unlink()


def stop_while_installing() -> None:
    (SMALL.folder / "whole").unlink()
    shutil.rmtree(packages())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_the_cache_is_the_users(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == cache / "indoxrouter-peers"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert cache_folder() == Path.home() / ".cache" / "indoxrouter-peers"


def test_an_environment_is_made_once_and_mended_when_broken(cache: Path) -> None:
    assert not SMALL.whole()
    assert installed(SMALL.ready()) == SMALL.version
    kept = SMALL.folder / "kept"
    kept.touch()
    assert installed(SMALL.ready()) == SMALL.version
    assert kept.exists()
    harms: list[Callable[[], None]] = [lose_a_module, cut_a_module, lose_the_interpreter, stop_while_installing]
    for harm in harms:
        kept.touch()
        harm()
        assert not SMALL.whole()
        assert installed(SMALL.ready()) == SMALL.version
        assert not kept.exists()


def test_what_cannot_be_installed_says_so(cache: Path) -> None:
    missing = Environment("iniconfig", "0.0.0")
    with pytest.raises(RuntimeError, match=r"iniconfig==0\.0\.0"):
        missing.ready()
    assert not missing.whole()
