"""What only asyncio brings: many calls at once, cancellation, several event loops."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from raw_server import DONE, FIN, HOLD, STREAM_HEAD, Action, RawServer, Seen, answer, chat_body, ok, piece

from indoxrouter import AsyncClient, AsyncOpenAI, AuthenticationError, ChatResponse, NetworkError, StreamError
from indoxrouter.sandbox import Sandbox

HELLO = [{"role": "user", "content": "Hello"}]
KEY = "key-of-the-tests"


def ask(n: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"question {n}!"}]


@pytest.mark.parametrize("dialect", ["indox", "openai"])
def test_1000_calls_at_once_over_100_connections(sandbox: Sandbox, dialect: Any) -> None:
    async def main() -> None:
        url = sandbox.url if dialect == "indox" else sandbox.openai_url
        async with AsyncClient(
            sandbox.api_key, url, dialect=dialect, default_model="openai/gpt-4o-mini", max_connections=100
        ) as client:
            await client.chat(HELLO)
            before = len(os.listdir("/proc/self/fd"))
            answers = await asyncio.gather(*[client.chat(ask(n)) for n in range(1000)])
            assert all(f"question {n}!" in (found.data or "") for n, found in enumerate(answers))
            # Both ends of each connection are in this process.
            assert len(os.listdir("/proc/self/fd")) <= before + 2 * 100
        await asyncio.sleep(0.2)
        assert len(os.listdir("/proc/self/fd")) <= before + 4

    asyncio.run(main())
    assert dialect == "openai" or sandbox.stats()["logins"] == 1


class TestCancellation:
    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("after", [0.0, 0.05, 0.2])
    def test_a_cancelled_call_closes_its_connection(self, stream: bool, after: float) -> None:
        async def main(server: RawServer) -> None:
            async with AsyncClient(KEY, server.url) as client:
                call = asyncio.create_task(client.chat(HELLO, stream=stream))
                await asyncio.sleep(after)
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
                assert await asyncio.to_thread(server.wait_until_closed) or not server.requests

        with RawServer(lambda _: [HOLD]) as server:
            asyncio.run(main(server), debug=True)

    def test_at_any_await(self) -> None:
        """Cancelled at each step of the event loop in turn; the next call always works."""

        async def main(server: RawServer) -> int:
            moments = 0
            while True:
                async with AsyncClient(KEY, server.url) as client:
                    call = asyncio.create_task(client.chat(HELLO))
                    for _ in range(moments):
                        await asyncio.sleep(0)
                    if call.done():
                        return moments
                    call.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await call
                    assert (await client.chat(HELLO, deadline=5)).data == "fine"
                moments += 1

        with RawServer(lambda _: [ok(chat_body())]) as server:
            assert asyncio.run(main(server), debug=True) > 5
            assert server.wait_until_closed()

    def test_a_cancelled_login_is_left_to_others(self) -> None:
        def script(seen: Seen) -> list[Action]:
            if "/auth/" in seen.path:
                return [HOLD] if seen.number == 0 else [ok({"access_token": "t"})]
            return [ok(chat_body())]

        async def main(server: RawServer) -> None:
            async with AsyncClient(KEY, server.url) as client:
                leader = asyncio.create_task(client.chat(HELLO))
                await asyncio.sleep(0.2)
                waiters = [asyncio.create_task(client.chat(HELLO)) for _ in range(20)]
                await asyncio.sleep(0.1)
                started = time.monotonic()
                leader.cancel()
                answers = await asyncio.gather(*waiters)
                assert time.monotonic() - started < 1.0
                assert all(found.data == "fine" for found in answers)

        with RawServer(script, logins=False) as server:
            asyncio.run(main(server), debug=True)
            assert [seen.path for seen in server.requests].count("/v1/auth/api-key") == 2

    def test_a_stream_that_is_cancelled_or_closed_meanwhile(self) -> None:
        async def main(server: RawServer) -> None:
            async with AsyncClient(KEY, server.url) as client:
                stream = await client.chat(HELLO, stream=True)
                assert (await anext(stream)).data == "a"
                reading = asyncio.create_task(anext(stream))
                await asyncio.sleep(0.1)
                reading.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await reading
                assert (stream.state, stream.text) == ("cancelled", "a")
                with pytest.raises(StreamError):
                    await stream.response()
                other = await client.chat(HELLO, stream=True)
                await anext(other)
                asyncio.get_running_loop().call_later(0.1, lambda: asyncio.ensure_future(other.close()))
                started = time.monotonic()
                assert [chunk async for chunk in other] == []
                assert time.monotonic() - started < 1.0
                assert await asyncio.to_thread(server.wait_until_closed)

        with RawServer(lambda _: [STREAM_HEAD, piece("a"), HOLD]) as server:
            asyncio.run(main(server), debug=True)

    @pytest.mark.parametrize("look", [lambda stream: anext(stream), lambda stream: stream.response()])
    def test_a_stream_that_another_task_reads(self, look: Any) -> None:
        """Who is cancelled while waiting for a turn ends nothing for whoever has it."""

        go_on = threading.Event()

        def script(_: Seen) -> Iterator[Action]:
            yield STREAM_HEAD + piece("one ")
            go_on.wait(10)
            yield piece("two ") + piece("three", "stop") + DONE
            yield FIN

        async def main(server: RawServer) -> None:
            async with AsyncClient(KEY, server.url) as client:
                stream = await client.chat(HELLO, stream=True)
                reader = asyncio.ensure_future(self._read(stream))
                while stream.text != "one ":
                    await asyncio.sleep(0.01)
                waiters = [asyncio.ensure_future(look(stream)) for _ in range(3)]
                await asyncio.sleep(0.1)
                for waiter in waiters:
                    waiter.cancel()
                assert {type(end) for end in await asyncio.gather(*waiters, return_exceptions=True)} == {
                    asyncio.CancelledError
                }
                go_on.set()
                assert await reader == ["one ", "two ", "three"]
                assert (stream.state, (await stream.response()).data) == ("complete", "one two three")

        with RawServer(script) as server:
            asyncio.run(main(server))

    @staticmethod
    async def _read(stream: Any) -> list[str]:
        return [chunk.data async for chunk in stream]

    def test_looking_before_the_end(self) -> None:
        async def main(server: RawServer) -> None:
            async with AsyncClient(KEY, server.url) as client, await client.chat(HELLO, stream=True) as stream:
                for name in ("data", "message", "raw_response"):
                    with pytest.raises(StreamError, match="await response"):
                        getattr(stream, name)
                assert stream.text == ""

        with RawServer(lambda _: [STREAM_HEAD, piece("a"), HOLD]) as server:
            asyncio.run(main(server), debug=True)


class TestEventLoops:
    def test_several_one_after_the_other_without_a_warning(
        self, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING, "asyncio")
        client = AsyncClient(sandbox.api_key, sandbox.url)

        async def use() -> ChatResponse:
            answers = await asyncio.gather(*[client.chat(HELLO) for _ in range(5)])
            stream = await client.chat(HELLO, stream=True)
            await anext(stream)
            return answers[0]

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(3):
                assert asyncio.run(use(), debug=True).success
            gc.collect()
        slow = [record for record in caplog.records if "took" not in record.getMessage()]
        assert slow == []
        assert sandbox.stats()["logins"] == 1

    def test_several_at_once(self, sandbox: Sandbox) -> None:
        async def main() -> list[ChatResponse]:
            return await asyncio.gather(*[asyncio.to_thread(asyncio.run, client.chat(HELLO)) for _ in range(4)])

        client = AsyncClient(sandbox.api_key, sandbox.url)
        assert all(found.success for found in asyncio.run(main()))

    def test_in_a_loop_that_is_running_already(self, sandbox: Sandbox) -> None:
        """As in a notebook: cells are awaited in one loop that never ends."""
        loop = asyncio.new_event_loop()
        client = AsyncClient(sandbox.api_key, sandbox.url)
        for _ in range(2):
            assert loop.run_until_complete(client.chat(HELLO)).success
        loop.run_until_complete(client.close())
        loop.close()

    def test_one_that_nobody_closed_closes_itself(self, sandbox: Sandbox) -> None:
        async def main() -> None:
            await AsyncClient(sandbox.api_key, sandbox.url).chat(HELLO)
            gc.collect()
            await asyncio.sleep(0.1)

        asyncio.run(main(), debug=True)


def test_closing_while_calls_wait_for_a_connection_cancels_no_task() -> None:
    async def main(server: RawServer) -> None:
        client = AsyncClient(KEY, server.url, max_connections=1, max_retries=0, auth="key")
        calls = [asyncio.create_task(client.chat(HELLO)) for _ in range(3)]
        await asyncio.sleep(0.2)
        await client.close()
        found = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(error, NetworkError) for error in found), found

    with RawServer(lambda _: [HOLD]) as server:
        asyncio.run(main(server))


def test_event_loops_that_ended_are_let_go(sandbox: Sandbox) -> None:
    client = AsyncClient(sandbox.api_key, sandbox.url)

    async def use() -> weakref.ref[Any]:
        await client.chat(HELLO)
        return weakref.ref(asyncio.get_running_loop())

    loops = [asyncio.run(use()) for _ in range(10)]
    gc.collect()
    assert sum(loop() is not None for loop in loops) <= 1


def test_failures_are_shared_by_those_who_wait() -> None:
    async def main(server: RawServer) -> None:
        async with AsyncClient(KEY, server.url) as client:
            found = await asyncio.gather(*[client.chat(HELLO) for _ in range(20)], return_exceptions=True)
        assert all(isinstance(error, AuthenticationError) for error in found)
        assert len({id(error) for error in found}) == 20

    with RawServer(lambda _: [0.2, answer(401, {"detail": "no"})], logins=False) as server:
        asyncio.run(main(server))
        assert len(server.requests) == 1


def test_the_openai_style_too(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with AsyncOpenAI(api_key=sandbox.api_key, base_url=sandbox.openai_url) as client:
            found = await client.chat.completions.create(model="openai/gpt-4o-mini", messages=HELLO)
            assert found.choices[0].message.content

    asyncio.run(main(), debug=True)
