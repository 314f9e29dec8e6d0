"""Every use that the client's API reference shows, against the sandbox in all of its generations."""

from __future__ import annotations

import base64
import inspect
import struct
import sys
import urllib.request
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import product
from typing import Any

import clients
import pytest

import indoxRouter
import indoxrouter
from indoxRouter import ChatMessage, Client
from indoxrouter.core import policy
from indoxrouter.sandbox import Sandbox
from indoxrouter.wire import hosted, hosted_account

KINDS = ("sync", "async")
MESSAGES = [{"role": "user", "content": "Hello, world!"}]
MODEL = "openai/gpt-4o-mini"
LOGINS = [("api-key",), ("token",)]
PREFIXES = [("/v1",), ("/api/v1",)]
# Logins and prefixes have nothing to do with the form of the answers: these take turns, and every
# form meets some of both.
ERAS = [
    {"answers": answers, "streams": streams, "logins": logins, "prefixes": prefixes}
    for (answers, streams), (logins, prefixes) in zip(
        product(("envelope", "seed", "hub", "openai"), ("chunks", "typed", "bare")),
        [*product(LOGINS, PREFIXES)] * 3,
        strict=True,
    )
]


def named(era: dict[str, Any]) -> str:
    return " ".join(value if isinstance(value, str) else value[0] for value in era.values())


