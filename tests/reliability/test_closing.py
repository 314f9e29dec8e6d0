"""B20: closing a client ends what its other threads and tasks wait for, at once, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from clients import Client
from raw_server import HOLD, STREAM_HEAD, Action, RawServer, Seen, answer, chat_body, event, head, ok, piece

from indoxrouter import AsyncClient, IndoxRouterError, NetworkError
from indoxrouter.sandbox import Sandbox

from . import counts
from .faultserver import FaultServer
from .proxy import Proxy, never_accepting
from .pulse import Pulse
from .tls import serving_tls

KINDS = ("sync", "async")
KEY = "key-of-the-tests"
HELD = "held"
"""The prompt that meets whatever a test is about; every other gets a good answer."""
SOON = 1.0
"""Seconds after which nobody waits any more."""
JOB = {"job_id": "job-1", "status": "processing"}


def call(client: Any) -> Any:
    return client.completion(HELD)


def open_stream(client: Any) -> Any:
    return client.chat([{"role": "user", "content": HELD}], stream=True)


def read_stream(client: Any) -> Any:
    return [chunk.data for chunk in open_stream(client)]


def upload(client: Any) -> Any:
    return client.transcribe(b"RIFF" + bytes(20_000_000))


def upload_of_a_pipe(client: Any) -> Any:
    reading, writing = os.pipe()
    with open(reading, "rb") as file:
        try:
            return client.transcribe(file)
        finally:
            os.close(writing)


def watch_job(client: Any) -> Any:
    return client.wait_for_video_job("job-1", poll=60)


@dataclass(frozen=True)
class Block:
    """What a call waits in."""

    actions: tuple[Action, ...]
    outcome: str = "unknown"
    work: Callable[[Any], Any] = call
    attempts: tuple[str, ...] | None = None
    """The outcomes of the attempts in its error; None: its own, alone."""


HOLDING = (STREAM_HEAD + piece("one ") + piece("two"), HOLD)
BLOCKS = {
    "the head": Block((HOLD,)),
    "a dripping head": Block((b"HTTP/1.1 200 OK\r\nX-Slow: ", HOLD)),
    "the body": Block((head(Content_Length="100", Content_Type="application/json") + b'{"data"', HOLD)),
    "a body until the end": Block((head(Connection="close", Content_Type="application/json") + b'{"data"', HOLD)),
    "a chunked body": Block((head(Transfer_Encoding="chunked", Content_Type="application/json") + b"2\r\n{", HOLD)),
    "an error's body": Block((head(503, Content_Length="100") + b'{"detail"', HOLD)),
    "a stream's first event": Block((STREAM_HEAD, HOLD), work=open_stream),
    "a stream's next event": Block(HOLDING, work=read_stream),
    "a retry's sleep": Block((answer(503, {"detail": "busy"}, Retry_After="60"),), "rejected"),
    "the other retry's sleep": Block((answer(500, {"detail": "oh"}, Retry_After="60"),), "unknown"),
    "sending": Block((HOLD,), work=upload),
    "what is to be sent": Block((HOLD,), work=upload_of_a_pipe),
    "a job's next look": Block((ok(JOB),), "not_sent", watch_job, ()),
    "a job's answer": Block((HOLD,), work=watch_job),
}


def well(seen: Seen) -> list[Action]:
    return [ok(chat_body(f"answer to {seen.json()['prompt']}"))]


def holding(*actions: Action, stop: bool = False) -> Callable[[Seen], Any]:
    """Good answers, but for those who are to wait."""

    def script(seen: Seen) -> Any:
        if "stop-stream" in seen.path:
            return [ok({"success": True})]
        is_held = seen.method == "GET" or HELD.encode() in seen.body or "audio" in seen.path
        return actions if is_held else well(seen)

    return script


class Caller(threading.Thread):
    """A call in a thread of its own, and how it ended."""

    def __init__(self, work: Callable[[Any], Any], client: Any) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._client = client
        self.result: Any = None
        self.error: BaseException | None = None
        self.ended = 0.0
        self.start()

    def run(self) -> None:
        try:
            self.result = self._work(self._client)
        except BaseException as error:  # noqa: BLE001 - judged by the test
            self.error = error
        self.ended = time.monotonic()


def wait_for(condition: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what the test waits for did not happen"
        time.sleep(0.01)


def close_on(callers: list[Caller], client: Any, pulse: Pulse) -> list[NetworkError]:
    """Close the client, and return what each of its callers, who are blocked, gets for that in time."""
    errors = ended_by_closing(callers, client, pulse)
    for error in errors:
        assert error.client_request_id or error.outcome == "not_sent"
    return errors


def ended_by_closing(callers: list[Caller], client: Any, pulse: Pulse) -> list[NetworkError]:
    """The same; downloads have no id of ours."""
    time.sleep(0.1)  # from where the server has been reached to where its answer is waited for
    assert all(caller.is_alive() for caller in callers), [caller.error or caller.result for caller in callers]
    with pulse.watching() as stall:
        begun = time.monotonic()
        client.close()
        took = time.monotonic() - begun
        for caller in callers:
            caller.join(max(0.0, begun + SOON + 10 - time.monotonic()))
    assert stall.excuses(took - SOON), f"closing took {took:.2f} s"
    late = [caller for caller in callers if caller.is_alive() or not stall.excuses(caller.ended - begun - SOON)]
    assert not late, f"{len(late)} of {len(callers)} still waited {SOON} s after the client was closed"
    errors = [caller.error for caller in callers]
    for error in errors:
        assert type(error) is NetworkError, repr(error)
        assert (error.code, error.__cause__, error.__context__) == ("closed", None, None)
    counts.RUN["closings"] += 1
    return [error for error in errors if isinstance(error, NetworkError)]


def is_usable(client: Any, server: RawServer) -> None:
    """What is closed can be used again, over new connections."""
    before = server.connections
    assert client.completion("again").data == "answer to again"
    assert server.connections == before + 1


@pytest.mark.parametrize("name", BLOCKS)
def test_b20_closing_ends_what_is_waited_for(name: str, pulse: Pulse) -> None:
    block = BLOCKS[name]
    with RawServer(holding(*block.actions)) as server, Client(KEY, server.url) as client:
        caller = Caller(block.work, client)
        wait_for(lambda: server.requests)
        (error,) = close_on([caller], client, pulse)
        told = tuple(attempt.outcome for attempt in error.attempts)
        assert (error.outcome, told) == (
            block.outcome,
            (block.outcome,) if block.attempts is None else block.attempts,
        )
        sent = [seen for seen in server.requests if "stop-stream" not in seen.path]
        assert len(sent) == 1, "it was tried again"
        is_usable(client, server)


def test_b20_a_closed_stream_keeps_what_came(pulse: Pulse) -> None:
    with RawServer(holding(*HOLDING)) as server, Client(KEY, server.url) as client:
        stream = open_stream(client)
        caller = Caller(lambda _: [str(chunk) for chunk in stream], client)
        wait_for(lambda: stream.text == "one two")
        (error,) = close_on([caller], client, pulse)
        assert (stream.state, stream.text, error.partial) == ("failed", "one two", "one two")
        with pytest.raises(NetworkError):
            stream.response()
        is_usable(client, server)


def test_b20_a_stream_that_nobody_reads_meanwhile_ends_at_its_next_event() -> None:
    with RawServer(holding(*HOLDING)) as server, Client(KEY, server.url) as client:
        stream = open_stream(client)
        client.close()
        with pytest.raises(NetworkError) as caught:
            list(stream)
        assert caught.value.code == "closed"
        assert server.wait_until_closed()


class TestBetweenTwoSteps:
    """What a call does just then can't be ended; but it goes no further."""

    @pytest.mark.kinds("sync", "async")
    def test_b20_it_could_do_without_a_login_that_it_makes(self) -> None:
        def script(seen: Seen) -> list[Action]:
            if "/auth/" not in seen.path:
                return well(seen)
            first = not [one for one in server.requests[:-1] if "/auth/" in one.path]
            return [ok({"access_token": "token", "expires_in": 4})] if first else [HOLD]

        with RawServer(script, logins=False) as server, Client(KEY, server.url) as client:
            client.completion("first")
            time.sleep(3.1)  # into the last quarter of its token's time
            caller = Caller(call, client)
            wait_for(lambda: len(server.requests) == 3)
            client.close()
            caller.join(10)
            assert isinstance(caller.error, NetworkError), caller.result
            assert (caller.error.code, caller.error.outcome) == ("closed", "not_sent")
            assert len(server.requests) == 3

    @pytest.mark.kinds("sync")
    def test_b20_its_cache_is_read(self) -> None:
        reading, go_on = threading.Event(), threading.Event()

        class Slow(dict[str, Any]):
            def get(self, key: str, default: Any = None) -> Any:
                reading.set()
                go_on.wait(10)
                return super().get(key, default)

        with RawServer(well) as server, Client(KEY, server.url, cache=Slow()) as client:
            caller = Caller(call, client)
            reading.wait(10)
            client.close()
            go_on.set()
            caller.join(10)
            assert isinstance(caller.error, NetworkError), caller.result
            assert (caller.error.code, caller.error.outcome) == ("closed", "not_sent")
            assert not server.requests + server.logins
            is_usable(client, server)

    def test_b20_its_file_is_opened(self) -> None:
        opening, go_on = threading.Event(), threading.Event()

        class Slow(io.BytesIO):
            def seek(self, offset: int, whence: int = 0, /) -> int:
                if whence == io.SEEK_END:
                    opening.set()
                    go_on.wait(10)
                return super().seek(offset, whence)

        with RawServer(well) as server, Client(KEY, server.url, auth="key") as client:
            caller = Caller(lambda client: client.transcribe(Slow(b"RIFF")), client)
            opening.wait(10)
            client.close()
            go_on.set()
            caller.join(10)
            assert isinstance(caller.error, NetworkError), caller.result
            assert (caller.error.code, caller.error.outcome) == ("closed", "not_sent")
            assert not server.requests
            is_usable(client, server)


