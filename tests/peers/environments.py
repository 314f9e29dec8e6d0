"""Virtual environments of other packages, kept in the user's cache from one run to the next."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


def cache_folder() -> Path:
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(given) if os.path.isabs(given) else Path.home() / ".cache"
    return base / "indoxrouter-peers"


@dataclass(frozen=True)
class Environment:
    """One package at one version, with all it needs and nothing else."""

    package: str
    version: str
    extra: str = ""

    @property
    def folder(self) -> Path:
        python = f"py{sys.version_info.major}.{sys.version_info.minor}"
        return cache_folder() / f"{self.package}-{self.version}-{python}"

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def _requirement(self) -> str:
        return f"{self.package}{self.extra}=={self.version}"

    @property
    def _arguments(self) -> Sequence[str]:
        """What pip is told to install."""
        return [self._requirement]

    @property
    def _mark(self) -> Path:
        """Written last: what is installed."""
        return self.folder / "whole"

    def ready(self) -> Path:
        """Its interpreter. What is missing, or not whole, is made anew."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(self.folder.with_name(self.folder.name + ".lock")):
            if not self.whole():
                self._make()
        return self.python

    def whole(self) -> bool:
        """Whether the installation was finished, its interpreter runs, and every file is as it was installed."""
        try:
            if self._mark.read_text() != self._requirement:
                return False
            subprocess.run([self.python, "-I", "-c", ""], check=True, capture_output=True)
            [packages] = self.folder.glob("lib/*/site-packages")
            installed = list(importlib.metadata.distributions(path=[str(packages)]))
            files = [file for each in installed for file in each.files or () if file.size is not None]
            return bool(files) and all(os.stat(str(file.locate())).st_size == file.size for file in files)
        except (OSError, ValueError, subprocess.CalledProcessError):
            return False

    def _make(self) -> None:
        if self.folder.exists():
            shutil.rmtree(self.folder)
        _run([sys.executable, "-m", "venv", "--without-pip", str(self.folder)])
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), "--disable-pip-version-check"]
        _run([*pip, "install", "--quiet", *self._arguments])
        self._mark.write_text(self._requirement)


def _run(command: Sequence[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}")


@contextlib.contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Two runs at once don't make the same environment; a run that was killed holds nothing."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
