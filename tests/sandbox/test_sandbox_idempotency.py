"""Idempotency keys: carried out once, replayed byte for byte."""

import json
import threading
import time
from itertools import islice
from typing import Any

import pytest
import requests

from indoxrouter.sandbox import Sandbox

from .sandbox_api import MODEL, Api, chat_body, pieces
from .test_sandbox_streams import eventually

KEY = {"Idempotency-Key": "k-1"}


def fault(**fields: Any) -> dict[str, str]:
    return KEY | {"X-Sandbox-Fault": json.dumps(fields)}


def charges(api: Api) -> int:
    count: int = api.sandbox.stats()["charges"]
    return count


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("chat/completions", chat_body()),
        ("chat/completions", chat_body(stream=True)),
        ("completions", {"model": MODEL, "prompt": "x"}),
        ("completions", {"model": MODEL, "prompt": "x", "stream": True}),
        ("embeddings", {"model": "text-embedding-3-small", "text": ["x"]}),
        ("images/generations", {"model": "gpt-image-1", "prompt": "x"}),
    ],
)
def test_an_answer_is_replayed_and_not_charged_again(own: Api, path: str, body: Any) -> None:
    first, second, third = (own.post(path, body, headers=KEY) for _ in range(3))
    assert first.status_code == second.status_code == 200
    assert first.content == second.content == third.content
    assert second.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    for name in ("content-type", "x-request-id"):
        assert first.headers[name] == second.headers[name]
    stats = own.sandbox.stats()
    assert (stats["charges"], stats["replays"]) == (1, 2)
    assert own.usage()["total_requests"] == 1


@pytest.mark.parametrize("generation", ["chunks", "typed", "bare"])
def test_a_stream_is_replayed_as_a_stream(generation: str) -> None:
    with Sandbox(streams=generation) as sandbox, Api(sandbox) as api:
        first, second = (api.chat_stream(headers=KEY).content for _ in range(2))
        assert first == second
        assert second.endswith(b"data: [DONE]\n\n")


def test_without_a_key_or_with_another_it_is_carried_out_again(own: Api) -> None:
    for headers in (KEY, {"Idempotency-Key": "k-2"}, {}, {}, {"Idempotency-Key": ""}):
        own.chat(headers=headers)
    assert charges(own) == 5


def test_another_body_under_the_same_key_is_refused(own: Api) -> None:
    own.chat(headers=KEY)
    other_body = own.chat("Goodbye", headers=KEY)
    other_path = own.post("completions", chat_body(), headers=KEY)
    for answer in (other_body, other_path):
        assert answer.status_code == 422
        assert isinstance(answer.json()["detail"], str)
    assert own.chat(headers=KEY).headers["Idempotent-Replayed"] == "true"
    assert charges(own) == 1


def test_a_key_is_refused_while_its_first_request_runs(own: Api) -> None:
    answers: list[requests.Response] = []

    def first() -> None:
        with Api(own.sandbox) as api:
            answers.append(api.chat(headers=fault(delay=0.5)))

    thread = threading.Thread(target=first)
    thread.start()
    eventually(lambda: own.sandbox.stats()["running"] == 1)
    time.sleep(0.1)
    assert own.chat(headers=KEY).status_code == 409
    assert own.chat("Other", headers=KEY).status_code == 422
    thread.join()
    assert answers[0].status_code == 200
    assert own.chat(headers=KEY).content == answers[0].content
    assert charges(own) == 1


def test_a_request_whose_client_left_is_completed_and_remembered(own: Api) -> None:
    with pytest.raises(requests.ReadTimeout):
        own.post("chat/completions", chat_body(), headers=fault(delay=0.3), timeout=0.1)
    assert charges(own) == 0
    eventually(lambda: charges(own) == 1)
    replay = own.chat(headers=KEY)
    assert (replay.status_code, replay.headers["Idempotent-Replayed"]) == (200, "true")
    assert charges(own) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (chat_body(model="openai/none"), 404),
        (chat_body(messages=[]), 422),
        (chat_body(model="openai/dall-e-3"), 400),
    ],
)
def test_a_refused_request_is_not_remembered(own: Api, body: Any, status: int) -> None:
    for _ in range(2):
        answer = own.post("chat/completions", body, headers=KEY)
        assert answer.status_code == status
        assert "Idempotent-Replayed" not in answer.headers
    assert own.chat(headers=KEY).status_code == 200
    assert charges(own) == 1


@pytest.mark.parametrize("status", [401, 409, 422, 429, 500, 503])
def test_an_error_on_order_is_not_remembered(own: Api, status: int) -> None:
    assert own.chat(headers=fault(status=status)).status_code == status
    assert charges(own) == 0
    answer = own.chat(headers=KEY)
    assert answer.status_code == 200
    assert "Idempotent-Replayed" not in answer.headers
    assert charges(own) == 1


def test_what_was_charged_before_it_failed_is_replayed(own: Api) -> None:
    assert own.chat(headers=fault(status=502, charge=True)).status_code == 502
    assert charges(own) == 1
    answer = own.chat(headers=KEY)
    assert (answer.status_code, answer.headers["Idempotent-Replayed"]) == (200, "true")
    assert answer.json()["success"] is True
    assert charges(own) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_cut_answer_is_replayed_whole(own: Api, stream: bool) -> None:
    with pytest.raises(requests.RequestException):
        own.post("chat/completions", chat_body(stream=stream), headers=fault(cut=30))
    assert charges(own) == 1
    replay = own.post("chat/completions", chat_body(stream=stream), headers=KEY)
    assert replay.headers["Idempotent-Replayed"] == "true"
    assert replay.content.endswith(b"[DONE]\n\n" if stream else b"}")
    assert charges(own) == 1


def test_a_cancelled_stream_is_replayed_as_far_as_it_was_billed() -> None:
    with Sandbox(stream_delay=0.03) as sandbox, Api(sandbox) as api:
        with api.chat_stream(headers=KEY) as answer:
            seen = list(islice(pieces(answer), 4))
        eventually(lambda: sandbox.stats()["cancelled_streams"] == 1)
        billed = api.usage()["total_tokens"]["output"]
        again: list[bytes] = []
        with (
            api.chat_stream(headers=KEY) as replay,
            pytest.raises(requests.exceptions.ChunkedEncodingError),
        ):
            again.extend(pieces(replay))
        assert replay.headers["Idempotent-Replayed"] == "true"
        assert again[:4] == seen
        assert len(again) == billed + 1  # the first event has no text
        assert charges(api) == 1