@pytest.mark.parametrize("name", ["the head", "a chunked body", "a retry's sleep", "sending"])
def test_b20_closing_ends_what_other_event_loops_wait_for(name: str, pulse: Pulse) -> None:
    block = BLOCKS[name]
    with RawServer(holding(*block.actions)) as server:
        client = AsyncClient(KEY, server.url)
        caller = Caller(lambda client: asyncio.run(awaited(block.work, client)), client)
        wait_for(lambda: server.requests)
        time.sleep(0.1)
        with pulse.watching() as stall:
            begun = time.monotonic()
            asyncio.run(client.close())
            caller.join(10)
        assert stall.excuses(caller.ended - begun - SOON)
        assert isinstance(caller.error, NetworkError), caller.result
        assert (caller.error.code, caller.error.outcome) == ("closed", block.outcome)
        assert len(server.requests) == 1
        assert server.wait_until_closed()


async def awaited(work: Callable[[Any], Any], client: AsyncClient) -> Any:
    return await work(client)


def test_b20_two_closings_are_one(pulse: Pulse) -> None:
    with RawServer(holding(HOLD)) as server, Client(KEY, server.url) as client:
        caller = Caller(call, client)
        wait_for(lambda: server.requests)
        close_on([caller], client, pulse)
        client.close()
        client.close()
        is_usable(client, server)


