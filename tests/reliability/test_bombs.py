"""B17: answers that are small on the wire, and large in memory or slow to read once they are unpacked."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from clients import Client
from raw_server import FIN, RawServer, answer, chunked, head, piece

from indoxrouter import APIError, DeadlineExceededError, NetworkError, StreamError, ValidationError
from indoxrouter.core import policy

KINDS = ("sync", "async")
HELLO = [{"role": "user", "content": "Hello"}]
EVENTS = head(200, Content_Type="text/event-stream", Content_Encoding="gzip", Connection="close")


def packed(begin: bytes, times: int, part: bytes, end: bytes = b"") -> bytes:
    """The gzip of `begin`, the part so many times, and `end`; made without holding it unpacked."""
    maker = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    step = 2**20 // len(part)
    pieces = [maker.compress(begin), *(maker.compress(part * step) for _ in range(times // step))]
    return b"".join([*pieces, maker.compress(part * (times % step) + end), maker.flush()])


@contextlib.contextmanager
def serving(*actions: Any, **settings: Any) -> Iterator[tuple[RawServer, Any]]:
    with RawServer(lambda _: actions) as server, Client("key", server.url, auth="key", **settings) as client:
        yield server, client


@contextlib.contextmanager
def at_most(size: int) -> Iterator[None]:
    """Of memory, of both the client and the server."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()


