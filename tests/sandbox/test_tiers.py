"""Account tiers: limits of requests and of tokens, told and enforced."""

import base64
import datetime
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import requests

from indoxrouter.sandbox import Sandbox
from indoxrouter.sandbox.tiers import Window
from indoxrouter.wire.fields import rate_limit

from .sandbox_api import MODEL, Api, OpenAIApi, chat_body, chunks

NAMES = [f"x-ratelimit-{name}-{kind}" for name in ("limit", "remaining", "reset") for kind in ("requests", "tokens")]


def told(headers: Mapping[str, str]) -> list[int]:
    """Limit and rest of requests, then of tokens."""
    return [
        int(headers[f"x-ratelimit-{name}-{kind}"]) for kind in ("requests", "tokens") for name in ("limit", "remaining")
    ]


def limited(answer: requests.Response) -> dict[str, Any]:
    assert answer.status_code == 429
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize(
    ("tier", "requests_", "tokens"), [("free", 10, 10_000), ("standard", 60, 100_000), ("enterprise", 500, 1_000_000)]
)
def test_a_tier_is_told_with_every_answer(tier: str, requests_: int, tokens: int) -> None:
    with Sandbox(tier=tier) as sandbox, Api(sandbox, login=False) as api:
        login = api.login()
        claims = json.loads(base64.urlsafe_b64decode(login["access_token"].split(".")[1] + "=="))
        assert claims["rate_limits"] == {"requests_per_minute": requests_, "tokens_per_hour": tokens}
        assert api.get("user/me").json()["account_tier"] == tier
        usage = api.chat().json()["usage"]
        with OpenAIApi(sandbox) as openai:
            others = [openai.get("models"), openai.get("nothing")]
        for answer in (api.get("models/"), api.get("nothing"), api.post("chat/completions", {}), *others):
            assert [name in answer.headers for name in NAMES] == [True] * 6
            limit, left, token_limit, tokens_left = told(answer.headers)
            assert (limit, token_limit, tokens_left) == (requests_, tokens, tokens - usage["tokens_total"])
            assert left in (requests_ - 1, requests_ - 2)  # what is invalid was asked for as well


def test_without_a_tier_nothing_is_told_or_limited(own: Api) -> None:
    answers = [own.chat() for _ in range(12)]
    assert {answer.status_code for answer in answers} == {200}
    assert not any(name.startswith("x-ratelimit") for name in answers[0].headers)
    assert own.get("user/me").json()["account_tier"] == "enterprise"


def test_the_client_reads_what_the_sandbox_tells() -> None:
    with Sandbox(tier="free", request_window=90) as sandbox, Api(sandbox) as api:
        answer = api.chat()
        found = rate_limit({name.lower(): value for name, value in answer.headers.items()})
        assert found is not None
        assert (found.limit_requests, found.remaining_requests, found.limit_tokens) == (10, 9, 10_000)
        assert found.remaining_tokens == 10_000 - answer.json()["usage"]["tokens_total"]
        assert found.reset_requests is not None
        assert found.reset_tokens is not None
        assert 80 < found.reset_requests <= 90 < 3590 < found.reset_tokens <= 3600


def test_too_many_requests_are_refused_until_the_window_ends() -> None:
    with Sandbox(tier="free", request_window=3) as sandbox, Api(sandbox) as api:
        began = time.monotonic()
        assert [api.chat().status_code for _ in range(10)] == [200] * 10
        answer = api.chat()
        body = limited(answer)
        seconds = int(answer.headers["Retry-After"])
        assert 1 <= seconds <= 3
        details = body.pop("details")
        assert body == {
            "success": False,
            "error": "RateLimitError",
            "message": "Rate limit exceeded: the free tier has 10 requests in 3 seconds."
            f" Try again in {seconds} seconds.",
            "status_code": 429,
            "request_id": answer.headers["x-request-id"],
        }
        reset = datetime.datetime.fromisoformat(details.pop("reset_time"))
        assert 0 < (reset - datetime.datetime.now(datetime.UTC)).total_seconds() <= 3
        assert details == {
            "limit_type": "requests",
            "limit": 10,
            "remaining": 0,
            "retry_after": seconds,
            "tier": "free",
        }
        assert told(answer.headers)[:2] == [10, 0]
        for path in ("models/", "user/me", "user/usage"):
            assert api.get(path).status_code == 200
        assert sandbox.stats()["charges"] == 10
        time.sleep(max(0.0, began + 3.1 - time.monotonic()))
        assert api.chat().status_code == 200
        assert sandbox.stats()["rate_limited"] == 1


