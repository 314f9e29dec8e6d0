"""Rule C28: a stream that is left early is stopped at the server, once, off the caller's path."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from clients import Client
from raw_server import DONE, FIN, HOLD, STREAM_HEAD, Action, RawServer, Seen, answer, event, ok, piece

from indoxrouter import DeadlineExceededError, RequestTimeoutError, StreamError

KINDS = ("sync", "async")
HELLO = [{"role": "user", "content": "Hello"}]
KEY = "key-of-the-tests"
CREATED = event({"type": "response.created", "response": {"id": "resp/1 é"}})
STOP = "/v1/chat/stop-stream/resp%2F1%20%C3%A9"


def delta(text: str) -> bytes:
    return event({"type": "response.content_part.delta", "delta": text})


ENDED = event({"type": "response.done", "response": {"status": "completed", "usage": {"total_tokens": 3}}})


class Streams:
    """A server whose streams are scripted, and whose stops take a while."""

    def __init__(self, *actions: Action, stop: tuple[Action, ...] = (ok({"success": True}),)) -> None:
        self._actions = actions
        self._stop = stop

    def __call__(self, seen: Seen) -> Any:
        return self._stop if "stop-stream" in seen.path else self._actions


def stops(server: RawServer, expected: int = 1, within: float = 2.0) -> list[Seen]:
    """The stops that the server has seen; waits for as many as are expected, and a little for one too many."""
    end = time.monotonic() + within
    while len(_stops(server)) < expected and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.15)
    return _stops(server)


def _stops(server: RawServer) -> list[Seen]:
    return [seen for seen in server.requests if "stop-stream" in seen.path]


@pytest.fixture
def open_stream() -> Iterator[RawServer]:
    with RawServer(Streams(STREAM_HEAD, CREATED, delta("a"), delta("b"), HOLD)) as server:
        yield server


def leave_by_close(client: Any) -> None:
    stream = client.chat(HELLO, stream=True)
    next(stream)
    stream.close()
    stream.close()


def leave_by_with(client: Any) -> None:
    with client.chat(HELLO, stream=True) as stream:
        for _ in stream:
            break


def leave_by_exception(client: Any) -> None:
    def read() -> None:
        with client.chat(HELLO, stream=True) as stream:
            for _ in stream:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        read()


def leave_at_once(client: Any) -> None:
    client.chat(HELLO, stream=True).close()


def drop(client: Any) -> None:
    client.chat(HELLO, stream=True)
    gc.collect()


def run_out_of_time(client: Any) -> None:
    stream = client.chat(HELLO, stream=True, deadline=0.3)
    with pytest.raises(DeadlineExceededError):
        list(stream)


def wait_too_long(client: Any) -> None:
    stream = client.chat(HELLO, stream=True, timeout=0.3)
    with pytest.raises(RequestTimeoutError):
        list(stream)


WAYS = (leave_by_close, leave_by_with, leave_by_exception, leave_at_once, drop, run_out_of_time, wait_too_long)


@pytest.mark.parametrize("leave", WAYS)
def test_c28_leaving_posts_stop_stream_once(open_stream: RawServer, leave: Callable[[Any], None]) -> None:
    with Client(KEY, open_stream.url) as client:
        leave(client)
        (stop,) = stops(open_stream)
    assert (stop.method, stop.path, stop.body) == ("POST", STOP, b"")
    assert stop.headers["authorization"] == "Bearer token-1"
    assert "idempotency-key" not in stop.headers


def test_c28_completions_have_a_path_of_their_own(open_stream: RawServer) -> None:
    with Client(KEY, open_stream.url) as client:
        client.completion("Once", stream=True).close()
        (stop,) = stops(open_stream)
    assert stop.path == STOP.replace("chat", "completions")


def test_c28_a_cut_stream_is_stopped_too() -> None:
    with RawServer(Streams(STREAM_HEAD, CREATED, delta("a"), FIN)) as server, Client(KEY, server.url) as client:
        with pytest.raises(StreamError):
            client.chat(HELLO, stream=True).response()
        assert len(stops(server)) == 1


@pytest.mark.parametrize(
    "actions",
    [
        (STREAM_HEAD, CREATED, delta("a"), ENDED, DONE, FIN),
        (STREAM_HEAD, CREATED, delta("a"), event({"error": {"message": "out of order"}}), FIN),
        (STREAM_HEAD, event({"error": {"message": "out of order"}}), FIN),
    ],
    ids=["complete", "ended by the server", "never begun"],
)
def test_c28_a_stream_that_the_server_has_ended_is_not_stopped(actions: tuple[Action, ...]) -> None:
    with RawServer(Streams(*actions)) as server, Client(KEY, server.url, max_retries=0) as client:
        said = None
        try:
            client.chat(HELLO, stream=True).response()
        except Exception as error:  # noqa: BLE001 - whatever it is, it came from the server
            said = str(error)
        assert said is None or "out of order" in said
        assert stops(server, 0) == []


def test_c28_an_id_that_no_path_can_hold_ends_nothing_otherwise() -> None:
    created = event({"type": "response.created", "response": {"id": "resp\ud800"}})
    with RawServer(Streams(STREAM_HEAD, created, delta("a"), HOLD)) as server, Client(KEY, server.url) as client:
        stream = client.chat(HELLO, stream=True)
        next(stream)
        stream.close()
        assert (stream.state, stream.text) == ("cancelled", "a")


def test_c28_a_chunks_id_is_no_stream_id() -> None:
    with RawServer(Streams(STREAM_HEAD, piece("a"), HOLD)) as server, Client(KEY, server.url) as client:
        leave_by_close(client)
        assert stops(server, 0) == []


def test_c28_after_the_last_word_there_is_nothing_to_stop() -> None:
    finish = event({"type": "response.done", "response": {"id": "resp/1 é"}})
    with (
        RawServer(Streams(STREAM_HEAD, CREATED, delta("a"), finish, HOLD)) as server,
        Client(KEY, server.url) as client,
    ):
        assert client.chat(HELLO, stream=True).data == "a"
        assert stops(server, 0) == []


@pytest.mark.parametrize(
    "stop", [(HOLD,), (FIN,), (answer(500, {"detail": "no"}),), (answer(404, {"detail": "no"}),), (b"nonsense", FIN)]
)
def test_c28_a_stop_that_fails_disturbs_nobody(stop: tuple[Action, ...]) -> None:
    """Neither the one who left, within the 2 seconds that it is given, nor the next call."""
    with RawServer(Streams(STREAM_HEAD, CREATED, delta("a"), HOLD, stop=stop)) as server:
        with Client(KEY, server.url, max_retries=0) as client:
            began = time.monotonic()
            leave_by_close(client)
            leave_by_close(client)
            assert time.monotonic() - began < 1
            assert len(stops(server, 2)) == 2


@pytest.mark.parametrize(
    ("stop", "said"),
    [((ok({"success": True}),), "POST /v1/chat/stop-stream/: 200"), ((FIN,), "POST /v1/chat/stop-stream/ failed")],
)
def test_c28_the_id_which_a_server_makes_up_is_in_no_log(
    stop: tuple[Action, ...], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    created = event({"type": "response.created", "response": {"id": "token-1"}})
    with RawServer(Streams(STREAM_HEAD, created, delta("a"), HOLD, stop=stop)) as server:
        with Client(KEY, server.url) as client:
            leave_by_close(client)
            (seen,) = stops(server)
            end = time.monotonic() + 5
            while said not in caplog.text and time.monotonic() < end:
                time.sleep(0.01)
    assert seen.path.endswith("/stop-stream/token-1")
    assert said in caplog.text
    assert "connectionpool" in caplog.text
    assert "token-1" not in caplog.text


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.kinds("sync")
def test_c28_a_script_that_ends_at_once_has_told_the_server(open_stream: RawServer, asynchronous: bool) -> None:
    code = f"""
