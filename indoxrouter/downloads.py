"""Fetching the files that answers name URLs of. Nothing is fetched before it is asked for."""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

from indoxrouter.config import Settings
from indoxrouter.core.download import Download
from indoxrouter.core.policy import Clock
from indoxrouter.core.steps import Close, Next, Plan, Send, Sleep, Step
from indoxrouter.errors import IndoxRouterError
from indoxrouter.transports.guarded import Elsewhere
from indoxrouter.transports.with_requests import Transport
from indoxrouter.wire.messages import Reply

log = logging.getLogger("indoxrouter")
T = TypeVar("T")
_CLOCK = Clock(time.monotonic, time.time, random.random, lambda: uuid.uuid4().hex)


class Downloads:
    """Fetches as a client with these settings may; in any thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def fetch(self, url: str) -> Fetched:
        """What is behind the URL, from its first piece on. Raises where it may not be fetched, or can't be whole."""
        return Fetched(url, self._settings)


class Fetched(Iterator[bytes]):
    """A file in pieces, decoded, as they come."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._types: list[str] = []
        self._pieces = _fetched(url, settings, self._types)

    @property
    def content_type(self) -> str | None:
        """What its server calls it; known with the first piece."""
        return next(iter(self._types), "") or None

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """Fetch no more of it."""
        self._pieces.close()


def _fetched(url: str, settings: Settings, types: list[str]) -> Generator[bytes]:
    """The pieces. What they are called is put into `types`: this must not hold on to who holds it."""
    try:
        download = Download(url, settings, _CLOCK)
        del url
        with _Connections(settings, download) as connections:
            reply = connections.run(download.opened())
            types.append(reply.headers.get("content-type", ""))
            while piece := connections.run(download.more()):
                yield piece
    except IndoxRouterError as error:
        failure = error
    else:
        return
    # Without the frames it came through: they hold the URL, and crash reporters send local variables along.
    failure.__context__ = None
    raise failure.with_traceback(None) from None


class _Connections:
    """What one download connects to. They end with it, so no other call meets them."""

    def __init__(self, settings: Settings, download: Download) -> None:
        self._settings = settings
        self._download = download
        self._transport: Transport | None = None
        self._reply: Reply | None = None

    def __enter__(self) -> _Connections:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def run(self, plan: Plan[T]) -> T:
        answer: Any = None
        failure: IndoxRouterError | None = None
        while True:
            try:
                step = plan.send(answer) if failure is None else plan.throw(failure)
            except StopIteration as stop:
                ended: T = stop.value
                return ended
            answer, failure = None, None
            try:
                answer = self._carry_out(step)
            except IndoxRouterError as error:
                failure = error

    def _carry_out(self, step: Step) -> Reply | bytes | None:
        match step:
            case Send():
                self._close()
                self._transport = self._transport_to(step.request.url)
                self._reply = self._transport.send(step.request, step.until, step.connect)
                log.debug("%s %s: %s", step.request.method, step.request.path, self._reply.status)
                return self._reply
            case Next():
                assert self._transport is not None
                return self._transport.next(step.reply, step.until)
            case Sleep():
                self._close()
                level = logging.WARNING if step.seconds > 5 else logging.INFO  # the longer ones look like a hang
                log.log(level, "waiting %.2f s before the file is asked for again", step.seconds)
                time.sleep(step.seconds)
                return None
            case _:
                assert isinstance(step, Close)
                self._close()
                return None

    def _transport_to(self, url: str) -> Transport:
        return (Transport if self._download.at_home(url) else Elsewhere)(self._settings, url)

    def _close(self) -> None:
        if self._transport is not None:
            if self._reply is not None:
                self._transport.close_reply(self._reply)
            self._transport.close()
        self._transport = self._reply = None
