"""B20: 64 threads on one client, whatever the number of its connections."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from raw_server import RawServer, ok
from test_auth import sandbox_process

from indoxrouter import AsyncClient, Client, NetworkError, RequestTimeoutError

from . import counts
from .cells import at_once, settled
from .footprint import listening

THREADS = 64
NONCE = re.compile(r"nonce\d{9}")
CALLS = [8, pytest.param(300, marks=[pytest.mark.long, pytest.mark.timeout(1200)])]
"""Of each thread."""
LATE = {"X-Sandbox-Fault": '{"delay": 0.4}'}
"""The answer comes when its caller has gone."""
CUT = {"X-Sandbox-Fault": '{"cut": 30}'}


@pytest.fixture(scope="module")
def router() -> Iterator[tuple[str, str]]:
    with sandbox_process("--streams", "typed", "--credits", "100000") as (url, key):
        yield url, key


def side_by_side(
    work: Callable[[Any, int], Coroutine[Any, Any, Any]], asynchronous: bool, *args: Any, **settings: Any
) -> None:
    """The same work, with one client, in 64 threads or tasks that are started together."""
    settings = {"timeout": 30, **settings}

    async def together() -> None:
        asyncio.get_running_loop().set_exception_handler(silent.of_loop)
        async with AsyncClient(*args, **settings) as client:
            await asyncio.gather(*(work(client, n) for n in range(THREADS)))

    def plainly(client: Client, n: int) -> None:
        barrier.wait()
        at_once(work(client, n))

    with listening() as silent:
        if asynchronous:
            asyncio.run(together())
        else:
            barrier = threading.Barrier(THREADS)
            with Client(*args, **settings) as client, ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(plainly, [client] * THREADS, range(THREADS)))
    assert silent.all == []


def stats_of(router: tuple[str, str], *, reset: bool = False) -> Any:
    ask = requests.delete if reset else requests.get
    return ask(router[0].removesuffix("/v1") + "/sandbox/stats", timeout=10).json()


both = pytest.mark.parametrize("asynchronous", [False, True], ids=["threads", "tasks"])


@both
@pytest.mark.parametrize("connections", [64, 4])
@pytest.mark.parametrize("calls", CALLS)
def test_b20_everybody_gets_their_own_answer(
    calls: int, connections: int, asynchronous: bool, router: tuple[str, str]
) -> None:
    """Also where others' answers come late, or are cut."""
    ended: Counter[str] = Counter()

    async def work(client: Any, caller: int) -> None:
        for number in range(calls):
            nonce = f"nonce{caller:04}{number:05}"
            try:
                text = await one(client, nonce, (caller + number) % 16)
            except NetworkError as error:
                ended["late" if isinstance(error, RequestTimeoutError) else "cut"] += 1
            else:
                ended["answered"] += 1
                assert set(NONCE.findall(text)) == {nonce}

    async def one(client: Any, nonce: str, kind: int) -> str:
        match kind:
            case 0:
                return str(
                    (await settled(client.completion(nonce, timeout=0.2, max_retries=0, extra_headers=LATE))).data
                )
            case 1:
                return str((await settled(client.completion(nonce, max_retries=0, extra_headers=CUT))).data)
            case 2 | 3:
                stream = await settled(client.chat([{"role": "user", "content": nonce}], stream=True))
                return str((await settled(stream.response())).data)
            case 4:
                await settled(client.models())
                return nonce
            case _:
                return str((await settled(client.chat([{"role": "user", "content": nonce}]))).data)

    stats_of(router, reset=True)
    side_by_side(work, asynchronous, router[1], router[0], max_connections=connections)
    each = THREADS * calls // 16
    assert ended == {"answered": 14 * each, "late": each, "cut": each}
    assert stats_of(router)["logins"] == 1
    counts.RUN["calls"] += THREADS * calls


@both
def test_b20_no_more_connections_than_there_may_be_or_are_needed(asynchronous: bool) -> None:
    async def work(client: Any, caller: int) -> None:
        for number in range(3):
            assert (await settled(client.completion(f"{caller} {number}"))).data == f"{caller} {number}"

    with RawServer(lambda seen: [0.02, ok({"data": seen.json()["prompt"]})]) as server:
        side_by_side(work, asynchronous, "key", server.url, max_connections=4)
        assert server.connections <= (4 if asynchronous else 3 * THREADS + 1)
        assert server.wait_until_closed()


def test_b20_64_streams_at_once_on_four_connections(router: tuple[str, str]) -> None:
    """All of them are open before the first is read: nobody waits for somebody else's connection."""
    opened = threading.Barrier(THREADS)

    async def work(client: Any, caller: int) -> None:
        nonce = f"nonce{caller:09}"
        with client.chat([{"role": "user", "content": nonce}], stream=True) as stream:
            opened.wait(20)
            assert set(NONCE.findall("".join(chunk.data for chunk in stream))) == {nonce}

    side_by_side(work, False, router[1], router[0], max_connections=4)
    counts.RUN["calls"] += THREADS