import asyncio, indoxrouter
messages = {HELLO!r}
async def main():
    async with indoxrouter.AsyncClient({KEY!r}, {open_stream.url!r}) as client:
        async for chunk in await client.chat(messages, stream=True):
            break
if {asynchronous}:
    asyncio.run(main())
else:
    for chunk in indoxrouter.Client({KEY!r}, {open_stream.url!r}).chat(messages, stream=True):
        break
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert (ended.stdout, ended.stderr) == ("", "")
    assert len(stops(open_stream, within=0.1)) == 1


@pytest.mark.kinds("sync")
def test_c28_a_stream_that_is_collected_while_a_thread_ends(open_stream: RawServer) -> None:
    """The collector may come while its thread holds a lock that starting a thread of `threading` takes."""
    code = f"""
import gc, threading, indoxrouter
gc.disable()
cycle = [indoxrouter.Client({KEY!r}, {open_stream.url!r}).chat({HELLO!r}, stream=True)]
cycle.append(cycle)
del cycle
with getattr(threading, "_shutdown_locks_lock", threading._active_limbo_lock):  # the first is Python 3.11's and 3.12's
    gc.collect()
"""
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=20)
    assert len(stops(open_stream, within=0.1)) == 1


def test_c28_many_streams_left_at_once_are_all_stopped(open_stream: RawServer) -> None:
    with Client(KEY, open_stream.url) as client:
        streams = [client.chat(HELLO, stream=True) for _ in range(40)]
        for stream in streams:
            stream.close()
        assert len(stops(open_stream, 40, within=10)) == 40


