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

from indoxrouter import APIError, DeadlineExceededError, NetworkError, StreamError
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
            assert time.monotonic() - began < policy.DRAIN + 0.5


@pytest.mark.parametrize("stream", [False, True])
def test_b17_what_unpacks_to_nothing_is_left(stream: bool) -> None:
    nothing = gzip.compress(b"") * 150_000
    kind = "text/event-stream" if stream else "application/json"
    with serving(answer(200, nothing, Content_Encoding="gzip", Content_Type=kind)) as (server, client):
        with pytest.raises(NetworkError, match="next to nothing") as caught:
            client.chat(HELLO, stream=stream)
    assert (caught.value.code, len(server.requests)) == ("too_large", 1)


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