def test_b20_all_of_64_are_ended(pulse: Pulse) -> None:
    with RawServer(holding(HOLD)) as server, Client(KEY, server.url) as client:
        callers = [Caller(call, client) for _ in range(64)]
        wait_for(lambda: len(server.requests) == 64)
        errors = close_on(callers, client, pulse)
        assert len({id(error) for error in errors}) == 64, "an exception was shared"
        assert server.wait_until_closed()
        assert len(server.requests) == 64
        is_usable(client, server)


def test_b20_those_who_wait_for_a_connection_are_ended_too(pulse: Pulse) -> None:
    """An AsyncClient never opens more than it may; a Client opens what its threads need."""
    with RawServer(holding(HOLD)) as server, Client(KEY, server.url, max_connections=4) as client:
        client.completion("first")
        callers = [Caller(call, client) for _ in range(12)]
        wait_for(lambda: len(server.requests) >= 5)
        errors = close_on(callers, client, pulse)
        sent = len(server.requests) - 1
        assert [error.outcome for error in errors].count("unknown") == sent
        assert len(server.requests) == sent + 1
        is_usable(client, server)


class TestLogins:
    @staticmethod
    def script(held: threading.Event) -> Callable[[Seen], Any]:
        """Logins that hold as long as the event is set."""

        def script(seen: Seen) -> Any:
            if "/auth/" in seen.path:
                return [HOLD] if held.is_set() else [ok({"access_token": "token"})]
            return well(seen)

        return script

    def test_b20_the_one_who_logs_in_and_all_who_wait_for_it(self, pulse: Pulse) -> None:
        held = threading.Event()
        held.set()
        with RawServer(self.script(held), logins=False) as server, Client(KEY, server.url) as client:
            callers = [Caller(call, client) for _ in range(8)]
            wait_for(lambda: server.requests)
            errors = close_on(callers, client, pulse)
            assert {error.outcome for error in errors} == {"not_sent"}
            assert {error.attempts for error in errors} == {()}
            assert len(server.requests) == 1, "the next one led, though all were to end"
            held.clear()
            is_usable(client, server)

    def test_b20_who_calls_right_after_closing_shares_nothing_of_that(self) -> None:
        for _ in range(10):
            held = threading.Event()
            held.set()
            with RawServer(self.script(held), logins=False) as server, Client(KEY, server.url) as client:
                callers = [Caller(call, client) for _ in range(4)]
                wait_for(lambda server=server: server.requests)  # type: ignore[misc] # bound now
                time.sleep(0.05)
                held.clear()
                client.close()
                assert client.completion("at once").data == "answer to at once"
                for caller in callers:
                    caller.join(10)
                    assert isinstance(caller.error, NetworkError), caller.result
                    assert (caller.error.code, caller.error.outcome) == ("closed", "not_sent")
                assert len(server.requests) == 3, "one led whose client was closed"

    def test_b20_the_sleep_before_another_login(self, pulse: Pulse) -> None:
        busy = [answer(503, {"detail": "busy"}, Retry_After="60")]

        def script(seen: Seen) -> Any:
            return busy or [ok({"access_token": "token"})] if "/auth/" in seen.path else well(seen)

        with RawServer(script, logins=False) as server, Client(KEY, server.url) as client:
            callers = [Caller(call, client) for _ in range(8)]
            wait_for(lambda: server.requests)
            close_on(callers, client, pulse)
            assert len(server.requests) == 1
            busy.clear()
            is_usable(client, server)

    def test_b20_waiting_for_another_process_to_log_in(self, tmp_path: Path, pulse: Pulse) -> None:
        path = tmp_path / "tokens"
        with RawServer(holding(HOLD)) as server, Client(KEY, server.url, token_cache=path) as client:
            with open(path, "w") as other:
                fcntl.flock(other, fcntl.LOCK_EX)
                callers = [Caller(call, client) for _ in range(3)]
                close_on(callers, client, pulse)
                assert not server.requests
                assert not server.logins
            is_usable(client, server)


