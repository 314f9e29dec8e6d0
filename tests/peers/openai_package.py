"""The `openai` package, in a process of its own."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .environments import Environment

ENVIRONMENT = Environment("openai", "3.52.0")
DRIVER = Path(__file__).with_name("openai_driver.py")


class OpenAIPackage:
    """One of its clients, by the name of its class: OpenAI or AsyncOpenAI."""

    def __init__(self, kind: str, key: str, base_url: str) -> None:
        self.kind = kind
        self._process = subprocess.Popen(
            [ENVIRONMENT.ready(), DRIVER, kind, key, base_url],
            env={"PATH": os.defpath, "PYTHONUTF8": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.version: str = self._read()["version"]

    def call(self, path: str, **arguments: Any) -> Any:
        """What the call returned, streams and pages as lists; an OpenAIPackageError if it raised."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([path, {name: _packed(value) for name, value in arguments.items()}]))
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        outcome = self._read()
        if "error" in outcome:
            raise OpenAIPackageError(outcome)
        answer = outcome["answer"]
        if isinstance(answer, dict) and answer.keys() == {"base64"}:
            return base64.b64decode(answer["base64"])
        return answer

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the openai package's process ended"
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


def _packed(value: Any) -> Any:
    match value:
        case bytes():
            return {"base64": base64.b64encode(value).decode()}
        case (str() as name, bytes() as content):
            return [name, _packed(content)]
        case _:
            return value


class OpenAIPackageError(Exception):
    """An error of the package: the names of its class and of those above it, and what it tells."""

    def __init__(self, outcome: dict[str, Any]) -> None:
        super().__init__(f"{outcome['error'][0]}: {outcome['message']}")
        self.names: list[str] = outcome["error"]
        self.status_code: int | None = outcome["status_code"]
        self.code: str | None = outcome["code"]
        self.type: str | None = outcome["type"]
        self.param: str | None = outcome["param"]
        self.request_id: str | None = outcome["request_id"]