@pytest.fixture(scope="module", params=ERAS, ids=named)
def era(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(**request.param) as sandbox:
        yield sandbox


@pytest.fixture
def settings(era: Sandbox, request: pytest.FixtureRequest) -> dict[str, Any]:
    settings: dict[str, Any] = request.node.callspec.params["era"]
    return settings


@pytest.fixture
def old(era: Sandbox, client_kind: clients.Kind) -> Iterator[Any]:
    """A client of any era's server, with a base URL of the documented form whatever that serves."""
    with clients.Client(api_key=era.api_key, base_url=f"{era.origin}/v1") as client:
        yield client


# --- importing and constructing


def test_the_documented_name_is_the_package_itself() -> None:
    assert indoxRouter is indoxrouter
    assert sys.modules["indoxRouter"] is sys.modules["indoxrouter"]
    assert Client is indoxrouter.Client


def test_the_constructor_takes_the_documented_arguments() -> None:
    with Client(
        api_key="your-api-key", base_url="https://api.indoxrouter.com/v1", timeout=15, auto_refresh=True
    ) as client:
        assert client.base_url == "https://api.indoxrouter.com/v1"


def test_the_constructor_has_the_documented_defaults() -> None:
    parameters = inspect.signature(Client).parameters
    assert list(parameters)[:4] == ["api_key", "base_url", "timeout", "auto_refresh"]
    assert parameters["api_key"].default is None
    assert parameters["auto_refresh"].default is True
    with Client(api_key="your-api-key") as client:
        assert client.base_url == "https://api.indoxrouter.com/v1"


def test_an_unset_timeout_is_the_documented_15_seconds_where_nothing_is_generated() -> None:
    """Generations may take minutes: for them, the documented default would cut paid answers off."""
    assert inspect.signature(Client).parameters["timeout"].default is None
    for request in (
        hosted.models(),
        hosted.providers(),
        hosted.model_info("openai", "gpt-4o-mini"),
        hosted_account.usage(None, None),
    ):
        assert policy.time_limit(request, None) == 15
    embedding = hosted.embeddings("text", model=MODEL, params={})
    assert policy.time_limit(embedding, None) == 600
    assert policy.time_limit(embedding, 20) == 20


def test_the_timeout_bounds_login_and_calls(sandbox: Sandbox) -> None:
    with Client(sandbox.api_key, sandbox.url, timeout=0.2, max_retries=0) as client:
        sandbox.fault(path="auth/api-key", delay=5)
        with pytest.raises(indoxrouter.RequestTimeoutError):
            client.models()
        client.models()
        sandbox.fault(path="chat/completions", delay=5)
        with pytest.raises(indoxrouter.RequestTimeoutError):
            client.chat(MESSAGES, model=MODEL, max_retries=0)


def test_the_key_comes_from_the_environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INDOX_ROUTER_API_KEY", sandbox.api_key)
    with Client(base_url=sandbox.url) as client:
        assert client.get_user_info()["username"] == "sandbox"


def test_the_argument_wins_over_the_environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INDOX_ROUTER_API_KEY", "somebody-elses-key")
    with Client(api_key=sandbox.api_key, base_url=sandbox.url) as client:
        assert client.get_user_info()["username"] == "sandbox"


def test_no_key_at_all_is_an_error_of_both_kinds() -> None:
    with pytest.raises(indoxrouter.AuthenticationError, match="INDOX_ROUTER_API_KEY") as caught:
        Client()
    assert isinstance(caught.value, ValueError)


def test_auto_refresh_logs_in_again_when_the_token_expires(sandbox: Sandbox) -> None:
    with Client(sandbox.api_key, sandbox.url) as client:
        client.models()
        sandbox.fault(path="models/", expire=True)
        assert "openai" in client.models()


def test_without_auto_refresh_an_expired_token_is_an_error(sandbox: Sandbox) -> None:
    with Client(sandbox.api_key, sandbox.url, auto_refresh=False) as client:
        client.models()
        sandbox.fault(path="models/", expire=True)
        with pytest.raises(indoxrouter.AuthenticationError):
            client.models()


# --- signatures

REQUIRED = inspect.Parameter.empty
TEXT_DEFAULTS = {"temperature": 0.7, "max_tokens": None, "stream": False, "return_generator": False}


@pytest.mark.parametrize(
    ("method", "documented"),
    [
        (Client.chat, {"messages": REQUIRED, "model": None, **TEXT_DEFAULTS}),
        (Client.completion, {"prompt": REQUIRED, "model": None, **TEXT_DEFAULTS}),
        (Client.embeddings, {"text": REQUIRED, "model": None}),
        (Client.image, {"prompt": REQUIRED, "model": None, "size": "512x512"}),
    ],
)
def test_generating_methods_have_the_documented_parameters(
    method: Callable[..., Any], documented: dict[str, Any]
) -> None:
    """`model` stands as required in the tables, but the reference's own with-block leaves it out."""
    parameters = dict(inspect.signature(method).parameters)
    del parameters["self"]
    *named, rest = parameters.values()
    assert {parameter.name: parameter.default for parameter in named} == documented
    assert rest.kind is inspect.Parameter.VAR_KEYWORD


@pytest.mark.parametrize(
    ("method", "documented"),
    [
        (Client.providers, {}),
        (Client.models, {"provider": None}),
        (Client.model_info, {"provider": REQUIRED, "model": REQUIRED}),
        (Client.get_user_info, {}),
    ],
)
def test_reading_methods_have_the_documented_parameters(method: Callable[..., Any], documented: dict[str, Any]) -> None:
    """Ours may follow, and are never needed."""
    parameters = list(inspect.signature(method).parameters.values())[1:-1]
    assert [(parameter.name, parameter.default) for parameter in parameters[: len(documented)]] == [*documented.items()]
    assert all(parameter.default is None for parameter in parameters[len(documented) :])


# --- chat and completion


def test_chat(old: Any, settings: dict[str, Any]) -> None:
    response = old.chat(
        messages=MESSAGES,
        model=MODEL,
        temperature=0.7,
        max_tokens=500,
        stream=False,
        return_generator=False,
        seed=1,
    )
    assert isinstance(response, indoxrouter.ChatResponse)
    assert response.data is not None
    assert "Hello, world!" in response.data
    assert response.model == "gpt-4o-mini"
    assert response.success is True
    assert response.raw_response
    enveloped = settings["answers"] in ("envelope", "seed")
    assert response.message == ("Answered by the sandbox." if enveloped else None)
    check_usage(response.usage, priced=settings["answers"] != "hub")
    for name in ("data", "model", "provider", "success", "message", "usage", "finish_reason", "raw_response"):
        assert response[name] == getattr(response, name)


def test_completion(old: Any, settings: dict[str, Any]) -> None:
    response = old.completion(
        prompt="Once upon a time",
        model="anthropic/claude-3-haiku",
        temperature=0.7,
        max_tokens=500,
        stream=False,
        return_generator=False,
        seed=1,
    )
    assert isinstance(response, indoxrouter.CompletionResponse)
    assert response.data is not None
    assert "Once upon a time" in response.data
    assert response.model == "claude-3-haiku"
    assert response.success is True
    assert response.raw_response
    check_usage(response.usage, priced=settings["answers"] != "hub")


def check_usage(usage: indoxrouter.Usage | None, *, priced: bool) -> None:
    assert usage is not None
    assert usage.tokens_prompt is not None
    assert usage.tokens_completion is not None
    assert usage.tokens_prompt > 0
    assert usage.tokens_completion > 0
    assert usage.tokens_total == usage.tokens_prompt + usage.tokens_completion
    if priced:
        assert usage.cost is not None
        assert usage.cost > 0
    else:
        assert usage.cost is None  # the hub names no cost, and an unknown cost is not 0


@pytest.mark.parametrize("method", ["chat", "completion"])
def test_the_provider_is_named(old: Any, settings: dict[str, Any], method: str) -> None:
    assert getattr(old, method)(asked(method), model=MODEL).provider == "openai"


@pytest.mark.parametrize("method", ["chat", "completion"])
def test_the_finish_reason_tells_a_whole_answer_from_a_cut_one(old: Any, settings: dict[str, Any], method: str) -> None:
    whole = getattr(old, method)(asked(method), model=MODEL)
    cut = getattr(old, method)(asked(method), model=MODEL, max_tokens=4)
    # The hub says that an answer is complete, but not why: a reason is never made up.
    assert whole.finish_reason == (None if settings["answers"] == "hub" else "stop")
    assert cut.finish_reason == "length"
    assert whole.data.startswith(cut.data)
    assert cut.usage.tokens_completion == 4


@pytest.mark.parametrize("return_generator", [False, True])
@pytest.mark.parametrize("method", ["chat", "completion"])
def test_a_stream_can_be_iterated(old: Any, method: str, return_generator: bool) -> None:
    whole = getattr(old, method)(asked(method), model=MODEL)
    stream = getattr(old, method)(asked(method), model=MODEL, stream=True, return_generator=return_generator)
    chunks = list(stream)
    assert len(chunks) > 10
    assert "".join(chunk.data for chunk in chunks) == whole.data
    assert "".join(map(str, chunks)) == whole.data


@pytest.mark.parametrize("return_generator", [False, True])
@pytest.mark.parametrize("method", ["chat", "completion"])
def test_a_stream_can_be_read_as_a_finished_answer(
    old: Any, settings: dict[str, Any], method: str, return_generator: bool
) -> None:
    whole = getattr(old, method)(asked(method), model=MODEL)
    stream = getattr(old, method)(asked(method), model=MODEL, stream=True, return_generator=return_generator)
    assert stream.data == whole.data
    response = stream.response()
    assert type(response) is type(whole)
    assert response.data == whole.data
    assert response.provider == "openai"
    assert response.success is True
    assert response.raw_response
    if settings["streams"] == "bare":  # nothing but text comes with it
        assert response.usage is None
    else:
        assert response.model == "gpt-4o-mini"
        check_usage(response.usage, priced=settings["streams"] == "chunks")


@pytest.mark.parametrize("method", ["chat", "completion"])
def test_a_stream_tells_a_whole_answer_from_a_cut_one(old: Any, settings: dict[str, Any], method: str) -> None:
    whole = getattr(old, method)(asked(method), model=MODEL, stream=True).response()
    cut = getattr(old, method)(asked(method), model=MODEL, stream=True, max_tokens=4).response()
    silent = settings["streams"] == "bare"  # which is nothing but text
    assert whole.finish_reason == ("stop" if settings["streams"] == "chunks" else None)
    assert cut.finish_reason == (None if silent else "length")


def asked(method: str) -> Any:
    return MESSAGES if method == "chat" else "Once upon a time"


def test_messages_may_be_chat_messages(client: Any) -> None:
    system, user = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello!"}
    plain = client.chat([system, user], model=MODEL)
    mixed = client.chat([system, ChatMessage(role="user", content="Hello!")], model=MODEL)
    objects = client.chat([ChatMessage("system", "Be brief."), ChatMessage("user", "Hello!")], model=MODEL)
    assert plain.data == mixed.data == objects.data
    assert plain.data != client.chat([user], model=MODEL).data


def test_other_parameters_reach_the_provider(client: Any) -> None:
    answers = {client.chat(MESSAGES, model=MODEL, seed=seed).data for seed in range(8)}
    assert len(answers) > 1
    assert answers == {client.chat(MESSAGES, model=MODEL, seed=seed).data for seed in range(8)}
    stopped = client.chat(MESSAGES, model=MODEL, stop=["this"])
    assert stopped.data is not None
    assert stopped.data.startswith("Sandbox answer")
    assert "this" not in stopped.data


def test_the_temperature_reaches_the_router(client: Any) -> None:
    hot: Any = "hot"
    with pytest.raises(indoxrouter.ValidationError, match="temperature"):
        client.chat(MESSAGES, model=MODEL, temperature=hot)
    with pytest.raises(indoxrouter.ValidationError, match="temperature"):
        client.completion("Once upon a time", model=MODEL, temperature=hot)


# --- embeddings


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("This is a sample text to embed.", ["This is a sample text to embed."]),
        (["one text", "another"], ["one text", "another"]),
    ],
)
def test_embeddings_of_a_string_or_a_list(old: Any, text: str | list[str], texts: list[str]) -> None:
    response = old.embeddings(text=text, model="openai/text-embedding-3-small")
    assert len(response.data) == len(texts)
    assert [len(vector) for vector in response.data] == [1536] * len(texts)
    assert response.dimensions == 1536
    for vector, each in zip(response.data, texts, strict=True):
        assert [vector] == old.embeddings(each).data
    assert response.model == "text-embedding-3-small"
    assert response.provider == "openai"
    assert response.success is True
    assert response.message == "Answered by the sandbox."
    assert response.usage is not None
    assert response.usage.tokens_prompt
    assert response.usage.cost
    assert response.raw_response


