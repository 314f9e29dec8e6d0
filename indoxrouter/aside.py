"""Requests that nobody waits for, such as stopping a stream that its reader has left."""

from __future__ import annotations

import _thread
import logging
import os
import sys
import threading
import time
from collections import deque

from indoxrouter.config import Settings
from indoxrouter.transports.with_requests import Transport
from indoxrouter.wire.messages import HttpRequest

log = logging.getLogger("indoxrouter")
WORKERS = 4
WAITING = 256
"""Requests that may wait for a worker; more are dropped."""
PATIENCE = 1.0
"""Seconds to wait for a lock that is otherwise held for no longer than a few instructions."""


class Aside:
    """Sends them in threads of its own, for both clients: an event loop may end before they are sent.

    Their connections are their own too, which closing the client leaves alone: they end with the threads,
    and the threads with their work. A script that leaves streams and ends waits for them, about as long as
    the last request was given. What was not begun by then is dropped.

    They are none of `threading`'s: the collector may leave a stream while its thread holds the very locks that
    starting one of those takes.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._transport: Transport | None = None
        self._waiting: deque[tuple[HttpRequest, float]] = deque()
        self._workers = 0
        # Its lock may be had again: a stream may be collected, and left, at any moment of this very thread.
        self._idle = threading.Condition(threading.RLock())

    def send(self, request: HttpRequest, seconds: float) -> None:
        if sys.is_finalizing():
            return  # a thread would never begin
        if not self._idle.acquire(timeout=PATIENCE):
            # Two threads, each holding one client's lock, whose collector left a stream of the other's client.
            return
        try:
            if len(self._waiting) >= WAITING:
                log.warning("%s %s is not sent: too many wait already", request.method, request.path)
                return
            self._waiting.append((request, time.monotonic() + seconds))
            _unfinished.add(self)
            if self._workers >= WORKERS:
                return
            self._workers += 1
        finally:
            self._idle.release()
        try:
            _thread.start_new_thread(self._work, ())
        except RuntimeError:  # there are too many, or the interpreter is ending
            with self._idle:
                self._workers -= 1

    def finish(self) -> None:
        """Send what waits in this thread, too, and wait for all others."""
        with self._idle:
            self._workers += 1
        self._work()
        with self._idle:
            self._idle.wait_for(lambda: not self._workers)

    def _work(self) -> None:
        while (work := self._next()) is not None:
            request, until = work
            if time.monotonic() >= until:
                log.info("%s %s is not sent: those before it took too long", request.method, request.path)
                continue
            try:
                _carry_out(self._shared_transport(), request, until)
            except Exception as error:  # noqa: BLE001 - nobody waits for it; but the worker is waited for
                log.info("%s %s failed: %s", request.method, request.path, type(error).__name__)

    def _next(self) -> tuple[HttpRequest, float] | None:
        """A request, and when it is late; where there is none, the last worker closes the connections."""
        with self._idle:
            if self._waiting:
                return self._waiting.popleft()
            self._workers -= 1
            self._idle.notify_all()
            if self._workers:
                return None
            _unfinished.discard(self)
            ended, self._transport = self._transport, None
        if ended is not None:
            ended.close()
        return None

    def _shared_transport(self) -> Transport:
        with self._idle:
            self._transport = self._transport or Transport(self._settings)
            return self._transport


_unfinished: set[Aside] = set()
"""Those that have something to send. A forked child has not: that is its parent's, as its threads are."""
if hasattr(os, "register_at_fork"):  # there is no fork elsewhere
    os.register_at_fork(after_in_child=_unfinished.clear)


def finish() -> None:
    """For the end of the interpreter, which may start no thread any more."""
    while _unfinished:
        _unfinished.pop().finish()


def _carry_out(transport: Transport, request: HttpRequest, until: float) -> None:
    reply = transport.send(request, until, until - time.monotonic())
    log.debug("%s %s: %s", request.method, request.path, reply.status)
    try:
        while transport.next(reply, until):
            pass  # read to its end, so that the connection can be used again
    finally:
        transport.close_reply(reply)