@pytest.mark.kinds("sync")
def test_c28_stops_that_hang_hold_up_a_scripts_end_once_not_each() -> None:
    """By about the 2 seconds that each is given: those that came to no worker in time are not sent."""
    code = """
import atexit, sys, time
atexit.register(lambda: print(time.monotonic() - began))  # after what the import registers
import indoxrouter
client = indoxrouter.Client("key-of-the-tests", sys.argv[1])
streams = [client.chat([{"role": "user", "content": "Hello"}], stream=True) for _ in range(24)]
began = time.monotonic()
for stream in streams:
    stream.close()
"""
    with RawServer(Streams(STREAM_HEAD, CREATED, delta("a"), HOLD, stop=(HOLD,))) as server:
        ended = subprocess.run(
            [sys.executable, "-c", code, server.url], capture_output=True, text=True, check=True, timeout=50
        )
        assert 1 <= len(_stops(server)) < 24
    assert ended.stderr == ""
    assert 1 < float(ended.stdout) < 2 + 1


@pytest.mark.kinds("sync")
def test_c28_a_forked_child_does_not_wait_for_its_parents_stops() -> None:
    code = """
import os, sys, indoxrouter
indoxrouter.Client("key-of-the-tests", sys.argv[1]).chat([{"role": "user", "content": "Hello"}], stream=True).close()
if child := os.fork():
    print(os.waitpid(child, 0)[1])
"""
    with RawServer(Streams(STREAM_HEAD, CREATED, delta("a"), HOLD, stop=(HOLD,))) as server:
        ended = subprocess.run([sys.executable, "-c", code, server.url], capture_output=True, check=True, timeout=20)
        assert len(stops(server, within=0.1)) == 1
    assert ended.stdout == b"0\n"


@pytest.mark.kinds("sync")
def test_c28_two_threads_that_leave_each_others_streams_meet_in_no_deadlock(open_stream: RawServer) -> None:
    """The collector may come while a thread holds its client's lock, and leave another client's stream."""
    clients = [Client(KEY, open_stream.url) for _ in range(2)]
    streams = [client.chat(HELLO, stream=True) for client in clients]
    both = threading.Barrier(2)

    def leave(n: int) -> None:
        with clients[n]._driver._errands._aside._idle:
            both.wait(10)
            streams[1 - n].close()

    threads = [threading.Thread(target=leave, args=(n,), daemon=True) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    for client in clients:  # and each still stops its streams
        before = len(_stops(open_stream))
        leave_by_close(client)
        assert len(stops(open_stream, before + 1)) > before
        client.close()


def test_c28_the_connections_of_stops_end_with_them(open_stream: RawServer) -> None:
    with Client(KEY, open_stream.url) as client:
        for _ in range(2):
            leave_by_close(client)
            assert stops(open_stream)
    assert len(stops(open_stream, 2)) == 2
    assert open_stream.wait_until_closed()
