"""Streams that are stopped on request, before and after their connections are closed."""

import json
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest

from indoxrouter.sandbox import Sandbox

from .sandbox_api import MODEL, Api, chunks, pieces


@pytest.fixture
def typed() -> Iterator[Api]:
    with Sandbox(streams="typed", stream_delay=0.03) as sandbox, Api(sandbox) as api:
        yield api


@pytest.fixture
def still() -> Iterator[Api]:
    """A stream's second event would come after an hour."""
    with Sandbox(streams="typed", stream_delay=3600) as sandbox, Api(sandbox) as api:
        yield api


def stream_id(line: bytes) -> str:
    return str(json.loads(line.removeprefix(b"data: "))["response"]["id"])


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


def begun(api: Api, count: int, **fields: Any) -> tuple[str, int]:
    """Begins a stream, leaves it after some events, and tells its id and how many of them were text."""
    with api.chat_stream(**fields) as answer:
        received = list(islice(pieces(answer), count))
    return stream_id(received[0]), sum(b"content_part.delta" in line for line in received)


@pytest.mark.parametrize("kind", ["chat", "completions"])
def test_a_stream_that_is_stopped_while_it_is_read_ends_with_its_bill(typed: Api, kind: str) -> None:
    received, stop = [], {}
    with typed.chat_stream() as answer:
        for line in pieces(answer):
            received.append(line)
            if len(received) == 5:
                stop = typed.post(f"{kind}/stop-stream/{stream_id(received[0])}").json()
    assert received[-1] == b"data: [DONE]"
    response = json.loads(received[-2].removeprefix(b"data: "))["response"]
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "stopped"})
    texts = sum(b"content_part.delta" in line for line in received)
    report = typed.usage()
    assert report["total_tokens"]["output"] == response["usage"]["output_tokens"] == texts
    assert stop == {
        "success": True,
        "stream_id": stream_id(received[0]),
        "status": "stopped",
        "usage": {
            "tokens_prompt": report["total_tokens"]["input"],
            "tokens_completion": texts,
            "tokens_total": report["total_tokens"]["total"],
            "cost": report["total_cost"],
        },
    }
    stats = typed.sandbox.stats()
    assert (stats["charges"], stats["stops"], stats["stopped_streams"], stats["cancelled_streams"]) == (1, 1, 1, 0)


def test_a_stop_does_not_wait_for_the_next_event(still: Api) -> None:
    with still.chat_stream() as answer:
        events = pieces(answer)
        first = next(events)
        assert still.post(f"chat/stop-stream/{stream_id(first)}").json()["usage"]["tokens_completion"] == 0
        kinds = [json.loads(line.removeprefix(b"data: ")).get("type") for line in events if line != b"data: [DONE]"]
    assert "response.content_part.delta" not in kinds
    assert still.sandbox.stats()["charges"] == 1


def test_a_stop_after_the_connection_was_closed_finds_the_stream_and_its_one_bill(typed: Api) -> None:
    whole = typed.chat(byok_api_key="sk-mine").json()["usage"]["tokens_completion"]
    name, sent = begun(typed, 7)
    eventually(lambda: typed.sandbox.stats()["cancelled_streams"] == 1)
    before = typed.usage()
    with Api(typed.sandbox) as other:
        first, again = (other.post(f"chat/stop-stream/{name}").json() for _ in range(2))
    assert first == again
    assert first["status"] == "cancelled"
    assert sent <= first["usage"]["tokens_completion"] == before["total_tokens"]["output"] - whole < whole
    assert first["usage"]["cost"] == before["total_cost"] > 0
    assert typed.usage() == before
    stats = typed.sandbox.stats()
    assert (stats["charges"], stats["stops"], stats["stopped_streams"]) == (1, 2, 0)


def test_a_stop_that_comes_with_the_closing_bills_once(typed: Api) -> None:
    for _ in range(5):
        name, _ = begun(typed, 6)
        assert typed.post(f"chat/stop-stream/{name}").status_code == 200
    eventually(lambda: typed.sandbox.stats()["open_streams"] == 0)
    assert typed.sandbox.stats()["charges"] == typed.usage()["total_requests"] == 5


def test_a_stream_that_was_left_before_its_text_was_not_billed(still: Api) -> None:
    name, _ = begun(still, 1)
    eventually(lambda: still.sandbox.stats()["cancelled_streams"] == 1)
    stop = still.post(f"chat/stop-stream/{name}").json()
    assert stop["usage"] == {"tokens_prompt": 0, "tokens_completion": 0, "tokens_total": 0, "cost": 0}
    assert still.usage()["total_requests"] == still.sandbox.stats()["charges"] == 0


def test_a_stream_that_ended_by_itself_is_known_for_a_while() -> None:
    with Sandbox(streams="typed") as sandbox, Api(sandbox) as api:
        parts = chunks(api.chat_stream())
        stop = api.post(f"chat/stop-stream/{parts[0]['response']['id']}").json()
        assert stop["status"] == "completed"
        assert stop["usage"]["tokens_completion"] == parts[-1]["response"]["usage"]["output_tokens"]
        assert sandbox.stats()["stopped_streams"] == 0


def test_after_the_grace_a_stream_is_unknown() -> None:
    with Sandbox(streams="typed", stop_grace=0.2) as sandbox, Api(sandbox) as api:
        name = chunks(api.chat_stream())[0]["response"]["id"]
        assert api.post(f"chat/stop-stream/{name}").status_code == 200
        eventually(lambda: api.post(f"chat/stop-stream/{name}").status_code == 404)
        assert sandbox.stats()["charges"] == 1


def test_an_unknown_stream_and_an_unknown_caller(typed: Api) -> None:
    answer = typed.post("chat/stop-stream/resp_none")
    assert (answer.status_code, answer.json()["detail"]) == (404, "No stream resp_none is open.")
    name, _ = begun(typed, 5)
    typed.bearer("nobody")
    assert typed.post(f"chat/stop-stream/{name}").status_code == 401
    assert typed.sandbox.stats()["stops"] == 0


def test_a_stopped_stream_is_replayed_as_it_ended(typed: Api) -> None:
    key = {"Idempotency-Key": "k"}
    received = []
    with typed.chat_stream(headers=key) as answer:
        for line in pieces(answer):
            received.append(line)
            if len(received) == 6:
                typed.post(f"chat/stop-stream/{stream_id(received[0])}")
    again = typed.chat_stream(headers=key)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert list(pieces(again)) == received
    assert typed.sandbox.stats()["charges"] == 1


def test_a_completions_stream_is_stopped_too(typed: Api) -> None:
    body = {"model": MODEL, "prompt": "Once", "stream": True}
    with typed.post("completions", body, stream=True) as answer:
        events = pieces(answer)
        name = stream_id(next(events))
        assert typed.post(f"completions/stop-stream/{name}").json()["status"] == "stopped"
        assert list(events)[-1] == b"data: [DONE]"
