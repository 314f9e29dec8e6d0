"""Requests that nobody waits for, such as stopping a stream that its reader has left."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections import deque

from indoxrouter.config import Settings
from indoxrouter.errors import IndoxRouterError
from indoxrouter.transports.with_requests import Transport
from indoxrouter.wire.messages import HttpRequest

log = logging.getLogger("indoxrouter")
WORKERS = 4
WAITING = 256
"""Requests that may wait for a worker; more are dropped."""
_NAME = "indoxrouter-aside"


class Aside:
    """Sends them in threads of its own, for both clients: an event loop may end before they are sent.

    Their connections are their own too, which closing the client leaves alone: they end with the threads,
    and the threads with their work. They are no daemons: a script that leaves streams and ends waits for
    them, about as long as the last request was given. What was not begun by then is dropped.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._transport: Transport | None = None
        self._waiting: deque[tuple[HttpRequest, float]] = deque()
        self._workers = 0
        self._lock = threading.RLock()  # a stream may be collected, and left, at any moment of this very thread

    def send(self, request: HttpRequest, seconds: float) -> None:
        if sys.is_finalizing():
            return  # a thread would never begin, and whoever started it would wait for that
        with self._lock:
            if len(self._waiting) >= WAITING:
                log.warning("%s %s is not sent: too many wait already", request.method, request.path)
                return
            self._waiting.append((request, time.monotonic() + seconds))
            if self._workers >= WORKERS:
                return
            self._workers += 1
        try:
            threading.Thread(target=self._work, name=_NAME).start()
        except RuntimeError:  # there are too many, or the interpreter is ending
            with self._lock:
                self._workers -= 1
            _without_worker.add(self)

    def finish(self) -> None:
        """Send what waits, in this thread."""
        with self._lock:
            self._workers += 1
        self._work()

    def _work(self) -> None:
        while (work := self._next()) is not None:
            request, until = work
            if time.monotonic() >= until:
                log.info("%s %s is not sent: those before it took too long", request.method, request.path)
                continue
            with contextlib.suppress(IndoxRouterError):
                _carry_out(self._shared_transport(), request, until)

    def _next(self) -> tuple[HttpRequest, float] | None:
        """A request, and when it is late; where there is none, the last worker closes the connections."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._workers -= 1
            if self._workers or self._transport is None:
                return None
            ended, self._transport = self._transport, None
        ended.close()
        return None

    def _shared_transport(self) -> Transport:
        with self._lock:
            self._transport = self._transport or Transport(self._settings)
            return self._transport


_without_worker: set[Aside] = set()
"""Those of which something may still wait."""


def finish() -> None:
    """For the end of the interpreter, when it has waited for all threads, and may start no other."""
    while _without_worker:
        _without_worker.pop().finish()
    while working := [thread for thread in threading.enumerate() if thread.name == _NAME]:
        working[0].join() if working[0].ident else time.sleep(0.01)  # a daemon may be starting it just now


def _carry_out(transport: Transport, request: HttpRequest, until: float) -> None:
    reply = transport.send(request, until, until - time.monotonic())
    log.debug("%s %s: %s", request.method, request.path, reply.status)
    try:
        while transport.next(reply, until):
            pass  # read to its end, so that the connection can be used again
    finally:
        transport.close_reply(reply)
