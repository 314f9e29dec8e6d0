"""Thousands of calls and of streams left early, one in twenty of them in trouble: nothing is left behind.

The sandbox runs in a process of its own; what is measured is the client's.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
import requests
from test_auth import sandbox_process

from indoxrouter import AsyncClient, Client, IndoxRouterError

from . import counts
from .cells import at_once, settled
from .figures import measured
from .footprint import Footprint, Silent, listening, settled_footprint
from .leaving import WAYS

WORKERS = 16
ASIDE = 4
"""Connections on which a client stops streams."""
NONCE = re.compile(r"nonce\d{9}")
OF_A_LOOP = 4
"""Descriptors that an event loop has for itself."""
KEPT = 16 * 2**20
"""Bytes by which the process may grow after the warm-up."""
TRACED = 48 * 2**10
"""Bytes by which what Python has allocated may grow with each slice of calls: of a leak, every slice has its part."""
SLICES = 3
LASTING: list[dict[str, Any]] = [
    {"status": 503, "retry_after": 0.01},
    {"status": 500, "retry_after": 0.01},
    {"status": 429, "retry_after": 0.01},
    {"status": 400},
    {"status": 200, "body": "<html><title>Gateway</title></html>"},
    {"cut": 0},
    {"cut": 40},
    {"hang": 30},
    {"delay": 0.1},
    {"drip": 30, "interval": 0.001},
    {"malformed": 0},
    {"malformed": 5, "malformed_as": "utf-8"},
    {"error_event": 0},
    {"error_event": 5},
]
"""Met by every attempt of a call."""
PASSING = [fault for fault in LASTING if "hang" not in fault]
"""Met by one request, whoever sends it."""


class Size(NamedTuple):
    calls: int
    streams: int
    """Left early."""
    rounds: int
    slice: int
    """Calls between two looks at what is allocated."""


SHORT, LONG = Size(1500, 250, 2, 100), Size(100_000, 10_000, 100, 1500)


@dataclass
class Soak:
    """One client's calls."""

    client: Any
    origin: str
    tally: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(20))
    _count: int = 0

    def round(self, calls: int, streams: int) -> list[bool]:
        """What to do, in turn: True for a call, False for a stream to leave. Passing faults are ordered."""
        for _ in range(calls // 40):
            order = {**self.chance.choice(PASSING), "path": "*completions", "after": self.chance.randrange(calls)}
            requests.post(f"{self.origin}/sandbox/faults", json=order, timeout=10).raise_for_status()
        work = [True] * calls + [False] * streams
        self.chance.shuffle(work)
        return work

    async def carry_out(self, is_call: bool) -> None:
        self._count += 1
        nonce = f"nonce{self._count:09}"
        options: dict[str, Any] = {}
        if self.chance.random() < 1 / 40:
            fault = self.chance.choice(LASTING)
            options["extra_headers"] = {"X-Sandbox-Fault": str(fault).replace("'", '"')}
            if "hang" in fault:
                options["timeout"] = 0.2
        kind = "call" if is_call else "stream"
        try:
            text = await (self._call(nonce, options) if is_call else self._leave(nonce, options))
        except IndoxRouterError as error:
            self.tally[f"{kind} failed"] += 1
            self.tally["attempts"] += len(error.attempts)
            if not (error.request_id and error.outcome):
                self.wrong.append(f"{nonce}: {error!r} has no request_id or no outcome")
        except BaseException as error:  # noqa: BLE001 - reported with the call's name
            self.wrong.append(f"{nonce}: {error!r}")
        else:
            self.tally[f"{kind} ended"] += 1
            found = set(NONCE.findall(text))
            if found - {nonce} or (is_call and not found):
                self.wrong.append(f"{nonce}: {text}")

    async def _call(self, nonce: str, options: dict[str, Any]) -> str:
        kind = self._count % 10
        if kind == 0:
            self.tally["streamed"] += 1
            stream = await settled(self.client.completion(nonce, stream=True, max_tokens=40, **options))
            answer = await settled(stream.response())
        elif kind < 3:
            answer = await settled(self.client.chat([{"role": "user", "content": nonce}], **options))
        else:
            answer = await settled(self.client.completion(nonce, **options))
        self.tally["attempts"] += len(answer.attempts)
        return str(answer.data)

    async def _leave(self, nonce: str, options: dict[str, Any]) -> str:
        way = list(WAYS)[self._count % len(WAYS)]
        self.tally[f"left by {way}"] += 1
        return await WAYS[way](
            lambda **more: self.client.chat(
                [{"role": "user", "content": nonce + " and a question" * 9}], stream=True, **options, **more
            )
        )


class Plainly:
    """A client in threads."""

    def __init__(self, url: str, key: str) -> None:
        self.soak = Soak(Client(key, url, max_connections=WORKERS), url.removesuffix("/v1"))
        self._pool = ThreadPoolExecutor(WORKERS)

    def carry_out(self, work: Sequence[bool]) -> None:
        for _ in self._pool.map(lambda is_call: at_once(self.soak.carry_out(is_call)), work):
            pass

    def close(self) -> None:
        self.soak.client.close()
        self._pool.shutdown()


class Together:
    """An AsyncClient in tasks."""

    def __init__(self, url: str, key: str, silent: Silent) -> None:
        self.soak = Soak(AsyncClient(key, url, max_connections=WORKERS), url.removesuffix("/v1"))
        self._runner = asyncio.Runner()
        self._runner.get_loop().set_exception_handler(silent.of_loop)

    def carry_out(self, work: Sequence[bool]) -> None:
        left = iter(work)

        async def worker() -> None:
            for is_call in left:
                await self.soak.carry_out(is_call)

        async def all_of_them() -> None:
            await asyncio.gather(*(worker() for _ in range(WORKERS)))

        self._runner.run(all_of_them())

    def close(self) -> None:
        self._runner.run(self.soak.client.close())
        self._runner.close()


def carried_out(
    asynchronous: bool, url: str, key: str, silent: Silent, rounds: Sequence[tuple[int, int]], traced: int = 0
) -> tuple[Soak, Footprint]:
    """The calls, and what the process held after them while its client was open."""
    one: Plainly | Together = Together(url, key, silent) if asynchronous else Plainly(url, key)
    try:
        for calls, streams in rounds:
            one.carry_out(one.soak.round(calls, streams))
        held = settled_footprint()
        if traced:
            measured(f"growth between slices, {name(asynchronous)}", traced_growth(one, traced) / 1024, "KiB")
    finally:
        one.close()
    soak, one.soak.client = one.soak, None
    return soak, held


def traced_growth(one: Plainly | Together, calls: int) -> int:
    """How much more is allocated after a slice of calls than after the one before."""
    tracemalloc.start()
    try:
        sizes = []
        for _ in range(SLICES):
            one.carry_out(one.soak.round(calls, calls // 10))
            settled_footprint()
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    growth = min(after - before for before, after in pairwise(sizes))
    assert growth <= TRACED, f"{growth} bytes more with each {calls} calls"
    return growth


def name(asynchronous: bool) -> str:
    return "async" if asynchronous else "sync"


@pytest.fixture(scope="module")
def router() -> Iterator[tuple[str, str]]:
    flags = ("--streams", "typed", "--stream-delay", "0.002", "--credits", "1000000")
    with sandbox_process(*flags) as (url, key):
        yield url, key


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(
    "size", [SHORT, pytest.param(LONG, marks=[pytest.mark.long, pytest.mark.timeout(3600)])], ids=["short", "long"]
)
def test_nothing_is_left_behind(size: Size, asynchronous: bool, router: tuple[str, str]) -> None:
    origin = router[0].removesuffix("/v1")
    per_round = (size.calls // size.rounds, size.streams // size.rounds)
    with listening() as silent:
        carried_out(asynchronous, *router, silent, [(200, 50)])  # the warm-up
        before = settled_footprint()
        requests.delete(f"{origin}/sandbox/stats", timeout=10).raise_for_status()
        begun = time.monotonic()
        soak, held = carried_out(asynchronous, *router, silent, [per_round] * size.rounds, size.slice)
        took = time.monotonic() - begun
        after = settled_footprint(before)
        stats = requests.get(f"{origin}/sandbox/stats", timeout=10).json()
    problems = soak.wrong + silent.all
    assert not problems, f"{len(problems)} problems:\n" + "\n".join(problems[:20])
    judge_calls(soak.tally, size.calls + SLICES * size.slice, size.streams + SLICES * (size.slice // 10))
    judge_router(stats, soak.tally)
    judge_footprint(before, held, after, name(asynchronous))
    measured(f"soak, {name(asynchronous)}", took, "s")


def judge_calls(tally: Counter[str], calls: int, streams: int) -> None:
    """All have ended, most of them well, and each of the ways out was taken."""
    assert tally["call ended"] + tally["call failed"] == calls
    assert tally["stream ended"] + tally["stream failed"] == streams
    assert tally["call ended"] >= 0.95 * calls
    assert min(tally[f"left by {way}"] for way in WAYS) >= streams / len(WAYS) / 3
    counts.RUN["calls"] += calls
    counts.RUN["streams left early"] += streams
    counts.RUN["retries"] += tally["attempts"] - calls - tally["stream failed"]


def judge_router(stats: dict[str, Any], tally: Counter[str]) -> None:
    """Its streams are over, and each that was left or broke was stopped at most once."""
    assert (stats["running"], stats["open_streams"], stats["logins"]) == (0, 0, 1)
    assert stats["faults"] >= tally["call ended"] / 30, "there was too little trouble"
    left = sum(tally[f"left by {way}"] for way in WAYS)
    stops = sum(count for path, count in stats["requests"].items() if "stop-stream" in path)
    assert 0.8 * left <= stops <= left + tally["streamed"] / 10
    assert max(count for path, count in stats["requests"].items() if "stop-stream" in path) == 1
    counts.RUN["faults met"] += stats["faults"]
    counts.RUN["streams stopped"] += stops


def judge_footprint(before: Footprint, held: Footprint, after: Footprint, kind: str) -> None:
    """An open client holds connections for its workers; a closed one holds nothing."""
    assert held.descriptors <= before.descriptors + WORKERS + ASIDE + OF_A_LOOP
    assert after.like(before), f"{before} before, {after} after"
    grown = after.memory - before.memory
    assert grown <= KEPT, f"{grown / 2**20:.1f} MiB more"
    measured(f"growth of the process, {kind}", grown / 2**20, "MiB")
    measured(f"descriptors more than before, {kind}", after.descriptors - before.descriptors, "")
    measured(f"threads more than before, {kind}", after.threads - before.threads, "")
    measured(f"descriptors of an open client, {kind}", held.descriptors - before.descriptors, "")