def test_embeddings_pass_other_parameters_on(client: Any) -> None:
    response = client.embeddings("text", model="openai/text-embedding-3-small", dimensions=64)
    assert response.dimensions == 64
    assert len(response.data[0]) == 64


# --- images


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as reply:
        content: bytes = reply.read()
    return content


def size_of(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_image(old: Any) -> None:
    response = old.image(
        prompt="A futuristic city with flying cars and neon lights", model="openai/dall-e-3", size="1792x1024"
    )
    [image] = response.data
    assert image.url is not None
    assert str(image) == image.url
    assert size_of(fetch(str(image))) == (1792, 1024)
    assert response.model == "dall-e-3"
    assert response.provider == "openai"
    assert response.success is True
    assert response.message == "Answered by the sandbox."
    assert response.usage is not None
    assert response.usage.cost == 0.04
    assert response.raw_response


def test_images_as_base64(client: Any) -> None:
    response = client.image("A city", model="openai/dall-e-3", size="1024x1024", response_format="b64_json")
    [image] = response.data
    assert image.url is None
    assert size_of(base64.b64decode(str(image))) == (1024, 1024)


def test_image_parameters_reach_the_provider(client: Any) -> None:
    response = client.image("A city", model="openai/gpt-image-1", size="1536x1024", n=2)
    assert len(response.data) == 2
    assert {size_of(base64.b64decode(str(image))) for image in response.data} == {(1536, 1024)}


@pytest.mark.parametrize(
    "model", ["openai/dall-e-3", "openai/gpt-image-1", "google/imagen-3.0-generate-002", "xai/grok-2-image"]
)
def test_an_image_without_a_size_works_for_every_model(client: Any, model: str) -> None:
    """The documented default of 512x512 is one that these models refuse: it is not sent to them."""
    assert len(client.image(prompt="A city", model=model).data) == 1


# --- the catalogue

PROVIDERS = ["openai", "anthropic", "google", "mistral", "groq", "xai", "deepseek", "together"]


def test_providers(old: Any, settings: dict[str, Any]) -> None:
    providers = old.providers()
    assert isinstance(providers, list)
    assert [provider["id"] for provider in providers] == PROVIDERS
    assert [provider.id for provider in providers] == PROVIDERS
    assert providers[0]["name"] == "OpenAI"


def test_models_map_providers_to_their_models(old: Any) -> None:
    models = old.models()
    assert isinstance(models, dict)
    assert list(models) == PROVIDERS
    [mini] = [model for model in models["openai"] if model["modelName"] == "gpt-4o-mini"]
    assert isinstance(mini, indoxrouter.CatalogueEntry)
    assert issubclass(type(mini), dict)
    assert mini["type"] == "chat"
    assert mini.inputPricePer1KTokens == 0.00015


def test_models_of_one_provider(old: Any) -> None:
    assert old.models(provider="openai") == {"openai": old.models()["openai"]}


def test_model_info(old: Any) -> None:
    info = old.model_info(provider="openai", model="gpt-4o-mini")
    assert isinstance(info, indoxrouter.ModelInfo)
    assert (info.name, info.provider, info.type) == ("gpt-4o-mini", "openai", "chat")
    assert (info.input_price_per_1k, info.output_price_per_1k) == (Decimal("0.00015"), Decimal("0.0006"))
    assert (info.context_window, info.max_output_tokens) == (128_000, 16_384)
    assert info["description"] == info.description
    assert info.raw
    assert old.get_model_info("openai", "gpt-4o-mini").to_dict().keys() == info.to_dict().keys()


# --- usage and the account


def test_get_usage(old: Any) -> None:
    before = old.get_usage()
    assert isinstance(before, dict)
    answer = old.embeddings("seven words are enough for this test")
    assert answer.usage is not None
    assert answer.usage.cost is not None
    after = old.get_usage()
    assert after["total_requests"] - before["total_requests"] == 1
    assert after.total_requests == after["total_requests"]
    assert after["total_cost"] - before["total_cost"] == pytest.approx(answer.usage.cost)
    assert before["remaining_credits"] - after["remaining_credits"] == pytest.approx(answer.usage.cost)
    assert after["endpoints"]["embeddings"]["requests"] >= 1
    assert after["models"]["openai/text-embedding-3-small"]["requests"] >= 1
    assert after["total_tokens"]["total"] - before["total_tokens"]["total"] == answer.usage.tokens_total
    assert sum(day["requests"] for day in after["daily_usage"]) == after["total_requests"]


def test_get_user_info(old: Any) -> None:
    user = old.get_user_info()
    assert isinstance(user, indoxrouter.UserInfo)
    assert issubclass(type(user), dict)
    assert user["username"] == user.username == "sandbox"
    assert user["email"] == "sandbox@localhost"
    assert user["credits"] == old.get_usage()["remaining_credits"]
    assert user["account_tier"] == "enterprise"


# --- closing


def test_the_with_block(sandbox: Sandbox) -> None:
    with Client(api_key=sandbox.api_key, base_url=sandbox.url) as client:
        response = client.chat(messages=MESSAGES)
    assert response.data is not None
    assert "Hello, world!" in response.data


def test_closing_by_hand(sandbox: Sandbox) -> None:
    client = Client(api_key=sandbox.api_key, base_url=sandbox.url)
    response = client.chat(messages=MESSAGES)
    client.close()
    client.close()
    assert response.success


def test_a_closed_client_can_be_used_again(sandbox: Sandbox) -> None:
    """As the published client can: its session opens new connections."""
    with Client(api_key=sandbox.api_key, base_url=sandbox.url) as client:
        before = client.chat(messages=MESSAGES)
    after = client.chat(messages=MESSAGES)
    client.close()
    assert after.data == before.data


def test_the_with_block_lets_errors_through(sandbox: Sandbox) -> None:
    with pytest.raises(KeyError), Client(api_key=sandbox.api_key, base_url=sandbox.url):
        raise KeyError


# --- errors


@pytest.mark.parametrize(
    ("method", "arguments", "error", "status"),
    [
        ("chat", {"messages": MESSAGES, "model": "openai/no-such-model"}, "ModelNotFoundError", 404),
        ("chat", {"messages": MESSAGES, "model": "nobody/some-model"}, "ProviderNotFoundError", 404),
        ("completion", {"prompt": "Hello", "model": "openai/no-such-model"}, "ModelNotFoundError", 404),
        ("chat", {"messages": MESSAGES, "model": "no-such", "stream": True}, "ModelNotFoundError", 404),
        ("completion", {"prompt": "Hello", "model": "no-such", "stream": True}, "ModelNotFoundError", 404),
        ("chat", {"messages": MESSAGES, "model": "openai/dall-e-3"}, "InvalidParametersError", 400),
        ("chat", {"messages": MESSAGES, "model": MODEL, "max_tokens": -1}, "ValidationError", 422),
        ("image", {"prompt": "A city", "size": "1x1"}, "InvalidParametersError", 400),
        ("model_info", {"provider": "openai", "model": "no-such-model"}, "ModelNotFoundError", 404),
        ("models", {"provider": "nobody"}, "ProviderNotFoundError", 404),
    ],
)
def test_errors_of_the_router(client: Any, method: str, arguments: dict[str, Any], error: str, status: int) -> None:
    with pytest.raises(getattr(indoxrouter, error)) as caught:
        getattr(client, method)(**arguments)
    assert isinstance(caught.value, indoxrouter.IndoxRouterError)
    assert caught.value.status_code == status
    assert caught.value.message
    assert caught.value.request_id
    assert caught.value.details


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, "InvalidParametersError"),
        (401, "AuthenticationError"),
        (402, "InsufficientCreditsError"),
        (403, "PermissionDeniedError"),
        (422, "ValidationError"),
        (429, "RateLimitError"),
        (500, "RequestError"),
        (503, "ServiceUnavailableError"),
    ],
)
def test_every_status_has_its_error(sandbox: Sandbox, client: Any, status: int, error: str) -> None:
    sandbox.fault(path="chat/completions", status=status, times=2)
    with pytest.raises(getattr(indoxrouter, error)) as caught:
        client.chat(MESSAGES, model=MODEL, max_retries=0)
    assert caught.value.status_code == status


