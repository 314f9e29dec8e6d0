"""The published package works against the sandbox, and our client gets the same from it."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import indoxrouter
from indoxrouter import Client
from indoxrouter.sandbox import Sandbox

from .published import VERSION, Published, PublishedError

pytestmark = pytest.mark.peers

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is a router?"}]
MODEL = "openai/gpt-4o-mini"


@pytest.fixture(scope="module", params=["chunks", "typed", "bare"])
def router(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(streams=request.param) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def published(router: Sandbox, published_folder: Path) -> Iterator[Published]:
    with Published(published_folder, router.api_key, router.origin) as published:
        yield published


@pytest.fixture
def ours(router: Sandbox) -> Iterator[Client]:
    """With the base URL that the published package takes, which names no prefix."""
    with Client(router.api_key, router.origin) as client:
        yield client


def test_it_is_the_published_package_that_runs(published: Published) -> None:
    assert published.refusal is None
    assert published.version == VERSION != indoxrouter.__version__


@pytest.mark.parametrize(
    ("name", "asked"), [("chat", MESSAGES), ("completion", "Once upon a time")], ids=["chat", "completion"]
)
@pytest.mark.parametrize(
    "options",
    [{}, {"model": "anthropic/claude-3-haiku", "temperature": 0.1, "max_tokens": 12, "seed": 3}],
    ids=["defaults", "options"],
)
def test_texts(published: Published, ours: Client, name: str, asked: Any, options: dict[str, Any]) -> None:
    theirs = published.call(name, asked, **options)
    answer = getattr(ours, name)(asked, **options)
    same_envelope(theirs, answer)
    assert answer.data == theirs["data"]
    assert answer.finish_reason == theirs["finish_reason"] == ("length" if options else "stop")
    assert answer["data"] == theirs["data"]


@pytest.mark.parametrize(
    ("name", "asked"), [("chat", MESSAGES), ("completion", "Once upon a time")], ids=["chat", "completion"]
)
def test_streams(published: Published, ours: Client, name: str, asked: Any) -> None:
    chunks = published.call(name, asked, model=MODEL, stream=True)
    stream = getattr(ours, name)(asked, model=MODEL, stream=True)
    assert "".join(chunk["data"] for chunk in stream) == "".join(map(text_of, chunks))
    assert stream.data == published.call(name, asked, model=MODEL)["data"]


def text_of(chunk: dict[str, Any]) -> str:
    """The published package hands typed events out as they are."""
    return chunk.get("data") or chunk.get("delta") or ""


@pytest.mark.parametrize("text", ["A short text.", ["A short text.", "Another, longer text."]])
@pytest.mark.parametrize("options", [{}, {"model": "openai/text-embedding-3-large", "dimensions": 16}])
def test_embeddings(published: Published, ours: Client, text: str | list[str], options: dict[str, Any]) -> None:
    theirs = published.call("embeddings", text, **options)
    answer = ours.embeddings(text, **options)
    same_envelope(theirs, answer)
    assert answer.data == theirs["data"]
    assert answer.dimensions == theirs["dimensions"] == (16 if options else 1536)


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("openai/dall-e-3", {}),
        ("openai/dall-e-3", {"size": "1792x1024", "quality": "hd", "response_format": "b64_json"}),
        ("openai/gpt-image-1", {"size": "1536x1024", "n": 2}),
        ("google/imagen-3.0-generate-002", {}),
        ("google/imagen-3.0-generate-002", {"size": "1792x1024", "seed": 5}),
        ("google/imagen-3.0-generate-002", {"aspect_ratio": "3:4", "n": 2}),
        ("xai/grok-2-image", {"n": 2}),
    ],
)
def test_images(published: Published, ours: Client, model: str, options: dict[str, Any]) -> None:
    theirs = published.call("images", "A city by night", model=model, **options)
    answer = ours.images("A city by night", model=model, **options)
    same_envelope(theirs, answer)
    assert len(answer.data) == len(theirs["data"]) == options.get("n", 1)
    for image, row in zip(answer.data, theirs["data"], strict=True):
        assert {name: value for name, value in image.items() if value is not None} == row
        if image.url is not None:
            with urllib.request.urlopen(image.url, timeout=10) as reply:
                assert reply.read().startswith(b"\x89PNG")


def test_the_catalogue(published: Published, ours: Client) -> None:
    theirs = published.call("models")
    assert ours.providers() == theirs
    assert ours.models() == {provider["id"]: provider["models"] for provider in theirs}
    one = published.call("models", "openai")
    assert ours.models("openai") == {"openai": one["models"]}


@pytest.mark.parametrize(
    ("provider", "model"),
    [("openai", "gpt-4o-mini"), ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo")],
)
def test_one_model(published: Published, ours: Client, provider: str, model: str) -> None:
    theirs = published.call("get_model_info", provider, model)
    info = ours.get_model_info(provider, model)
    assert info.raw == theirs
    assert info.name == theirs["modelName"]
    assert info.input_price_per_1k == Decimal(str(theirs["inputPricePer1KTokens"]))
    assert info.output_price_per_1k == Decimal(str(theirs["outputPricePer1KTokens"]))


def test_usage_is_the_same_for_both(published: Published, ours: Client) -> None:
    """Both calls have the same account, and reading the report costs nothing."""
    before = ours.get_usage()
    assert published.call("get_usage") == before
    theirs = published.call("chat", MESSAGES)
    middle = ours.get_usage()
    ours.chat(MESSAGES)
    after = ours.get_usage()
    assert published.call("get_usage") == after
    for old, new in ((before, middle), (middle, after)):
        assert new["total_requests"] - old["total_requests"] == 1
        assert new["total_tokens"]["total"] - old["total_tokens"]["total"] == theirs["usage"]["tokens_total"]
        assert new["total_cost"] - old["total_cost"] == pytest.approx(theirs["usage"]["cost"], rel=1e-6)


@pytest.mark.parametrize(
    ("name", "args", "options"),
    [
        ("get_model_info", ["openai", "no-such-model"], {}),
        ("chat", [MESSAGES], {"model": "openai/no-such-model"}),
        ("chat", [MESSAGES], {"max_tokens": -1}),
        ("chat", [MESSAGES], {"model": "openai/dall-e-3"}),
        ("images", ["A city"], {"size": "1x1"}),
    ],
)
def test_who_catches_their_errors_catches_ours(
    published: Published, ours: Client, name: str, args: list[Any], options: dict[str, Any]
) -> None:
    with pytest.raises(PublishedError) as theirs:
        published.call(name, *args, **options)
    with pytest.raises(getattr(indoxrouter, theirs.value.name)):
        getattr(ours, name)(*args, **options)


def test_both_outlive_their_token(router: Sandbox, published: Published, ours: Client) -> None:
    asked = published.call("chat", MESSAGES)["data"]
    assert ours.chat(MESSAGES).data == asked
    router.fault(path="chat/completions", expire=True)
    assert published.call("chat", MESSAGES)["data"] == asked
    router.fault(path="chat/completions", expire=True)
    assert ours.chat(MESSAGES).data == asked


def test_the_connection_is_told_of_under_the_same_keys(published: Published, ours: Client) -> None:
    theirs = published.call("test_connection")
    found = ours.test_connection()
    assert found.keys() == theirs.keys()
    assert found["status"] == theirs["status"] == "connected"


@pytest.mark.parametrize(
    ("endpoint", "body", "valid"),
    [
        ("chat/completions", {"messages": MESSAGES, "model": MODEL}, True),
        ("chat/completions", {"messages": [], "model": MODEL}, False),
        ("chat/completions", {"messages": [{"role": "user"}], "model": MODEL}, False),
        ("chat/completions", {"messages": MESSAGES, "model": 4}, False),
        ("completions", {"prompt": "Once", "model": MODEL}, True),
        ("completions", {"model": MODEL}, False),
        ("completions", {"prompt": "Once"}, True),
    ],
)
def test_diagnoses_agree(published: Published, ours: Client, endpoint: str, body: dict[str, Any], valid: bool) -> None:
    theirs = published.call("diagnose_request", endpoint, body)
    diagnosis = ours.diagnose_request(endpoint, body)
    assert diagnosis.keys() == theirs.keys()
    assert diagnosis["is_valid"] == theirs["is_valid"] == valid
    assert len(diagnosis["issues"]) == len(theirs["issues"])
    assert len(diagnosis["warnings"]) == len(theirs["warnings"])
    assert diagnosis["data"] == theirs["data"]


def test_a_refused_key(router: Sandbox, published_folder: Path) -> None:
    with Published(published_folder, "not-the-key", router.origin) as refused:
        assert refused.refusal == "AuthenticationError"
    with Client("not-the-key", router.origin) as client, pytest.raises(indoxrouter.AuthenticationError):
        client.models()


def same_envelope(theirs: dict[str, Any], answer: Any) -> None:
    for name in ("model", "provider", "success", "message"):
        assert answer[name] == theirs[name]
    for name in ("tokens_prompt", "tokens_completion", "tokens_total", "cost", "cost_breakdown"):
        assert answer.usage[name] == theirs["usage"][name]
    assert answer.raw.keys() == theirs.keys()
