"""The driver for asyncio: carries out the steps of plans with aiohttp."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any, TypeVar

from indoxrouter.config import Settings
from indoxrouter.core.login import AccessToken, Flight, Wait
from indoxrouter.core.policy import Clock
from indoxrouter.core.shared import Shared
from indoxrouter.core.shared_login import acquire_in_time
from indoxrouter.core.steps import (
    Action,
    AtOnce,
    Close,
    Emit,
    Errand,
    GoingOn,
    Grant,
    LockTokens,
    Next,
    Plan,
    Send,
    Sleep,
    Token,
)
from indoxrouter.downloads import Downloads
from indoxrouter.driver import log, time_to_wait, waiting_level
from indoxrouter.errands import Errands
from indoxrouter.forking import renew_in_children
from indoxrouter.token_file import POLL, TokenFile
from indoxrouter.transports import closed
from indoxrouter.transports.with_aiohttp import AsyncTransport
from indoxrouter.wire.messages import Reply

T = TypeVar("T")


class AsyncDriver:
    """One server's settings, login and connections, for tasks of one or several event loops."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.shared = Shared(settings)
        self.downloads = Downloads(settings, self.shared.bucket)
        self.clock = Clock(time.monotonic, time.time, random.random, lambda: uuid.uuid4().hex)
        self._connect()
        renew_in_children(self)

    def _connect(self) -> None:
        self._transport = AsyncTransport(self.settings)
        self._errands = Errands(self.settings)
        self._lock = threading.Lock()
        self._waiting: dict[Flight, list[asyncio.Future[None]]] = {}
        self._sleepers: set[asyncio.Future[None]] = set()
        self._life = object()
        """Of the client, until it is closed: it may be used again."""

    def renew(self) -> object:
        """For a forked child; returns what is its parent's."""
        parents = (self._transport, self._errands, self._waiting, self._sleepers)
        self.shared.renew()
        del self._transport, self._errands  # where connecting fails, rather none than its parent's
        self._connect()
        return parents

    async def close(self) -> None:
        """Whatever tasks wait for ends now, in other event loops too."""
        self._life = object()
        self.downloads.close()
        for sleeper in list(self._sleepers):
            with contextlib.suppress(RuntimeError):  # its event loop may have ended
                sleeper.get_loop().call_soon_threadsafe(_land, sleeper)
        await self._transport.close()

    def abort(self, reply: Reply) -> None:
        """End a read of this reply that another task is waiting in."""
        self._transport.close_reply(reply)

    async def run(self, plan: Plan[T]) -> T:
        """Carry out a plan that emits nothing."""
        ended = await self.advance(plan)
        assert not isinstance(ended, Emit)
        return ended

    async def advance(self, plan: Plan[T], failure: BaseException | None = None) -> Emit | T:
        """Carry out a plan's steps up to the next Emit, or to its end."""
        answer: Any = None
        begun = self._life
        try:
            while True:
                try:
                    step = plan.send(answer) if failure is None else plan.throw(failure)
                except StopIteration as stop:
                    ended: T = stop.value
                    return ended
                if isinstance(step, Emit):
                    return step
                answer, failure = None, None
                try:
                    if begun is not self._life and isinstance(step, GoingOn):
                        raise closed(sent=False)
                    answer = await self._carry_out(step, begun)
                except BaseException as error:  # noqa: BLE001 - the plan decides what any failure means
                    failure = error
        except BaseException as error:
            if isinstance(answer, Reply):
                self._transport.close_reply(answer)
            self.abandon(plan, error)
            raise

    def abandon(self, plan: Plan[Any], why: BaseException) -> None:
        """End a plan that was interrupted between two steps; one that has ended by itself stays ended."""
        try:
            step = plan.throw(why)
            while isinstance(step, AtOnce):
                self._at_once(step)
                step = next(plan)
        except BaseException as error:  # noqa: BLE001 - what was thrown in comes out of it again
            del error

    async def _carry_out(self, step: Action, life: object) -> Any:
        """`life`: the client's since the plan went on."""
        match step:
            case Next():
                return await self._transport.next(step.reply, step.until)
            case Send():
                started = time.monotonic()
                reply = await self._transport.send(step.request, step.until, step.connect)
                took = (time.monotonic() - started) * 1000
                log.debug("%s %s: %s in %.0f ms", step.request.method, step.request.path, reply.status, took)
                return reply
            case Token():
                return await self._grant(step, life)
            case Sleep():
                log.log(waiting_level(step.seconds), "waiting %.2f s: %s", step.seconds, step.why)
                return await self._sleep(step.seconds)
            case LockTokens():
                return await self._lock_tokens(step)
            case _:
                return self._at_once(step)

    def _at_once(self, step: Close | Errand) -> Any:
        """What does not wait, and so can follow a cancellation or the end of the event loop."""
        if isinstance(step, Close):
            return self._transport.close_reply(step.reply)
        return self._errands.carry_out(step)

    async def _sleep(self, seconds: float) -> None:
        with self._closing() as ended:
            await _wait_for_end(ended, seconds)

    async def _lock_tokens(self, step: LockTokens) -> bool:
        with self._closing() as ended:
            while not step.tokens.try_lock():
                if time.monotonic() >= step.until:
                    return False
                await _wait_for_end(ended, POLL)
        return True

    @contextlib.contextmanager
    def _closing(self) -> Iterator[asyncio.Future[None]]:
        """What lands when the client is closed meanwhile."""
        ended = asyncio.get_running_loop().create_future()
        self._sleepers.add(ended)
        try:
            yield ended
        finally:
            self._sleepers.discard(ended)

    async def _grant(self, step: Token, life: object) -> Grant:
        """The current token, somebody else's fresh one, or one that we log in for."""
        mine = Flight()
        try:
            return await self._granted(step, mine, life)
        finally:
            if mine.begun:
                self._end(mine)

    def _end(self, flight: Flight) -> None:
        if flight.tokens is not None:
            flight.tokens.unlock()
        if not flight.done:  # interrupted where nobody could catch it, or its event loop was: the next one leads
            self.shared.login.failed(flight, KeyboardInterrupt(), time.monotonic())
        self._wake(flight)

    async def _granted(self, step: Token, mine: Flight, life: object) -> Grant:
        waited = False
        while True:
            if life is not self._life:  # those whose flight ended by that would lead the next
                raise closed(sent=False)
            found = self.shared.login.ask(step.stale, time.monotonic(), mine)
            if isinstance(found, AccessToken):
                return Grant(found, waited and step.stale is not None)
            if not isinstance(found, Wait):
                return Grant(await self._lead(mine, step.until), step.stale is not None)
            waited = True
            await self._wait_for(found.flight, step.until)

    async def _wait_for(self, flight: Flight, until: float | None) -> None:
        landing = asyncio.get_running_loop().create_future()
        with self._lock:
            if flight.done:  # in another thread, in between
                landing.set_result(None)
            else:
                self._waiting.setdefault(flight, []).append(landing)
        while not flight.done:
            await asyncio.wait([landing], timeout=time_to_wait(until))
            if not flight.alive():
                self._end(flight)
        if flight.error is not None:
            raise flight.error.clone()

    async def _lead(self, mine: Flight, until: float | None) -> AccessToken:
        """Log in for everybody who waits."""
        login = self.shared.login
        mine.alive = asyncio.get_running_loop().is_running
        mine.tokens = TokenFile(self.settings.token_cache or "")
        try:
            token = await self.run(acquire_in_time(self.shared, mine, until, self.clock))
        except BaseException as error:
            spare = login.failed(mine, error, time.monotonic())
            if spare is None:
                raise
            return spare
        login.landed(mine, token)
        return token

    def _wake(self, flight: Flight) -> None:
        with self._lock:
            landings = self._waiting.pop(flight, [])
        for landing in landings:
            with contextlib.suppress(RuntimeError):  # its event loop may have ended
                landing.get_loop().call_soon_threadsafe(_land, landing)


async def _wait_for_end(ended: asyncio.Future[None], seconds: float) -> None:
    if (await asyncio.wait([ended], timeout=seconds))[0]:
        raise closed(sent=False)


def _land(landing: asyncio.Future[None]) -> None:
    if not landing.done():
        landing.set_result(None)
