"""LiteLLM's proxy, really started, asked in every style."""

from __future__ import annotations

import json
import urllib.request
import uuid
from collections.abc import Iterator

import pytest

from indoxrouter import (
    APIError,
    AuthenticationError,
    IndoxRouterError,
    InternalServerError,
    InvalidParametersError,
    ModelNotFoundError,
    OpenAI,
    RateLimitError,
    completion,
    completion_cost,
    text_completion,
)

from .litellm_proxy import (
    COMPLETION_TOKENS,
    ENVIRONMENT,
    INPUT_COST,
    MODELS,
    OUTPUT_COST,
    PICTURE,
    PROMPT_TOKENS,
    SENTENCE,
    TOOL_CALL,
    VECTOR,
    LiteLLMProxy,
)
from .styles import MESSAGES, STYLES, OfAsyncClient, OfAsyncOpenAI, OfClient, OfOpenAI, Style

pytestmark = [
    pytest.mark.peers,
    pytest.mark.timeout(600),  # the first test waits for the installation
]


@pytest.fixture(params=STYLES)
def style(request: pytest.FixtureRequest, litellm_proxy: LiteLLMProxy) -> Iterator[Style]:
    with STYLES[request.param](litellm_proxy.key, litellm_proxy.url) as style:
        yield style


@pytest.fixture
def headers() -> dict[str, str]:
    """The proxy takes this id over."""
    return {"x-litellm-call-id": str(uuid.uuid4())}


def test_it_is_litellms_proxy_that_runs(litellm_proxy: LiteLLMProxy) -> None:
    asked = urllib.request.Request(f"{litellm_proxy.url}/chat/completions", method="POST")
    asked.add_header("Authorization", f"Bearer {litellm_proxy.key}")
    asked.add_header("Content-Type", "application/json")
    asked.data = json.dumps({"model": "chat", "messages": [{"role": "user", "content": "Hello"}]}).encode()
    with urllib.request.urlopen(asked, timeout=30) as reply:
        assert reply.headers["x-litellm-version"] == ENVIRONMENT.version
        assert json.load(reply)["choices"][0]["message"]["content"] == SENTENCE


def test_a_chat(style: Style) -> None:
    seen = style.chat("chat")
    assert (seen.texts, seen.finish_reason, seen.tool_calls) == ([SENTENCE], "stop", [])
    assert (seen.prompt_tokens, seen.completion_tokens) == (PROMPT_TOKENS, COMPLETION_TOKENS)
    assert seen.cost == pytest.approx(PROMPT_TOKENS * INPUT_COST + COMPLETION_TOKENS * OUTPUT_COST)


def test_the_id_of_a_chat_is_the_proxys(style: Style, headers: dict[str, str]) -> None:
    assert style.chat("chat", extra_headers=headers).request_id == headers["x-litellm-call-id"]
    assert style.chat("chat").request_id not in (None, headers["x-litellm-call-id"])


def test_the_id_of_a_stream_is_the_proxys(style: Style, headers: dict[str, str]) -> None:
    assert style.stream("chat", extra_headers=headers).request_id == headers["x-litellm-call-id"]


def test_the_id_of_an_error_is_the_proxys(style: Style, headers: dict[str, str]) -> None:
    with pytest.raises(RateLimitError) as error:
        style.chat("busy", max_retries=0, extra_headers=headers)
    assert error.value.request_id == headers["x-litellm-call-id"]


def test_several_answers(style: Style) -> None:
    assert style.chat("chat", n=3).texts == [SENTENCE] * 3


def test_a_stream(style: Style) -> None:
    seen = style.stream("chat")
    assert (seen.texts, seen.finish_reason) == ([SENTENCE], "stop")
    assert seen.pieces > 1
    assert seen.prompt_tokens
    assert seen.completion_tokens
    assert seen.cost == pytest.approx(seen.prompt_tokens * INPUT_COST + seen.completion_tokens * OUTPUT_COST)


def test_a_tool_call(style: Style) -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": parameters}}]
    assert style.chat("tools", tools=tools).tool_calls == [TOOL_CALL]


def test_an_embedding(style: Style) -> None:
    assert style.embed("A text.", "vectors") == [VECTOR]


def test_a_missing_vector_is_an_error(style: Style) -> None:
    """The proxy's model makes one vector, however many texts it is given."""
    with pytest.raises(APIError) as error:
        style.embed(["A text.", "Another."], "vectors")
    assert error.value.outcome == "done"


def test_an_image(style: Style) -> None:
    assert style.draw("A city", "picture") == [PICTURE]


def test_a_rate_limit(style: Style) -> None:
    for ask in (style.chat, style.stream):
        with pytest.raises(RateLimitError) as error:
            ask("busy", max_retries=0)
        assert (error.value.status_code, error.value.retryable, error.value.outcome) == (429, True, "rejected")
        assert "rate limit" in error.value.message
        assert [(attempt.model, attempt.status) for attempt in error.value.attempts] == [("busy", 429)]


def test_a_rate_limit_is_retried(style: Style) -> None:
    with pytest.raises(RateLimitError) as error:
        style.chat("busy", max_retries=1)
    assert [attempt.status for attempt in error.value.attempts] == [429, 429]


