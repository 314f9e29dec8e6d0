"""Rules C23-C28: streams, from the framing of their bytes to leaving them early."""

from __future__ import annotations

import contextlib
import gc
import gzip
import itertools
import json
import os
import queue
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from clients import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_server import (
    DONE,
    FIN,
    HOLD,
    RST,
    STREAM_HEAD,
    Action,
    RawServer,
    Seen,
    answer,
    chunked,
    event,
    head,
    ok,
    piece,
)

from indoxrouter import (
    APIError,
    ChatStream,
    DeadlineExceededError,
    GeneratedImage,
    NetworkError,
    RateLimitError,
    RequestError,
    RequestTimeoutError,
    StreamError,
)
from indoxrouter.core import policy
from indoxrouter.sandbox import Sandbox
from indoxrouter.wire.chunks import EventReader
from indoxrouter.wire.failures import Origin
from indoxrouter.wire.sse import MAX_EVENT_BYTES, MAX_EVENT_LINES, Framer

HELLO = [{"role": "user", "content": "Hello"}]
KEY = "key-of-the-tests"
KINDS = ("sync", "async", "sync-openai", "async-openai")


@contextmanager
def streaming(*actions: Action, settings: dict[str, Any] | None = None, **options: Any) -> Iterator[ChatStream]:
    """A stream whose every byte is scripted, tried once."""
    with RawServer(lambda _: actions) as server:
        with Client(KEY, server.url, **{"max_retries": 0, **(settings or {})}) as client:
            yield client.chat(HELLO, stream=True, **options)


def framed(*cuts: bytes) -> list[str]:
    framer = Framer()
    return [data for cut in cuts for data in framer.feed(cut)]


ODD = (
    "\ufeff: comment\n\ndata: one\n\n\n\ndata:two\r\n\r\nid: 7\rdata: thr\rdata:ee\r\rdata\n\n"
    "unknown: x\ndata: f\u2028our\n\nevent: e\ndata:  five\r\n\ndata: [DONE]\n\n"
).encode()
EVENTS = ["one", "two", "thr\nee", "f\u2028our", " five", "[DONE]"]


class TestC23Framing:
    def test_c23_whole(self) -> None:
        assert framed(ODD) == EVENTS

    def test_c23_byte_by_byte(self) -> None:
        assert framed(*(ODD[n : n + 1] for n in range(len(ODD)))) == EVENTS

    def test_c23_cut_in_two_anywhere(self) -> None:
        for n in range(len(ODD)):
            assert framed(ODD[:n], ODD[n:]) == EVENTS

    @settings(max_examples=500, deadline=None)
    @given(
        lines=st.lists(
            st.sampled_from([b"data: a", b"data:b", b"data", b": c", b"id: 1", b"", b"", b"data: \xe2\x80\xa8", b"x"]),
            max_size=12,
        ),
        ends=st.lists(st.sampled_from([b"\n", b"\r", b"\r\n"]), min_size=12, max_size=12),
        cuts=st.lists(st.integers(0, 120), max_size=6),
    )
    def test_c23_no_cut_changes_the_result(self, lines: list[bytes], ends: list[bytes], cuts: list[int]) -> None:
        stream = b"".join(line + end for line, end in zip(lines, ends, strict=False))
        places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
        parts = [stream[a:b] for a, b in itertools.pairwise(places)]
        assert framed(*parts) == framed(stream) == slowly_framed(stream)

    def test_c23_through_the_client(self) -> None:
        body = b"\xef\xbb\xbf: hi\r\n\r\n" + piece("a\u2028b").replace(b"\n", b"\r") + piece("c", "stop") + DONE
        single_bytes: list[Action] = [body[n : n + 1] for n in range(len(body))]
        for actions in ([body], single_bytes):
            with streaming(STREAM_HEAD, *actions, FIN) as stream:
                assert "".join(chunk.data for chunk in stream) == "a\u2028bc"


def slowly_framed(stream: bytes) -> list[str]:
    """The reference: WHATWG HTML 9.2.6, line by line."""
    text = stream.decode().removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    found, data = [], []
    for line in text.split("\n")[:-1]:
        name, _, value = line.partition(":")
        if name == "data":
            data.append(value.removeprefix(" "))
        elif not line:
            found += ["\n".join(data)] if data else []
            data = []
    return [data for data in found if data]


