"""An outage meets no storm of retries: together, all callers of a client retry a hundred times, and then fail at once.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html describes such a bucket.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from indoxrouter import (
    AsyncClient,
    Client,
    IndoxRouterError,
    NetworkError,
    RequestTimeoutError,
    ServiceUnavailableError,
)
from indoxrouter.errors import Attempt

from . import counts
from .cells import at_once, settled
from .figures import measured
from .outage import How, Outage
from .pulse import Pulse, Stall

CALLERS = 64
PAUSE = 1.0
"""Seconds that a caller waits between two calls; so many callers would otherwise keep this machine busy."""
TIMEOUT = 0.8
"""Seconds for an attempt, where a router is silent."""
FAST = 0.5
"""Seconds in which a call fails that nothing is tried for."""
SOON = 1.0
"""Seconds in which a call is answered once the router is back."""


@dataclass(frozen=True)
class Due:
    """What calls meet while the router is down."""

    errors: tuple[type[IndoxRouterError], ...]
    retries: int
    """All that the bucket holds: a retry after a timeout costs twice as much."""
    seconds: float = FAST
    """For a call without retries."""


DUE: dict[How, Due] = {
    "busy": Due((ServiceUnavailableError,), 100),
    "gone": Due((NetworkError,), 100),
    "in turns": Due((ServiceUnavailableError, NetworkError), 100),
    "silent": Due((RequestTimeoutError,), 50, TIMEOUT + FAST),
}


@dataclass
class Called:
    """One call, and how it ended."""

    caller: int
    begun: float
    ended: float
    stall: Stall
    error: Exception | None
    attempts: tuple[Attempt, ...]

    @property
    def seconds(self) -> float:
        return self.ended - self.begun

    @property
    def retries(self) -> int:
        return len(self.attempts) - 1


class Callers:
    """All who share one client, each calling again and again until the end."""

    def __init__(self, asynchronous: bool, url: str, timeout: float | None, pulse: Pulse) -> None:
        self.calls: list[Called] = []
        self.over = False
        self._asynchronous = asynchronous
        self._pulse = pulse
        self._settings: dict[str, Any] = {"api_key": "key", "base_url": url, "timeout": timeout}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def join(self) -> None:
        self.over = True
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        if self._asynchronous:
            asyncio.run(self._tasks())
            return
        with Client(**self._settings) as client, ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(lambda n: at_once(self._calling(client, n)), range(CALLERS)))

    async def _tasks(self) -> None:
        async with AsyncClient(**self._settings) as client:
            await asyncio.gather(*(self._calling(client, n) for n in range(CALLERS)))

    async def _calling(self, client: Any, caller: int) -> None:
        await self._pause(PAUSE * caller / CALLERS)
        for number in itertools.count():
            if self.over:
                return
            self.calls.append(await self._call(client, caller, f"caller {caller} asks {number}"))
            await self._pause(PAUSE)

    async def _call(self, client: Any, caller: int, prompt: str) -> Called:
        failure: Exception | None = None
        begun = time.monotonic()
        with self._pulse.watching() as stall:
            try:
                answer = await settled(client.completion(prompt))
                assert answer.data == f"answer to {prompt}"
            except Exception as error:  # noqa: BLE001 - judged with all others
                failure = error
            ended = time.monotonic()
        attempts = answer.attempts if failure is None else getattr(failure, "attempts", ())
        return Called(caller, begun, ended, stall, failure, attempts)

    async def _pause(self, seconds: float) -> None:
        if self._asynchronous:
            await asyncio.sleep(seconds)
        else:
            time.sleep(seconds)


def wait_for(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def everybody_called(callers: Sequence[Callers], since: float, times: int = 1) -> bool:
    """Whether each of them has had so many answers to calls begun since then."""
    for one in callers:
        answered = Counter(called.caller for called in list(one.calls) if called.begun >= since and not called.error)
        if len(answered) < CALLERS or min(answered.values()) < times:
            return False
    return True


def everybody_met_an_empty_bucket(callers: Sequence[Callers], since: float) -> bool:
    """Whether a call of each of them, begun since then, has failed and was not tried again."""
    failed = [{c.caller for c in list(one.calls) if c.begun >= since and c.error and not c.retries} for one in callers]
    return all(len(found) == CALLERS for found in failed)


@contextmanager
def both_kinds(timeout: float | None, pulse: Pulse) -> Iterator[tuple[list[Outage], list[Callers]]]:
    """Threads with a Client and tasks with an AsyncClient, each with a router of their own."""
    with Outage() as one, Outage() as other:
        callers = [Callers(False, one.url, timeout, pulse), Callers(True, other.url, timeout, pulse)]
        try:
            yield [one, other], callers
        finally:
            for each in callers:
                each.join()


@pytest.mark.parametrize(
    ("how", "seconds"),
    [("busy", 3), ("gone", 3)]
    + [pytest.param(how, 30, marks=pytest.mark.long) for how in ("busy", "gone", "silent", "in turns")],
)
def test_an_outage_meets_no_storm_of_retries(how: How, seconds: float, pulse: Pulse) -> None:
    with both_kinds(TIMEOUT if how == "silent" else None, pulse) as (routers, callers):
        wait_for(lambda: everybody_called(callers, 0.0), "nobody is served before the outage")
        left = time.monotonic()
        for router in routers:
            router.down(how)
        down = time.monotonic()
        time.sleep(seconds / 3)
        dry = time.monotonic()
        time.sleep(seconds * 2 / 3)
        wait_for(lambda: everybody_met_an_empty_bucket(callers, dry), "not all callers have met an empty bucket")
        back = time.monotonic()
        for router in routers:
            router.up()
        up = time.monotonic()
        wait_for(lambda: everybody_called(callers, up), "not everybody is served after the outage")
        for router in routers:
            router.stumbles = 3
        wait_for(lambda: not any(router.stumbles for router in routers), "nobody met the last 503s")
        for each in callers:
            each.join()
    for router, each in zip(routers, callers, strict=True):
        judge_outage(each, DUE[how], left, down, back)
        judge_return(each, up)
        judge_requests(router, each)


def judge_outage(callers: Callers, due: Due, left: float, down: float, back: float) -> None:
    """As many retries as the bucket holds; then every call fails at once, as its one attempt did."""
    met = [called for called in callers.calls if called.begun < back and called.ended > left]
    assert sum(called.retries for called in met if called.ended <= back) == due.retries
    inside = [called for called in met if called.begun >= down and called.ended <= back]
    others = {type(called.error) for called in inside} - set(due.errors)
    assert not others
    once = [called for called in inside if not called.retries]
    slow = [called for called in once if not called.stall.excuses(called.seconds - due.seconds)]
    assert not slow, f"{len(slow)} of {len(once)} calls took up to {max(called.seconds for called in slow):.2f} s"
    counts.RUN["calls"] += len(callers.calls)
    counts.RUN["calls during an outage"] += len(met)
    counts.RUN["retries"] += sum(called.retries for called in callers.calls)
    waited = due.seconds - FAST
    measured("longest failure, retry bucket empty", max(c.seconds - c.stall.process - waited for c in once), "s")


def judge_return(callers: Callers, up: float) -> None:
    """Everybody is served again, and retries are made again."""
    since = [called for called in callers.calls if called.begun >= up]
    assert not [called.error for called in since if called.error]
    assert len({called.caller for called in since}) == CALLERS
    calm = [called for called in since if not called.retries]
    assert not [called for called in calm if not called.stall.excuses(called.seconds - SOON)]
    assert sum(called.attempts[0].status == 503 for called in since) == 3
    measured("longest answer after an outage", max(c.seconds - c.stall.process for c in calm), "s")


def judge_requests(router: Outage, callers: Callers) -> None:
    """What is tried again keeps its key, and nothing else has it; the router counts what the errors tell."""
    keys = [set(requests) for requests in router.asked.values()]
    assert all(len(found) == 1 for found in keys)
    assert len(set.union(*keys) - {None}) == len(keys)
    told = sum(attempt.status == 503 for called in callers.calls for attempt in called.attempts)
    assert told == router.refusals
