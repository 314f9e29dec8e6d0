"""C28: however a stream is left, its connection is closed, and the server is told once."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from indoxrouter import AsyncClient, Client
from indoxrouter.sandbox import Sandbox

from . import counts
from .cells import at_once
from .footprint import listening
from .leaving import WAYS, by_the_collector

STREAMS = 3
QUESTION = [{"role": "user", "content": "What is left? " * 20}]


@pytest.fixture(scope="module")
def router() -> Iterator[Sandbox]:
    with Sandbox(streams="typed", stream_delay=0.01) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(router: Sandbox) -> Sandbox:
    router.reset_stats()
    return router


@pytest.fixture
def collecting_by_hand() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def opening(client: Any) -> Callable[..., Any]:
    return lambda **options: client.chat(QUESTION, stream=True, **options)


def all_are_left(sandbox: Sandbox) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end and (sandbox.stats()["stops"] < STREAMS or sandbox.stats()["open_streams"]):
        time.sleep(0.02)
    time.sleep(0.1)  # for one stop too many
    stats = sandbox.stats()
    assert (stats["stops"], stats["open_streams"]) == (STREAMS, 0)
    counts.RUN["streams left early"] += STREAMS


@pytest.mark.parametrize("way", WAYS)
def test_c28_streams_are_left(way: str, sandbox: Sandbox) -> None:
    with listening() as silent, Client(sandbox.api_key, sandbox.url) as client:
        for _ in range(STREAMS):
            at_once(WAYS[way](opening(client)))
        gc.collect()
        all_are_left(sandbox)
    assert silent.all == []


@pytest.mark.parametrize("way", WAYS)
def test_c28_async_streams_are_left(way: str, sandbox: Sandbox) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(silent.of_loop)
        async with AsyncClient(sandbox.api_key, sandbox.url) as client:
            for _ in range(STREAMS):
                await WAYS[way](opening(client))
            gc.collect()
            await asyncio.to_thread(all_are_left, sandbox)

    with listening() as silent:
        asyncio.run(main())
    assert silent.all == []


@pytest.mark.parametrize("debug", [False, True])
def test_c28_async_streams_that_another_thread_collects(
    debug: bool, sandbox: Sandbox, collecting_by_hand: None
) -> None:
    """Their event loop may be told of it, but not be touched."""

    async def main() -> None:
        asyncio.get_running_loop().slow_callback_duration = 10
        asyncio.get_running_loop().set_exception_handler(silent.of_loop)
        async with AsyncClient(sandbox.api_key, sandbox.url) as client:
            for _ in range(STREAMS):
                await by_the_collector(opening(client))
            await asyncio.to_thread(gc.collect)
            await asyncio.to_thread(all_are_left, sandbox)

    with listening() as silent:
        asyncio.run(main(), debug=debug)
    assert silent.all == []


def test_c28_streams_that_go_with_their_client(sandbox: Sandbox, collecting_by_hand: None) -> None:
    with listening() as silent:
        for _ in range(STREAMS):
            client = Client(sandbox.api_key, sandbox.url)
            at_once(by_the_collector(opening(client)))
            cycle: list[Any] = [client]
            cycle.append(cycle)
            del client, cycle
        gc.collect()
        all_are_left(sandbox)
    assert silent.all == []


ENDS = {
    "a name of its module": "stream = client.chat(question, stream=True); next(stream)",
    "an exception in a loop": """
        stream = client.chat(question, stream=True)
        for chunk in stream:
            raise ZeroDivisionError
    """,
    "a cycle": "stream = client.chat(question, stream=True); cycle = [stream]; cycle.append(cycle); del stream, cycle",
    "a module that is torn down late": "sys.modules['late'] = client.chat(question, stream=True)",
    "a reader in a daemon": """
        stream = client.chat(question, stream=True)
        threading.Thread(target=list, args=(stream,), daemon=True).start()
    """,
    "an event loop that has ended": """
        async def main():
            global stream
            stream = await indoxrouter.AsyncClient(key, client.base_url).chat(question, stream=True)
            await anext(stream)
        asyncio.run(main())
    """,
}


@pytest.mark.parametrize("end", ENDS)
def test_c28_a_script_that_ends_leaves_its_streams(end: str, sandbox: Sandbox) -> None:
    """At once, as the server gets to know: a thread that is started too late would hold it up for good."""
    code = f"""
import asyncio, sys, threading, indoxrouter
key = {sandbox.api_key!r}
client = indoxrouter.Client(key, {sandbox.url!r})
question = {QUESTION!r}
{textwrap.dedent(ENDS[end])}
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert ended.stdout == ""
    assert ended.stderr.splitlines()[-1:] == ["ZeroDivisionError"] * ("exception" in end)
    assert ended.returncode == ("exception" in end)
    assert sandbox.stats()["stops"] == 1 or "daemon" in end  # which nothing waits for
    counts.RUN["streams left early"] += 1