def test_a_fallback(style: Style) -> None:
    for ask in (style.chat, style.stream):
        assert ask("busy", max_retries=0, fallback_models=["chat"]).texts == [SENTENCE]


@pytest.mark.parametrize(
    ("model", "error_class", "status"),
    [("broken", InternalServerError, 500), ("full", InvalidParametersError, 400)],
)
def test_other_errors(style: Style, model: str, error_class: type[IndoxRouterError], status: int) -> None:
    for ask in (style.chat, style.stream):
        with pytest.raises(error_class) as error:
            ask(model, max_retries=0)
        assert error.value.status_code == status


def test_an_unknown_model(style: Style) -> None:
    """The proxy refuses it as it refuses any bad request."""
    for ask in (style.chat, style.stream):
        with pytest.raises(InvalidParametersError, match="no-such-model") as error:
            ask("no-such-model")
        assert (error.value.status_code, error.value.retryable) == (400, False)
    assert style.stream("chat").cost  # what was asked for besides is still asked for


@pytest.mark.parametrize("name", STYLES)
def test_a_wrong_key(litellm_proxy: LiteLLMProxy, name: str) -> None:
    wrong = "sk-" + "0" * 64
    with STYLES[name](wrong, litellm_proxy.url) as style:
        for ask in (style.chat, style.stream):
            with pytest.raises(AuthenticationError) as error:
                ask("chat")
            assert not error.value.retryable
            assert len(error.value.attempts) == 1
            assert wrong not in str(error.value)


@pytest.mark.parametrize("kind", [OfClient, OfAsyncClient])
def test_costs_and_ids_of_other_answers(
    litellm_proxy: LiteLLMProxy, kind: type[OfClient], headers: dict[str, str]
) -> None:
    with kind(litellm_proxy.key, litellm_proxy.url) as style:
        vectors = style.wait(style.client.embeddings("A text.", "vectors", extra_headers=headers))
        assert vectors.usage.cost == pytest.approx(PROMPT_TOKENS * INPUT_COST)
        assert vectors.request_id == headers["x-litellm-call-id"]
        image = style.wait(style.client.images("A city", "picture", extra_headers=headers))
        assert image.usage.cost is None  # the proxy does not tell it
        assert image.request_id == headers["x-litellm-call-id"]


def test_the_environment_names_the_proxy(litellm_proxy: LiteLLMProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", litellm_proxy.key)
    monkeypatch.setenv("OPENAI_BASE_URL", litellm_proxy.url)
    with OpenAI() as client:
        assert client.chat.completions.create(MESSAGES, "chat").choices[0].message.content == SENTENCE
    answer = completion("chat", MESSAGES)
    assert answer.choices[0].message.content == SENTENCE
    assert completion_cost(answer) == pytest.approx(PROMPT_TOKENS * INPUT_COST + COMPLETION_TOKENS * OUTPUT_COST)


@pytest.mark.parametrize("kind", [OfClient, OfAsyncClient])
def test_models_of_a_client(litellm_proxy: LiteLLMProxy, kind: type[OfClient]) -> None:
    with kind(litellm_proxy.key, litellm_proxy.url) as style:
        found = style.wait(style.client.models())
        assert sorted(entry["id"] for entries in found.values() for entry in entries) == sorted(MODELS)
        [provider] = found
        assert style.wait(style.client.model_info(provider, "chat")).name == "chat"
        with pytest.raises(ModelNotFoundError):
            style.wait(style.client.model_info(provider, "no-such-model"))


@pytest.mark.parametrize("kind", [OfOpenAI, OfAsyncOpenAI])
def test_models_in_openais_style(litellm_proxy: LiteLLMProxy, kind: type[OfOpenAI]) -> None:
    with kind(litellm_proxy.key, litellm_proxy.url) as style:
        assert sorted(model.id for model in style.wait(style.client.models.list())) == sorted(MODELS)
        assert style.wait(style.client.models.retrieve("chat")).id == "chat"
        with pytest.raises(ModelNotFoundError):
            style.wait(style.client.models.retrieve("no-such-model"))


def test_completions(litellm_proxy: LiteLLMProxy) -> None:
    key, url = litellm_proxy.key, litellm_proxy.url
    for of_client in (OfClient, OfAsyncClient):
        with of_client(key, url) as style:
            answer = style.wait(style.client.completion("Once", "chat"))
            assert (answer.data, answer.finish_reason) == (SENTENCE, "stop")
            stream = style.client.completion("Once", "chat", stream=True)
            assert "".join(chunk.data for chunk in style.all(stream)) == SENTENCE
    for of_openai in (OfOpenAI, OfAsyncOpenAI):
        with of_openai(key, url) as facade:
            response = facade.wait(facade.client.completions.create("Once", "chat"))
            assert (response.choices[0].text, response.choices[0].finish_reason) == (SENTENCE, "stop")
            chunks = facade.all(facade.client.completions.create("Once", "chat", stream=True))
            assert "".join(chunk.choices[0].text for chunk in chunks) == SENTENCE
    written = text_completion("Once", "chat", api_key=key, api_base=url)
    assert written["choices"][0]["text"] == SENTENCE  # type: ignore[index]
