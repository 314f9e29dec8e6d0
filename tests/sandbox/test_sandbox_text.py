"""Chat and completion: what they answer, in each generation."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from indoxrouter.sandbox import Sandbox
from indoxrouter.sandbox.answers import tokens

from .sandbox_api import MODEL, Api, chat_body

ENVELOPE = {
    *("request_id", "created_at", "duration_ms", "provider", "model", "success", "message", "usage"),
    *("raw_response", "data", "finish_reason", "images"),
}
USAGE = {
    *("tokens_prompt", "tokens_completion", "tokens_total", "cost", "latency", "timestamp"),
    *("cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "web_search_count", "request_count"),
    "cost_breakdown",
}


def data(api: Api, text: str = "Hello", **fields: Any) -> str:
    answer = api.chat(text, **fields)
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["data"]
    return found


def test_a_chat_answer_has_every_field(api: Api) -> None:
    answer = api.chat("How are you?")
    body = answer.json()
    assert set(body) == ENVELOPE
    assert (body["provider"], body["model"], body["success"]) == ("openai", "gpt-4o-mini", True)
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "sandbox" in body["data"].lower()
    assert "not a model" in body["data"]
    assert '"How are you?"' in body["data"]
    assert body["finish_reason"] == "stop"
    assert datetime.fromisoformat(body["created_at"]).tzinfo == UTC
    assert body["raw_response"]["choices"][0]["message"]["content"] == body["data"]


def test_usage_counts_tokens_and_prices_them_exactly(api: Api) -> None:
    body = api.chat("one two three").json()
    usage = body["usage"]
    assert set(usage) == USAGE
    assert usage["tokens_prompt"] == 3 + 4
    assert usage["tokens_completion"] == len(tokens(body["data"]))
    assert usage["tokens_total"] == usage["tokens_prompt"] + usage["tokens_completion"]
    prompt, completion = Decimal("0.00015") * 7, Decimal("0.0006") * usage["tokens_completion"]
    assert usage["cost"] == float((prompt + completion) / 1000)
    breakdown = usage["cost_breakdown"]
    assert breakdown["total_cost"] == usage["cost"]
    assert breakdown["prompt_cost"] == float(prompt / 1000)
    assert usage["request_count"] == 1


def test_request_ids_are_unique(api: Api) -> None:
    assert len({api.chat().json()["request_id"] for _ in range(20)}) == 20


def test_the_text_depends_on_messages_model_and_seed_alone(api: Api) -> None:
    base = data(api)
    assert data(api, temperature=1.5, max_tokens=4000, top_p=0.1) == base
    assert data(api, model="gpt-4o-mini") == base
    others = {
        data(api, "Hello!"),
        data(api, model="openai/gpt-4o"),
        data(api, additional_params={"seed": 1}),
        data(api, additional_params={"seed": 2}),
        data(api, messages=[{"role": "system", "content": "Be brief."}, *chat_body()["messages"]]),
    }
    assert len(others | {base}) == 6


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_max_tokens_cuts(api: Api, limit: int) -> None:
    whole = data(api)
    body = api.chat(max_tokens=limit).json()
    assert body["finish_reason"] == "length"
    assert body["usage"]["tokens_completion"] == limit
    assert whole.startswith(body["data"])
    assert len(body["data"]) < len(whole)


@pytest.mark.parametrize("stop", ["not", ["never there", "not"], ["You", "not"]])
def test_a_stop_sequence_ends_the_text(api: Api, stop: Any) -> None:
    body = api.chat(additional_params={"stop": stop}).json()
    assert body["finish_reason"] == "stop"
    assert body["data"] == data(api).partition("not")[0]


def test_a_stop_that_never_comes_changes_nothing(api: Api) -> None:
    assert data(api, additional_params={"stop": ["", "zzz"]}) == data(api)


@pytest.mark.parametrize("stop", [3, {"a": 1}, [1]])
def test_an_odd_stop_is_refused(api: Api, stop: Any) -> None:
    answer = api.chat(additional_params={"stop": stop})
    assert answer.status_code == 400
    assert answer.json()["error"] == "InvalidParametersError"


def test_a_long_prompt_is_quoted_up_to_a_point(api: Api) -> None:
    text = data(api, "word " * 1000)
    assert "word word" in text
    assert "…" in text
    assert len(text) < 1000


def test_messages_may_have_parts_and_no_user(api: Api) -> None:
    parts = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]
    body = api.chat(messages=[{"role": "user", "content": parts}]).json()
    assert '"Look"' in body["data"]
    assert body["usage"]["tokens_prompt"] == 4 + 1 + 85
    assert '"Only rules"' in data(api, messages=[{"role": "system", "content": "Only rules"}])
    calls = [{"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}]
    assert api.chat(messages=calls).status_code == 200


def test_a_lone_surrogate_and_other_scripts_are_answered(api: Api) -> None:
    raw = json.dumps(chat_body("\ud800 Grüße 你好"))
    url = f"{api.sandbox.url}/chat/completions"
    answer = api.session.post(url, data=raw, headers={"Content-Type": "application/json"}, timeout=10)
    assert "Grüße 你好" in answer.json()["data"]
    assert "Grüße 你好".encode() in api.chat("Grüße 你好").content


@pytest.mark.parametrize("model", [MODEL, "openai/gpt-3.5-turbo-instruct", "anthropic/claude-3-haiku"])
def test_completion_takes_chat_models_too(api: Api, model: str) -> None:
    answer = api.post("completions", {"model": model, "prompt": "Once upon a time"})
    body = answer.json()
    assert answer.status_code == 200
    assert set(body) == ENVELOPE
    assert '"Once upon a time"' in body["data"]
    assert body["usage"]["tokens_prompt"] == 4
    assert body["raw_response"]["choices"][0]["text"] == body["data"]


def test_chat_refuses_models_of_other_kinds(api: Api) -> None:
    for model in ("openai/gpt-3.5-turbo-instruct", "openai/dall-e-3", "openai/text-embedding-3-small"):
        answer = api.chat(model=model)
        assert (answer.status_code, answer.json()["error"]) == (400, "InvalidParametersError")


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("nobody/gpt-4", "ProviderNotFoundError"),
        ("openai/gpt-99", "ModelNotFoundError"),
        ("gpt-99", "ModelNotFoundError"),
    ],
)
def test_an_unknown_model_is_not_found(api: Api, model: str, error: str) -> None:
    answer = api.chat(model=model)
    body = answer.json()
    assert answer.status_code == 404
    assert set(body) == {"success", "error", "message", "status_code", "request_id", "details"}
    assert (body["success"], body["error"], body["status_code"]) == (False, error, 404)
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["details"]


def test_a_model_name_may_contain_slashes(api: Api) -> None:
    for model in (
        "together/meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "meta-llama/Llama-3.3-70B-Instruct-Turbo",
    ):
        assert api.chat(model=model).json()["provider"] == "together"


@pytest.mark.parametrize(("text", "limit"), [("Hello", 8200), ("word " * 8300, None)])
def test_more_than_the_context_is_refused(api: Api, text: str, limit: int | None) -> None:
    answer = api.chat(text, model="groq/llama3-8b-8192", max_tokens=limit)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"


def test_the_hub_generation() -> None:
    with Sandbox(answers="hub") as sandbox, Api(sandbox) as api:
        for answer in (api.chat("Hi"), api.post("completions", {"model": MODEL, "prompt": "Hi"})):
            body = answer.json()
            assert set(body) == {
                *(
                    "id",
                    "object",
                    "created_at",
                    "model",
                    "provider",
                    "duration_ms",
                    "status",
                    "output",
                    "usage",
                )
            }
            assert (body["object"], body["status"]) == ("response", "completed")
            content = body["output"][0]["content"][0]
            assert content["type"] == "output_text"
            assert '"Hi"' in content["text"]
            assert "cost" not in body["usage"]
            assert body["usage"]["output_tokens"] == len(tokens(content["text"]))
        cut = api.chat("Hi", max_tokens=2).json()
        assert cut["status"] == "incomplete"
        assert "data" in api.post("embeddings", {"model": "text-embedding-3-small", "text": ["x"]}).json()


def test_the_openai_generation() -> None:
    with Sandbox(answers="openai") as sandbox, Api(sandbox) as api:
        body = api.chat("Hi").json()
        assert body["object"] == "chat.completion"
        assert '"Hi"' in body["choices"][0]["message"]["content"]
        assert body["usage"]["total_tokens"] > body["usage"]["prompt_tokens"] > 0
        text = api.post("completions", {"model": MODEL, "prompt": "Hi"}).json()
        assert '"Hi"' in text["choices"][0]["text"]


def test_the_seed_generation_wraps_every_answer() -> None:
    with Sandbox(answers="seed") as sandbox, Api(sandbox) as api:
        answer = api.chat("Hi")
        body = answer.json()
        assert set(body) == {"result", "metadata"}
        assert set(body["result"]) == ENVELOPE
        assert body["metadata"]["request_id"] == answer.headers["x-request-id"]
        assert api.get("providers").json()["result"][0]["id"] == "openai"
        models = api.get("models").json()["result"]
        assert {"openai", "anthropic"} <= set(models)
        assert list(api.get("models?provider=google").json()["result"]) == ["google"]
        assert api.get("usage").json()["result"]["total_requests"] == 1
        assert "credits" in api.get("user/me").json()["result"]
        assert api.get("models/").status_code == 404
        assert api.get("user/usage").status_code == 404