@contextlib.contextmanager
def in_time(deadline: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < deadline + 0.5


@pytest.mark.parametrize("part", [b"{},", b"[],", b'{"a":1},'])
def test_b17_an_answer_of_many_small_objects_is_refused_unread(part: bytes) -> None:
    bomb = packed(b'{"choices":[', 60_000_000 // len(part), part, b"{}]}")
    assert len(bomb) < 200_000
    with serving(answer(200, bomb, Content_Encoding="gzip")) as (server, client):
        with at_most(2 * policy.JSON_CAP), pytest.raises(NetworkError) as caught:
            client.chat(HELLO)
    assert (caught.value.code, caught.value.retryable, len(server.requests)) == ("too_large", False, 1)


def test_b17_so_is_the_body_of_an_error() -> None:
    bomb = packed(b'{"detail":[', 5_000_000, b"{},", b"{}]}")
    with serving(answer(400, bomb, Content_Encoding="gzip")) as (_, client):
        with at_most(2 * policy.JSON_CAP), pytest.raises(APIError) as caught:
            client.chat(HELLO)
    assert caught.value.status_code == 400


def test_b17_so_is_json_in_the_place_of_sound() -> None:
    bomb = packed(b'{"data":[', 5_000_000, b"[],", b"[]]}")
    with serving(answer(200, bomb, Content_Encoding="gzip", Content_Type="audio/mpeg")) as (_, client):
        with pytest.raises(NetworkError) as caught:
            client.speech("Hello", response_format="mp3")
    assert caught.value.code == "too_large"


@pytest.mark.parametrize(("part", "times"), [(b"x", 500_000_000), (b"{},", 5_000_000)])
def test_b17_one_event_is_unpacked_a_little_at_a_time(part: bytes, times: int) -> None:
    bomb = packed(b'data: {"choices":[', times, part, b"{}]}\n\n")
    with serving(EVENTS, bomb, FIN) as (server, client):
        with at_most(6 * 2**24), pytest.raises(StreamError) as caught:
            client.chat(HELLO, stream=True)
    assert (caught.value.code, caught.value.retryable, len(server.requests)) == ("event_too_large", False, 1)


@pytest.mark.parametrize("part", [b":\n\n", b"x\n\n", b"data: {}\n\n"])
@pytest.mark.parametrize("is_packed", [True, False])
def test_b18_a_deadline_ends_the_reading_of_events_that_say_nothing(part: bytes, is_packed: bool) -> None:
    sent = [EVENTS, packed(b"", 200_000_000 // len(part), part)]
    if not is_packed:
        sent = [head(200, Content_Type="text/event-stream", Connection="close"), *[part * (2**20 // len(part))] * 64]
    with serving(*sent, FIN) as (_, client):
        began = time.monotonic()
        with pytest.raises(DeadlineExceededError):
            list(client.chat(HELLO, stream=True, deadline=1.0))
        assert time.monotonic() - began < 1.0 + 0.5


FLOOD = b"1\r\n \r\n" * 40_000
"""Chunks that say nothing: there is always another to read."""


def test_b18_a_deadline_ends_an_answer_that_never_stops_coming() -> None:
    begin = head(200, Content_Type="application/json", Transfer_Encoding="chunked")
    with RawServer(lambda _: itertools.chain([begin], itertools.repeat(FLOOD))) as server:
        with Client("key", server.url, auth="key", max_retries=0) as client:
            began = time.monotonic()
            with pytest.raises(DeadlineExceededError):
                client.chat(HELLO, deadline=1.0)
            assert time.monotonic() - began < 1.0 + 0.5


def test_b18_what_never_stops_coming_after_the_end_of_a_stream_is_left() -> None:
    begin = head(200, Content_Type="text/event-stream", Transfer_Encoding="chunked")
    end = chunked(piece("Hello", "stop"), b"data: [DONE]\n\n", last=False)
    with RawServer(lambda _: itertools.chain([begin, end], itertools.repeat(FLOOD))) as server:
        with Client("key", server.url, auth="key") as client:
            stream = client.chat(HELLO, stream=True)
            began = time.monotonic()
            assert stream.response().data == "Hello"
            assert time.monotonic() - began < policy.DRAIN + 2.0  # it is to end at all: no rule says within what


@pytest.mark.parametrize("stream", [False, True])
def test_b17_what_unpacks_to_nothing_is_left(stream: bool) -> None:
    nothing = gzip.compress(b"") * 150_000
    kind = "text/event-stream" if stream else "application/json"
    with serving(answer(200, nothing, Content_Encoding="gzip", Content_Type=kind)) as (server, client):
        with pytest.raises(NetworkError, match="next to nothing") as caught:
            client.chat(HELLO, stream=stream)
    assert (caught.value.code, len(server.requests)) == ("too_large", 1)


def many(part: bytes, end: bytes, begin: bytes = b'{"data":[') -> bytes:
    """Almost as much JSON as may come."""
    return packed(begin, (policy.JSON_CAP - 6000) // len(part), part, end + b"]}")


NUMBERS: dict[str, tuple[str, bytes, bytes]] = {
    "one of 5,000 digits behind millions": ("chat", b"1,", b"9" * 5000),
    "one of 5,000 digits behind a million": (
        "embeddings",
        b"0.1234567890123456789012345678901234567890123456789,",
        b"9" * 5000,
    ),
    "no vector": ("embeddings", b"1,", b"1"),
    "no costs": ("usage_rows", b"0.1,", b"1"),
    "each slow to read": ("chat", b"1.234567890123456789012345678901234567890123e-300,", b"1"),
}


def ask(client: Any, kind: str, **options: Any) -> Any:
    if kind == "usage_rows":
        return client.usage_rows("2026-01-01", "2026-01-02", **options)
    return client.embeddings("Hello", **options) if kind == "embeddings" else client.chat(HELLO, **options)


@pytest.mark.parametrize("name", NUMBERS)
def test_b18_numbers_by_the_million_are_refused_in_time(name: str) -> None:
    kind, part, end = NUMBERS[name]
    bomb = many(part, end)
    with serving(answer(200, bomb, Content_Encoding="gzip")) as (server, client):
        with in_time(2.0), pytest.raises(NetworkError) as caught:
            ask(client, kind, deadline=2.0)
    assert (caught.value.code, caught.value.retryable, len(server.requests)) == ("too_large", False, 1)


@pytest.mark.parametrize("kind", ["chat", "embeddings", "usage_rows"])
def test_b17_nor_do_they_take_memory(kind: str) -> None:
    with serving(answer(200, many(b"0.1,", b"1"), Content_Encoding="gzip")) as (_, client):
        with at_most(3 * policy.JSON_CAP), pytest.raises(NetworkError):
            ask(client, kind)


def test_b29_a_few_impossible_numbers_are_read() -> None:
    body = b'{"data":"fine","numbers":[%s%s]}' % (b"1," * 1000, b"9" * 5000)
    with serving(answer(200, body)) as (_, client):
        assert client.chat(HELLO).data == "fine"


LISTS: dict[str, tuple[str, bytes, int, bytes]] = {
    "choices": ("chat", b'{"choices":[', 2_000_000, b"{}]}"),
    "tool calls": ("chat", b'{"choices":[{"message":{"tool_calls":[', 2_000_000, b"{}]}}]}"),
    "images": ("chat", b'{"data":"fine","images":[', 2_000_000, b"{}]}"),
    "keys": ("api_keys", b'{"keys":[', 250_000, b"{}]}"),
    "models": ("find_models", b'{"data":[', 250_000, b"{}]}"),
    "payments": ("transactions", b'{"data":[', 250_000, b"{}]}"),
}


@pytest.mark.parametrize("name", LISTS)
def test_b18_an_answer_that_lists_more_than_any_is_refused(name: str) -> None:
    kind, begin, times, end = LISTS[name]
    bomb = packed(begin, times, b"{},", end)
    options = {"messages": HELLO} if kind == "chat" else {}
    with serving(answer(200, bomb, Content_Encoding="gzip")) as (_, client):
        with in_time(1.0), pytest.raises((APIError, NetworkError)) as caught:
            getattr(client, kind)(**options, deadline=1.0)
    assert caught.value.code == "too_large"


@pytest.mark.parametrize("times", [2_000_000, 250_000])
def test_b18_an_error_of_many_problems_is_told_in_time(times: int) -> None:
    bomb = packed(b'{"detail":[', times, b'{"msg":"a"},', b"1]}")
    with serving(answer(422, bomb, Content_Encoding="gzip")) as (_, client):
        with in_time(1.0), pytest.raises(ValidationError) as caught:
            client.chat(HELLO, deadline=1.0)
    assert caught.value.status_code == 422
    assert len(str(caught.value)) < 500


def test_b17_a_huge_error_is_cut_and_keeps_its_status() -> None:
    bomb = packed(b"no: ", 100_000_000, b"x")
    with serving(answer(422, bomb, Content_Encoding="gzip")) as (_, client):
        with at_most(4 * policy.ERROR_CAP), pytest.raises(ValidationError, match="no: xxx") as caught:
            client.chat(HELLO)
    assert (caught.value.status_code, caught.value.outcome) == (422, "rejected")
    assert len(caught.value.details) <= policy.ERROR_CAP


def test_b17_an_error_may_repeat_a_large_request() -> None:
    body = {"detail": [{"loc": ["body", "model"], "msg": "no such model", "input": {"image": "A" * 5_000_000}}]}
    with serving(answer(422, body)) as (_, client):
        with pytest.raises(ValidationError, match=r"body\.model: no such model"):
            client.chat(HELLO)


def test_b18_an_event_of_many_choices_is_refused() -> None:
    event = b'data: {"choices":[' + b"{}," * 500_000 + b"{}]}\n\n"
    with serving(head(200, Content_Type="text/event-stream", Connection="close"), event, FIN) as (_, client):
        with in_time(0.5), pytest.raises(StreamError) as caught:
            list(client.chat(HELLO, stream=True, deadline=0.5))
    assert caught.value.code == "event_too_large"


def slowly(_: Any) -> None:
    time.sleep(0.002)


def test_b18_a_deadline_ends_an_event_of_many_choices_that_is_read_slowly() -> None:
    event = b'data: {"choices":[' + b'{"delta":{"content":"a"}},' * 4000 + b"{}]}\n\n"
    with serving(head(200, Content_Type="text/event-stream", Connection="close"), event, FIN) as (_, client):
        with in_time(1.0), pytest.raises(DeadlineExceededError):
            list(map(slowly, client.chat(HELLO, stream=True, deadline=1.0)))


def test_b18_an_error_that_begins_as_thousands_of_texts_do_is_masked_in_time() -> None:
    texts = [f'passage: {n} R&D costs 100% of "plan" and so on for a line or two of text' for n in range(2048)]
    said = r"passage: zzz &amp;amp;amp;lt; %25252541 \\\\u0041 ÃÂ© " * 400
    body = {"error": {"message": f"{texts[1024]} {said}", "code": said, "type": said}, "request_id": said}
    with serving(answer(400, body)) as (_, client):
        with in_time(1.0), pytest.raises(APIError) as caught:
            client.embeddings(texts, deadline=1.0)
    assert caught.value.status_code == 400
    assert "R&D" not in str(caught.value)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_b17_a_bomb_of_sound_costs_the_cap_of_media() -> None:
    """About 2 GiB of memory, for some seconds."""
    bomb = packed(b"ID3", policy.MEDIA_CAP // 2**20, bytes(2**20))
    assert len(bomb) < 3_000_000
    with serving(answer(200, bomb, Content_Encoding="gzip", Content_Type="audio/mpeg")) as (server, client):
        with pytest.raises(NetworkError) as caught:
            client.speech("Hello")
    assert (caught.value.code, caught.value.retryable, len(server.requests)) == ("too_large", False, 1)