DOWNLOADS = {
    "the head": Block((HOLD,)),
    "the body": Block((head(Content_Length="100", Content_Type="image/png"), HOLD)),
    "the rest of the body": Block((head(Content_Length="100", Content_Type="image/png") + b"x", HOLD)),
    "an error's body": Block((head(503, Content_Length="100") + b'{"detail"', HOLD)),
    "a retry's sleep": Block((answer(503, {"detail": "busy"}, Retry_After="60"),), "rejected"),
    "the other retry's sleep": Block((answer(500, {"detail": "oh"}, Retry_After="60"),), "unknown"),
}


class TestDownloads:
    @staticmethod
    @contextlib.contextmanager
    def serving(*actions: Action) -> Iterator[tuple[RawServer, Any, Any]]:
        """A server, a client of it and an image, whose file is answered by the actions at first, then well."""

        def script(seen: Seen) -> Any:
            if seen.path != "/file":
                return [ok({"data": [{"url": "/file"}], "success": True})]
            asked = sum(one.path == "/file" for one in server.requests)
            return actions if asked == 1 else [answer(200, b"whole", Content_Type="image/png")]

        with RawServer(script) as server, Client(KEY, server.url) as client:
            yield server, client, client.image("x").data[0]

    @pytest.mark.parametrize("name", DOWNLOADS)
    def test_b20_those_under_way_end_and_later_ones_do_not(self, name: str, pulse: Pulse) -> None:
        block = DOWNLOADS[name]
        with self.serving(*block.actions) as (server, client, image):
            caller = Caller(lambda _: image.content, client)
            wait_for(lambda: server.requests[-1].path == "/file")
            (error,) = ended_by_closing([caller], client, pulse)
            assert error.outcome == block.outcome
            assert [attempt.outcome for attempt in error.attempts] == [block.outcome] * ("rest" not in name)
            assert sum(seen.path == "/file" for seen in server.requests) == 1, "it was tried again"
            assert image.content == b"whole"

    def test_b20_one_that_nobody_reads_meanwhile_ends_at_its_next_piece(self) -> None:
        with self.serving(answer(200, bytes(300_000), Content_Type="image/png")) as (_, client, _):
            pieces = client._driver.downloads.fetch("/file")
            assert next(pieces)
            time.sleep(0.1)  # by then, more has come
            client.close()
            with pytest.raises(NetworkError) as caught:
                next(pieces)
            assert (caught.value.code, caught.value.outcome) == ("closed", "unknown")
            assert b"".join(client._driver.downloads.fetch("/file")) == b"whole"

    @pytest.mark.kinds("sync")
    def test_b20_a_forked_child_that_closes_its_client_ends_none_of_its_parents(self) -> None:
        code = """
import os, sys, threading, time, indoxrouter
client = indoxrouter.Client("key-of-the-tests", sys.argv[1])
image = client.image("x").data[0]
thread = threading.Thread(target=lambda: image.content)
thread.start()
time.sleep(0.5)
if not (child := os.fork()):
    client.close()
    os._exit(0)
os.waitpid(child, 0)
thread.join()
print(image.content.decode())
"""
        opening = head(200, Content_Length="8", Content_Type="image/png")
        with self.serving(opening + b"half", 1.5, b"half") as (server, *_):
            ended = subprocess.run(
                [sys.executable, "-c", code, server.url], capture_output=True, text=True, check=True, timeout=20
            )
            assert (ended.stdout, ended.stderr) == ("halfhalf\n", "")
            assert sum(seen.path == "/file" for seen in server.requests) == 1