def test_a_rate_limit_says_when_to_come_back(sandbox: Sandbox, client: Any) -> None:
    sandbox.fault(path="chat/completions", status=429, retry_after=7)
    with pytest.raises(indoxrouter.RateLimitError) as caught:
        client.chat(MESSAGES, model=MODEL, max_retries=0)
    assert caught.value.retry_after == 7


def test_a_wrong_key_is_an_authentication_error(era: Sandbox) -> None:
    with (
        Client(api_key="not-the-key", base_url=f"{era.origin}/v1") as client,
        pytest.raises(indoxrouter.AuthenticationError) as caught,
    ):
        client.models()
    assert caught.value.status_code == 401
    assert "not-the-key" not in str(caught.value)


def test_nobody_answering_is_a_network_error() -> None:
    with Sandbox() as gone:
        key, url = gone.api_key, gone.url
    with Client(key, url, max_retries=0) as client, pytest.raises(indoxrouter.NetworkError):
        client.models()


def test_spent_credits_are_an_error() -> None:
    with Sandbox(credits="0.000001") as sandbox, Client(sandbox.api_key, sandbox.url) as client:
        client.chat(MESSAGES, model=MODEL)  # the last credits are enough to begin, not for another
        with pytest.raises(indoxrouter.InsufficientCreditsError) as caught:
            client.chat(MESSAGES, model=MODEL)
    assert caught.value.status_code == 402
