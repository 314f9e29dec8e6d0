"""The public surface: what can be imported, at what cost, and how large the house is."""

from __future__ import annotations

import ast
import datetime
import importlib.metadata
import inspect
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import indoxrouter
from indoxrouter import Client, ConfigurationError, MissingKeyError, config
from indoxrouter.sandbox import Sandbox

PACKAGE = Path(indoxrouter.__file__).parent
LAYERS = [
    *("forking", "errors", "generation", "formats", "money", "saving", "medium", "media", "responses", "records"),
    *(
        "account_records",
        "usage_rows",
        "inputs",
        "events",
        "config",
        "options",
        "wire",
        "transports",
        "aside",
        "token_file",
        "core",
        "errands",
    ),
    *(
        "files",
        "downloads",
        "account_calls",
        "calls",
        "held",
        "streams",
        "portable",
        "account",
        "async_account",
        "driver",
        "async_driver",
    ),
    *("client", "async_client"),
    *("openai_types", "openai_shapes", "openai_asks", "openai_streams", "openai_async", "openai_facade"),
    *("function_calls", "functions"),
]
"""Lowest first: each imports only from itself and those before it."""


def run_python(code: str, *flags: str) -> str:
    return subprocess.run(
        [sys.executable, *flags, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_importing_loads_no_extra() -> None:
    extras = ("aiohttp", "starlette", "uvicorn", "numpy", "pandas", "pydantic", "indoxrouter.sandbox")
    code = f"import indoxrouter, sys; print([name for name in {extras} if name in sys.modules])"
    assert run_python(code).strip() == "[]"


def test_both_import_names_are_the_same_module() -> None:
    code = (
        "from indoxRouter import Client; import indoxRouter, indoxrouter; from indoxRouter.exceptions import APIError;"
        "print(indoxRouter is indoxrouter, Client is indoxrouter.Client, APIError is indoxrouter.APIError)"
    )
    assert run_python(code).split() == ["True"] * 3


def test_the_names_are_pinned() -> None:
    assert set(indoxrouter.__all__) == {
        *("Client", "AsyncClient", "IndoxRouter", "ChatStream", "AsyncChatStream", "ChatMessage", "__version__"),
        *("ChatResponse", "CompletionResponse", "EmbeddingResponse", "ImageResponse", "SpeechResponse"),
        *("TranscriptionResponse", "GeneratedImage", "ChatChunk", "Usage", "RateLimit", "Attempt"),
        *("VideoResponse", "VideoJob", "GeneratedVideo"),
        *("ModelInfo", "UsageReport", "UserInfo", "CatalogueEntry", "ProviderEntry"),
        *("UsageRow", "UsageRows", "UsageTotals", "ApiKey", "Transaction", "AnalyticsEntry", "CallEvent"),
        *("OpenAI", "AsyncOpenAI", "ChatCompletionResponse", "ChatCompletionChunk", "Message"),
        *("completion", "acompletion", "text_completion", "embedding", "aembedding", "image_generation"),
        *("aimage_generation", "transcription", "speech", "batch_completion", "completion_cost"),
        *("enable_cache", "disable_cache"),
        *("OpenAIError", "APIConnectionError", "APIStatusError", "UnprocessableEntityError"),
        *("IndoxRouterError", "ConfigurationError", "NetworkError", "RequestTimeoutError", "Timeout"),
        *(
            "APITimeoutError",
            "DeadlineExceededError",
            "StreamError",
            "APIError",
            "AuthenticationError",
            "MissingKeyError",
        ),
        *("PermissionDeniedError", "RateLimitError", "InsufficientCreditsError", "InvalidParametersError"),
        *("BadRequestError", "InvalidRequestError", "ContextWindowExceededError", "ContentPolicyError"),
        *("ValidationError", "ProviderError", "ProviderNotFoundError", "ModelNotFoundError"),
        *("ModelNotAvailableError", "RequestError", "InternalServerError", "ServiceUnavailableError"),
    }
    assert all(hasattr(indoxrouter, name) for name in indoxrouter.__all__)


def test_the_version_is_the_packages() -> None:
    assert indoxrouter.__version__ == importlib.metadata.version("indoxrouter")


def test_public_methods_have_one_docstring_each() -> None:
    for name, method in inspect.getmembers(Client, inspect.isfunction):
        if not name.startswith("_"):
            assert method.__doc__, name


def test_both_clients_have_the_same_methods() -> None:
    def surface(cls: type) -> dict[str, inspect.Signature]:
        return {
            name: inspect.signature(member, eval_str=False).replace(return_annotation=inspect.Signature.empty)
            for name, member in inspect.getmembers(cls, inspect.isfunction)
            if not name.startswith("_") or name == "__init__"
        }

    assert surface(indoxrouter.AsyncClient) == surface(Client)
    for name in surface(Client):
        if name not in ("__init__", "diagnose_request", "enable_debug"):
            assert inspect.iscoroutinefunction(getattr(indoxrouter.AsyncClient, name)), name
        assert getattr(indoxrouter.AsyncClient, name).__doc__ or name == "__init__"


def test_without_the_extra_the_async_client_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['aiohttp'] = None\n"
        "from indoxrouter import AsyncClient, AsyncOpenAI\n"
        "for cls in (AsyncClient, AsyncOpenAI):\n"
        "    try: cls('key')\n"
        "    except ImportError as error: print(error)"
    )
    assert run_python(code).count("pip install aiohttp") == 2


def test_files_stay_small() -> None:
    for path in PACKAGE.rglob("*.py"):
        lines = path.read_text().count("\n")
        assert 0 < lines <= (450 if path.name in ("client.py", "async_client.py") else 300), path


def test_imports_go_down() -> None:
    for path in PACKAGE.rglob("*.py"):
        place = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if place in ("__init__", "exceptions", "sandbox"):
            continue
        assert place in LAYERS, f"{path} has no place in the house"
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("indoxrouter."):
                target = (node.module or "").split(".")[1]
                assert LAYERS.index(target) <= LAYERS.index(place), f"{path} imports {node.module}"


def test_the_core_and_the_wire_have_no_clock_and_no_io() -> None:
    forbidden = {
        "socket",
        "requests",
        "asyncio",
        "aiohttp",
        "time",
        "random",
        "uuid",
        "os",
        "logging",
    }
    for path in [*(PACKAGE / "core").glob("*.py"), *(PACKAGE / "wire").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & forbidden, path


def test_the_sandbox_imports_nothing_of_the_client() -> None:
    for path in (PACKAGE / "sandbox").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("indoxrouter"):
                assert (node.module or "").startswith("indoxrouter.sandbox"), path


class TestG41Quiet:
    def test_g41_nothing_is_printed(self, capfd: pytest.CaptureFixture[str], client: Client) -> None:
        client.chat([{"role": "user", "content": "x"}])
        list(client.chat([{"role": "user", "content": "x"}], stream=True))
        client.models()
        with pytest.raises(ValueError, match="messages"):
            client.chat([])
        assert capfd.readouterr() == ("", "")

    def test_g41_logs_are_metadata_on_one_logger(self, sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        sandbox.fault(path="chat/completions", status=429, retry_after=0.01)
        with Client(sandbox.api_key, sandbox.url) as client:
            answer = client.chat([{"role": "user", "content": "a canary in the prompt"}], byok_api_key="canary-byok")
        ours = [record for record in caplog.records if record.name.startswith("indoxrouter")]
        assert {record.name for record in ours} == {"indoxrouter"}
        assert any("/v1/chat/completions: 429" in record.getMessage() for record in ours)
        assert any("waiting 0.01 s" in record.getMessage() for record in ours)
        for secret in ("canary", sandbox.api_key, "eyJ", answer.data or "?"):
            assert secret not in caplog.text

    def test_g41_a_near_miss_of_a_parameters_name_gets_a_word_in_the_log(
        self, client: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        client.chat([{"role": "user", "content": "x"}], tiemout=5, seed=1, models=["a/b"][:0])
        said = [record.getMessage() for record in caplog.records if record.name == "indoxrouter"]
        assert "the unknown parameter 'tiemout' goes to the provider: was 'timeout' meant?" in said
        assert not any("'seed'" in text for text in said)

    def test_g41_enable_debug_shows_the_logger_once(self, sandbox: Sandbox) -> None:
        code = (
            "from indoxrouter import Client\n"
            f"c = Client({sandbox.api_key!r}, {sandbox.url!r})\n"
            "c.enable_debug(); c.enable_debug(); c.models(); c.close()"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout == ""
        assert done.stderr.count("/v1/models/: 200") == 1
        assert "indoxrouter - DEBUG" in done.stderr


class TestSettings:
    def test_no_key(self) -> None:
        with pytest.raises(indoxrouter.AuthenticationError) as caught:
            Client()
        assert isinstance(caught.value, ValueError)
        assert "INDOX_ROUTER_API_KEY" in str(caught.value)

    def test_the_argument_the_environment_then_the_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / ".env").write_text("INDOX_ROUTER_API_KEY=file\nINDOX_ROUTER_BASE_URL=http://127.0.0.1:1/v1\n")
        with Client() as client:
            assert client.base_url == "http://127.0.0.1:1/v1"
        monkeypatch.setenv("INDOX_ROUTER_API_KEY", "environment")
        with Client() as client:
            assert client.base_url == config.DEFAULT_BASE_URL, "a file redirected a key that is not its own"
        monkeypatch.setenv("INDOX_ROUTER_BASE_URL", "http://127.0.0.1:2/v1/")
        with Client() as client:
            assert client.base_url == "http://127.0.0.1:2/v1"
        with Client("argument", "http://127.0.0.1:3") as client:
            assert client.base_url == "http://127.0.0.1:3"
        monkeypatch.delenv("INDOX_ROUTER_API_KEY")
        with pytest.raises(indoxrouter.AuthenticationError):
            Client(env_file=None)

    def test_a_url_of_the_file_that_is_not_used_is_told_of(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / ".env").write_text("INDOX_ROUTER_BASE_URL=http://127.0.0.1:1/v1\n")
        Client("key", "http://127.0.0.1:2/v1").close()
        assert caplog.messages == []
        Client("key").close()
        assert caplog.messages == ["INDOX_ROUTER_BASE_URL in .env is not used: there it counts only beside the key"]

    def test_what_is_wrong_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(MissingKeyError, match=r"or in a \.env file here"):
            Client()
        with pytest.raises(MissingKeyError, match=r"or in 'nope\.env' \(no such file\)"):
            Client(env_file="nope.env")
        bad: Any
        for name, bad in (("verify", 3), ("verify", None), ("env_file", 3), ("dialect", [])):
            with pytest.raises(ConfigurationError, match=name):
                Client("key", **{name: bad})
        with pytest.raises(ConfigurationError, match="token_cache must name a file, not a folder"):
            Client("key", token_cache=tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
        with pytest.raises(ConfigurationError, match="SSL_CERT_FILE in the environment names a CA file"):
            Client("key")
        Client("key", verify=False).close()

    def test_numbers_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("INDOX_ROUTER_TIMEOUT", "7.5")
        monkeypatch.setenv("INDOX_ROUTER_MAX_RETRIES", "5")
        assert settings_of(Client("k")) == (7.5, 5)
        assert settings_of(Client("k", timeout=3, max_retries=2)) == (3.0, 2)
        for name, bad in (("TIMEOUT", "soon"), ("TIMEOUT", "-1"), ("TIMEOUT", "nan"), ("MAX_RETRIES", "1.5")):
            with monkeypatch.context() as patch:
                patch.setenv(f"INDOX_ROUTER_{name}", bad)
                with pytest.raises(ConfigurationError):
                    Client("k")

    @pytest.mark.parametrize(
        "bad",
        [{"timeout": -1}, {"timeout": 0}, {"timeout": "15"}, {"timeout": float("nan")}, {"timeout": True},
         {"deadline": -1}, {"max_retries": -1}, {"max_retries": 1.0}, {"max_connections": 0}, {"auth": "basic"},
         {"fallback_models": "a/b"}, {"fallback_models": [None]}, {"default_model": "a\nb"}, {"verify": "/no/file"},
         {"base_url": 5}],
    )  # fmt: skip
    def test_bad_ones_are_refused_at_construction(self, bad: dict[str, object]) -> None:
        with pytest.raises(ConfigurationError):
            Client("k", **bad)  # type: ignore[arg-type] # what it must refuse

    def test_what_comes_later_is_not_accepted_yet(self) -> None:
        for name in ("budget", "ledger"):
            with pytest.raises(TypeError):
                Client("k", **{name: None})  # type: ignore[arg-type] # what it must refuse

    def test_default_and_fallback_models(self, sandbox: Sandbox) -> None:
        with Client(
            sandbox.api_key,
            sandbox.url,
            default_model="openai/nope",
            fallback_models=["anthropic/claude-3-haiku"],
        ) as client:
            answer = client.chat([{"role": "user", "content": "x"}])
            assert (answer.provider, answer.model) == ("anthropic", "claude-3-haiku")
            assert [attempt.model for attempt in answer.attempts] == [
                "openai/nope",
                "anthropic/claude-3-haiku",
            ]
            assert client.embeddings("x").model == "text-embedding-3-small"

    def test_dates_of_all_kinds(self, client: Client) -> None:
        today = datetime.datetime.now(datetime.UTC)
        reports = [client.get_usage(day, day) for day in (today, today.date(), today.date().isoformat())]
        assert reports[0] == reports[1] == reports[2]


def settings_of(client: Client) -> tuple[float | None, int]:
    with client:
        found = client._driver.settings
        return found.timeout, found.max_retries


class TestDiagnose:
    @pytest.mark.parametrize(
        ("endpoint", "data", "issue"),
        [
            ("chat/completions", {"model": "a/b", "messages": []}, "empty"),
            ("chat/completions", {"model": "a/b"}, "no messages"),
            ("api/v1/chat/completions", {"model": "a/b", "messages": [{"content": "x"}]}, "role"),
            (
                "chat/completions",
                {"model": 5, "messages": [{"role": "user", "content": "x"}]},
                "model must be",
            ),
            (
                "chat/completions",
                {"model": "a/", "messages": [{"role": "user", "content": "x"}]},
                "provider/model",
            ),
            ("completions", {"model": "a/b"}, "prompt"),
            ("images/generations", {"model": "a/b", "prompt": 5}, "prompt"),
            ("embeddings", {"model": "a/b"}, "text"),
        ],
    )
    def test_issues(self, endpoint: str, data: dict[str, object], issue: str, client: Client) -> None:
        found = client.diagnose_request(endpoint, data)
        assert set(found) == {"endpoint", "issues", "warnings", "is_valid", "data"}
        assert not found["is_valid"]
        assert issue in found["issues"][0]
        assert found["data"] is data

    def test_warnings_and_none(self, client: Client) -> None:
        message = {"role": "user", "content": "x"}
        for data, warnings in (({"model": "a/b"}, 0), ({"model": "bare"}, 1), ({}, 1)):
            found = client.diagnose_request("chat/completions", {**data, "messages": [message]})
            assert (found["is_valid"], len(found["warnings"])) == (True, warnings)
        assert client.diagnose_request("user/usage", {})["is_valid"]
