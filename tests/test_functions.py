"""Every use that the reference shows for functions in LiteLLM's style, on both dialects."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import inspect
import json
import multiprocessing
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from recorder import Recorder

from indoxrouter import (
    ConfigurationError,
    IndoxRouterError,
    ModelNotFoundError,
    NetworkError,
    ValidationError,
    function_calls,
)
from indoxrouter.exceptions import (
    AuthenticationError,
    BadRequestError,
    ContextWindowExceededError,
    InternalServerError,
    RateLimitError,
    ServiceUnavailableError,
    Timeout,
)
from indoxrouter.functions import (
    acompletion,
    aembedding,
    aimage_generation,
    batch_completion,
    completion,
    completion_cost,
    disable_cache,
    embedding,
    enable_cache,
    image_generation,
    speech,
    text_completion,
    transcription,
)
from indoxrouter.sandbox import Sandbox

MODEL = "gpt-3.5-turbo"
HELLO = [{"role": "user", "content": "Hello world"}]
PATH = "*chat/completions"


class Server(NamedTuple):
    """The sandbox, and what leads to it in one of its two dialects."""

    sandbox: Sandbox
    hosted: bool
    url: str
    options: dict[str, Any]
    """The same by arguments."""

    @property
    def sent(self) -> int:
        counted: dict[str, int] = self.sandbox.stats()["requests"]
        return sum(count for path, count in counted.items() if "auth/" not in path)


@pytest.fixture(params=["indox", "openai"])
def server(request: pytest.FixtureRequest, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Server:
    """One that the environment leads to."""
    hosted = request.param == "indox"
    url = sandbox.url if hosted else sandbox.openai_url
    prefix = "INDOX_ROUTER" if hosted else "OPENAI"
    for name, value in (("API_KEY", sandbox.api_key), ("BASE_URL", url)):
        monkeypatch.setenv(f"{prefix}_{name}", value)
    own = {"api_key": sandbox.api_key, "base_url": url, "dialect": request.param}
    return Server(sandbox, hosted, url, own)


@pytest.fixture(autouse=True)
def _no_cache_and_no_openai_variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    yield
    disable_cache()


# --- the uses of the reference


def test_basic_completion(server: Server) -> None:
    response = completion(model=MODEL, messages=HELLO)
    assert "Hello world" in str(response.choices[0].message.content)
    assert response["choices"][0]["message"]["content"] == response.choices[0].message.content
    assert response.choices[0].finish_reason == "stop"
    assert response.usage is not None
    assert response.usage.total_tokens == response["usage"]["total_tokens"] > 0
    assert {"id", "object", "created", "model", "choices", "usage"} <= set(response)


def test_streaming_completion(server: Server) -> None:
    response = completion(model=MODEL, messages=[{"role": "user", "content": "Tell me a story"}], stream=True)
    pieces = [chunk.choices[0].delta.content for chunk in response]
    assert "Tell me a story" in "".join(piece or "" for piece in pieces)


def test_embedding(server: Server) -> None:
    response = embedding(model="text-embedding-ada-002", input=["Hello world", "How are you?"])
    assert len(response.data) == 2
    assert response.data[0].embedding == response.data[0]["embedding"]
    assert len(response.data[0].embedding) == 1536
    short = embedding("text-embedding-3-small", "Hello", dimensions=8, encoding_format="float", timeout=600)
    assert len(short.data[0].embedding) == 8


def test_image_generation(server: Server) -> None:
    response = image_generation(
        model="openai/dall-e-3", prompt="A city", n=1, size="1024x1024", quality="standard", style="vivid"
    )
    assert str(response.data[0].url).startswith("http")


def test_text_completion(server: Server) -> None:
    answer = text_completion("Once upon a time", "openai/gpt-3.5-turbo-instruct", max_tokens=20)
    assert answer.choices[0].text  # type: ignore[union-attr] # no stream was asked for
    stream = text_completion(prompt="Once upon a time", model="openai/gpt-3.5-turbo-instruct", stream=True)
    assert "Once upon a time" in "".join(chunk.choices[0].text for chunk in stream)  # type: ignore[union-attr]


def test_speech_and_transcription(sandbox: Sandbox, tmp_path: Path) -> None:
    server = {"api_key": sandbox.api_key, "base_url": sandbox.openai_url}
    spoken = speech(model="openai/tts-1", input="Good morning", voice="alloy", **server)
    spoken.stream_to_file(tmp_path / "morning.wav")
    heard = transcription(model="openai/whisper-1", file=tmp_path / "morning.wav", **server)
    assert "good morning" in heard.text.lower()


def test_asyncio(server: Server) -> None:
    async def main() -> None:
        response = await acompletion(model=MODEL, messages=HELLO)
        assert "Hello world" in str(response.choices[0].message.content)
        stream = await acompletion(MODEL, HELLO, stream=True)
        assert "Hello world" in "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        vectors = await aembedding(model="text-embedding-ada-002", input=["Hello"])
        assert vectors.data[0].embedding
        assert (await aimage_generation(prompt="A city", model="openai/dall-e-3")).data[0].url
        with pytest.raises(ModelNotFoundError):
            await acompletion("openai/nope", HELLO)

    for _ in range(2):  # each run has an event loop of its own, and the client is the same
        asyncio.run(main(), debug=True)
    gc.collect()


def test_function_calling(server: Server) -> None:
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
    forced = {"type": "function", "function": {"name": "get_weather"}}
    response = completion(MODEL, HELLO, tools=[tool], tool_choice=forced)
    calls = response.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls] == ["get_weather"]


def test_parameters_are_passed_on(server: Server) -> None:
    response = completion(MODEL, HELLO, temperature=0, max_tokens=3, n=2, user="me", seed=3)
    assert [choice.finish_reason for choice in response.choices] == ["length", "length"]


# --- errors, retries, fallbacks, limits


def test_rate_limits(server: Server) -> None:
    server.sandbox.fault(path=PATH, status=429, retry_after=0.01)
    with pytest.raises(RateLimitError):
        completion(MODEL, HELLO, timeout=30, max_retries=0)


def test_other_errors(server: Server) -> None:
    too_long = {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}
    for order, kind in (
        ({"status": 400, "body": {"error": too_long}}, ContextWindowExceededError),
        ({"status": 400}, BadRequestError),
        ({"status": 500}, InternalServerError),
    ):
        server.sandbox.fault(path=PATH, **order)
        with pytest.raises(kind):
            completion(MODEL, HELLO, max_retries=0)
    with pytest.raises(AuthenticationError):
        completion(MODEL, HELLO, **{**server.options, "api_key": "sk-wrong"})


def test_errors_leave_without_frames_that_hold_prompts(server: Server) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        completion("openai/nope", HELLO)
    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    ours = [frame for frame in frames if frame.f_globals["__name__"].startswith("indoxrouter")]
    assert ours
    assert all(not {"messages", "params", "args", "kwargs", "call"} & set(frame.f_locals) for frame in ours)


@pytest.mark.parametrize("name", ["max_retries", "num_retries", "retries"])
def test_retries(server: Server, name: str) -> None:
    more: dict[str, Any] = {name: 3}
    none: dict[str, Any] = {name: 0}
    server.sandbox.fault(path=PATH, status=503, retry_after=0.01, times=3)
    response = completion(MODEL, HELLO, **more)
    assert [attempt.status for attempt in response.attempts] == [503, 503, 503, 200]
    server.sandbox.fault(path=PATH, status=503, retry_after=0.01)
    with pytest.raises(ServiceUnavailableError):
        completion(MODEL, HELLO, **none)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_fallbacks(server: Server, stream: bool) -> None:
    server.sandbox.fault(path=PATH, status=503, retry_after=0.01, times=2)
    answer: Any = completion(
        MODEL, HELLO, max_retries=1, fallbacks=["openai/gpt-4o", "anthropic/claude-3-opus"], stream=stream
    )
    response = answer.response() if stream else answer
    assert [attempt.model for attempt in response.attempts] == [MODEL, MODEL, "openai/gpt-4o"]
    assert response.model == "openai/gpt-4o"


def test_timeouts(server: Server) -> None:
    completion(MODEL, HELLO, timeout=120)
    server.sandbox.fault(path=PATH, delay=5)
    with pytest.raises(Timeout):
        completion(MODEL, HELLO, timeout=0.2, max_retries=0)
    server.sandbox.fault(path=PATH, delay=5)
    with pytest.raises(Timeout) as caught:
        completion(MODEL, HELLO, request_timeout=0.3, max_retries=1)
    assert [attempt.status for attempt in caught.value.attempts] == [None, 409]  # the first still runs there


def test_what_only_litellm_itself_understands_is_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    with Recorder() as recorder:
        completion(MODEL, HELLO, drop_params=True, api_version="2", seed=3, base_url=f"{recorder.origin}/api/v1")
        body = recorder.take()[-1].body
    assert "seed" in str(body)
    assert "drop_params" not in str(body)
    assert "api_version" not in str(body)
    assert sorted(message.split()[0] for message in caplog.messages) == ["api_version", "drop_params"]


def test_one_option_has_one_value(server: Server) -> None:
    for double in (
        {"api_base": server.url, "base_url": server.url},
        {"num_retries": 1, "retries": 2},
        {"num_retries": 1, "max_retries": 2},
        {"fallbacks": ["a/b"], "fallback_models": ["a/b"]},
    ):
        with pytest.raises(ValidationError, match="same option"):
            completion(MODEL, HELLO, **double)
    assert server.sent == 0


# --- the server


def test_the_arguments_name_the_server(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INDOX_ROUTER_API_KEY", "INDOX_ROUTER_BASE_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    assert completion(MODEL, HELLO, **server.options).choices
    options = {**server.options, "api_base": server.url}
    del options["base_url"]
    assert completion(MODEL, HELLO, **options).choices
    with pytest.raises(AuthenticationError, match="INDOX_ROUTER_API_KEY"):
        completion(MODEL, HELLO)


def test_the_environment_is_looked_at_each_time(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    completion(MODEL, HELLO)
    prefix = "INDOX_ROUTER" if server.hosted else "OPENAI"
    monkeypatch.setenv(f"{prefix}_API_KEY", "sk-wrong")
    with pytest.raises(AuthenticationError):
        completion(MODEL, HELLO)
    monkeypatch.delenv(f"{prefix}_API_KEY")
    (tmp_path / ".env").write_text(f"{prefix}_API_KEY={server.sandbox.api_key}\n")
    assert completion(MODEL, HELLO).choices
    (tmp_path / ".env").write_text(f"{prefix}_API_KEY=sk-wrong-too\n")
    with pytest.raises(AuthenticationError):
        completion(MODEL, HELLO)


def test_a_proxy_that_the_environment_names_later(monkeypatch: pytest.MonkeyPatch) -> None:
    far: dict[str, Any] = {"base_url": "http://router.invalid/api/v1", "api_key": "EMPTY"}
    with pytest.raises(NetworkError):
        completion(MODEL, HELLO, max_retries=0, **far)
    with Recorder() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.origin)
        assert completion(MODEL, HELLO, **far).choices[0].message.content == "Yes"
        assert proxy.take()[-1].headers["host"] == "router.invalid"


def test_one_login_serves_all_calls_of_all_threads(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox() as fresh:
        monkeypatch.setenv("INDOX_ROUTER_API_KEY", fresh.api_key)
        monkeypatch.setenv("INDOX_ROUTER_BASE_URL", fresh.url)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(completion, MODEL, [{"role": "user", "content": f"number {n}"}]) for n in range(24)]
            answers = [call.result() for call in asked]
        completion(MODEL, HELLO, api_key=fresh.api_key)  # the same key by another way
        embedding("text-embedding-ada-002", "Hello")
        logins = {path: count for path, count in fresh.stats()["requests"].items() if "auth/" in path}
    assert all(f'"number {n}"' in str(answer.choices[0].message.content) for n, answer in enumerate(answers))
    assert list(logins.values()) == [1]


def test_facades_are_bounded(server: Server) -> None:
    for n in range(2 * function_calls.Shared.ROOM):
        completion(MODEL, HELLO, api_key=f"key-{n}", mock_response="yes")
    assert len(function_calls._facades._made) == function_calls.Shared.ROOM
    assert completion(MODEL, HELLO).choices
    gc.collect()


def test_functions_go_to_other_processes(sandbox: Sandbox) -> None:
    mine = completion(MODEL, HELLO, api_key=sandbox.api_key, base_url=sandbox.openai_url)
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        asked = pool.submit(completion, MODEL, HELLO, api_key=sandbox.api_key, base_url=sandbox.openai_url)
        assert asked.result().choices == mine.choices


# --- batches


def test_batches_keep_their_order_and_errors_their_place(server: Server) -> None:
    conversations: list[Any] = [[{"role": "user", "content": f"number {n}"}] for n in range(10)]
    conversations[3] = []
    answers = batch_completion(model=MODEL, messages=conversations, max_workers=4, max_tokens=60)
    assert len(answers) == 10
    assert isinstance(answers[3], ValidationError)
    for n, answer in enumerate(answers):
        if n != 3:
            assert not isinstance(answer, IndoxRouterError)
            assert f'"number {n}"' in str(answer.choices[0].message.content)
    assert batch_completion(MODEL, []) == []
    assert all(isinstance(error, ModelNotFoundError) for error in batch_completion("openai/nope", [HELLO, HELLO]))


# --- mock answers


def test_mock_answers_need_no_server_and_no_key() -> None:
    response = completion(model=MODEL, messages=HELLO, mock_response="It's simple")
    assert response.choices[0].message.content == "It's simple"
    assert response.model == MODEL
    stream = completion(model=MODEL, messages=HELLO, mock_response="It's simple", stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "It's simple"

    async def main() -> str | None:
        return (await acompletion(model=MODEL, messages=HELLO, mock_response="yes")).choices[0].message.content

    assert asyncio.run(main()) == "yes"


def test_mock_answers_send_nothing(server: Server) -> None:
    server.sandbox.reset_stats()
    assert completion(MODEL, HELLO, mock_response="yes").choices[0].message.content == "yes"
    with pytest.raises(RateLimitError, match="slow down"):
        completion(MODEL, HELLO, mock_response=RateLimitError("slow down"))
    assert server.sandbox.stats()["requests"] == {}


def test_mock_timeouts(server: Server) -> None:
    server.sandbox.reset_stats()
    begun = time.monotonic()
    with pytest.raises(Timeout, match="mock_timeout") as caught:
        completion(MODEL, HELLO, mock_timeout=True, timeout=0.2)
    assert 0.2 <= time.monotonic() - begun < 2
    assert caught.value.outcome == "not_sent"
    with pytest.raises(Timeout):
        asyncio.run(acompletion(MODEL, HELLO, mock_timeout=True, timeout=0.01))
    assert server.sandbox.stats()["requests"] == {}


# --- the cache


def test_the_cache_answers_identical_requests(server: Server) -> None:
    store: dict[str, Any] = {}
    enable_cache(store)
    server.sandbox.reset_stats()
    first, second = completion(MODEL, HELLO), completion(MODEL, HELLO)
    assert second.choices == first.choices
    assert (first.cached, second.cached) == (False, True)
    assert server.sent == 1
    assert not completion(MODEL, HELLO, temperature=0.5).cached
    assert not completion(MODEL, HELLO, caching=False).cached
    assert asyncio.run(acompletion(MODEL, HELLO)).cached
    vectors = [embedding("text-embedding-ada-002", "Hello") for _ in range(2)]
    assert [each.cached for each in vectors] == [False, True]
    assert vectors[0].data == vectors[1].data
    assert store
    assert server.sandbox.api_key not in json.dumps([*store], default=str) + json.dumps([*store.values()], default=str)
    disable_cache()
    assert not completion(MODEL, HELLO).cached


def test_streams_come_from_the_cache_too(server: Server) -> None:
    enable_cache({})
    said = completion(MODEL, HELLO).choices[0].message.content
    server.sandbox.reset_stats()
    stream = completion(MODEL, HELLO, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == said
    assert stream.response().cached
    assert server.sent == 0


def test_enabling_without_a_cache_and_asking_for_it_once(server: Server) -> None:
    question = [{"role": "user", "content": f"once only, {server.url}"}]
    assert not completion(MODEL, question, caching=True).cached
    assert completion(MODEL, question, caching=True).cached
    assert not completion(MODEL, question).cached
    enable_cache()
    assert completion(MODEL, question).cached


def test_errors_are_not_cached(server: Server) -> None:
    enable_cache({})
    server.sandbox.fault(path=PATH, status=500)
    with pytest.raises(InternalServerError):
        completion(MODEL, HELLO, max_retries=0)
    assert not completion(MODEL, HELLO).cached


def test_the_own_cache_is_bounded() -> None:
    cache = function_calls._Bounded()
    for n in range(cache.ROOM + 10):
        cache[str(n)] = n
    assert len(cache) == cache.ROOM
    assert cache.get("9") is None
    assert cache.get("10") == 10


def test_what_is_no_cache_is_refused(server: Server) -> None:
    enable_cache([])  # type: ignore[arg-type] # what it must refuse
    with pytest.raises(ConfigurationError, match="cache"):
        completion(MODEL, HELLO)


# --- costs


def test_costs_as_the_server_tells_them(server: Server) -> None:
    response = completion(MODEL, HELLO)
    if server.hosted:
        assert completion_cost(completion_response=response) == response.cost > 0  # type: ignore[operator]
    else:
        with pytest.raises(ValidationError, match="input_cost_per_token"):
            completion_cost(completion_response=response)


def test_costs_at_own_prices(server: Server) -> None:
    response = completion(MODEL, HELLO, input_cost_per_token=0.1, output_cost_per_token=0.2)
    usage = response.usage
    assert usage is not None
    expected = (usage["prompt_tokens"] + 2 * usage["completion_tokens"]) / 10
    assert completion_cost(response) == response.cost == usage["cost"] == expected
    plain = completion(MODEL, HELLO)
    assert completion_cost(plain, input_cost_per_token=0.1, output_cost_per_token=0.2) == expected
    assert completion_cost(plain.to_dict(), 0.1, 0.2) == expected
    with pytest.raises(ValidationError, match="not known"):
        completion_cost(plain, input_cost_per_token=0.1)
    stream = completion(MODEL, HELLO, stream=True, input_cost_per_token=0.1, output_cost_per_token=0.2)
    assert stream.response().cost == expected
    vectors = embedding("text-embedding-ada-002", "Hello", input_cost_per_token=0.5)
    assert vectors.usage is not None
    assert vectors.cost == vectors.usage["prompt_tokens"] / 2


def test_costs_of_an_answer_without_usage() -> None:
    for answer in ({"usage": None}, {}, {"usage": {"prompt_tokens": None}}):
        with pytest.raises(ValidationError, match="not known"):
            completion_cost(answer, 0.1, 0.2)


def test_the_signature_names_what_the_reference_names() -> None:
    names = {"model", "messages", "temperature", "max_tokens", "stream", "tools", "tool_choice", "timeout", "api_key"}
    names |= {"base_url", "api_base", "fallbacks", "num_retries", "max_retries", "mock_response", "mock_timeout"}
    names |= {"caching", "input_cost_per_token", "output_cost_per_token"}
    for function in (completion, acompletion):
        assert names <= set(inspect.signature(function).parameters)
    assert inspect.iscoroutinefunction(acompletion)
