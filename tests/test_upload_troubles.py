"""What goes wrong while a file is uploaded: with the file, with the time, with the server."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import trustme
from clients import Client
from raw_server import answer
from upload_server import SAID, Taken, UploadServer, accepting, piped

from indoxrouter import (
    APIError,
    AsyncClient,
    DeadlineExceededError,
    NetworkError,
    RequestTimeoutError,
    ValidationError,
)

KEY = "key-of-the-tests"
KINDS = ("sync", "async")
MODEL = "openai/whisper-1"
CONTENT = bytes(range(256)) * 4000
"""About a megabyte: several pieces."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "said.wav"
    found.write_bytes(CONTENT)
    return found


class Faulty(io.RawIOBase):
    """Gives a few pieces, and then what the test says."""

    name = "/somewhere/faulty.wav"

    def __init__(self, then: Any) -> None:
        self.then = then
        self.count = 0

    def readable(self) -> bool:
        return True

    def read(self, most: int = -1, /) -> Any:
        self.count += most > 0
        if self.count <= 3:
            return b"x" * min(most, 1000) if most else b""
        if isinstance(self.then, BaseException):
            raise self.then
        return self.then


class TestTheFileChanges:
    def test_it_vanishes_between_two_tries(self, path: Path) -> None:
        def serve(taken: Taken) -> None:
            taken.read_all()
            path.unlink()
            taken.send(answer(429, {"detail": "busy"}, Retry_After="0"))

        with UploadServer(serve) as server, Client(KEY, server.url) as client:
            with pytest.raises(ValidationError, match=r"said\.wav' can't be read any more: No such file") as caught:
                client.transcribe(path, MODEL, fallback_models=["a/b"])
        assert caught.value.outcome == "rejected"
        assert [attempt.outcome for attempt in caught.value.attempts] == ["rejected", "not_sent"]
        assert len(server.taken) == 1

    def test_it_shrinks(self, path: Path) -> None:
        os.truncate(path, 40_000_000)

        def serve(taken: Taken) -> bool:
            taken.read(1_000_000)
            os.truncate(path, 2_000_000)
            taken.discard()
            return False

        with UploadServer(serve) as server, Client(KEY, server.url) as client:
            with pytest.raises(ValidationError, match=r"said\.wav' became shorter") as caught:
                client.transcribe(path, MODEL, idempotency_key="mine")
            assert server.wait_until_closed(), "the connection was kept with half a body on it"
        assert (caught.value.outcome, caught.value.retryable) == ("unknown", False)
        assert len(server.taken) == len(caught.value.attempts) == 1

    def test_it_grows(self, path: Path) -> None:
        os.truncate(path, 40_000_000)

        def serve(taken: Taken) -> None:
            taken.read(1_000_000)
            os.truncate(path, 50_000_000)
            taken.read_all()
            taken.send(SAID)

        with UploadServer(serve) as server, Client(KEY, server.url) as client:
            client.transcribe(path, MODEL)
        assert server.taken[0].whole
        assert len(server.taken[0].file) == 40_000_000

    @pytest.mark.parametrize(
        ("then", "said"),
        [
            (OSError(5, "Input/output error"), "can't be read any more: Input/output error"),
            (ValueError("I/O operation on closed file"), "can't be read any more: I/O operation on closed file"),
            ("text", "gave str where bytes were due"),
            (None, "gave NoneType where bytes were due"),
        ],
    )
    def test_it_cannot_be_read_any_more(self, then: Any, said: str) -> None:
        def serve(taken: Taken) -> bool:
            taken.discard()
            return False

        with UploadServer(serve) as server, Client(KEY, server.url) as client:
            with pytest.raises(ValidationError, match=r"faulty\.wav' " + said) as caught:
                client.transcribe(Faulty(then), MODEL)
            assert caught.value.outcome == "unknown"
            assert server.wait_until_closed()
        assert len(server.taken) == 1


