"""The OpenAI-compatible API: keys, errors, headers, faults, idempotency and settings."""

import json
import re
from typing import Any

import pytest
import requests

from indoxrouter.sandbox import Sandbox
from indoxrouter.sandbox.openai_api.ratelimits import RateLimits

from .sandbox_api import MODEL, Api, OpenAIApi, chat_body, chunks, text_of

USAGE = {"include_usage": True}


def test_the_url_and_the_key(shared: Sandbox) -> None:
    assert shared.openai_url == f"http://127.0.0.1:{shared.port}/openai/v1"
    with OpenAIApi(shared) as openai:
        assert openai.get("models").status_code == 200


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic abc", "Bearer schlüssel"]
)
def test_a_wrong_key_is_refused(shared: Sandbox, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization.encode()}
    for path in ("chat/completions", "files"):
        answer = requests.post(f"{shared.openai_url}/{path}", json=chat_body(), headers=headers, timeout=10)
        error = answer.json()["error"]
        assert answer.status_code == 401
        assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", None, "invalid_api_key")
        assert error["message"]


def test_a_token_of_the_hosted_api_is_no_key(own: Api) -> None:
    token = own.login()["access_token"]
    with OpenAIApi(own.sandbox, token) as openai:
        assert openai.get("models").status_code == 401
    assert own.sandbox.stats()["unauthorized"] == 1


def test_a_server_without_keys() -> None:
    with Sandbox(openai_key_required=False) as sandbox:
        for headers in ({}, {"Authorization": "Bearer EMPTY"}):
            assert requests.get(sandbox.openai_url + "/models", headers=headers, timeout=10).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("chat/completions", chat_body(model="gpt-99"), 404, "model_not_found"),
        ("chat/completions", chat_body(model="nobody/gpt-4"), 404, "model_not_found"),
        ("chat/completions", [], 400, None),
        ("chat/completions", {}, 400, None),
        ("nothing", {}, 404, None),
        ("models", {}, 405, None),
    ],
)
def test_errors_have_openais_form(openai: OpenAIApi, path: str, body: Any, status: int, code: str | None) -> None:
    found, error = openai.refusal(path, body)
    assert (found, error["type"], error["code"]) == (status, "invalid_request_error", code)
    assert error["message"]


def test_everything_that_is_wrong_is_told(openai: OpenAIApi) -> None:
    error = openai.refusal("chat/completions", {"temperature": "x"})[1]
    assert re.match("model: .*; messages: .*; temperature: ", error["message"])
    assert error["param"] == "model"


def test_an_account_without_credits() -> None:
    with Sandbox(credits=0) as sandbox, OpenAIApi(sandbox) as openai:
        status, error = openai.refusal("chat/completions", chat_body())
        assert (status, error["type"], error["code"]) == (429, "insufficient_quota", "insufficient_quota")


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (429, "requests", "rate_limit_exceeded"),
        (401, "invalid_request_error", "invalid_api_key"),
        (422, "invalid_request_error", None),
        (503, "server_error", None),
    ],
)
def test_ordered_errors_have_openais_form(openai: OpenAIApi, status: int, kind: str, code: str | None) -> None:
    headers = {"X-Sandbox-Fault": json.dumps({"status": status})}
    found, error = openai.refusal("chat/completions", chat_body(), headers=headers)
    assert (found, error["type"], error["code"]) == (status, kind, code)


def test_vllms_form_of_errors() -> None:
    with Sandbox(openai_errors="vllm") as sandbox, OpenAIApi(sandbox) as openai:
        kinds = {}
        for model, fault in (
            ("gpt-99", "{}"),
            ("dall-e-3", "{}"),
            (MODEL, '{"status": 500}'),
            (MODEL, '{"status": 418}'),
        ):
            answer = openai.post("chat/completions", chat_body(model=model), headers={"X-Sandbox-Fault": fault})
            body = answer.json()
            assert set(body) == {"object", "message", "type", "param", "code"}
            assert (body["object"], body["code"]) == ("error", answer.status_code)
            kinds[answer.status_code] = body["type"]
        assert kinds == {
            404: "NotFoundError",
            400: "BadRequestError",
            500: "InternalServerError",
            418: "BadRequestError",
        }
        with Api(sandbox) as api:
            assert "details" in api.chat(model="gpt-99").json()


def test_orders_match_below_the_prefix(own: Api) -> None:
    with OpenAIApi(own.sandbox) as openai:
        own.sandbox.fault(path="chat/*", status=503, times=2)
        answers = [openai.post("chat/completions", chat_body()).status_code for _ in range(3)]
        assert answers == [503, 503, 200]
        own.sandbox.fault(path="chat/completions", error_event=3)
        *_, last = openai.post("chat/completions", chat_body(stream=True)).content.decode().strip().split("\n\n")
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "provider_error"
        stats = own.sandbox.stats()
        assert stats["requests"]["chat/completions"] == 4
        assert stats["faults"] == 3


