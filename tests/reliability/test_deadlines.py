"""B18: whatever a server, a proxy or a connection does, a call ends within its deadline and half a second."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import trustme
from raw_server import HOLD, answer, chunked, event, head, piece

from indoxrouter import (
    AsyncClient,
    Client,
    DeadlineExceededError,
    IndoxRouterError,
    RateLimitError,
    RequestTimeoutError,
    ServiceUnavailableError,
)
from indoxrouter.core import policy

from . import counts
from .cells import at_once, settled
from .exchange import Action, Drip, Exchange, Script
from .faults_of_http import for_ever
from .faultserver import FaultServer
from .figures import measured
from .judging import BUSY
from .proxy import Proxy, never_accepting
from .pulse import Pulse
from .relay import Relay
from .tls import serving_tls

DEADLINE = 0.8
MARGIN = 0.5
EARLY = 0.15
"""Seconds before its time that a limit may end a call: a moment passes before it is counted from."""
_JSON, _EVENTS = "application/json", "text/event-stream"
HELLO = [{"role": "user", "content": "nonce-000000001"}]


@dataclass(frozen=True)
class Route:
    """How a client reaches its server."""

    tls: bool
    proxied: bool
    twice: bool = False
    """Whether the proxy is spoken to by TLS, too."""

    def __str__(self) -> str:
        proxy = " through TLS to a proxy" if self.twice else " through a proxy"
        return ("TLS" if self.tls else "plain") + (proxy if self.proxied else "")


ROUTES = [*(Route(tls, proxied) for tls in (False, True) for proxied in (False, True)), Route(True, True, True)]


@dataclass(frozen=True)
class Trouble:
    """Something that never ends by itself, and how the deadline's passing is told."""

    script: Script
    error: type[IndoxRouterError] = DeadlineExceededError
    outcome: str = "unknown"
    calls: tuple[str, ...] = ("chat", "chat-stream", "models")
    logins: bool = False
    """Whether it is the login that meets it."""
    at_once: bool = False
    """Whether the call may end before its deadline."""
    options: tuple[tuple[str, Any], ...] = ()


def silent(exchange: Exchange) -> Iterator[Action]:
    exchange.read()
    yield HOLD


def dripped(data: bytes) -> Script:
    def script(exchange: Exchange) -> Iterator[Action]:
        exchange.read()
        yield Drip(data, 1, 0.1)

    return script


def unread(_: Exchange) -> Iterator[Action]:
    """Never reads the body, and never answers."""
    while True:
        yield 0.1


def answered(status: int, **headers: str) -> Script:
    def script(exchange: Exchange) -> Iterator[Action]:
        exchange.read()
        yield answer(status, {"detail": "come again"}, **headers)

    return script


