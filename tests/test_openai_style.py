"""Every use that the references show for a client in OpenAI's style, on both clients and both dialects."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import json
import pickle
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydantic
import pytest
from hypothesis import HealthCheck, given, settings, strategies
from raw_server import RawServer, head, ok
from recorder import Recorder

from indoxrouter import (
    APIError,
    APITimeoutError,
    AuthenticationError,
    ConfigurationError,
    ContextWindowExceededError,
    IndoxRouterError,
    InvalidRequestError,
    ModelNotFoundError,
    RateLimitError,
    ServiceUnavailableError,
    StreamError,
    ValidationError,
)
from indoxrouter.core.assembly import Assembly
from indoxrouter.openai_asks import chat_ask, text_ask
from indoxrouter.openai_facade import AsyncOpenAI, ChatCompletionChunk, ChatCompletionResponse, Message, OpenAI
from indoxrouter.openai_streams import AsyncPage, AsyncStream
from indoxrouter.openai_types import ModelObject
from indoxrouter.sandbox import Sandbox
from indoxrouter.wire import decode, openai_compat
from indoxrouter.wire.chunks import EventReader
from indoxrouter.wire.failures import Origin
from indoxrouter.wire.messages import Result

MODEL = "openai/gpt-4o-mini"
HELLO = [{"role": "user", "content": "Hello, how are you?"}]
WEATHER = [{"role": "user", "content": "What's the weather in NYC?"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get current weather",
        "parameters": {
            "type": "object",
            "properties": {
                "location": {"type": "string"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["location"],
        },
    },
}
FORCED = {"type": "function", "function": {"name": "get_weather"}}
STYLES = ("sync-indox", "sync-openai", "async-indox", "async-openai")


class Waiting:
    """An AsyncOpenAI, or a resource of one, whose methods wait: one test text for both clients."""

    def __init__(self, target: Any, runner: asyncio.Runner) -> None:
        self._target = target
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if inspect.isroutine(found):
            return lambda *args, **params: self._settled(found(*args, **params))
        return Waiting(found, self._runner) if type(found).__module__ == "indoxrouter.openai_async" else found

    def _settled(self, answer: Any) -> Any:
        if inspect.iscoroutine(answer):
            answer = self._runner.run(answer)
        elif isinstance(answer, AsyncPage):
            answer = self._runner.run(_page(answer))
        return WaitingStream(answer, self._runner) if isinstance(answer, AsyncStream) else answer

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def _page(page: AsyncPage[Any]) -> Any:
    iterated = [entry async for entry in page]
    awaited = await page
    assert iterated == awaited.data
    return awaited


class WaitingStream(Waiting):
    """An AsyncStream that waits."""

    def __iter__(self) -> WaitingStream:
        return self

    def __next__(self) -> Any:
        try:
            return self._runner.run(_next(self._target))
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self) -> WaitingStream:
        return self


async def _next(stream: Any) -> Any:
    return await anext(stream)


class Style:
    """One of the four ways to the sandbox."""

    def __init__(self, name: str, sandbox: Sandbox, runner: asyncio.Runner) -> None:
        self.asynchronous, self.hosted = name.startswith("async"), name.endswith("indox")
        self.sandbox = sandbox
        self.url = sandbox.url if self.hosted else sandbox.openai_url
        self.variables = ("INDOX_ROUTER_API_KEY", "INDOX_ROUTER_BASE_URL") if self.hosted else (
            "OPENAI_API_KEY",
            "OPENAI_BASE_URL",
        )  # fmt: skip
        self._runner = runner

    def open(self, *args: Any, **settings: Any) -> Any:
        """A client; where it is to talk to, the test or the environment says."""
        return Waiting(AsyncOpenAI(*args, **settings), self._runner) if self.asynchronous else OpenAI(*args, **settings)

    def client(self, **settings: Any) -> Any:
        own: dict[str, Any] = {"api_key": self.sandbox.api_key, "base_url": self.url}
        own |= {"dialect": "indox"} if self.hosted else {}
        return self.open(**{**own, **settings})


@pytest.fixture(params=STYLES)
def style(request: pytest.FixtureRequest, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Style]:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with asyncio.Runner(debug=True) as runner:
        yield Style(request.param, sandbox, runner)


@pytest.fixture
def client(style: Style) -> Iterator[Any]:
    with style.client() as client:
        yield client


# --- chat


def test_basic_use(client: Any) -> None:
    response = client.chat.completions.create(model=MODEL, messages=HELLO)
    message = response.choices[0].message
    assert "Hello, how are you?" in message.content
    assert message["content"] == message.content == response["choices"][0]["message"]["content"]
    assert message.role == "assistant"
    assert message.get("tool_calls") is None
    assert message.tool_calls is None
    assert response.object == "chat.completion"
    assert response.id.startswith("chatcmpl-")
    assert response.model == MODEL
    assert abs(response.created - time.time()) < 60
    assert isinstance(response.created, int)
    assert response.choices[0].finish_reason == "stop"
    assert response.choices[0].index == 0
    assert response.system_fingerprint == "fp_sandbox"
    assert response.usage["total_tokens"] == response.usage.prompt_tokens + response.usage.completion_tokens > 0
    assert response.request_id == response._request_id != response.id
    assert not response.cached
    assert [attempt.model for attempt in response.attempts] == [MODEL]


def test_positional_as_the_signature_shows(client: Any) -> None:
    assert client.chat.completions.create(HELLO, MODEL).choices[0].message.content


def test_the_cost_is_shown_where_it_is_known(client: Any, style: Style) -> None:
    response = client.chat.completions.create(HELLO, MODEL)
    if style.hosted:
        assert response.cost == response.usage.cost == response.usage["cost"] > 0
    else:
        assert response.cost is None
        assert "cost" not in response.usage


def test_answers_are_plain_data_too(client: Any) -> None:
    response = client.chat.completions.create(HELLO, MODEL)
    plain = response.model_dump()
    assert type(plain) is type(plain["choices"][0]) is type(plain["choices"][0]["message"]) is dict
    assert plain == response == response.to_dict() == json.loads(json.dumps(response))
    assert json.loads(response.model_dump_json()) == plain
    assert "tool_calls" not in response.choices[0].message.model_dump(exclude_none=True)
    for again in (copy.deepcopy(response), pickle.loads(pickle.dumps(response))):
        assert again == response
        assert again.choices[0].message.content == response.choices[0].message.content
        assert again.request_id == response.request_id


def test_an_attribute_that_is_set_is_a_key(client: Any) -> None:
    message = client.chat.completions.create(HELLO, MODEL).choices[0].message
    message.content = "mended"
    assert message["content"] == "mended"
    with pytest.raises(AttributeError, match="nonsense"):
        _ = message.nonsense
    assert {"content", "tool_calls", "role"} <= set(dir(message))


def test_streaming(client: Any) -> None:
    whole = client.chat.completions.create(HELLO, MODEL)
    stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    pieces, chunks = [], []
    for chunk in stream:
        chunks.append(chunk)
        if chunk.choices[0].delta.get("content"):
            pieces.append(chunk.choices[0].delta["content"])
    assert "".join(pieces) == whole.choices[0].message.content
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == len({chunk.created for chunk in chunks}) == 1
    assert {chunk.model for chunk in chunks} == {MODEL}
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert all(chunk.usage is None for chunk in chunks)
    assert stream.state == "complete"
    response = stream.response()
    assert response.choices[0].message.content == "".join(pieces)
    assert response.object == "chat.completion"
    assert response.usage.total_tokens == whole.usage.total_tokens
    assert stream.request_id == response.request_id


def test_the_usage_of_a_stream_comes_last_if_it_is_asked_for(client: Any, style: Style) -> None:
    options = {"include_usage": True}
    chunks = list(client.chat.completions.create(HELLO, MODEL, stream=True, stream_options=options))
    assert [bool(chunk.choices) for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
    assert [chunk.usage is None for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
    usage = chunks[-1].usage
    assert usage.total_tokens == usage.prompt_tokens + usage["completion_tokens"] > 0
    assert (usage.cost is not None) == style.hosted
    assert chunks[-1].id == chunks[0].id


def test_a_stream_is_closed_by_its_block(client: Any, style: Style) -> None:
    with client.chat.completions.create(HELLO, MODEL, stream=True) as stream:
        assert next(iter(stream)).choices[0].delta.role == "assistant"
    assert stream.state == "cancelled"
    assert list(stream) == []
    with pytest.raises(StreamError):
        stream.response()


def test_a_stream_that_breaks_keeps_what_came(client: Any, style: Style) -> None:
    style.sandbox.fault(path="*chat/completions", cut=1500)
    stream = client.chat.completions.create(HELLO, MODEL, stream=True)
    pieces = []
    with pytest.raises(StreamError) as caught:
        pieces += [chunk.choices[0].delta.get("content") or "" for chunk in stream]
    assert caught.value.partial
    assert stream.state == "truncated"


def test_several_completions(client: Any) -> None:
    messages = [{"role": "user", "content": "Give me a creative name"}]
    response = client.chat.completions.create(model=MODEL, messages=messages, n=3, temperature=0.9)
    names = [choice.message["content"] for choice in response.choices]
    assert len(set(names)) == 3
    assert [choice.index for choice in response.choices] == [0, 1, 2]
    assert all(choice.finish_reason == "stop" for choice in response.choices)
    stream = client.chat.completions.create(model=MODEL, messages=messages, n=3, stream=True)
    streamed = ["", "", ""]
    for chunk in stream:
        streamed[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert streamed == names
    assert [choice.message.content for choice in stream.response().choices] == names


def test_multimodal_messages(client: Any) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/image.jpg", "detail": "high"}}
    audio = {"type": "audio_url", "audio_url": {"url": "https://example.com/audio.mp3"}}
    for part in (image, audio):
        messages = [{"role": "user", "content": [{"type": "text", "text": "What's in this?"}, part]}]
        response = client.chat.completions.create(model=MODEL, messages=messages)
        assert "What's in this?" in response.choices[0].message.content
        assert part["type"] in response.choices[0].message.content


@pytest.mark.parametrize("choice", ["auto", "required", FORCED], ids=["auto", "required", "named"])
def test_function_calling(client: Any, choice: Any) -> None:
    response = client.chat.completions.create(model=MODEL, messages=WEATHER, tools=[TOOL], tool_choice=choice)
    message = response.choices[0].message
    assert message.get("tool_calls")
    call = message["tool_calls"][0]
    assert call["function"]["name"] == call.function.name == "get_weather"
    assert call.type == "function"
    assert json.loads(call["function"]["arguments"])["location"]
    assert message.content is None
    assert response.choices[0].finish_reason in ("tool_calls", "stop")


def test_no_function_is_called_when_none_may_be(client: Any) -> None:
    response = client.chat.completions.create(model=MODEL, messages=WEATHER, tools=[TOOL], tool_choice="none")
    assert not response.choices[0].message.get("tool_calls")


def test_streamed_calls_are_merged(client: Any) -> None:
    whole = client.chat.completions.create(WEATHER, MODEL, tools=[TOOL])
    stream = client.chat.completions.create(WEATHER, MODEL, tools=[TOOL], stream=True)
    deltas = [call for chunk in stream for call in chunk.choices[0].delta.tool_calls or ()]
    assert deltas[0].function.name == "get_weather"
    assert deltas[0].index == 0
    arguments = whole.choices[0].message.tool_calls[0].function.arguments
    assert "".join(delta.function.arguments for delta in deltas) == arguments
    merged = stream.response().choices[0].message.tool_calls
    assert [call.function.arguments for call in merged] == [arguments]


def test_function_results(client: Any) -> None:
    messages: list[Any] = list(WEATHER)
    message = client.chat.completions.create(messages, MODEL, tools=[TOOL]).choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": '{"temperature": 22}'}
    messages += [message, result]
    response = client.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL])
    assert '{"temperature": 22}' in response.choices[0].message.content


def test_documented_function_results(client: Any) -> None:
    call = {"id": "call_123", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    messages = [
        *WEATHER,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_123", "content": "sunny"},
    ]
    assert "sunny" in client.chat.completions.create(messages, MODEL).choices[0].message["content"]


def test_multi_turn_conversations(client: Any) -> None:
    messages: list[Any] = [{"role": "user", "content": "My name is Alice"}]
    first = client.chat.completions.create(model=MODEL, messages=messages)
    messages += [first.choices[0].message, {"role": "user", "content": "What's my name?"}]
    second = client.chat.completions.create(model=MODEL, messages=messages)
    assert "My name is Alice" in second.choices[0].message["content"]
    stream = client.chat.completions.create(model=MODEL, messages=messages, stream=True)
    messages += [stream.response().choices[0].message, {"role": "user", "content": "Thanks"}]
    assert client.chat.completions.create(model=MODEL, messages=messages).choices


def test_json_mode(client: Any) -> None:
    messages = [
        {"role": "system", "content": "Output valid JSON only"},
        {"role": "user", "content": "List 3 colors with hex codes"},
    ]
    response = client.chat.completions.create(
        model=MODEL, messages=messages, response_format={"type": "json_object"}, temperature=0
    )
    assert isinstance(json.loads(response.choices[0].message.content), dict)


def test_log_probabilities(client: Any) -> None:
    choice = client.chat.completions.create(HELLO, MODEL, logprobs=True, top_logprobs=2).choices[0]
    assert choice.logprobs.content[0].token
    assert len(choice.logprobs["content"][0]["top_logprobs"]) == 2


# --- structured answers: any class with pydantic's two methods


class Person:
    """As pydantic makes such classes."""

    def __init__(self, name: str, age: int) -> None:
        self.name, self.age = name, age

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        address = {"type": "object", "properties": {"default": {"type": "string"}}}
        properties = {
            "name": {"type": "string", "default": "nobody"},
            "age": {"type": "integer", "minimum": 18},
            "address": {"$ref": "#/$defs/Address"},
        }
        return {"type": "object", "properties": properties, "required": ["age"], "$defs": {"Address": address}}

    @classmethod
    def model_validate_json(cls, written: str) -> Person:
        found = json.loads(written)
        return cls(found["name"], found["age"])


class Demanding(Person):
    """Nothing fits it."""

    @classmethod
    def model_validate_json(cls, written: str) -> Person:
        raise ValueError(f"{len(written)} characters are too few")


class City(pydantic.BaseModel):
    """A class of pydantic itself."""

    name: str
    residents: int = pydantic.Field(ge=1)
    twins: list[str] = []


def test_a_class_of_pydantic_itself(client: Any) -> None:
    response = client.chat.completions.create(HELLO, MODEL, response_format=City)
    city = response.choices[0].message.parsed
    assert isinstance(city, City)
    assert city == City.model_validate_json(response.choices[0].message.content)


def test_an_answer_that_did_not_fit_is_not_asked_of_the_cache_again() -> None:
    texts = iter(["no city", '{"name": "Ulm", "residents": 1, "twins": []}'])
    with RawServer(lambda _: [ok({"choices": [{"message": {"content": next(texts)}}]})]) as server:
        with OpenAI(api_key="EMPTY", base_url=server.url, cache={}) as client:
            with pytest.raises(APIError) as caught:
                client.chat.completions.create(HELLO, MODEL, response_format=City)
            assert caught.value.partial == "no city"
            found = client.chat.completions.create(HELLO, MODEL, response_format=City)
    assert found.choices[0].message.parsed == City(name="Ulm", residents=1)


def test_a_model_class_parses_the_answer(client: Any) -> None:
    messages = [{"role": "user", "content": "John Doe, 30 years old"}]
    for ask in (client.chat.completions.create, client.chat.completions.parse):
        message = ask(messages=messages, model=MODEL, response_format=Person).choices[0].message
        assert isinstance(message.parsed, Person)
        assert message.parsed.age >= 18
        assert "parsed" not in message
        again = [*messages, message, {"role": "user", "content": "And Jane?"}]
        assert client.chat.completions.create(again, MODEL).choices
    stream = client.chat.completions.create(messages, MODEL, response_format=Person, stream=True)
    assert isinstance(stream.response().choices[0].message.parsed, Person)
    several = client.chat.completions.create(messages, MODEL, response_format=Person, n=2)
    assert all(isinstance(choice.message.parsed, Person) for choice in several.choices)
    assert client.chat.completions.create(messages, MODEL).choices[0].message.parsed is None


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_what_does_not_fit_is_an_error_that_keeps_it(client: Any, stream: bool) -> None:
    def ask() -> Any:
        answer = client.chat.completions.create(HELLO, MODEL, response_format=Demanding, stream=stream)
        return answer.response() if stream else answer

    with pytest.raises(APIError, match="no Demanding") as caught:
        ask()
    error = caught.value
    assert error.code == "response_mismatch"
    assert json.loads(error.partial or "")["age"] >= 18
    assert "too few" in error.details["problem"]
    assert error.details["response"]["choices"][0]["message"]["content"] == error.partial
    assert error.request_id
    assert error.outcome == "done"
    assert error.attempts


def test_an_answer_that_was_cut_off_is_a_mismatch_too(client: Any) -> None:
    with pytest.raises(APIError, match="'length'") as caught:
        client.chat.completions.create(HELLO, MODEL, response_format=Person, max_tokens=2)
    assert caught.value.partial


def test_a_tool_call_is_not_parsed(client: Any) -> None:
    response = client.chat.completions.create(WEATHER, MODEL, response_format=Person, tools=[TOOL], tool_choice=FORCED)
    assert response.choices[0].message.parsed is None
    assert response.choices[0].message.tool_calls


def test_the_schema_is_sent_in_its_strict_form(style: Style) -> None:
    with Recorder() as recorder, style.client(base_url=f"{recorder.origin}/api/v1") as client:
        with pytest.raises(APIError, match="no Person"):
            client.chat.completions.create(HELLO, MODEL, response_format=Person)
        body = recorder.take()[-1].body
    sent = (body["additional_params"] if style.hosted else body)["response_format"]
    schema = sent["json_schema"]["schema"]
    assert (sent["type"], sent["json_schema"]["name"], sent["json_schema"]["strict"]) == ("json_schema", "Person", True)
    assert schema["required"] == ["name", "age", "address"]
    assert schema["additionalProperties"] is False
    assert "default" not in schema["properties"]["name"]
    assert schema["$defs"]["Address"]["required"] == ["default"]


# --- what is sent

REFERENCE = [
    *("messages", "model", "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs"),
    *("max_completion_tokens", "max_tokens", "metadata", "modalities", "n", "parallel_tool_calls", "prediction"),
    *("presence_penalty", "reasoning_effort", "response_format", "seed", "service_tier", "stop", "store", "stream"),
    *("stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity"),
    *("web_search_options", "timeout", "extra_headers", "extra_body", "fallback_models", "retries", "max_retries"),
    "params",
]


def test_every_parameter_of_the_reference_is_named() -> None:
    for client in (OpenAI, AsyncOpenAI):
        resource = client("k", env_file=None).chat.completions
        assert list(inspect.signature(resource.create).parameters) == REFERENCE


def test_only_what_is_given_is_sent(style: Style) -> None:
    with Recorder() as recorder, style.client(base_url=f"{recorder.origin}/api/v1") as client:
        client.chat.completions.create(HELLO, MODEL)
        plain = recorder.take()[-1].body
        client.chat.completions.create(
            HELLO,
            MODEL,
            temperature=0,
            max_tokens=150,
            stop=["\n", "END"],
            seed=42,
            user="user-123",
            top_p=0.9,
            frequency_penalty=0.5,
            presence_penalty=0.5,
            top_k=None,
            min_p=0.1,
            extra_body={"guided": True},
            extra_headers={"X-One": "1"},
        )
        full = recorder.take()[-1]
    expected: dict[str, Any] = {"messages": HELLO, "model": MODEL}
    assert plain == ({**expected, "stream": False, "additional_params": {}} if style.hosted else expected)
    rest = {"stop": ["\n", "END"], "seed": 42, "user": "user-123", "min_p": 0.1}
    named = {"temperature": 0, "max_tokens": 150, "top_p": 0.9, "frequency_penalty": 0.5, "presence_penalty": 0.5}
    expected |= {**named, "guided": True}
    expected |= {"stream": False, "additional_params": rest} if style.hosted else rest
    assert full.body == expected
    assert full.headers["x-one"] == "1"


def test_default_headers_and_the_clients_key(style: Style) -> None:
    settings = {"default_headers": {"X-Custom-Header": "value"}, "organization": "org-1", "project": "proj-2"}
    with Recorder() as recorder:
        with style.client(base_url=f"{recorder.origin}/api/v1", api_key="sk-mine", **settings) as client:
            client.chat.completions.create(HELLO, MODEL)
        sent = recorder.take()
    assert [sent[-1].headers[f"openai-{name}"] for name in ("organization", "project")] == ["org-1", "proj-2"]
    assert sent[-1].headers["x-custom-header"] == "value"
    assert sent[-1].headers["authorization"] == ("Bearer some-token" if style.hosted else "Bearer sk-mine")


def test_a_proxy_from_the_environment(style: Style, monkeypatch: pytest.MonkeyPatch) -> None:
    with Recorder() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.origin)
        monkeypatch.setenv("http_proxy", proxy.origin)
        with style.client(base_url="http://router.invalid/api/v1", allow_insecure=True) as client:
            assert client.chat.completions.create(HELLO, MODEL).choices[0].message.content == "Yes"
        assert proxy.take()[-1].headers["host"] == "router.invalid"


# --- servers, keys, limits


def test_the_environment_names_key_and_server(style: Style, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(style.variables, (style.sandbox.api_key, style.url), strict=True):
        monkeypatch.setenv(name, value)
    with style.open() as client:
        assert client.base_url == style.url
        assert client.chat.completions.create(HELLO, MODEL).choices


def test_without_a_base_url_it_is_the_hosted_router(style: Style) -> None:
    with style.open(api_key="k") as client:
        assert client.base_url == "https://api.indoxrouter.com/v1"
    with style.open(api_key="k", base_url="https://custom-endpoint.com/v1") as client:
        assert client.base_url == "https://custom-endpoint.com/v1"
    with pytest.raises(AuthenticationError, match="INDOX_ROUTER_API_KEY"):
        style.open()
    with pytest.raises(ConfigurationError, match="base_url"):
        style.open(dialect="openai")


def test_a_given_dialect_wins(style: Style, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", style.sandbox.openai_url)
    with style.open(style.sandbox.api_key, style.sandbox.url, dialect="indox") as client:
        assert client.chat.completions.create(HELLO, MODEL).cost
    monkeypatch.setenv("INDOX_ROUTER_BASE_URL", style.sandbox.url)
    with style.open(style.sandbox.api_key, dialect="indox") as client:
        assert client.base_url == style.sandbox.url


def test_a_server_without_keys(style: Style) -> None:
    with Sandbox(openai_key_required=False) as sandbox:
        for key in ("EMPTY", None):
            with style.open(api_key=key, base_url=sandbox.openai_url, timeout=60, max_retries=3) as client:
                assert client.chat.completions.create(HELLO, MODEL).choices


def test_a_wrong_key(style: Style) -> None:
    with style.client(api_key="sk-wrong") as client, pytest.raises(AuthenticationError) as caught:
        client.chat.completions.create(HELLO, MODEL)
    assert caught.value.status_code == 401


def test_retries(client: Any, style: Style) -> None:
    style.sandbox.fault(path="*chat/completions", status=503, retry_after=0.01, times=3)
    response = client.chat.completions.create(HELLO, MODEL, retries=3)
    assert [attempt.status for attempt in response.attempts] == [503, 503, 503, 200]
    style.sandbox.fault(path="*chat/completions", status=503, retry_after=0.01, times=2)
    with pytest.raises(ServiceUnavailableError) as caught:
        client.chat.completions.create(HELLO, MODEL, max_retries=1)
    assert len(caught.value.attempts) == 2


def test_retries_of_the_client(style: Style) -> None:
    style.sandbox.fault(path="*chat/completions", status=503, retry_after=0.01)
    with style.client(max_retries=0) as client, pytest.raises(ServiceUnavailableError):
        client.chat.completions.create(HELLO, MODEL)


def test_both_names_for_retries_are_one_too_many(client: Any) -> None:
    with pytest.raises(ValidationError, match="same option"):
        client.chat.completions.create(HELLO, MODEL, retries=1, max_retries=2)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_fallback_models_after_retries(client: Any, style: Style, stream: bool) -> None:
    style.sandbox.fault(path="*chat/completions", status=503, retry_after=0.01, times=2)
    answer = client.chat.completions.create(
        model="openai/gpt-4o",
        messages=[{"role": "user", "content": "Explain quantum computing"}],
        retries=1,
        fallback_models=["anthropic/claude-3-opus", "mistral/mistral-large"],
        stream=stream,
    )
    response = answer.response() if stream else answer
    asked = [attempt.model for attempt in response.attempts]
    assert asked == ["openai/gpt-4o", "openai/gpt-4o", "anthropic/claude-3-opus"]
    assert response.model == "anthropic/claude-3-opus"


def test_an_unknown_model_falls_back(client: Any) -> None:
    response = client.chat.completions.create(HELLO, "openai/nope", fallback_models=["mistral/mistral-large"])
    assert response.model == "mistral/mistral-large"
    with pytest.raises(ModelNotFoundError):
        client.chat.completions.create(HELLO, "openai/nope")


def test_timeouts(client: Any, style: Style) -> None:
    client.models.list()
    style.sandbox.fault(path="*chat/completions", delay=5)
    begun = time.monotonic()
    with pytest.raises(APITimeoutError):
        client.chat.completions.create(HELLO, MODEL, timeout=0.2, max_retries=0)
    assert time.monotonic() - begun < 3


def test_the_timeout_of_the_client(style: Style) -> None:
    with style.client(timeout=0.3, max_retries=0) as client:
        client.models.list()
        style.sandbox.fault(path="*chat/completions", delay=5)
        with pytest.raises(APITimeoutError):
            client.chat.completions.create(HELLO, MODEL)


def test_errors_are_typed(client: Any, style: Style) -> None:
    style.sandbox.fault(path="*chat/completions", status=429, retry_after=0.5)
    with pytest.raises(RateLimitError) as limited:
        client.chat.completions.create(HELLO, MODEL, max_retries=0)
    assert (limited.value.status_code, limited.value.retry_after) == (429, 0.5)
    too_long = {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}
    style.sandbox.fault(path="*chat/completions", status=400, body={"error": too_long})
    with pytest.raises(InvalidRequestError) as refused:
        client.chat.completions.create(HELLO, MODEL)
    assert isinstance(refused.value, ContextWindowExceededError)
    assert isinstance(refused.value, APIError)
    assert f"Status: {refused.value.status_code}, Message: {refused.value.message}".startswith("Status: 400, Message: ")
    with pytest.raises(ValidationError, match="messages"):
        client.chat.completions.create([], MODEL)


def test_errors_leave_without_frames_that_hold_prompts(client: Any, style: Style) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: client.chat.completions.create(HELLO, "openai/nope"),
        lambda: client.embeddings.create(input="a canary", model="openai/nope"),
        lambda: client.images.generate(prompt="a canary", model="openai/nope"),
    ]
    for call in calls:
        with pytest.raises(ModelNotFoundError) as caught:
            call()
        frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
        ours = [f for f in frames if f.f_globals["__name__"].startswith("indoxrouter")]
        assert all(not {"messages", "params", "input", "prompt", "kwargs"} & set(f.f_locals) for f in ours)
        assert caught.value.__context__ is None


# --- the other resources


def test_text_completions(client: Any) -> None:
    response = client.completions.create(model="openai/gpt-3.5-turbo-instruct", prompt="Once upon a time", n=2)
    assert len({choice.text for choice in response.choices}) == 2
    assert "Once upon a time" in response.choices[0]["text"]
    assert response.object == "text_completion"
    assert response.choices[0].finish_reason == "stop"
    assert response.usage.total_tokens > 0
    stream = client.completions.create("Once upon a time", "openai/gpt-3.5-turbo-instruct", stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == response.choices[0].text
    assert stream.response().choices[0].text == response.choices[0].text


def test_embeddings(client: Any) -> None:
    response = client.embeddings.create(model="openai/text-embedding-3-small", input=["Hello world", "How are you?"])
    assert [row.index for row in response.data] == [0, 1]
    assert response.data[0].embedding == response.data[0]["embedding"] != response.data[1].embedding
    assert sum(x * x for x in response.data[0].embedding) == pytest.approx(1, abs=1e-3)
    assert response.usage.prompt_tokens > 0
    assert response.model == "openai/text-embedding-3-small"
    assert len(json.loads(json.dumps(response))["data"][0]["embedding"]) == 1536
    short = client.embeddings.create(input="Hello", model="openai/text-embedding-3-small", dimensions=8)
    assert len(short.data[0].embedding) == 8


def test_images(client: Any) -> None:
    response = client.images.generate(model="openai/dall-e-3", prompt="A futuristic city", size="1024x1024")
    assert response.data[0].url == response.data[0]["url"]
    assert response.data[0].url.startswith("http")
    assert isinstance(response.created, int)
    written = client.images.create(prompt="A city", model="openai/dall-e-3", response_format="b64_json")
    assert written.data[0].b64_json
    assert written.data[0].url is None


def test_audio(sandbox: Sandbox, style: Style, tmp_path: Path) -> None:
    with style.client(base_url=sandbox.openai_url, dialect="openai") as client:
        spoken = client.audio.speech.create(model="openai/tts-1", voice="alloy", input="Good morning")
        path = tmp_path / "morning.wav"
        spoken.write_to_file(path)
        assert path.read_bytes() == spoken.content == spoken.read() != b""
        spoken.stream_to_file(tmp_path / "again.wav")
        with path.open("rb") as file:
            heard = client.audio.transcriptions.create(model="openai/whisper-1", file=file)
        assert "good morning" in heard.text.lower()
        assert heard["text"] == heard.text
        named = client.audio.transcriptions.create(file=("morning.wav", spoken.content), model="openai/whisper-1")
        assert named.text == heard.text
        assert client.audio.translations.create(file=path, model="openai/whisper-1").text


def test_files(sandbox: Sandbox, style: Style) -> None:
    with style.client(base_url=sandbox.openai_url, dialect="openai") as client:
        made = client.files.create(file=("rows.jsonl", b'{"a": 1}\n'), purpose="batch")
        assert (made.filename, made.purpose, made["bytes"]) == ("rows.jsonl", "batch", 9)
        assert made.id in [file.id for file in client.files.list()]
        assert client.files.retrieve(made.id) == made
        content = client.files.content(made.id)
        assert content.read() == content.content == b'{"a": 1}\n'
        assert content.text == '{"a": 1}\n'
        assert client.files.delete(made.id).deleted
        with pytest.raises(APIError) as caught:
            client.files.retrieve(made.id)
        assert caught.value.status_code == 404


@pytest.mark.parametrize("kind", ["application/json", "application/octet-stream"])
@pytest.mark.parametrize("held", [b'{ "a":1 }', b'{"a": 1}\n{"a": 2}\n', b'{"error": "a row of mine"}', b"<html>", b""])
def test_the_bytes_of_a_file_are_its_own(style: Style, held: bytes, kind: str) -> None:
    with RawServer(lambda _: [head(Content_Type=kind, Content_Length=str(len(held))) + held]) as server:
        with style.client(base_url=server.url, dialect="openai", max_retries=0) as client:
            assert client.files.content("file-1").content == held


def test_the_hosted_router_keeps_no_files(sandbox: Sandbox, style: Style) -> None:
    with style.client(base_url=sandbox.url, dialect="indox") as client:
        sandbox.reset_stats()
        with pytest.raises(ConfigurationError, match="no files"):
            client.files.list()
        with pytest.raises(ConfigurationError, match="no files"):
            client.files.create(file=b"x", purpose="batch")
        assert sandbox.stats()["requests"] == {}


def test_models(client: Any) -> None:
    page = client.models.list()
    assert page.object == "list"
    assert [model.id for model in page] == [model["id"] for model in page.data]
    assert MODEL in [model.id for model in page]
    assert {model.object for model in page} == {"model"}
    assert json.loads(json.dumps(page))["data"][0]["id"] == page.data[0].id
    assert all(isinstance(model, ModelObject) for model in page)
    model = client.models.retrieve(MODEL)
    assert (model.id, model.owned_by) == (MODEL, "openai")
    with pytest.raises(ModelNotFoundError, match="nope"):
        client.models.retrieve("openai/nope")


# --- acreate, asyncio


def test_acreate_on_either_client(style: Style) -> None:
    async def use(client: Any) -> None:
        response = await client.chat.completions.acreate(model=MODEL, messages=HELLO)
        pieces = [
            chunk.choices[0].delta.get("content") or ""
            async for chunk in await client.chat.completions.acreate(HELLO, MODEL, stream=True)
        ]
        assert "".join(pieces) == response.choices[0].message.content
        text = await client.completions.acreate(prompt="Once", model="openai/gpt-3.5-turbo-instruct")
        assert text.choices[0].text
        vectors = await client.embeddings.acreate(input="Hello", model="openai/text-embedding-3-small")
        assert vectors.data[0].embedding
        assert (await client.images.acreate(prompt="A city", model="openai/dall-e-3")).data[0].url
        with pytest.raises(ModelNotFoundError):
            await client.chat.completions.acreate(HELLO, "openai/nope")

    async def main() -> None:
        if style.asynchronous:
            async with style.client()._target as client:
                await use(client)
        else:
            with style.client() as client:
                await use(client)

    asyncio.run(main(), debug=True)


def test_many_at_once(style: Style) -> None:
    async def main() -> None:
        async with AsyncOpenAI(
            style.sandbox.api_key, style.url, dialect="indox" if style.hosted else "openai"
        ) as client:
            asked = [[{"role": "user", "content": f"number {n}"}] for n in range(50)]
            answers = await asyncio.gather(*(client.chat.completions.create(each, MODEL) for each in asked))
        for n, answer in enumerate(answers):
            assert f'"number {n}"' in str(answer.choices[0].message.content)

    asyncio.run(main(), debug=True)


# --- odd answers of the hosted router

GENERATIONS = [("envelope", "chunks"), ("seed", "bare"), ("hub", "typed"), ("openai", "chunks")]


@pytest.mark.parametrize(("answers", "streams"), GENERATIONS, ids=lambda value: str(value))
def test_all_generations_look_alike(answers: str, streams: str) -> None:
    with Sandbox(answers=answers, streams=streams) as sandbox:
        with OpenAI(sandbox.api_key, sandbox.url, dialect="indox") as client:
            response = client.chat.completions.create(HELLO, MODEL)
            assert response.model == MODEL
            assert "Hello" in str(response.choices[0].message.content)
            assert response.usage is not None
            assert response.usage.total_tokens
            assert abs(response.created - time.time()) < 60
            assert response.id
            call = client.chat.completions.create(WEATHER, MODEL, tools=[TOOL], tool_choice=FORCED)
            made = (call.choices[0].message.tool_calls or [])[0]
            assert (made.type, made.function.name) == ("function", "get_weather")
            stream = client.chat.completions.create(HELLO, MODEL, stream=True, stream_options={"include_usage": True})
            chunks = list(stream)
            said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
            assert said == response.choices[0].message.content == stream.response().choices[0].message.content
            assert all(chunk.choices for chunk in chunks[:-1])
            assert {chunk.model for chunk in chunks if chunk.model} <= {MODEL}
            assert len({chunk.id for chunk in chunks}) == 1


def test_a_finish_reason_is_never_made_up() -> None:
    with Recorder() as recorder, OpenAI("k", f"{recorder.origin}/api/v1", dialect="indox") as client:
        response = client.chat.completions.create(HELLO, MODEL)
    choice = response.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("Yes", None)
    assert response.model == "openai/some-model"
    assert response.cost == 0.001


KEYS = strategies.sampled_from(
    [
        *("id", "model", "created", "choices", "usage", "index", "message", "delta", "content", "text", "role"),
        *("tool_calls", "function", "name", "arguments", "finish_reason", "prompt_tokens", "total_tokens", "data"),
        *("cls", "answer", "hosted", "body", "object", "provider", "response", "raw_response", "output", "type"),
    ]
)
JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.floats() | strategies.text(),
    lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(strategies.dictionaries(KEYS, JSON, max_size=8), strategies.booleans())
def test_no_answer_is_too_odd_to_be_shown(body: dict[str, Any], hosted: bool) -> None:
    request = openai_compat.chat(HELLO, model=MODEL, temperature=None, max_tokens=None, stream=False, params={})
    try:
        answer = decode.chat(Result(body, request, "a server"))
    except APIError:
        return
    for ask in (chat_ask({}, hosted), text_ask({}, hosted)):
        response = ask.finish(answer)
        assert response.choices[0].index is not None
        assert json.loads(json.dumps(response)) is not None


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(strategies.dictionaries(KEYS, JSON, max_size=8), strategies.booleans())
def test_no_event_is_too_odd_to_be_shown(body: dict[str, Any], hosted: bool) -> None:
    assembly = Assembly()
    try:
        event = EventReader(Origin("a server")).read(json.dumps(body))
    except IndoxRouterError:
        return
    for ask in (chat_ask({}, hosted), text_ask({}, hosted)):
        shown = [ask.chunks.shaped(chunk, assembly) for chunk in event.chunks]
        assert all(len(chunk.choices) == 1 for chunk in shown if chunk is not None)


# --- the house


def test_importing_loads_no_extra() -> None:
    extras = ("aiohttp", "pydantic", "numpy", "starlette", "uvicorn")
    code = (
        "import indoxrouter.openai_facade, indoxrouter.functions, sys;"
        f"print([name for name in {extras} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_without_the_extra_the_async_client_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['aiohttp'] = None\n"
        "from indoxrouter.openai_facade import AsyncOpenAI, OpenAI\n"
        "OpenAI('k').close()\n"
        "try:\n    AsyncOpenAI('k')\nexcept ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "pip install aiohttp" in done.stdout


def test_one_client_serves_many_threads(style: Style) -> None:
    with OpenAI(style.sandbox.api_key, style.url, dialect="indox" if style.hosted else "openai") as client:
        answers: dict[int, str | None] = {}

        def ask(n: int) -> None:
            response = client.chat.completions.create([{"role": "user", "content": f"number {n}"}], MODEL)
            answers[n] = response.choices[0].message.content

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert all(f'"number {n}"' in str(answers[n]) for n in range(16))
    gc.collect()


def test_types_for_annotations(sandbox: Sandbox) -> None:
    def create_message(content: str) -> Message:
        return {"role": "user", "content": content}

    def get_response_text(response: ChatCompletionResponse) -> str | None:
        text: str | None = response.choices[0].message["content"]
        return text

    def first(chunk: ChatCompletionChunk) -> str | None:
        return chunk.choices[0].delta.content

    with OpenAI(sandbox.api_key, sandbox.openai_url) as client:
        assert get_response_text(client.chat.completions.create([create_message("Hello")], MODEL))
        with client.chat.completions.create([create_message("Hello")], MODEL, stream=True) as stream:
            assert first(next(stream)) == ""


def test_methods_are_the_same_on_both_clients() -> None:
    sync, twin = OpenAI("k"), AsyncOpenAI("k")
    places = ("chat.completions", "completions", "embeddings", "images", "audio.speech", "audio.transcriptions")
    for place in (*places, "audio.translations", "files", "models"):
        one, other = (_at(client, place) for client in (sync, twin))
        names = {name for name in dir(one) if not name.startswith("_")}
        assert names == {name for name in dir(other) if not name.startswith("_")}, place
        for name in names - {"acreate"}:
            signatures = [list(inspect.signature(getattr(each, name)).parameters.values()) for each in (one, other)]
            assert [str(parameter) for parameter in signatures[0]] == [str(parameter) for parameter in signatures[1]]


def _at(client: Any, place: str) -> Any:
    for name in place.split("."):
        client = getattr(client, name)
    return client