def test_every_way_to_spend_counts_and_none_gets_around_the_limit() -> None:
    body = chat_body(stream=True)
    with Sandbox(tier="free") as sandbox, Api(sandbox) as api, OpenAIApi(sandbox) as openai:
        calls: list[Callable[[], requests.Response]] = [
            lambda: api.chat(),
            lambda: api.chat(byok_api_key="sk-mine"),
            lambda: api.chat_stream(),
            lambda: api.post("completions", {"model": MODEL, "prompt": "x"}),
            lambda: api.post("embeddings", {"model": "openai/text-embedding-3-small", "text": ["x"]}),
            lambda: api.post("images/generations", {"model": "openai/dall-e-3", "prompt": "x"}),
            lambda: openai.post("chat/completions", chat_body()),
            lambda: openai.post("chat/completions", body),
        ]
        for call in calls:
            assert call().status_code == 200
        assert api.chat(model="openai/none").status_code == 404
        assert told(api.chat(headers={"Idempotency-Key": "k"}).headers)[1] == 0
        for call in calls:
            answer = call()
            assert (answer.status_code, answer.headers["content-type"]) == (429, "application/json")
        assert limited(openai.post("chat/completions", body))["error"]["code"] == "rate_limit_exceeded"
        assert limited(api.chat(headers={"Idempotency-Key": "k"}))["details"]["limit_type"] == "requests"


def test_tokens_are_limited_by_their_own_window() -> None:
    with Sandbox(tier="free", token_window=3) as sandbox, Api(sandbox) as api:
        usage = chunks(api.chat_stream("word " * 9_990))[-1]["usage"]
        assert usage["total_tokens"] >= 10_000
        answer = api.chat()
        body = limited(answer)
        assert (body["details"]["limit_type"], body["details"]["limit"]) == ("tokens", 10_000)
        assert told(answer.headers)[1:] == [9, 10_000, 0]
        time.sleep(int(answer.headers["Retry-After"]))
        assert api.chat().status_code == 200


def test_what_is_limited_was_not_begun() -> None:
    key = {"Idempotency-Key": "k"}
    with Sandbox(tier="free", request_window=2) as sandbox, Api(sandbox) as api:
        for _ in range(10):
            api.post("chat/completions", {})
        answer = api.chat(headers=key)
        limited(answer)
        time.sleep(int(answer.headers["Retry-After"]))
        again = api.chat(headers=key)
        assert again.status_code == 200
        assert "Idempotent-Replayed" not in again.headers
        assert sandbox.stats()["charges"] == 1


def test_a_window_begins_with_what_it_counts_first() -> None:
    window = Window(10, 60)
    assert (window.left(5), window.reset(5)) == (10, 0)
    window.count(4, 10)
    window.count(5, 69)
    assert (window.left(69.5), window.reset(69.5)) == (1, 0.5)
    window.count(7, 69.9)
    assert window.left(69.95) == 0
    assert (window.left(70), window.reset(70)) == (10, 0)
    window.count(1, 100)
    assert (window.left(100), window.reset(100)) == (9, 60)


@pytest.mark.parametrize("setting", ["request_window", "token_window"])
def test_a_window_has_a_length(setting: str) -> None:
    with pytest.raises(ValueError, match=setting):
        Sandbox(**{setting: 0})
    with pytest.raises(ValueError, match="tier"):
        Sandbox(tier="gold")
