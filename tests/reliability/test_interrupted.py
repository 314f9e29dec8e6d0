"""What ends a call from outside tells nothing of it: neither the end of a task, nor a caller's limit, nor Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from typing import Any

import pytest
from raw_server import HOLD, chunked, head

from indoxrouter import AsyncClient, Client

from .canaries import WORD, Overheard, Secrets, leaks_of, leaks_of_objects
from .exchange import Action, Exchange, Script
from .faultserver import Case, FaultServer

SECRETS = Secrets("three")


def silent(exchange: Exchange) -> Iterator[Action]:
    exchange.read()
    yield HOLD


def half(exchange: Exchange) -> Iterator[Action]:
    yield exchange.good().sized()[:-9]
    yield HOLD


def no_event(exchange: Exchange) -> Iterator[Action]:
    yield exchange.good().head(Transfer_Encoding="chunked")
    yield HOLD


def events(exchange: Exchange) -> Iterator[Action]:
    good = exchange.good()
    yield good.head(Transfer_Encoding="chunked") + chunked(*good.pieces[:2], last=False)
    yield HOLD


def busy(exchange: Exchange) -> Iterator[Action]:
    exchange.read()
    yield head(503, Content_Length="0", Retry_After="60")


PLACES: dict[str, tuple[Script, bool, bool]] = {
    "a login": (silent, False, True),
    "an answer": (silent, False, False),
    "the rest of an answer": (half, False, False),
    "another try": (busy, False, False),
    "a stream's first event": (no_event, True, False),
    "a stream's next event": (events, True, False),
}
"""What a call waits for, by the server's script; whether it streams; whether its login meets the script."""


def case_of(place: str, server: FaultServer) -> Case:
    script, _, at_login = PLACES[place]
    secrets = {"access": SECRETS("access token"), "refresh": SECRETS("refresh token"), "cookie": SECRETS("cookie")}
    case = server.case(script, secrets=secrets, sees_logins=at_login)
    case.arm(9)
    return case


def client_of(cls: Any, case: Case) -> Any:
    headers = {"X-Gateway-Key": SECRETS("default header")}
    return cls(SECRETS("api key"), case.url, verify=False, timeout=30, default_headers=headers)


def asked(place: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": SECRETS("prompt")}]
    return {"messages": messages, "stream": PLACES[place][1], "extra_headers": {"X-Extra": SECRETS("extra header")}}


async def read(client: AsyncClient, place: str) -> None:
    answer = await client.chat(**asked(place))
    if PLACES[place][1]:
        async for _ in answer:
            pass


def read_plainly(client: Client, place: str) -> None:
    answer = client.chat(**asked(place))
    for _ in answer if PLACES[place][1] else ():
        pass


Reached = Callable[[], object]
"""Whether the server has what the call sends; it keeps it waiting from then on."""


async def with_a_limit(work: Coroutine[Any, Any, None], _: Reached) -> None:
    await asyncio.wait_for(work, 1.5)


async def with_another_limit(work: Coroutine[Any, Any, None], reached: Reached) -> None:
    async def shorten() -> None:
        await waiting_for(reached)
        limit.reschedule(asyncio.get_running_loop().time())

    async with asyncio.timeout(20) as limit:
        shortening = asyncio.create_task(shorten())
        await work
    await shortening


async def as_a_task(work: Coroutine[Any, Any, None], reached: Reached) -> None:
    task = asyncio.create_task(work)
    await waiting_for(reached)
    task.cancel()
    await task


async def waiting_for(reached: Reached) -> None:
    until = time.monotonic() + 10
    while not reached() and time.monotonic() < until:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)  # from there to where the answer is waited for


@pytest.mark.parametrize("ended", [with_a_limit, with_another_limit, as_a_task])
@pytest.mark.parametrize("place", PLACES)
def test_a_task_that_ends(
    place: str,
    ended: Callable[[Coroutine[Any, Any, None], Reached], Coroutine[Any, Any, None]],
    server: FaultServer,
    overheard: Overheard,
) -> None:
    case = case_of(place, server)

    async def go() -> None:
        client = client_of(AsyncClient, case)
        with pytest.raises((TimeoutError, asyncio.CancelledError)) as caught:
            await ended(read(client, place), lambda: case.logins if PLACES[place][2] else case.requests)
        await client.close()
        assert leaks_of(caught.value) == []
        assert leaks_of_objects(client) == []

    asyncio.run(go())
    was_reached(place, case)


@pytest.mark.parametrize("place", PLACES)
def test_ctrl_c(place: str, server: FaultServer, overheard: Overheard) -> None:
    assert threading.current_thread() is threading.main_thread()
    case = case_of(place, server)

    def press() -> None:
        """As soon as the call waits."""
        until = time.monotonic() + 10
        while not (case.logins if PLACES[place][2] else case.requests) and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.2)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with closing(client_of(Client, case)) as client:
        finger = threading.Thread(target=press)
        finger.start()
        with pytest.raises(KeyboardInterrupt) as caught:
            read_plainly(client, place)
        finger.join()
        assert leaks_of(caught.value) == []
        assert leaks_of_objects(client) == []
    was_reached(place, case)


def was_reached(place: str, case: Case) -> None:
    """Nothing is proven by a call that had no secrets, or that ended elsewhere."""
    assert (len(case.logins), len(case.requests)) == ((1, 0) if PLACES[place][2] else (1, 1))
    assert all(WORD in repr(seen.headers) for seen in [*case.logins, *case.requests])
    assert case.log == []
