"""Answers cut at every byte, by FIN and by RST: complete only where every byte came that it needs."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme

from indoxrouter import APIError, AsyncClient, Client, IndoxRouterError, NetworkError

from . import counts
from .cells import at_once, settled
from .cuts import ANSWERS, SOUND, TEXT, UNFRAMED, Due, cutting, due
from .faultserver import FaultServer
from .tls import serving_tls

ENDS = ("fin", "rst")
SHORT = ("json", "limit", "sound-in-padded-chunks")
"""Answers that are cut at every byte each time."""
SEED = int(os.environ.get("RELIABILITY_SEED") or time.time())
HELLO = [{"role": "user", "content": "Hello"}]


class Cut(NamedTuple):
    name: str
    at: int
    end: str
    asynchronous: bool

    def __str__(self) -> str:
        return f"{self.name} cut at {self.at} by {self.end}, {'async' if self.asynchronous else 'sync'}"


def cuts_of(name: str, positions: Iterable[int]) -> list[Cut]:
    return [Cut(name, at, end, asynchronous) for at in positions for end in ENDS for asynchronous in (False, True)]


async def went(client: Any, cut: Cut) -> tuple[Due, str]:
    """What became of a cut answer, and how to tell it."""
    asked = ANSWERS[cut.name]
    options: dict[str, Any] = {"extra_headers": {"X-Cut": f"{cut.name}/{cut.at}/{cut.end}"}}
    stream = None
    try:
        if asked.method == "speech":
            answer = await settled(client.speech("x", **options))
            assert answer.content == SOUND, f"{len(answer.content)} bytes passed for the whole sound"
        elif asked.method == "chat-stream":
            stream = await settled(client.chat(HELLO, stream=True, **options))
            answer = await settled(stream.response())
            assert (stream.state, answer.data) == ("complete", TEXT)
        else:
            answer = await settled(client.chat(HELLO, **options))
            assert answer.data == TEXT
    except IndoxRouterError as error:
        told = f"{error!r} ({error.outcome})"
        if type(error).__name__ == asked.error:
            return Due(complete=True), told
        outcomes = [error.outcome, *(attempt.outcome for attempt in error.attempts)]
        empty = cut.at == asked.start and asked.framing == "until close"  # which is an answer, though an odd one
        if not isinstance(error, (NetworkError, APIError)[: 1 + empty]) or outcomes != ["unknown"] * 2:
            raise
        if stream is None:
            return Due(complete=False), told
        if (stream.state, error.partial) != ("truncated", stream.text):
            raise
        return Due(complete=False, partial=error.partial), told
    return Due(complete=True), "the whole answer"


async def judged(client: Any, cut: Cut) -> str | None:
    """What is wrong; None: nothing."""
    expected = due(ANSWERS[cut.name], cut.at)
    try:
        found, told = await went(client, cut)
    except Exception as error:  # noqa: BLE001 - reported with the cut's name
        return f"{cut}: {error!r}"
    if expected.open and (found.complete or cut.end == "rst"):
        return None
    right = (found.complete, found.partial) == (expected.complete, expected.partial)
    return None if right else f"{cut}: {told}; due was {expected}"


async def unframed(client: Any, cut: Cut) -> str | None:
    """A RST tells that a body was cut. A FIN is its end, wherever it comes (RFC 9112, section 6.3)."""
    due = UNFRAMED[: cut.at].partition(b"\r\n\r\n")[2] if cut.end == "fin" else b""
    try:
        answer = await settled(client.speech("x", extra_headers={"X-Cut": f"{cut.name}/{cut.at}/{cut.end}"}))
    except (NetworkError, APIError) as error:
        return f"{cut}: {error!r}" if due or error.outcome != "unknown" else None
    return None if due and answer.content == due else f"{cut}: {len(answer.content)} bytes passed for the sound"


def prove(
    cuts: list[Cut],
    server: FaultServer,
    verify: bool | str = False,
    judged: Callable[[Any, Cut], Coroutine[Any, Any, str | None]] = judged,
) -> None:
    """All of them, with one client of each kind, which answer well afterwards."""
    case = server.case(cutting)
    case.arm(len(cuts))
    settings: dict[str, Any] = {"auth": "key", "max_retries": 0, "verify": verify, "timeout": 20}

    def plainly(client: Client, cut: Cut) -> str | None:
        return at_once(judged(client, cut))

    async def together() -> list[str | None]:
        room = asyncio.Semaphore(32)
        async with AsyncClient("key", case.url, **settings) as client:

            async def one(cut: Cut) -> str | None:
                async with room:
                    return await judged(client, cut)

            return await asyncio.gather(*(one(cut) for cut in cuts if cut.asynchronous))

    with Client("key", case.url, **settings) as client, ThreadPoolExecutor(32) as pool:
        futures = [pool.submit(plainly, client, cut) for cut in cuts if not cut.asynchronous]
        problems = [problem for problem in asyncio.run(together()) if problem]
        problems += [problem for future in futures if (problem := future.result())]
        assert (case.faults, case.log) == (0, [])
        good = client.completion("nonce-000000007")
        assert good.data == "nonce-000000007 <nonce-000000007> nonce-000000007"
    counts.RUN["cuts"] += len(cuts)
    case.requests.clear()
    assert not problems, f"{len(problems)} of {len(cuts)} cuts (seed {SEED}):\n" + "\n".join(problems[:100])


def sample(name: str, step: int) -> list[int]:
    """A spread of positions: the ends, and one of each `step` bytes."""
    size = len(ANSWERS[name].framed)
    chance = random.Random(f"{SEED} {name}")
    spread = {min(size, start + chance.randrange(step)) for start in range(0, size, step)}
    return sorted(spread | {0, size - 2, size - 1, size, ANSWERS[name].start})


@pytest.mark.parametrize("name", ANSWERS)
def test_cuts(name: str, server: FaultServer) -> None:
    prove(cuts_of(name, range(len(ANSWERS[name].framed) + 1) if name in SHORT else sample(name, 3)), server)


@pytest.mark.long
@pytest.mark.parametrize("name", ANSWERS)
def test_every_cut(name: str, server: FaultServer) -> None:
    prove(cuts_of(name, range(len(ANSWERS[name].framed) + 1)), server)


def test_a_sound_that_ends_with_its_connection(server: FaultServer) -> None:
    prove(cuts_of("unframed", range(len(UNFRAMED) + 1)), server, judged=unframed)


@pytest.mark.parametrize("name", ["json-until-close", "events-until-close", "events-chunked", "sound"])
def test_cuts_over_tls(name: str, tmp_path: Path) -> None:
    """Where a FIN comes without the farewell of TLS."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with FaultServer(serving_tls(authority)) as server:
        prove(cuts_of(name, sample(name, 40)), server, str(tmp_path / "ca.pem"))