class TestLimits:
    @pytest.mark.parametrize("limit", ["deadline", "timeout"])
    @pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
    def test_a_server_that_stops_reading(self, limit: str, secure: bool, path: Path, tmp_path: Path) -> None:
        os.truncate(path, 60_000_000)
        release = threading.Event()

        def serve(taken: Taken) -> bool:
            taken.read(100_000)
            release.wait(5)
            return False

        with UploadServer(serve, context(tmp_path) if secure else None) as server:
            verify = str(tmp_path / "authority.pem") if secure else True
            with Client(KEY, server.url, auth="key", verify=verify) as client:
                options: dict[str, Any] = {limit: 0.6}
                started = time.monotonic()
                with pytest.raises(RequestTimeoutError) as caught:
                    client.transcribe(path, MODEL, **options)
                assert time.monotonic() - started < 0.6 + 0.5
                assert isinstance(caught.value, DeadlineExceededError) == (limit == "deadline")
                assert caught.value.outcome == "unknown"
                assert_let_go_of(path)
                assert_dropped(server)
            release.set()

    def test_a_server_that_reads_a_little_at_a_time(self, path: Path) -> None:
        os.truncate(path, 60_000_000)

        def serve(taken: Taken) -> bool:
            while taken.read(50_000):
                time.sleep(0.02)
            return False

        with UploadServer(serve) as server, Client(KEY, server.url) as client:
            started = time.monotonic()
            with pytest.raises(DeadlineExceededError):
                client.transcribe(path, MODEL, deadline=0.6)
            assert time.monotonic() - started < 0.6 + 0.5

    @pytest.mark.parametrize("named", [False, True])
    def test_a_pipe_that_says_nothing(self, named: bool, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo")
        with UploadServer(accepting) as server, Client(KEY, server.url) as client:
            with piped(b"x" * 1000, close=False) as file:
                started = time.monotonic()
                with pytest.raises(DeadlineExceededError):
                    client.transcribe(tmp_path / "fifo" if named else file, MODEL, deadline=0.6)
                assert time.monotonic() - started < 0.6 + 0.5
            assert server.wait_until_closed()

    @pytest.mark.parametrize("head", [b"RIFF", b"x" * 5000])
    def test_what_was_read_ahead_of_a_pipe_goes_out_before_more_comes(self, head: bytes) -> None:
        reading, writing = os.pipe()
        os.write(writing, head)

        def serve(taken: Taken) -> None:
            while head not in taken.body:  # only then does the writer go on
                size = int(taken.reader.readline(), 16)
                taken.read(size)
                taken.reader.readline()
            os.write(writing, b" and the rest")
            os.close(writing)
            taken.read_all()
            taken.send(SAID)

        with UploadServer(serve) as server, Client(KEY, server.url) as client, open(reading, "rb") as file:
            assert file.peek(1)[:1] == head[:1]
            assert client.transcribe(file, MODEL, deadline=10).text == "said"
            assert os.get_blocking(reading)
        assert head + b" and the rest" in server.taken[0].body

    @pytest.mark.kinds("async")
    def test_a_slow_pipe_does_not_hold_up_the_event_loop(self) -> None:
        async def work(url: str, file: Any, writing: int) -> tuple[str, int]:
            ticks = 0

            async def tick() -> None:
                nonlocal ticks
                while True:
                    await asyncio.sleep(0.01)
                    ticks += 1

            async with AsyncClient(KEY, url) as client:
                ticker = asyncio.create_task(tick())
                threading.Timer(0.5, os.close, (writing,)).start()
                found = await client.transcribe(file, MODEL)
                ticker.cancel()
            return found.text or "", ticks

        reading, writing = os.pipe()
        os.write(writing, b"x")
        with UploadServer(accepting) as server, open(reading, "rb") as file:
            said, ticks = asyncio.run(work(server.url, file, writing))
        assert said == "said"
        assert ticks >= 10

    @pytest.mark.kinds("async")
    def test_silent_pipes_hold_up_nobody_else(self) -> None:
        """However many: neither other uploads nor what the event loop's own threads do, as looking up a name."""

        async def work(url: str, files: list[Any]) -> str | None:
            async with (
                AsyncClient(KEY, url) as client,
                AsyncClient(KEY, url.replace("127.0.0.1", "localhost")) as named,
            ):
                calls = [asyncio.create_task(client.transcribe(file, MODEL)) for file in files]
                await asyncio.sleep(0.5)
                said = await named.transcribe(b"RIFF", MODEL, deadline=10)
                for call in calls:
                    call.cancel()
                await asyncio.gather(*calls, return_exceptions=True)
            return said.text

        with UploadServer(accepting) as server, contextlib.ExitStack() as stack:
            files = [stack.enter_context(piped(b"", close=False)) for _ in range(min(32, (os.cpu_count() or 1) + 4))]
            assert asyncio.run(work(server.url, files)) == "said"

    @pytest.mark.kinds("async")
    def test_nobody_waits_for_a_pipe_whose_upload_was_cancelled(self) -> None:
        """Nor does the event loop, which ends with its threads."""

        async def work(url: str, file: Any) -> float:
            async with AsyncClient(KEY, url, timeout=20) as client:
                call = asyncio.create_task(client.transcribe(file, MODEL))
                await asyncio.sleep(0.5)
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
            return time.monotonic()

        with UploadServer(accepting) as server, piped(b"", close=False) as file:
            cancelled = asyncio.run(work(server.url, file))
            assert time.monotonic() - cancelled < 5

    @pytest.mark.kinds("async")
    def test_cancelling_lets_go_of_the_file(self, path: Path) -> None:
        os.truncate(path, 60_000_000)
        begun, release = threading.Event(), threading.Event()

        def serve(taken: Taken) -> bool:
            begun.set()
            release.wait(5)
            return False

        async def work(url: str) -> None:
            async with AsyncClient(KEY, url) as client:
                call = asyncio.create_task(client.transcribe(path, MODEL))
                await asyncio.to_thread(begun.wait, 5)
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call

        with UploadServer(serve) as server:
            asyncio.run(work(server.url))
            assert_let_go_of(path)
            assert_dropped(server)
            release.set()


def context(folder: Path) -> ssl.SSLContext:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(found)
    return found


def assert_dropped(server: UploadServer) -> None:
    """No socket of this process is connected to the server any more, soon."""
    port = f":{int(server.url.rpartition(':')[2].removesuffix('/v1')):04X}"

    def connected() -> bool:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        return any(row[2].endswith(port) and row[9] != "0" for row in rows)

    end = time.monotonic() + 2
    while connected() and time.monotonic() < end:
        time.sleep(0.01)
    assert not connected()


def assert_let_go_of(path: Path) -> None:
    """No descriptor of this process shows the file any more, soon."""
    end = time.monotonic() + 2

    def held() -> bool:
        links = []
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                links.append(os.readlink(f"/proc/self/fd/{name}"))
        return str(path) in links

    while held() and time.monotonic() < end:
        time.sleep(0.01)
    assert not held()


class TestEarlyAnswers:
    """A server need not read a body that it refuses."""

    TOO_LARGE = answer(413, {"detail": "too large"}, Connection="close")

    @pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
    def test_then_it_reads_on_and_closes(self, secure: bool, path: Path, tmp_path: Path) -> None:
        os.truncate(path, 40_000_000)

        def serve(taken: Taken) -> bool:
            taken.read(100_000)
            taken.send(self.TOO_LARGE)
            taken.discard()
            return False

        with UploadServer(serve, context(tmp_path) if secure else None) as server:
            verify = str(tmp_path / "authority.pem") if secure else True
            with Client(KEY, server.url, auth="key", verify=verify, deadline=5) as client:
                with pytest.raises(APIError, match="too large") as caught:
                    client.transcribe(path, MODEL)
        assert (caught.value.status_code, caught.value.outcome) == (413, "rejected")

    def test_then_it_stops_reading(self, path: Path) -> None:
        os.truncate(path, 40_000_000)
        release = threading.Event()

        def serve(taken: Taken) -> bool:
            if taken.number:
                taken.read_all()
                taken.send(SAID)
            else:
                taken.read(100_000)
                taken.send(answer(413, {"detail": "too large"}))  # as if the connection could go on
                release.wait(5)
            return False

        with UploadServer(serve) as server, Client(KEY, server.url, auth="key", deadline=5) as client:
            with pytest.raises(APIError, match="too large"):
                client.transcribe(path, MODEL)
            assert_dropped(server)
            assert client.transcribe(b"sound", MODEL).text == "said"
            assert server.taken[1].connection == 2, "a connection with half a body on it was used again"
            assert server.taken[1].file == b"sound"
            release.set()
        assert_let_go_of(path)

    @pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
    def test_then_it_closes_at_once(self, reset: bool, path: Path) -> None:
        os.truncate(path, 40_000_000)

        def serve(taken: Taken) -> bool:
            taken.read(100_000)
            taken.send(self.TOO_LARGE)
            if reset:
                taken.reset()
            return False

        with UploadServer(serve) as server, Client(KEY, server.url, auth="key") as client:
            with pytest.raises((APIError, NetworkError)) as caught:
                client.transcribe(path, MODEL)
        assert caught.value.status_code == 413 or caught.value.outcome == "unknown"
        assert len(server.taken) == 1, "a paid call was sent twice"

    def test_a_good_answer_is_one_all_the_same(self, path: Path) -> None:
        os.truncate(path, 40_000_000)

        def serve(taken: Taken) -> None:
            if taken.number == 0:
                taken.read(100_000)
                taken.send(SAID)
            taken.read_all()
            if taken.number:
                taken.send(SAID)

        with UploadServer(serve) as server, Client(KEY, server.url, auth="key") as client:
            assert client.transcribe(path, MODEL).text == "said"
            assert client.transcribe(b"sound", MODEL).text == "said"
        assert server.taken[1].file == b"sound"