def test_the_host_is_checked_in_openais_form(openai: OpenAIApi) -> None:
    answer = openai.get("models", headers={"Host": "example.com"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (421, "invalid_request_error")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("chat/completions", chat_body()),
        ("chat/completions", chat_body(stream=True, stream_options=USAGE)),
        ("completions", {"model": MODEL, "prompt": "x"}),
        ("embeddings", {"model": "text-embedding-3-small", "input": "x", "encoding_format": "base64"}),
        ("images/generations", {"prompt": "x"}),
    ],
)
def test_answers_are_replayed(own: Api, path: str, body: Any) -> None:
    with OpenAIApi(own.sandbox) as openai:
        key = {"Idempotency-Key": "k"}
        first, second = (openai.post(path, body, headers=key) for _ in range(2))
        assert first.content == second.content
        assert second.headers["Idempotent-Replayed"] == "true"
        assert own.sandbox.stats()["charges"] == 1
        changed = openai.post(path, body | {"user": "another"}, headers=key)
        assert (changed.status_code, changed.json()["error"]["type"]) == (400, "invalid_request_error")


def test_a_key_is_not_shared_between_the_apis(own: Api) -> None:
    key = {"Idempotency-Key": "k"}
    with OpenAIApi(own.sandbox) as openai:
        assert openai.post("chat/completions", chat_body(), headers=key).status_code == 200
        assert own.chat(headers=key).status_code == 422


def test_both_apis_share_one_ledger(own: Api) -> None:
    hosted = own.chat("Hi").json()["usage"]["cost"]
    with OpenAIApi(own.sandbox) as openai:
        openai.chat("Hi")
        openai.stream("Hi", n=1)
    report = own.usage()
    assert report["endpoints"]["chat/completions"]["requests"] == 3
    assert report["total_cost"] == pytest.approx(3 * hosted)


def test_the_headers(openai: OpenAIApi) -> None:
    answer = openai.post("chat/completions", chat_body())
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.json()["id"] == "chatcmpl-" + answer.headers["x-request-id"]
    assert int(answer.headers["openai-processing-ms"]) >= 0
    assert not any(name.startswith(("x-litellm", "x-ratelimit")) for name in answer.headers)


def test_litellms_headers() -> None:
    with Sandbox(litellm_headers=True) as sandbox, OpenAIApi(sandbox) as openai, Api(sandbox) as api:
        answer = openai.post("chat/completions", chat_body())
        cost = float(answer.headers["x-litellm-response-cost"])
        assert cost == api.usage()["total_cost"] > 0
        assert len(answer.headers["x-litellm-model-id"]) == 64
        assert answer.headers["x-litellm-call-id"]
        stream = openai.post("chat/completions", chat_body(stream=True))
        assert stream.headers["x-litellm-model-id"] == answer.headers["x-litellm-model-id"]
        assert "x-litellm-response-cost" not in stream.headers
        assert "x-litellm-model-id" not in openai.get("models").headers
        assert "x-litellm-call-id" not in api.chat().headers


def test_the_rate_limits_headers() -> None:
    with Sandbox(ratelimit_headers=True) as sandbox, OpenAIApi(sandbox) as openai:
        heads = [openai.post("chat/completions", chat_body()).headers for _ in range(2)]
        for kind in ("requests", "tokens"):
            limit = int(heads[0][f"x-ratelimit-limit-{kind}"])
            left = [int(head[f"x-ratelimit-remaining-{kind}"]) for head in heads]
            assert limit > left[0] > left[1]
            assert re.fullmatch(r"\d+\.\d{3}s", heads[0][f"x-ratelimit-reset-{kind}"])


def test_the_minute_of_the_rate_limits_starts_again() -> None:
    rates = RateLimits()
    name = "x-ratelimit-remaining-requests"
    assert [rates.headers(at, 0)[name] for at in (5, 6, 64, 65)] == ["9999", "9998", "9997", "9999"]
    assert rates.headers(70, 10**9)["x-ratelimit-remaining-tokens"] == "0"
    assert rates.headers(75, 0)["x-ratelimit-reset-requests"] == "50.000s"


def test_a_server_without_stream_options() -> None:
    with Sandbox(refuse_stream_options=True) as sandbox, OpenAIApi(sandbox) as openai:
        body = chat_body(stream=True, stream_options=USAGE)
        status, error = openai.refusal("chat/completions", body)
        assert (status, error["param"]) == (400, "stream_options")
        assert text_of(openai.stream())
        assert sandbox.stats()["charges"] == 1


@pytest.mark.parametrize("setting", ["refuse_base64", "ignore_base64"])
def test_a_server_without_base64(setting: str) -> None:
    body = {"model": "text-embedding-3-small", "input": "x", "encoding_format": "base64"}
    with Sandbox(**{setting: True}) as sandbox, OpenAIApi(sandbox) as openai:
        answer = openai.post("embeddings", body)
        if setting == "refuse_base64":
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, "encoding_format")
        else:
            assert isinstance(answer.json()["data"][0]["embedding"], list)
        assert openai.post("embeddings", body | {"encoding_format": "float"}).status_code == 200


def test_a_stream_that_is_cut(openai: OpenAIApi) -> None:
    with pytest.raises(requests.RequestException):
        openai.post("chat/completions", chat_body(stream=True), headers={"X-Sandbox-Fault": '{"cut": 500}'})
    whole = openai.post("chat/completions", chat_body(stream=True), headers={"X-Sandbox-Fault": '{"drip": 4000}'})
    assert text_of(chunks(whole))
