"""The published package of the same name, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

VERSION = "0.1.39"
DRIVER = Path(__file__).with_name("published_driver.py")


def install(folder: Path) -> Path:
    """Put the package alone into `folder`: what it needs is in the running environment."""
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--target", str(folder), f"indoxrouter=={VERSION}"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return folder


class Published:
    """One client of the published package. Constructing it logs in; `refusal` is why that failed."""

    def __init__(self, folder: Path, key: str, base_url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(DRIVER), key, base_url],
            env={**os.environ, "PYTHONPATH": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it logs every error answer
            text=True,
        )
        started = self._read()
        self.refusal: str | None = started.get("error")
        self.version: str | None = started.get("version")

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """What the call returned, a stream as a list; a PublishedError if it raised."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([name, args, kwargs]) + "\n")
        self._process.stdin.flush()
        outcome = self._read()
        if "error" in outcome:
            raise PublishedError(outcome["error"], outcome["message"])
        return outcome["answer"]

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the published package's process ended"
        outcome: dict[str, Any] = json.loads(line)
        return outcome

    def close(self) -> None:
        self._process.communicate(timeout=10)  # the end of its input ends it

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class PublishedError(Exception):
    """An error of the published package, known by the name of its class."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