class TestC24Verdicts:
    def test_c24_done_is_complete_and_no_reason_is_made_up(self) -> None:
        with streaming(STREAM_HEAD, piece("a"), DONE, FIN) as stream:
            assert [chunk.data for chunk in stream] == ["a"]
            assert (stream.state, stream.finish_reason) == ("complete", None)

    def test_c24_a_finish_reason_is_complete(self) -> None:
        with streaming(STREAM_HEAD, piece("a", "length"), FIN) as stream:
            assert stream.data == "a"
            assert (stream.state, stream.finish_reason) == ("complete", "length")

    def test_c24_response_done_is_complete(self) -> None:
        events = [
            {"type": "response.created", "response": {"id": "r1", "model": "m"}},
            {"type": "response.content_part.delta", "delta": "hub "},
            {"type": "response.content_part.delta", "delta": "text"},
            {"type": "response.done", "response": {"status": "completed", "usage": {"input_tokens": 3}}},
        ]
        with streaming(STREAM_HEAD, *map(event, events), FIN) as stream:
            assert stream.data == "hub text"
            assert (stream.state, stream.finish_reason) == ("complete", None)
            assert stream.usage is not None
            assert stream.usage.tokens_prompt == 3

    @pytest.mark.parametrize("end", [FIN, RST], ids=["FIN", "RST"])
    @pytest.mark.parametrize("last", [b"", b": bye\n\n", piece("half")[:-1], piece("half")[:20], b"data: [DONE]"])
    def test_c24_anything_else_is_truncated(self, last: bytes, end: Action) -> None:
        with streaming(STREAM_HEAD, piece("one "), piece("two"), 0.05, last, end) as stream:
            got = []
            with pytest.raises(StreamError) as caught:
                got += [chunk.data for chunk in stream]
            assert stream.state == "truncated"
            assert caught.value.partial == stream.text == "one two"
            assert caught.value.outcome == "unknown"
            assert caught.value.attempts == stream.attempts
            assert caught.value.attempts[-1].outcome == "unknown"
            assert caught.value.request_id == stream.request_id
            for _ in range(2):  # asking again does not make it whole
                with pytest.raises(StreamError):
                    stream.response()
                with pytest.raises(StreamError):
                    next(stream)

    @pytest.mark.parametrize("cut", [1, 4, 9])
    def test_c24_a_chunked_body_without_its_last_chunk(self, cut: int) -> None:
        body = chunked(piece("one"), piece("two"))
        parts = head(200, Content_Type="text/event-stream", Transfer_Encoding="chunked"), body[:-cut]
        with streaming(*parts, FIN) as stream, pytest.raises(StreamError):
            stream.response()

    def test_c24_what_came_with_the_cut_is_not_lost(self) -> None:
        """However soon the end follows the text, and however late it is read."""
        parts = head(200, Content_Type="text/event-stream", Transfer_Encoding="chunked")
        first, second = chunked(piece("one "), last=False), chunked(piece("two"), last=False)
        with streaming(parts + first, 0.1, second, FIN) as stream:
            assert next(stream).data == "one "
            time.sleep(0.3)
            with pytest.raises(StreamError) as caught:
                stream.response()
            assert caught.value.partial == "one two"

    def test_c24_every_choice_must_end(self) -> None:
        def chunk(index: int, text: str, finish: str | None = None) -> bytes:
            return event({"choices": [{"index": index, "delta": {"content": text}, "finish_reason": finish}]})

        with streaming(STREAM_HEAD, chunk(0, "a", "stop"), chunk(1, "b"), FIN, n=2) as stream:
            with pytest.raises(StreamError):
                stream.response()
        with streaming(STREAM_HEAD, chunk(0, "a", "stop"), FIN, n=2) as stream:
            with pytest.raises(StreamError):
                stream.response()
        with streaming(STREAM_HEAD, chunk(0, "a", "stop"), chunk(1, "b", "stop"), FIN, n=2) as stream:
            assert [choice["message"]["content"] for choice in stream.raw_response["choices"]] == ["a", "b"]

    @pytest.mark.parametrize("order", [(0, 1), (1, 0), (1,)])
    @pytest.mark.parametrize("enclosed", [False, True])
    def test_c24_choices_that_come_whole_keep_their_own_parts(self, order: tuple[int, ...], enclosed: bool) -> None:
        """Of a server that does not stream: by their index, wherever they stand."""
        choices = [
            {
                "index": n,
                "message": {"role": "assistant", "content": f"content {n}", "refusal": f"refusal {n}"},
                "logprobs": {"content": [n]},
                "finish_reason": "stop",
            }
            for n in order
        ]
        body = {"data": "content", "raw_response": {"choices": choices}} if enclosed else {"choices": choices}
        with streaming(ok(body), n=len(order)) as stream:
            found = stream.raw_response["choices"]
        assert [choice["index"] for choice in found] == sorted(order)
        for choice in found:
            n = choice["index"]
            assert choice["message"]["refusal"] == f"refusal {n}"
            assert choice["logprobs"] == {"content": [n]}
            assert enclosed or choice["message"]["content"] == f"content {n}"

    def test_c24_the_tail_after_the_finish_reason_is_waited_for(self) -> None:
        usage = event({"choices": [], "usage": {"total_tokens": 9}})
        with streaming(STREAM_HEAD, piece("a", "stop"), 0.3, usage, DONE, FIN) as stream:
            assert stream.response().usage is not None
            assert stream.usage is not None
            assert stream.usage.tokens_total == 9
            assert stream.cost is None

    def test_c24_but_not_for_ever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert policy.STREAM_TAIL == 5.0
        monkeypatch.setattr(policy, "STREAM_TAIL", 0.3)
        with streaming(STREAM_HEAD, piece("a", "stop"), HOLD) as stream:
            started = time.monotonic()
            assert stream.data == "a"
            assert time.monotonic() - started < 0.3 + 0.5
            assert (stream.state, stream.usage) == ("complete", None)


