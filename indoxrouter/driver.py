"""The driver: carries out the steps of plans with requests, in the thread of whoever calls."""

from __future__ import annotations

import contextlib
import logging
import math
import random
import threading
import time
import uuid
from queue import Empty
from typing import Any, TypeVar

from indoxrouter.config import Settings
from indoxrouter.core.login import LOOK_AGAIN, AccessToken, Flight, Wait
from indoxrouter.core.policy import Clock
from indoxrouter.core.shared import Shared
from indoxrouter.core.shared_login import acquire_in_time
from indoxrouter.core.steps import (
    Action,
    AtOnce,
    Close,
    Emit,
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
from indoxrouter.errands import Errands
from indoxrouter.errors import DeadlineExceededError
from indoxrouter.forking import renew_in_children
from indoxrouter.token_file import POLL, TokenFile
from indoxrouter.transports import closed
from indoxrouter.transports.with_requests import Transport
from indoxrouter.wire.messages import Reply

log = logging.getLogger("indoxrouter")
T = TypeVar("T")


class Driver:
    """One server's settings, login and connections. Its methods may be called from any thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.shared = Shared(settings)
        self.downloads = Downloads(settings, self.shared.bucket)
        self.clock = Clock(time.monotonic, time.time, random.random, lambda: uuid.uuid4().hex)
        self._connect()
        renew_in_children(self)

    def _connect(self) -> None:
        self._transport = Transport(self.settings)
        self._errands = Errands(self.settings)
        self._closed = threading.Event()

    def renew(self) -> object:
        """For a forked child; returns what is its parent's."""
        parents = (self._transport, self._errands)
        self.shared.renew()
        del self._transport, self._errands  # where connecting fails, rather none than its parent's
        self._connect()
        return parents

    def close(self) -> None:
        """Whatever other threads wait for ends now."""
        ended, self._closed = self._closed, threading.Event()
        ended.set()
        self.downloads.close()
        self._transport.close()

    def abort(self, reply: Reply) -> None:
        """End a read of this reply that another thread is waiting in."""
        self._transport.abort(reply)

    def run(self, plan: Plan[T]) -> T:
        """Carry out a plan that emits nothing."""
        ended = self.advance(plan)
        assert not isinstance(ended, Emit)
        return ended

    def advance(self, plan: Plan[T], failure: BaseException | None = None) -> Emit | T:
        """Carry out a plan's steps up to the next Emit, or to its end."""
        answer: Any = None
        begun = self._closed
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
                    if begun.is_set() and isinstance(step, GoingOn):
                        raise closed(sent=False)
                    answer = self._carry_out(step, begun)
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
                self._carry_out(step, self._closed)
                step = next(plan)
        except BaseException as error:  # noqa: BLE001 - what was thrown in comes out of it again
            del error

    def _carry_out(self, step: Action, ended: threading.Event) -> Any:
        """`ended`: whether the client was closed since the plan went on."""
        match step:
            case Next():
                return self._transport.next(step.reply, step.until)
            case Send():
                started = time.monotonic()
                reply = self._transport.send(step.request, step.until, step.connect)
                took = (time.monotonic() - started) * 1000
                log.debug("%s %s: %s in %.0f ms", step.request.method, step.request.path, reply.status, took)
                return reply
            case Token():
                return self._grant(step, ended)
            case Close():
                return self._transport.close_reply(step.reply)
            case Sleep():
                log.log(waiting_level(step.seconds), "waiting %.2f s: %s", step.seconds, step.why)
                return self._sleep(step.seconds, ended)
            case LockTokens():
                return self._lock_tokens(step, ended)
            case _:
                return self._errands.carry_out(step)

    def _sleep(self, seconds: float, ended: threading.Event) -> None:
        if ended.wait(seconds):
            raise closed(sent=False)

    def _lock_tokens(self, step: LockTokens, ended: threading.Event) -> bool:
        while not step.tokens.try_lock():
            if time.monotonic() >= step.until:
                return False
            if ended.wait(POLL):
                raise closed(sent=False)
        return True

    def _grant(self, step: Token, ended: threading.Event) -> Grant:
        """The current token, somebody else's fresh one, or one that we log in for."""
        mine = Flight()
        try:
            return self._granted(step, mine, ended)
        finally:
            if mine.begun:
                self._end(mine)

    def _end(self, flight: Flight) -> None:
        if flight.tokens is not None:
            flight.tokens.unlock()
        if not flight.done:  # interrupted where nobody could catch it: the next one leads
            self.shared.login.failed(flight, KeyboardInterrupt(), time.monotonic())
        flight.baton.put(None)

    def _granted(self, step: Token, mine: Flight, ended: threading.Event) -> Grant:
        waited = False
        while True:
            if ended.is_set():  # those whose flight ended by that would lead the next
                raise closed(sent=False)
            found = self.shared.login.ask(step.stale, time.monotonic(), mine)
            if isinstance(found, AccessToken):
                return Grant(found, waited and step.stale is not None)
            if not isinstance(found, Wait):
                return Grant(self._lead(mine, step.until), step.stale is not None)
            waited = True
            self._wait_for(found.flight, step.until)

    def _wait_for(self, flight: Flight, until: float | None) -> None:
        while not flight.done:  # looked at again and again: an interrupt may have dropped the baton
            with contextlib.suppress(Empty):
                flight.baton.get(timeout=time_to_wait(until))
        flight.baton.put(None)
        if flight.error is not None:
            raise flight.error.clone()

    def _lead(self, mine: Flight, until: float | None) -> AccessToken:
        """Log in for everybody who waits."""
        login = self.shared.login
        mine.tokens = TokenFile(self.settings.token_cache or "")
        try:
            token = self.run(acquire_in_time(self.shared, mine, until, self.clock))
        except BaseException as error:
            spare = login.failed(mine, error, time.monotonic())
            if spare is None:
                raise
            return spare
        login.landed(mine, token)
        return token


def time_to_wait(until: float | None) -> float:
    """Seconds to wait for a flight before looking at it again."""
    left = math.inf if until is None else until - time.monotonic()
    if left <= 0:
        raise DeadlineExceededError("the deadline passed while logging in", outcome="not_sent")
    return min(left, LOOK_AGAIN)


def waiting_level(seconds: float) -> int:
    """A wait that looks like a hang is worth a warning."""
    return logging.WARNING if seconds > 5 else logging.INFO


def show_log(level: int) -> None:
    """Show the library's log on stderr; once, however often it is asked for."""
    log.setLevel(level)
    if not any(isinstance(handler, logging.StreamHandler) for handler in log.handlers):
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s - %(name)s - %(levelname)s - %(message)s"))
        log.addHandler(handler)
