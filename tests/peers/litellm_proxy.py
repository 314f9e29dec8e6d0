"""LiteLLM's proxy in a process of its own, on loopback, with models that answer without any provider."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .environments import Environment

ENVIRONMENT = Environment("litellm", "1.106.2", "[proxy]")
DRIVER = Path(__file__).with_name("litellm_driver.py")
_START_SECONDS = 120
_STOP_SECONDS = 10

SENTENCE = "A router sends each request where it belongs."
VECTOR = [0.5, -0.5, 0.25, 0.0]
PICTURE = "https://images.example/city.png"
TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}
INPUT_COST, OUTPUT_COST = 0.001, 0.002
PROMPT_TOKENS, COMPLETION_TOKENS = 10, 20
"""What the proxy counts for any mocked chat; it counts streams."""


def _model(name: str, model: str, answer: Any, **params: Any) -> dict[str, Any]:
    prices = {"input_cost_per_token": INPUT_COST, "output_cost_per_token": OUTPUT_COST}
    named = {"model": model, "api_key": "unused", "mock_response": answer}
    return {"model_name": name, "litellm_params": {**named, **prices, **params}}


CONFIG = {
    "model_list": [
        _model("chat", "openai/gpt-4o-mini", SENTENCE),
        _model("tools", "openai/gpt-4o-mini", "", mock_tool_calls=[TOOL_CALL]),
        _model("vectors", "openai/text-embedding-3-small", VECTOR),
        _model("picture", "openai/dall-e-3", PICTURE),
        _model("busy", "openai/gpt-4o-mini", "litellm.RateLimitError"),
        _model("broken", "openai/gpt-4o-mini", "litellm.InternalServerError"),
        _model("full", "openai/gpt-4o-mini", "litellm.ContextWindowExceededError"),
    ],
    "litellm_settings": {"num_retries": 0, "telemetry": False},
    "router_settings": {"num_retries": 0, "disable_cooldowns": True},
}
MODELS = [model["model_name"] for model in CONFIG["model_list"]]  # type: ignore[index]


class LiteLLMProxy:
    """Started when it is entered, ended when it is left; `url` is its base URL, `key` its master key."""

    def __init__(self, folder: Path) -> None:
        self.key = "sk-" + secrets.token_hex(32)
        self.origin = ""
        self._folder = folder
        self._log = folder / "log"
        self._told = 0

    @property
    def url(self) -> str:
        return f"{self.origin}/v1"

    def log(self) -> str:
        """What it has printed since the last test."""
        return self._log.read_bytes()[self._told :].decode(errors="replace")

    def turn_page(self) -> None:
        """A test is over."""
        self._told = self._log.stat().st_size

    def __enter__(self) -> Self:
        python = ENVIRONMENT.ready()
        config = self._folder / "config.json"  # which is YAML too
        config.write_text(json.dumps({**CONFIG, "general_settings": {"master_key": self.key}}))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [python, DRIVER, "--config", config, "--host", "127.0.0.1", "--port", "0"],
                env=self._environment(),
                cwd=self._folder,
                stdin=subprocess.PIPE,  # it ends with this process, however that ends
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait()
        except BaseException:
            self.close()
            raise
        return self

    def _environment(self) -> dict[str, str]:
        """Nobody's keys and settings, no database, and no way out."""
        files = ("MODEL_COST_MAP", "ANTHROPIC_BETA_HEADERS", "AUTOROUTER_PRESETS", "BLOG_POSTS", "POLICY_TEMPLATES")
        nowhere = "http://127.0.0.1:9"
        return {
            **{f"LITELLM_LOCAL_{name}": "True" for name in files},
            "PATH": os.defpath,
            "HOME": str(self._folder),
            "PYTHONUTF8": "1",
            "PYTHONUNBUFFERED": "1",
            "HTTP_PROXY": nowhere,
            "HTTPS_PROXY": nowhere,
        }

    def _wait(self) -> None:
        """Until it answers at the port that it chose."""
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            if found := re.search(r"running on (http://127\.0\.0\.1:\d+)", self.log()):
                self.origin = found[1]
                if self._alive():
                    return
            time.sleep(0.1)
        raise RuntimeError(f"LiteLLM's proxy did not start:\n{self.log()[-8000:]}")

    def _alive(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.origin}/health/liveliness", timeout=5) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.communicate(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