class TestC25ErrorEvents:
    def test_c25_maps_like_an_error_answer_with_the_text_so_far(self) -> None:
        error = event({"error": {"message": "too many", "code": "rate_limit_exceeded"}})
        with streaming(STREAM_HEAD, piece("so "), piece("far"), error, FIN) as stream:
            with pytest.raises(RateLimitError, match="too many") as caught:
                list(stream)
            assert caught.value.partial == "so far"
            assert not caught.value.retryable
            assert caught.value.outcome == "unknown"
            assert stream.state == "failed"

    @pytest.mark.parametrize("nothing", [None, "", {}, [], False])
    def test_c25_null_and_what_is_empty_is_no_error(self, nothing: Any) -> None:
        chunk = event({"error": nothing, "choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]})
        with streaming(STREAM_HEAD, chunk, DONE, FIN) as stream:
            assert stream.data == "a"

    @pytest.mark.parametrize("first", [[], [piece("partial ")]])
    def test_c25_an_error_at_the_top_level_is_one_too(self, first: list[Action]) -> None:
        died = {"object": "error", "message": "engine died", "type": "InternalServerError", "code": 500}
        with RawServer(lambda _: [STREAM_HEAD, *first, event(died), DONE, FIN]) as server:
            cache: dict[str, Any] = {}
            with Client(KEY, server.url, max_retries=0, cache=cache) as client:
                with pytest.raises(RequestError, match="engine died"):
                    list(client.chat(HELLO, stream=True))
            assert cache == {}

    @pytest.mark.parametrize("error", ["text", {"message": "m"}, {"type": "server_error"}, ["m"], 5])
    def test_c25_any_shape_is_typed(self, error: Any) -> None:
        with streaming(STREAM_HEAD, piece("a"), event({"error": error}), FIN) as stream:
            with pytest.raises(APIError):
                list(stream)

    def test_c25_before_the_first_event_it_is_retried_and_falls_back(self) -> None:
        busy = event({"error": {"message": "busy", "code": "rate_limit_exceeded"}})

        def script(seen: Seen) -> list[Action]:
            if seen.json()["model"] == "a/first":
                return [STREAM_HEAD, busy, FIN]
            return [STREAM_HEAD, piece("second", "stop"), DONE, FIN]

        with RawServer(script) as server, Client(KEY, server.url) as client:
            stream = client.chat(HELLO, "a/first", stream=True, max_retries=1, fallback_models=["b/second"])
            assert [seen.json()["model"] for seen in server.requests] == ["a/first", "a/first", "b/second"]
            assert stream.data == "second"
            assert [attempt.model for attempt in stream.attempts] == ["a/first", "a/first", "b/second"]

    def test_c25_after_the_first_event_it_never_is(self) -> None:
        busy = event({"error": {"message": "busy", "code": "rate_limit_exceeded"}})
        with RawServer(lambda _: [STREAM_HEAD, piece("a"), busy, FIN]) as server:
            with Client(KEY, server.url, max_retries=5, fallback_models=["b/c"]) as client:
                with pytest.raises(RateLimitError):
                    list(client.chat(HELLO, stream=True))
            assert len(server.requests) == 1

    def test_c25_an_error_answer_to_a_stream_is_raised_at_the_call(self) -> None:
        with RawServer(lambda _: [answer(429, {"detail": "no"})]) as server:
            with Client(KEY, server.url, max_retries=0) as client, pytest.raises(RateLimitError):
                client.chat(HELLO, stream=True)


class TestC26OddEvents:
    def test_c26_are_passed_over(self) -> None:
        odd = [
            event(b"5"),
            event(b"[1, 2]"),
            event(b"null"),
            event(b'"x"'),
            event({"choices": []}),
            event({"choices": None}),
            event({"choices": [None, 5]}),
            event({"choices": [{"delta": None, "index": "x", "finish_reason": 5}]}),
            event({"usage": "none", "choices": [{"delta": {"content": 5, "tool_calls": [None]}}]}),
            event({}),
            event(b""),
        ]
        with streaming(STREAM_HEAD, *odd, piece("a", "stop"), *odd, DONE, FIN) as stream:
            assert stream.data == "a"

    @pytest.mark.parametrize("bad", [b'{"choices": [{"delta"', b'{"a": \xff}', b"not json", b"[" * 100_000])
    def test_c26_undecodable_is_typed_and_closes_the_connection(self, bad: bytes) -> None:
        with RawServer(lambda _: [STREAM_HEAD, piece("a"), event(bad), HOLD]) as server:
            with Client(KEY, server.url) as client:
                stream = client.chat(HELLO, stream=True)
                with pytest.raises(StreamError) as caught:
                    list(stream)
                assert caught.value.code == "undecodable"
                assert (stream.state, caught.value.partial) == ("failed", "a")
                assert server.wait_until_closed()

    def test_c26_a_large_event_is_refused(self) -> None:
        framer = Framer()
        with pytest.raises(StreamError):
            list(framer.feed(b"data: " + b"x" * MAX_EVENT_BYTES + b"x"))
        assert len(framed(b"data: " + b"x" * (MAX_EVENT_BYTES - 6) + b"\n\n")) == 1

    def test_c26_an_event_of_many_lines_is_refused(self) -> None:
        with pytest.raises(StreamError):
            framed(b"data: x\n" * (MAX_EVENT_LINES + 2) + b"\n")
        assert framed(b"data: x\n" * MAX_EVENT_LINES + b"\n") == ["\n".join(["x"] * MAX_EVENT_LINES)]

    def test_c26_what_came_before_the_bad_event_is_handed_out(self) -> None:
        """However the bytes are cut: here in one piece with it."""
        with streaming(STREAM_HEAD, piece("a") + piece("b") + event(b"{bad") + piece("c"), FIN) as stream:
            assert [next(stream).data, next(stream).data] == ["a", "b"]
            with pytest.raises(StreamError):
                next(stream)

    def test_c26_bare_text_is_an_answer(self) -> None:
        events = [event(b"Hello"), event(b" {half"), event(b"42"), event({"data": " world"})]
        with streaming(STREAM_HEAD, *events, DONE, FIN) as stream:
            assert stream.data == "Hello {half42 world"

    @pytest.mark.parametrize(
        ("events", "text"),
        [(["4"], "4"), (["42", " is it"], "42 is it"), (["1", "2", '{"data": "3"}'], "123")],
    )
    def test_c26_numbers_are_text_where_nothing_but_text_comes(self, events: list[str], text: str) -> None:
        with streaming(STREAM_HEAD, *[event(data.encode()) for data in events], DONE, FIN) as stream:
            assert stream.data == text

    def test_c26_tool_calls_of_odd_shapes(self) -> None:
        deltas: list[Any] = [{"function": {"arguments": {"a": 1}}}, {"function": {"arguments": "x"}}, {"function": 5}]
        events = [event({"choices": [{"delta": {"tool_calls": [delta]}}]}) for delta in deltas]
        with streaming(STREAM_HEAD, *events, DONE, FIN) as stream:
            assert stream.response().tool_calls == stream.tool_calls == [{"function": 5}]

    def test_c26_the_generation_is_told_by_the_first_event(self) -> None:
        reader = EventReader(Origin("POST h/p"))
        with pytest.raises(StreamError):
            reader.read('{"choices": [{"delta"')


class TestC27AtOnce:
    @pytest.mark.parametrize("close_delimited", [True, False])
    def test_c27_events_arrive_as_they_are_sent(self, close_delimited: bool) -> None:
        def script(_: Seen) -> Iterator[Action]:
            yield (
                STREAM_HEAD
                if close_delimited
                else head(200, Content_Type="text/event-stream", Transfer_Encoding="chunked")
            )
            for n in range(5):
                part = piece(str(n))
                yield part if close_delimited else chunked(part, last=False)
                yield 0.2
            end = piece("5", "stop") + DONE
            yield end if close_delimited else chunked(end)
            yield FIN

        with RawServer(script) as server, Client(KEY, server.url) as client:
            started = time.monotonic()
            stream = client.chat(HELLO, stream=True)
            times = [time.monotonic() - started for _ in stream]
        for n, seconds in enumerate(times[:5]):
            assert seconds < n * 0.2 + 0.15, times

    def test_c27_the_call_returns_at_the_first_event_even_without_text(self) -> None:
        created = event({"type": "response.created", "response": {"id": "r"}})
        done = event({"type": "response.done", "response": {}})
        with (
            RawServer(lambda _: [STREAM_HEAD, created, 0.6, done, FIN]) as server,
            Client(KEY, server.url) as client,
        ):
            started = time.monotonic()
            stream = client.chat(HELLO, stream=True)
            assert time.monotonic() - started < 0.4
            assert stream.data == ""


@pytest.mark.kinds("sync", "sync-openai")
def test_c28_the_collector_may_close_a_stream_while_its_thread_holds_the_pools_lock() -> None:
    with RawServer(lambda _: [STREAM_HEAD, piece("a"), HOLD]) as server, Client(KEY, server.url) as client:
        gc.collect()  # pools of other tests, whose own ends take their locks
        stream = client.chat(HELLO, stream=True)
        holder = [stream]
        holder.append(holder)  # a cycle: only the collector finds it
        del stream, holder
        locks = [item.mutex for item in gc.get_objects() if isinstance(item, queue.LifoQueue)]
        assert locks
        with contextlib.ExitStack() as held:
            for lock in locks:
                held.enter_context(lock)
            gc.collect()
        assert server.wait_until_closed()


class TestC28LeavingEarly:
    @pytest.mark.parametrize("way", ["close", "break in with", "exception", "garbage", "never iterated"])
    def test_c28_the_connection_is_closed(self, way: str) -> None:
        with RawServer(lambda _: [STREAM_HEAD, piece("a"), piece("b"), HOLD]) as server:
            with Client(KEY, server.url) as client:
                stream = client.chat(HELLO, stream=True)
                if way != "never iterated":
                    assert next(stream).data == "a"
                match way:
                    case "close":
                        stream.close()
                        stream.close()
                    case "break in with":
                        with stream:
                            for _ in stream:
                                break
                    case "exception":
                        with pytest.raises(ZeroDivisionError), stream:
                            raise ZeroDivisionError
                    case _:
                        del stream
                        gc.collect()
                assert server.wait_until_closed()

    def test_c28_a_closed_stream_is_cancelled_and_says_so(self) -> None:
        with streaming(STREAM_HEAD, piece("a"), piece("b"), HOLD) as stream:
            next(stream)
            stream.close()
            assert (stream.state, stream.text) == ("cancelled", "a")
            assert list(stream) == []
            with pytest.raises(StreamError) as caught:
                stream.response()
            assert (caught.value.code, caught.value.partial) == ("cancelled", "a")
            assert caught.value.request_id

    def test_c28_none_leaks_in_1000(self, sandbox: Sandbox) -> None:
        with Client(sandbox.api_key, sandbox.url) as client:
            self.abandon(client, 100)
            before = len(os.listdir("/proc/self/fd"))
            self.abandon(client, 1000)
            time.sleep(0.5)  # the sandbox, in this process too, sees them go
            assert len(os.listdir("/proc/self/fd")) <= before + 4

    def abandon(self, client: Any, count: int) -> None:
        for n in range(count):
            stream = client.chat(HELLO, stream=True)
            if n % 3:
                next(stream)
            if n % 2:
                stream.close()
            del stream

    def test_c28_after_done_the_connection_is_used_again(self) -> None:
        body = chunked(piece("a", "stop"), DONE)
        reply = head(200, Content_Type="text/event-stream", Transfer_Encoding="chunked")
        with (
            RawServer(lambda _: [reply, body[:-5], 0.05, body[-5:]]) as server,
            Client(KEY, server.url) as client,
        ):
            for _ in range(4):
                assert client.chat(HELLO, stream=True).data == "a"
            assert server.connections == 1

    def test_c28_a_server_that_stays_silent_after_done_costs_little(self) -> None:
        with streaming(STREAM_HEAD, piece("a", "stop"), DONE, HOLD) as stream:
            started = time.monotonic()
            assert stream.data == "a"
            assert time.monotonic() - started < policy.DRAIN + 0.5


class TestLooking:
    def test_looking_never_reads(self) -> None:
        with streaming(STREAM_HEAD, piece("a"), 0.2, piece("b", "stop"), DONE, FIN) as stream:
            assert repr(stream) == "<ChatStream open, 0 characters so far>"
            assert bool(stream)
            assert not hasattr(stream, "_repr_html_")
            assert not hasattr(stream, "__len__")
            for name in ("text", "state", "usage", "finish_reason", "tool_calls", "request_id", "attempts"):
                getattr(stream, name)
            assert (stream.state, stream.text) == ("open", "")
            assert stream.request_id

    def test_text_is_what_has_been_handed_out(self, client: Any) -> None:
        stream, got = client.chat(HELLO, stream=True), ""
        for chunk in stream:
            got += str(chunk)
            assert stream.text == got

    def test_reading_the_rest_after_some_chunks(self, client: Any) -> None:
        whole = client.chat(HELLO).data
        stream = client.chat(HELLO, stream=True, return_generator=True)
        next(stream)
        response = stream.response()
        assert response.data == stream.data == whole
        assert response is stream.response()
        assert response.finish_reason == "stop"
        assert response.usage is not None
        assert response.usage.tokens_total
        assert stream.message is None
        assert stream.raw_response["choices"][0]["message"]["content"] == whole

    def test_tool_calls_are_merged(self) -> None:
        def call(delta: dict[str, Any]) -> bytes:
            return event({"choices": [{"index": 0, "delta": {"tool_calls": [delta]}}]})

        first = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a"'}}
        other = {"index": 1, "id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}}
        events = [call(first), call({"index": 0, "function": {"arguments": ": 1}"}}), call(other)]
        with streaming(STREAM_HEAD, *events, piece("", "tool_calls"), DONE, FIN) as stream:
            assert stream.response().tool_calls == stream.tool_calls
            assert [json.loads(c["function"]["arguments"]) for c in stream.tool_calls or []] == [{"a": 1}, {}]
            assert [c["id"] for c in stream.tool_calls or []] == ["c1", "c2"]

    def test_tool_calls_without_an_index(self) -> None:
        def call(delta: dict[str, Any]) -> bytes:
            return event({"choices": [{"index": 0, "delta": {"tool_calls": [delta]}}]})

        one = {"id": "a", "function": {"name": "f", "arguments": '{"x"'}}
        events = [call(one), call({"function": {"arguments": ":1}"}}), call({"id": "b", "function": {"name": "g"}})]
        with streaming(STREAM_HEAD, *events, piece("", "tool_calls"), DONE, FIN) as stream:
            calls = stream.response().tool_calls or []
        assert [found["id"] for found in calls] == ["a", "b"]
        assert calls[0]["function"]["arguments"] == '{"x":1}'

    def test_what_else_a_delta_holds_is_kept(self) -> None:
        def delta(**said: Any) -> bytes:
            return event({"choices": [{"index": 0, "delta": said}]})

        events = [
            delta(refusal="I "),
            delta(refusal="won't", function_call={"name": "f", "arguments": "{"}),
            delta(function_call={"arguments": "}"}, annotations=[1]),
            delta(annotations=[2]),
        ]
        with streaming(STREAM_HEAD, *events, piece("", "stop"), DONE, FIN) as stream:
            message = stream.raw_response["choices"][0]["message"]
        assert message["refusal"] == "I won't"
        assert message["function_call"] == {"name": "f", "arguments": "{}"}
        assert message["annotations"] == [1, 2]

    def test_images_and_reasoning(self) -> None:
        events = [
            {"type": "response.reasoning.delta", "delta": "hm "},
            {"type": "response.image_generation_call.partial_image", "partial_image_b64": "AA"},
            {
                "type": "response.image_generation_call.completed",
                "image_generation_call": {"url": "http://h/i.png"},
            },
            {"type": "response.content_part.delta", "delta": "see"},
            {"type": "response.done", "response": {"status": "completed"}},
        ]
        with streaming(STREAM_HEAD, *map(event, events), FIN) as stream:
            answer = stream.response()
        assert (answer.data, answer.reasoning) == ("see", "hm ")
        assert answer.images == [GeneratedImage(url="http://h/i.png")]

    def test_a_failed_response_event(self) -> None:
        failed = event({"type": "response.failed", "response": {"error": {"message": "broke"}}})
        with (
            streaming(STREAM_HEAD, piece("a"), failed, FIN) as stream,
            pytest.raises(APIError, match="broke"),
        ):
            list(stream)


class TestIdleLimits:
    def test_between_events_comments_do_not_count(self) -> None:
        alive = [action for _ in range(40) for action in (b": alive\n\n", 0.05)]
        with streaming(STREAM_HEAD, piece("a"), *alive, timeout=0.5) as stream:
            next(stream)
            started = time.monotonic()
            with pytest.raises(RequestTimeoutError) as caught:
                next(stream)
            assert 0.4 < time.monotonic() - started < 0.5 + 0.5
            assert (stream.state, caught.value.partial) == ("failed", "a")

    def test_the_timeout_is_not_for_the_whole(self) -> None:
        slow = [action for n in range(6) for action in (piece(str(n)), 0.2)]
        with streaming(STREAM_HEAD, *slow, piece("", "stop"), DONE, FIN, timeout=0.6) as stream:
            assert stream.data == "012345"

    def test_the_deadline_is(self) -> None:
        slow = [action for n in range(20) for action in (piece(str(n)), 0.1)]
        with streaming(STREAM_HEAD, *slow, FIN, deadline=0.7) as stream:
            started = time.monotonic()
            with pytest.raises(DeadlineExceededError) as caught:
                list(stream)
            assert time.monotonic() - started < 0.7 + 0.5
            assert (caught.value.partial or "").startswith("01")

    def test_the_first_event(self) -> None:
        with (
            RawServer(lambda _: [STREAM_HEAD, HOLD]) as server,
            Client(KEY, server.url, max_retries=0) as client,
        ):
            started = time.monotonic()
            with pytest.raises(RequestTimeoutError):
                client.chat(HELLO, stream=True, timeout=0.4)
            assert time.monotonic() - started < 0.4 + 0.5


@pytest.mark.parametrize("streams", ["chunks", "typed", "bare"])
@pytest.mark.parametrize("method", ["chat", "completion"])
def test_all_stream_generations_bring_the_same_text(streams: str, method: str) -> None:
    with Sandbox(streams=streams) as sandbox, Client(sandbox.api_key, sandbox.url) as client:
        ask = getattr(client, method)
        question = HELLO if method == "chat" else "Hello"
        stream = ask(question, stream=True)
        assert "".join(chunk.data for chunk in stream) == ask(question).data == stream.data
        assert stream.state == "complete"


@pytest.mark.parametrize("cut", [None, -1, -9, 30])
def test_a_compressed_stream(cut: int | None) -> None:
    body = gzip.compress(b"".join([piece("one "), piece("two")] * 50))
    reply = head(200, Content_Type="text/event-stream", Content_Encoding="gzip", Connection="close")
    with RawServer(lambda _: [reply, body[:cut], FIN]) as server, Client(KEY, server.url, max_retries=0) as client:
        with pytest.raises(StreamError):
            client.chat(HELLO, stream=True).response()
    whole = gzip.compress(piece("one ") + piece("two", "stop") + DONE)
    with RawServer(lambda _: [reply, whole, FIN]) as server, Client(KEY, server.url) as client:
        assert client.chat(HELLO, stream=True).data == "one two"


def test_a_stream_encoded_as_was_not_asked_for_is_left_and_says_so() -> None:
    reply = head(200, Content_Type="text/event-stream", Content_Encoding="br")
    with RawServer(lambda _: [reply, b"xx", HOLD]) as server, Client(KEY, server.url) as client:
        with pytest.raises(NetworkError, match=r"POST 127\.0\.0\.1.*encoded in a way not asked for: 'br'") as caught:
            client.chat(HELLO, stream=True)
        assert server.wait_until_closed()
        assert (caught.value.code, caught.value.retryable, len(server.requests)) == ("encoding", False, 1)


def test_a_stream_whose_packing_breaks_is_not_asked_for_again() -> None:
    reply = head(200, Content_Type="text/event-stream", Content_Encoding="gzip")
    with RawServer(lambda _: [reply, b"x" * 100, HOLD]) as server, Client(KEY, server.url) as client:
        with pytest.raises(StreamError) as caught:
            client.chat(HELLO, stream=True)
        assert (caught.value.code, caught.value.retryable, len(server.requests)) == ("undecodable", False, 1)


def test_an_interrupted_stream_is_cancelled() -> None:
    class Stop(BaseException):
        """Stands for Ctrl-C."""

    def interrupt(*_: Any) -> None:
        raise Stop

    with streaming(STREAM_HEAD, piece("a"), HOLD) as stream:
        next(stream)
        old = signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            with pytest.raises(Stop):
                next(stream)
        finally:
            signal.signal(signal.SIGALRM, old)
        assert (stream.state, stream.text) == ("cancelled", "a")
        with pytest.raises(StreamError):
            stream.response()


def test_threads_may_share_a_stream(sandbox: Sandbox) -> None:
    with Client(sandbox.api_key, sandbox.url) as client:
        for _ in range(20):
            stream = client.chat(HELLO, stream=True)
            with ThreadPoolExecutor(4) as pool:
                parts = list(pool.map(lambda _, stream=stream: [chunk.data for chunk in stream], range(4)))
            assert stream.state == "complete"
            assert sum(len("".join(part)) for part in parts) == len(stream.text)


def test_a_blocked_read_ends_at_once_when_the_stream_is_closed() -> None:
    with streaming(STREAM_HEAD, piece("a"), HOLD) as stream:
        next(stream)
        threading.Timer(0.2, stream.close).start()
        started = time.monotonic()
        assert list(stream) == []
        assert time.monotonic() - started < 0.2 + 1.0
        assert stream.state == "cancelled"


def test_a_stream_is_closed_from_another_thread() -> None:
    slow = [action for n in range(20) for action in (piece(str(n)), 0.1)]
    with streaming(STREAM_HEAD, *slow, FIN) as stream:
        threading.Timer(0.35, stream.close).start()
        started = time.monotonic()
        assert 0 < len(list(stream)) < 20
        assert time.monotonic() - started < 1.5
        assert stream.state == "cancelled"