class TestConnecting:
    """Before there is a connection that could be closed."""

    def test_b20_a_listener_that_never_accepts(self, pulse: Pulse) -> None:
        address, held = never_accepting()
        with contextlib.ExitStack() as stack:
            for sock in held:
                stack.callback(sock.close)
            client = Client(KEY, f"http://{address}/v1", auth="key")
            (error,) = close_on([Caller(call, client)], client, pulse)
            assert error.outcome == "not_sent"

    def test_b20_a_tls_handshake(self, pulse: Pulse) -> None:
        with FaultServer() as server:
            address = server.door(lambda _: HOLD).removeprefix("http://")
            client = Client(KEY, f"https://{address}/v1", auth="key", verify=False)
            (error,) = close_on([Caller(call, client)], client, pulse)
            assert error.outcome == "not_sent"

    def test_b20_a_proxy_that_is_asked(self, pulse: Pulse) -> None:
        with Proxy(at_once=HOLD) as proxy:
            client = Client(KEY, "https://127.0.0.1:1/v1", auth="key", verify=False, proxy=proxy.url)
            (error,) = close_on([Caller(call, client)], client, pulse)
            assert error.outcome == "not_sent"


@pytest.mark.parametrize("work", [call, read_stream])
@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "proxy"])
def test_b20_closing_ends_reads_through_tls(
    proxied: bool, work: Callable[[Any], Any], tmp_path: Path, pulse: Pulse
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    midway = STREAM_HEAD + piece("one ") if work is read_stream else head(Content_Length="9") + b'{"'
    with FaultServer(serving_tls(authority)) as server, Proxy() as proxy:
        case = server.case(lambda exchange: [exchange.read() and b"", midway, HOLD])
        case.arm(1)
        settings = {"verify": str(tmp_path / "ca.pem"), "proxy": proxy.url if proxied else None}
        with Client(KEY, case.url, **settings) as client:
            caller = Caller(work, client)
            wait_for(lambda: case.requests)
            (error,) = close_on([caller], client, pulse)
            assert error.outcome == "unknown"
            assert client.completion("nonce-000000009").data == "nonce-000000009 <nonce-000000009> nonce-000000009"


def test_b20_other_clients_are_unaffected(pulse: Pulse) -> None:
    """Of the same server, in the same process, even with the same login's file."""
    slow = event({"id": "c1", "choices": [{"index": 0, "delta": {"content": "three"}, "finish_reason": "stop"}]})

    def script(seen: Seen) -> Iterator[Action]:
        if b"slow stream" in seen.body:
            yield STREAM_HEAD + piece("one ") + piece("two ")
            yield 1.0
            yield slow + b"data: [DONE]\n\n"
        elif b"slow" in seen.body:
            yield 1.0
            yield from well(seen)
        else:
            yield from holding(HOLD)(seen)

    with RawServer(script) as server, Client(KEY, server.url) as closing, Client(KEY, server.url) as other:
        busy = threading.Barrier(1)
        calm = [
            Caller(lambda client: client.completion("slow").data, other),
            Caller(
                lambda client: client.chat([{"role": "user", "content": "slow stream"}], stream=True).response().data,
                other,
            ),
            Caller(lambda client: (client.completion("slow login"), busy.wait())[0].data, Client(KEY, server.url)),
        ]
        caller = Caller(call, closing)
        wait_for(lambda: len(server.requests) == 4)
        close_on([caller], closing, pulse)
        for one in calm:
            one.join(10)
            assert one.error is None, repr(one.error)
        assert [one.result for one in calm] == ["answer to slow", "one two three", "answer to slow login"]
        is_usable(closing, server)


@pytest.mark.parametrize("rounds", [15, pytest.param(200, marks=pytest.mark.long)])
def test_b20_closing_at_any_moment(rounds: int) -> None:
    """Whatever a call is about when its client is closed, it ends with its own answer, or as closed."""
    stop = threading.Event()
    wrong: list[str] = []
    ended: list[str] = []

    def work(client: Any, name: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            text = f"caller {name} asks {number}"
            try:
                if number % 3:
                    found = client.completion(text).data
                else:
                    found = client.chat([{"role": "user", "content": text}], stream=True).response().data
            except IndoxRouterError as error:
                ended.append(str(error.code))
                if type(error) is not NetworkError or error.code != "closed":
                    wrong.append(f"{text}: {error!r} {error.code}")
            except BaseException as error:  # noqa: BLE001 - it is none of ours, and so it is wrong
                wrong.append(f"{text}: {error!r}")
            else:
                ended.append("answered")
                if text not in found:
                    wrong.append(f"{text}: {found}")

    with Sandbox() as sandbox, Client(sandbox.api_key, sandbox.url) as client:
        callers = [threading.Thread(target=work, args=(client, n), daemon=True) for n in range(12)]
        for caller in callers:
            caller.start()
        for n in range(rounds):
            time.sleep(0.02 + n % 7 * 0.004)
            if n % 5 == 0:  # on a busy machine, none would come to its answer in between
                before = len(ended)
                wait_for(lambda before=before: "answered" in ended[before:])  # type: ignore[misc] # bound now
            client.close()
        stop.set()
        client.close()
        for caller in callers:
            caller.join(20)
        assert not any(caller.is_alive() for caller in callers)
        assert not wrong, f"{len(wrong)} of {len(ended)} calls:\n" + "\n".join(wrong[:20])
        assert {"answered", "closed"} == set(ended), "nothing was met by a closing" if ended else "nothing ended"
        assert client.completion("at last").data
    counts.RUN["closings"] += rounds
