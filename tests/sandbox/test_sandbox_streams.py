"""The three stream generations, and streams that end early."""

import json
import time
from collections.abc import Callable, Iterator
from itertools import islice, pairwise

import pytest
import requests

from indoxrouter.sandbox import Sandbox
from indoxrouter.sandbox.answers import tokens

from .sandbox_api import MODEL, Api, chunks, events, pieces, text_of


@pytest.fixture
def slow() -> Iterator[Api]:
    with Sandbox(stream_delay=0.03) as sandbox, Api(sandbox) as api:
        yield api


@pytest.fixture
def typed() -> Iterator[Api]:
    with Sandbox(streams="typed", stream_delay=0.03) as sandbox, Api(sandbox) as api:
        yield api


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


def test_chunks_carry_the_text_and_the_usage_with_the_finish_reason(api: Api) -> None:
    answer = api.chat_stream("Hi")
    assert answer.headers["content-type"].startswith("text/event-stream")
    parts = chunks(answer)
    assert text_of(parts) == api.chat("Hi").json()["data"]
    assert parts[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [part["choices"][0]["finish_reason"] for part in parts] == [None] * (len(parts) - 1) + ["stop"]
    assert [("usage" in part) for part in parts] == [False] * (len(parts) - 1) + [True]
    whole = api.chat("Hi").json()["usage"]
    usage = parts[-1]["usage"]
    assert usage["cost"] == whole["cost"]
    assert usage["prompt_tokens"] == whole["tokens_prompt"]
    assert usage["completion_tokens"] == whole["tokens_completion"] == len(parts) - 2
    assert len({part["id"] for part in parts}) == 1
    assert parts[0]["id"] == "chatcmpl-" + answer.headers["x-request-id"]


def test_a_stream_is_cut_at_max_tokens(api: Api) -> None:
    parts = chunks(api.chat_stream(max_tokens=3))
    assert parts[-1]["choices"][0]["finish_reason"] == "length"
    assert parts[-1]["usage"]["completion_tokens"] == 3
    assert len(tokens(text_of(parts))) == 3


def test_a_completion_streams_its_text(api: Api) -> None:
    body = {"model": MODEL, "prompt": "Once", "stream": True}
    parts = chunks(api.post("completions", body))
    text = "".join(part["choices"][0]["text"] for part in parts)
    assert text == api.post("completions", body | {"stream": False}).json()["data"]
    assert parts[-1]["choices"][0]["finish_reason"] == "stop"
    assert parts[-1]["usage"]["cost"] > 0


def test_an_error_before_a_stream_is_an_ordinary_answer(api: Api) -> None:
    answer = api.chat_stream(model="openai/none")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")


def test_typed_events() -> None:
    with Sandbox(streams="typed") as sandbox, Api(sandbox) as api:
        parts = chunks(api.chat_stream("Hi"))
        expected = api.chat("Hi").json()
        kinds = [part["type"] for part in parts]
        deltas = [part["delta"] for part in parts if part["type"] == "response.content_part.delta"]
        assert kinds == [
            *("response.created", "response.output_item.added", "response.content_part.added"),
            *["response.content_part.delta"] * len(deltas),
            *("response.output_item.done", "response.done"),
        ]
        assert "".join(deltas) == expected["data"]
        response = parts[-1]["response"]
        assert response["id"] == parts[0]["response"]["id"]
        assert response["status"] == "completed"
        assert response["usage"]["output_tokens"] == expected["usage"]["tokens_completion"]
        cut = chunks(api.chat_stream("Hi", max_tokens=2))[-1]["response"]
        assert cut["status"] == "incomplete"
        assert cut["incomplete_details"] == {"reason": "max_output_tokens"}


def test_bare_text() -> None:
    with Sandbox(streams="bare") as sandbox, Api(sandbox) as api:
        first, *rest, done = events(api.chat_stream("Hi"))
        text = first + "".join(json.loads(event)["data"] for event in rest)
        assert text == api.chat("Hi").json()["data"]
        assert done == "[DONE]"


def test_events_arrive_one_by_one(slow: Api) -> None:
    with slow.chat_stream(max_tokens=10) as answer:
        times = [time.monotonic() for _ in pieces(answer)]
    assert len(times) == 13
    gaps = [after - before for before, after in pairwise(times)]
    assert min(gaps) > 0.01
    assert times[-1] - times[0] >= 12 * 0.025


def test_a_stream_that_is_left_is_billed_for_what_was_sent(slow: Api) -> None:
    whole = slow.chat().json()["usage"]["tokens_completion"]
    with slow.chat_stream() as answer:
        received = list(islice(pieces(answer), 5))
    assert len(received) == 5
    eventually(lambda: slow.sandbox.stats()["cancelled_streams"] == 1)
    stats = slow.sandbox.stats()
    assert (stats["charges"], stats["open_streams"]) == (2, 0)
    billed = slow.usage()["total_tokens"]["output"] - whole
    assert 4 <= billed < whole


def test_a_stream_that_is_left_before_its_text_is_neither_billed_nor_remembered(own: Api) -> None:
    body = {"model": MODEL, "prompt": "x", "stream": True}
    key = {"Idempotency-Key": "k"}
    with pytest.raises(requests.ReadTimeout):
        own.post("completions", body, timeout=0.05, headers=key | {"X-Sandbox-Fault": '{"delay": 0.2}'})
    eventually(lambda: own.sandbox.stats()["cancelled_streams"] == 1)
    assert own.sandbox.stats()["charges"] == 0
    again = own.post("completions", body, headers=key)
    assert "Idempotent-Replayed" not in again.headers
    assert chunks(again)[-1]["usage"]["completion_tokens"] > 0
    assert own.sandbox.stats()["charges"] == 1


def test_a_chunks_id_stops_nothing(slow: Api) -> None:
    with slow.chat_stream(max_tokens=4) as answer:
        first = json.loads(next(pieces(answer)).removeprefix(b"data: "))
        assert slow.post(f"chat/stop-stream/{first['id']}").status_code == 404