_COMMENTS = for_ever(head(Content_Type=_EVENTS, Connection="close"), b": still there\n\n")
_MIDWAY = for_ever(head(Content_Type=_EVENTS, Connection="close") + piece("one ") + piece("two"), b": still there\n\n")
_UNENDING = for_ever(head(Content_Type=_EVENTS, Connection="close") + piece("one ") + b'data: {"id": "', b"x")
"""After one event, another that never ends."""
_BUSY = Trouble(answered(503), ServiceUnavailableError, "rejected", at_once=True)
TROUBLES = {
    "silent": Trouble(silent),
    "silent login": Trouble(silent, outcome="not_sent", logins=True),
    "dripped login": Trouble(dripped(head(200) * 9), outcome="not_sent", logins=True),
    "dripped head": Trouble(dripped(head(200, Content_Length="5") * 9)),
    "hints for ever": Trouble(for_ever(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")),
    "dripped body": Trouble(for_ever(head(Content_Length="9000", Content_Type=_JSON), b" ")),
    "chunks for ever": Trouble(for_ever(head(Transfer_Encoding="chunked", Content_Type=_JSON), b"1\r\n \r\n")),
    "a dripped error": Trouble(for_ever(head(500, Content_Length="9000"), b" ")),
    "comments for ever": Trouble(_COMMENTS, calls=("chat-stream",)),
    "comments for ever midway": Trouble(_MIDWAY, calls=("chat-stream",)),
    "stalled upload": Trouble(unread, calls=("upload",)),
    "an hour to wait": Trouble(answered(429, Retry_After="3600"), RateLimitError, "rejected", at_once=True),
    "a login with an hour to wait": Trouble(
        answered(429, Retry_After="3600"), RateLimitError, "not_sent", logins=True, at_once=True
    ),
    "busy for ever": Trouble(answered(503, retry_after_ms="30"), ServiceUnavailableError, "rejected", at_once=True,
                             options=(("max_retries", 1000),)),
    "fallbacks for ever": Trouble(answered(503, retry_after_ms="10"), ServiceUnavailableError, "rejected", at_once=True,
                                  calls=("chat",), options=(("fallback_models", ["a/b"] * 200),)),
    "fallbacks in the dark": Trouble(silent, RequestTimeoutError, at_once=True, calls=("chat",),
                                     options=(("timeout", 0.3), ("fallback_models", ["a/b"] * 9), ("max_retries", 9))),
}  # fmt: skip


class World:
    """Servers and proxies, plain and with TLS, for a test module."""

    def __init__(self, stack: ExitStack, folder: Any) -> None:
        authority = trustme.CA()
        self.verify = str(folder / "ca.pem")
        authority.cert_pem.write_to_path(self.verify)
        self.stack = stack
        self.servers = {
            tls: stack.enter_context(FaultServer(serving_tls(authority) if tls else None)) for tls in (False, True)
        }
        self.proxy = stack.enter_context(Proxy(password="of-the-proxy"))
        self.tls = serving_tls(authority)
        self.relay = stack.enter_context(Relay(self.proxy.port, self.tls))

    def settings(self, route: Route) -> dict[str, Any]:
        proxy = {"proxy": self.proxy_by_tls(self.relay) if route.twice else self.proxy.url} if route.proxied else {}
        return {"verify": self.verify if route.tls else False, "max_retries": 2, "deadline": DEADLINE, **proxy}

    def proxy_by_tls(self, relay: Relay) -> str:
        return self.proxy.url.replace("http:", "https:").replace(str(self.proxy.port), str(relay.port))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(stack, tmp_path_factory.mktemp("tls"))


@dataclass(frozen=True)
class Attempted:
    """A call to be made, and what is to become of it."""

    name: str
    url: str
    settings: dict[str, Any]
    call: str
    options: dict[str, Any]
    error: type[IndoxRouterError] | None
    outcome: str
    least: float
    most: float
    asynchronous: bool


async def made(one: Attempted, pulse: Pulse) -> str | None:
    """What is wrong with how it ended; None: nothing. Tried again where the machine had no time for it."""
    for _ in range(5):
        problem, stall = await _made(one, pulse)
        if problem is None or stall < BUSY:
            break
    return problem


async def _made(one: Attempted, pulse: Pulse) -> tuple[str | None, float]:
    name = f"{one.name}, {one.call}, {'async' if one.asynchronous else 'sync'}"
    client = (AsyncClient if one.asynchronous else Client)("key", one.url, **one.settings)
    error: Exception | None = None
    with pulse.watching() as stall:
        begun = time.monotonic()
        try:
            await _called(client, one)
        except Exception as caught:  # noqa: BLE001 - judged below
            error = caught
        took = time.monotonic() - begun
    await settled(client.close())
    if took < one.least or not stall.excuses(took - one.most - MARGIN):
        problem = f"{name}: took {took:.2f} s, which was to be {one.least} to {one.most} s ({error!r})"
        return problem, stall.process
    told = (type(error), getattr(error, "outcome", None))
    late = one.least == 0 and isinstance(error, DeadlineExceededError)  # it may end before the deadline: it need not
    right = late or told == ((one.error or type(None)), one.outcome or None)
    if right and stall.process < BUSY:
        measured("latest end after a limit, on a machine that is not busy", took - one.most, "s")
    return None if right else f"{name}: {error!r} {told[1]}", stall.process


async def _called(client: Any, one: Attempted) -> None:
    match one.call:
        case "models":
            await settled(client.models(**one.options))
        case "upload":
            await settled(client.completion("x" * 12_000_000, **one.options))
        case "chat":
            await settled(client.chat(HELLO, **one.options))
        case _:
            stream = await settled(client.chat(HELLO, stream=True, **one.options))
            await settled(stream.response())


def prove(attempts: list[Attempted], pulse: Pulse) -> None:
    """All at once, as each spends its time waiting; but for uploads, which keep this machine busy."""
    width = 1 if any(one.call == "upload" for one in attempts) else 12

    def plainly(one: Attempted) -> str | None:
        return at_once(made(one, pulse))

    async def together() -> list[str | None]:
        room = asyncio.Semaphore(width)

        async def alone(one: Attempted) -> str | None:
            async with room:
                return await made(one, pulse)

        problems = await asyncio.gather(*(alone(one) for one in attempts if one.asynchronous))
        await asyncio.sleep(0.3)  # for TLS to say goodbye: with its loop gone, a connection is left to the collector
        return problems

    with ThreadPoolExecutor(width) as pool:
        futures = [pool.submit(plainly, one) for one in attempts if not one.asynchronous]
        problems = [problem for problem in asyncio.run(together()) if problem]
        problems += [problem for future in futures if (problem := future.result())]
    counts.RUN["deadlines"] += len(attempts)
    assert not problems, f"{len(problems)} of {len(attempts)}:\n" + "\n".join(problems)


def of_trouble(name: str, world: World) -> Iterator[Attempted]:
    trouble = TROUBLES[name]
    for route, call, asynchronous in itertools.product(ROUTES, trouble.calls, (False, True)):
        case = world.servers[route.tls].case(trouble.script, sees_logins=trouble.logins)
        case.arm(10_000)
        least = 0.0 if trouble.at_once else DEADLINE - EARLY
        yield Attempted(
            f"{name}, {route}", case.url, world.settings(route), call, dict(trouble.options),
            trouble.error, trouble.outcome, least, DEADLINE, asynchronous,
        )  # fmt: skip


@pytest.mark.parametrize("name", TROUBLES)
def test_b18_a_call_ends_within_its_deadline(name: str, world: World, pulse: Pulse) -> None:
    prove(list(of_trouble(name, world)), pulse)


def nobody_there(world: World, route: Route, make: Callable[[], str], **settings: Any) -> Iterator[Attempted]:
    """Calls that don't come to be sent."""
    for call, asynchronous in itertools.product(("chat", "chat-stream", "models"), (False, True)):
        url = f"{'https' if route.tls else 'http'}://{make()}/v1"
        yield Attempted(
            str(route), url, {**world.settings(route), **settings}, call, {},
            DeadlineExceededError, "not_sent", DEADLINE - EARLY, DEADLINE, asynchronous,
        )  # fmt: skip


@pytest.mark.parametrize("auth", ["login", "key"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_b18_a_listener_that_never_accepts(tls: bool, auth: str, world: World, pulse: Pulse) -> None:
    address, held = never_accepting()
    try:
        prove(list(nobody_there(world, Route(tls, False), lambda: address, auth=auth)), pulse)
    finally:
        for sock in held:
            sock.close()


_HELLO_FOR_EVER = Drip(b"\x16\x03\x03\x3f\xff" + bytes(1000), 1, 0.05)
"""The beginning of a TLS record, and then a byte at a time."""


@pytest.mark.parametrize("action", [HOLD, _HELLO_FOR_EVER], ids=["silent", "dripped"])
@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "proxy"])
def test_b18_a_tls_handshake_that_stalls(proxied: bool, action: Any, world: World, pulse: Pulse) -> None:
    address = world.servers[False].door(lambda _: action).removeprefix("http://")
    prove(list(nobody_there(world, Route(True, proxied), lambda: address, auth="key")), pulse)


@pytest.mark.parametrize(
    "action", [HOLD, Drip(b"HTTP/1.1 200 OK" + b"\r\nX: y" * 99, 1, 0.05)], ids=["silent", "dripped"]
)
def test_b18_a_proxy_that_stalls(action: Any, world: World, pulse: Pulse) -> None:
    with Proxy(at_once=action) as proxy:
        address = world.servers[True].origin.removeprefix("https://")
        prove(list(nobody_there(world, Route(True, True), lambda: address, auth="key", proxy=proxy.url)), pulse)


def test_b18_a_slow_proxy_before_a_handshake_that_stalls(world: World, pulse: Pulse) -> None:
    """All of connecting has one limit."""
    with Proxy(at_once=DEADLINE * 0.9) as proxy:
        address = world.servers[False].door(lambda _: HOLD).removeprefix("http://")
        prove(list(nobody_there(world, Route(True, True), lambda: address, auth="key", proxy=proxy.url)), pulse)


def test_b18_all_of_connecting_has_one_limit(world: World, pulse: Pulse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing else limits it: neither a timeout nor a deadline."""
    monkeypatch.setattr(policy, "CONNECT", DEADLINE)
    with Proxy(at_once=DEADLINE * 0.9) as proxy:
        address = world.servers[False].door(lambda _: HOLD).removeprefix("http://")
        settings = {**world.settings(Route(True, True)), "proxy": proxy.url, "deadline": None, "max_retries": 0}
        prove(
            [
                Attempted(
                    "connecting", f"https://{address}/v1", {**settings, "auth": "key"}, "chat", {},
                    RequestTimeoutError, "not_sent", DEADLINE - EARLY, DEADLINE, asynchronous,
                )
                for asynchronous in (False, True)
            ],
            pulse,
        )  # fmt: skip


def test_b18_a_proxy_that_drips_the_handshake_within_its_tls(world: World, pulse: Pulse) -> None:
    with Relay(world.proxy.port, world.tls) as relay:
        relay.every = 0.005  # the answer to CONNECT comes in time
        address, proxy = world.servers[True].origin.removeprefix("https://"), world.proxy_by_tls(relay)
        prove(list(nobody_there(world, Route(True, True, True), lambda: address, auth="key", proxy=proxy)), pulse)


def test_b18_a_proxy_that_drips_what_is_within_its_tls(world: World, pulse: Pulse) -> None:
    """A record that is not whole yet keeps nobody."""
    case = world.servers[True].case()
    with Relay(world.proxy.port, world.tls) as relay:
        settings = {**world.settings(Route(True, True, True)), "proxy": world.proxy_by_tls(relay), "auth": "key"}
        with Client("key", case.url, **{**settings, "deadline": 30}) as client, pulse.watching() as stall:
            assert client.chat(HELLO).success
            relay.every = 0.03
            begun = time.monotonic()
            with pytest.raises(DeadlineExceededError) as caught:
                client.chat(HELLO, deadline=DEADLINE)
            took = time.monotonic() - begun
    assert stall.excuses(took - DEADLINE - MARGIN)
    assert caught.value.outcome == "unknown"


def test_b18_a_proxy_whose_server_never_accepts(world: World, pulse: Pulse) -> None:
    address, held = never_accepting()
    try:
        prove(list(nobody_there(world, Route(True, True), lambda: address, auth="key")), pulse)
    finally:
        for sock in held:
            sock.close()


IDLE = 0.5
_SLOW = tuple(chunked(piece(text), last=False) for text in ("one ", "two ", "three "))


def _slowly(exchange: Exchange) -> Iterator[Action]:
    """Events that come in time, one after the other, for longer than one may take."""
    exchange.read()
    yield head(Content_Type=_EVENTS, Transfer_Encoding="chunked")
    for part in _SLOW:
        yield 0.3
        yield part
    yield 0.3
    yield chunked(event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}), b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("script", "error", "outcome", "least", "most"),
    [
        (silent, RequestTimeoutError, "unknown", IDLE, IDLE),
        (_COMMENTS, RequestTimeoutError, "unknown", IDLE, IDLE),
        (_MIDWAY, RequestTimeoutError, "unknown", IDLE, IDLE),
        (_UNENDING, RequestTimeoutError, "unknown", IDLE, IDLE),
        (_slowly, None, "", 1.2, 1.3),
    ],
    ids=["first event", "first event, comments", "between events, comments", "half of an event", "slow events"],
)
def test_b18_idle_limits_of_streams(
    script: Script, error: Any, outcome: str, least: float, most: float, world: World, pulse: Pulse
) -> None:
    attempts = []
    for route, asynchronous in itertools.product(ROUTES, (False, True)):
        case = world.servers[route.tls].case(script)
        case.arm(10)
        settings = {**world.settings(route), "deadline": None, "max_retries": 0}
        attempts.append(
            Attempted(str(route), case.url, settings, "chat-stream", {"timeout": IDLE},
                      error, outcome, least - EARLY, most, asynchronous)
        )  # fmt: skip
    prove(attempts, pulse)


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_every_route_works(route: Route, world: World) -> None:
    case = world.servers[route.tls].case()
    with Client("key", case.url, **{**world.settings(route), "deadline": 10}) as client:
        answers = [client.completion(f"nonce-00000000{n}").data for n in range(3)]
    assert [text and text[:15] for text in answers] == [f"nonce-00000000{n}" for n in range(3)]
    assert len({seen.connection for seen in case.requests}) == 1
