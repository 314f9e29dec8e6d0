"""Credits that are promised to what is still running can't be spent twice."""

import time
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import pytest
import requests

from indoxrouter.sandbox import Sandbox

from .sandbox_api import Api, OpenAIApi, chat_body, chunks, pieces

VIDEOS = "videos/generations"
VIDEO = {"model": "google/veo-3.0-generate-001", "prompt": "A red boat", "duration": 4}  # 1.6 US dollars
SLOW = 30.0


def job(api: Api, **fields: Any) -> str:
    answer = api.post(VIDEOS, VIDEO | fields)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["job_id"])


def refusal(answer: requests.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["error"]) == (402, "InsufficientCreditsError")
    return body


def ended(api: Api, job_id: str) -> str:
    until = time.monotonic() + 10
    while (status := str(api.get(f"videos/jobs/{job_id}").json()["status"])) in ("pending", "processing"):
        assert time.monotonic() < until
        time.sleep(0.01)
    return status


def credits_of(api: Api) -> float:
    return float(api.get("user/me").json()["credits"])


def test_a_job_is_refused_when_the_credits_are_promised_to_others() -> None:
    with Sandbox(credits=4, video_seconds=SLOW) as sandbox, Api(sandbox) as api:
        job(api)
        job(api)
        body = refusal(api.post(VIDEOS, VIDEO))
        assert body["message"] == (
            "This costs $1.6, but $0.8 of credits is left besides $3.2 for what is still running."
        )
        assert body["details"] == {"remaining_credits": 0.8, "required_credits": 1.6}
        assert api.get("videos/jobs").json()["total"] == 2
        assert credits_of(api) == 4  # they are billed when they are completed
        job(api, duration=2)
        assert refusal(api.chat())["message"] == (
            "The account has no credits left besides $4 for what is still running."
        )
        assert api.post(VIDEOS, VIDEO | {"byok_api_key": "mine"}).status_code == 200
        sandbox.add_credits(2)
        job(api)


def test_what_a_job_is_promised_it_is_billed() -> None:
    with Sandbox(credits=2, video_seconds=0.05) as sandbox, Api(sandbox) as api:
        assert ended(api, job(api)) == "completed"
        assert credits_of(api) == refusal(api.post(VIDEOS, VIDEO))["details"]["remaining_credits"] == 0.4
        assert ended(api, job(api, duration=1)) == "completed"
        assert credits_of(api) == 0


@pytest.mark.parametrize("way", ["failed", "cancelled"])
def test_a_job_that_comes_to_nothing_gives_back_what_it_was_promised(way: str) -> None:
    seconds = 0.05 if way == "failed" else SLOW
    with Sandbox(credits=2, video_seconds=seconds) as sandbox, Api(sandbox) as api:
        for _ in range(3):
            if way == "failed":
                sandbox.fault(path=VIDEOS, job_error="No.")
                assert ended(api, job(api)) == "failed"
            else:
                running = job(api)
                refusal(api.post(VIDEOS, VIDEO))
                for _ in range(2):  # the second time there is nothing to give back
                    assert api.post(f"videos/jobs/{running}/cancel").status_code == 200
        assert credits_of(api) == 2
        job(api)
        refusal(api.post(VIDEOS, VIDEO))


def test_a_repeated_request_is_promised_nothing_more() -> None:
    with Sandbox(credits=2, video_seconds=SLOW) as sandbox, Api(sandbox) as api:
        key = {"Idempotency-Key": "k"}
        refused = api.post(VIDEOS, VIDEO | {"duration": 8}, headers=key)
        assert refused.status_code == 402
        first, again = (api.post(VIDEOS, VIDEO, headers=key) for _ in range(2))
        assert first.content == again.content
        assert api.chat().status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("images/generations", {"model": "openai/dall-e-3", "prompt": "A boat"}),
        ("audio/tts/generations", {"model": "openai/tts-1", "input": "x" * 2000}),
        (VIDEOS, VIDEO),
    ],
)
def test_what_has_a_price_beforehand_must_be_covered(path: str, body: dict[str, Any]) -> None:
    with Sandbox(credits="0.02", videos="sync") as sandbox, Api(sandbox) as api:
        left = refusal(api.post(path, body))["details"]["remaining_credits"]
        assert left == credits_of(api) == 0.02
        assert api.post(path, body | {"byok_api_key": "mine"}).status_code == 200
        sandbox.add_credits(2)
        assert api.post(path, body).status_code == 200


def priced(**fields: Any) -> Decimal:
    """What a stream costs that is read whole."""
    with Sandbox() as sandbox, Api(sandbox) as api:
        return Decimal(str(chunks(api.chat_stream(**fields))[-1]["usage"]["cost"]))


def test_streams_side_by_side_cannot_overdraw_the_account() -> None:
    cost = priced()
    with Sandbox(credits=cost * 5 / 2, stream_delay=0.02) as sandbox, ExitStack() as stack:
        answers = []
        for _ in range(10):
            api = stack.enter_context(Api(sandbox))
            answers.append(stack.enter_context(api.chat_stream()))
        assert [answer.status_code for answer in answers] == [200] * 3 + [402] * 7
        for answer in answers[:3]:
            assert chunks(answer)[-1]["usage"]["cost"] == float(cost)
        assert Decimal(str(credits_of(api))) == cost / -2  # the last credits were enough to begin
        assert api.chat().status_code == 402


def test_a_limit_keeps_the_promise_small() -> None:
    with Sandbox(credits=priced(), stream_delay=0.05) as sandbox, ExitStack() as stack:
        apis = [stack.enter_context(Api(sandbox)) for _ in range(3)]
        answers = [stack.enter_context(api.chat_stream(max_tokens=3)) for api in apis]
        assert [answer.status_code for answer in answers] == [200] * 3


@pytest.mark.parametrize("sent", [0, 3])
def test_a_stream_that_is_left_gives_back_what_it_did_not_use(sent: int) -> None:
    with Sandbox(credits=priced(), stream_delay=0.1) as sandbox, Api(sandbox) as api:
        with Api(sandbox) as other, other.chat_stream() as answer:
            arriving = pieces(answer)
            for _ in range(sent + 1):  # the first has no text
                next(arriving)
            assert api.chat().status_code == 402
        until = time.monotonic() + 10
        while sandbox.stats()["open_streams"]:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert api.chat().status_code == 200


def test_the_openai_compatible_api_keeps_promises_too() -> None:
    with Sandbox(credits=priced(), stream_delay=0.05) as sandbox, OpenAIApi(sandbox) as openai, Api(sandbox) as api:
        with openai.post("chat/completions", chat_body(stream=True), stream=True) as answer:
            assert answer.status_code == 200
            assert refusal(api.chat())["details"]["remaining_credits"] == 0
            with OpenAIApi(sandbox) as other:
                status, error = other.refusal("chat/completions", chat_body())
            assert (status, error["code"]) == (429, "insufficient_quota")


def test_a_fault_that_is_not_charged_is_promised_nothing() -> None:
    with Sandbox(credits="0.01") as sandbox, Api(sandbox) as api:
        broken = api.chat_stream(headers={"X-Sandbox-Fault": '{"error_event": 1}'})
        assert b"error" in broken.content
        assert api.post(VIDEOS, VIDEO, headers={"X-Sandbox-Fault": '{"charge": false}'}).status_code == 200
        assert api.chat().status_code == 200
