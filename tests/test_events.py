"""`on_event`: one event for each call, however it ends, and nothing secret in it."""

from __future__ import annotations

import logging
import pickle
import time
from collections.abc import Iterator
from typing import Any

import pytest
from clients import Client
from raw_server import DONE, FIN, HOLD, STREAM_HEAD, Action, RawServer, answer, chat_body, event, ok, piece

from indoxrouter import CallEvent, IndoxRouterError, StreamError
from indoxrouter.sandbox import Sandbox

KINDS = ("sync", "async")
KEY = "key-of-the-tests"
HELLO = [{"role": "user", "content": "prompt-of-the-tests"}]
USED = {"usage": {"tokens_prompt": 3, "tokens_completion": 4, "cost": 0.25}}


@pytest.fixture
def told() -> Iterator[list[CallEvent]]:
    events: list[CallEvent] = []
    yield events
    assert all(isinstance(item, CallEvent) for item in events)
    written = repr(events) + str([item.to_dict() for item in events]) + str([item.attributes() for item in events])
    for secret in (KEY, "token-1", "prompt-of-the-tests", "text of the answer"):
        assert secret not in written
        assert secret.encode() not in pickle.dumps(events)


def test_a_call_that_was_answered(told: list[CallEvent]) -> None:
    body = {**chat_body("text of the answer"), **USED, "request_id": "r-1"}
    with RawServer(lambda seen: [answer(503, {"detail": "busy"}) if seen.number == 0 else ok(body)]) as server:
        with Client(KEY, server.url, on_event=told.append) as client:
            before = time.time()
            found = client.chat(HELLO, model="openai/gpt-4o")
    (one,) = told
    assert one.attempts == found.attempts
    assert [attempt.status for attempt in one.attempts] == [503, 200]
    assert before <= one.started <= time.time()
    assert one.seconds >= sum(attempt.seconds + (attempt.wait or 0) for attempt in one.attempts) - 0.001
    assert one.attributes() == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "openai/gpt-4o",
        "gen_ai.response.model": "gpt-4o-mini",
        "gen_ai.response.id": "r-1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 4,
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "http.response.status_code": 200,
        "indoxrouter.outcome": "done",
        "indoxrouter.attempts": 2,
        "indoxrouter.cost": 0.25,
        "indoxrouter.cached": False,
        "indoxrouter.client_request_id": found.client_request_id,
    }


def test_a_call_that_failed(told: list[CallEvent]) -> None:
    with RawServer(lambda _: [answer(402, {"detail": "no credits"})]) as server:
        with Client(KEY, server.url, on_event=told.append) as client, pytest.raises(IndoxRouterError) as caught:
            client.image("prompt-of-the-tests")
    (one,) = told
    assert (one.operation, one.error_type, one.status_code, one.outcome) == (
        *("image", "InsufficientCreditsError", 402, "rejected"),
    )
    assert one.attempts == caught.value.attempts
    assert one.client_request_id == caught.value.client_request_id
    assert one.usage is None


def test_a_call_that_could_not_log_in(told: list[CallEvent]) -> None:
    with RawServer(lambda _: [answer(401, {"detail": "no"})], logins=False) as server:
        with Client(KEY, server.url, on_event=told.append) as client, pytest.raises(IndoxRouterError):
            client.models()
    (one,) = told
    assert (one.operation, one.error_type, one.outcome, one.attempts) == (
        *("catalogue", "AuthenticationError", "not_sent", ()),
    )


def test_streams_tell_how_they_ended(told: list[CallEvent]) -> None:
    whole: list[Action] = [
        STREAM_HEAD,
        piece("text of the answer"),
        piece("", "stop"),
        event({"choices": [], **USED}),
        DONE,
        FIN,
    ]
    cut: list[Action] = [STREAM_HEAD, piece("text of the answer"), FIN]
    left: list[Action] = [STREAM_HEAD, piece("text of the answer"), HOLD]
    with RawServer(lambda seen: (whole, cut, left)[seen.number]) as server:
        with Client(KEY, server.url, on_event=told.append) as client:
            client.chat(HELLO, stream=True).response()
            assert len(told) == 1
            with pytest.raises(StreamError):
                client.chat(HELLO, stream=True).response()
            stream = client.chat(HELLO, stream=True)
            assert len(told) == 2
            next(stream)
            stream.close()
    assert [(one.state, one.outcome, one.error_type) for one in told] == [
        ("complete", "done", None),
        ("truncated", "unknown", "StreamError"),
        ("cancelled", "unknown", None),
    ]
    assert [one.usage and one.usage.cost for one in told] == [one.cost for one in told] == [0.25, None, None]
    assert told[0].finish_reason == "stop"


def test_answers_from_the_cache_say_so(told: list[CallEvent]) -> None:
    with RawServer(lambda _: [ok(chat_body())]) as server:
        with Client(KEY, server.url, on_event=told.append, cache={}) as client:
            client.chat(HELLO)
            client.chat(HELLO)
    assert [(one.cached, len(one.attempts)) for one in told] == [(False, 1), (True, 0)]


def test_bad_input_is_no_call(told: list[CallEvent]) -> None:
    with Client(KEY, "http://127.0.0.1:9/v1", on_event=told.append) as client, pytest.raises(IndoxRouterError):
        client.chat([])
    assert told == []


def test_what_it_raises_costs_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: CallEvent) -> Any:
        raise ZeroDivisionError("secret of the caller")

    with RawServer(lambda _: [ok(chat_body())]) as server, Client(KEY, server.url, on_event=broken) as client:
        with caplog.at_level(logging.WARNING, "indoxrouter"):
            assert client.chat(HELLO).data == "fine"
    assert f"ZeroDivisionError in {__file__}:{broken.__code__.co_firstlineno + 1}" in caplog.text
    assert "secret of the caller" not in caplog.text


def test_every_page_and_every_day_is_a_call(told: list[CallEvent]) -> None:
    with Sandbox() as sandbox, Client(sandbox.api_key, sandbox.url, on_event=told.append) as client:
        client.usage_rows("2026-11-01", "2026-11-03", ("date", "model"))
    assert [one.operation for one in told] == ["account"] * 3
