"""Fetching the files that answers name URLs of. Nothing is fetched before it is asked for."""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

from indoxrouter.config import Settings
from indoxrouter.core.download import Download
from indoxrouter.core.policy import Clock, RetryBucket
from indoxrouter.core.steps import Close, Next, Plan, Send, Sleep, Step
from indoxrouter.errors import IndoxRouterError
from indoxrouter.forking import renew_in_children
from indoxrouter.transports import closed
from indoxrouter.transports.guarded import Elsewhere
from indoxrouter.transports.with_requests import Transport
from indoxrouter.wire.messages import Reply

log = logging.getLogger("indoxrouter")
T = TypeVar("T")
_CLOCK = Clock(time.monotonic, time.time, random.random, lambda: uuid.uuid4().hex)


class Downloads:
    """Fetches as a client with these settings may; in any thread, and after the client was closed, too."""

    def __init__(self, settings: Settings, bucket: RetryBucket) -> None:
        self.settings = settings
        self.bucket = bucket
        """The client's, from which its calls draw, too."""
        self.life = Life()
        renew_in_children(self)

    def renew(self) -> object:
        """For a forked child; returns what is its parent's."""
        parents, self.life = self.life, Life()
        self.bucket.renew()
        return parents

    def fetch(self, url: str) -> Fetched:
        """What is behind the URL, from its first piece on. Raises where it may not be fetched, or can't be whole."""
        return Fetched(url, self)

    def close(self) -> None:
        """Those that are under way end now."""
        over, self.life = self.life, Life()
        over.ended.set()
        for connections in list(over.under_way):
            connections.end()


class Life:
    """Of a client, until it is closed."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.under_way: set[_Connections] = set()


class Fetched(Iterator[bytes]):
    """A file in pieces, decoded, as they come."""

    def __init__(self, url: str, downloads: Downloads) -> None:
        self._types: list[str] = []
        self._pieces = _fetched(url, downloads, self._types)

    @property
    def content_type(self) -> str | None:
        """What its server calls it; known with the first piece."""
        return next(iter(self._types), "") or None

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """Fetch no more of it."""
        self._pieces.close()


def _fetched(url: str, downloads: Downloads, types: list[str]) -> Generator[bytes]:
    """The pieces. What they are called is put into `types`: this must not hold on to who holds it."""
    try:
        download = Download(url, downloads.settings, _CLOCK, downloads.bucket)
        del url
        with _Connections(downloads.settings, download, downloads.life) as connections:
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

    def __init__(self, settings: Settings, download: Download, life: Life) -> None:
        self._settings = settings
        self._download = download
        self._life = life
        self._transport: Transport | None = None
        self._reply: Reply | None = None

    def __enter__(self) -> _Connections:
        self._life.under_way.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._life.under_way.discard(self)
        self._close()

    def end(self) -> None:
        """From another thread: the client was closed."""
        if (transport := self._transport) is not None:
            transport.end()

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
                self._check(step)
                answer = self._carry_out(step)
            except IndoxRouterError as error:
                failure = error

    def _check(self, step: Step) -> None:
        """What the client's closing met between two steps goes no further."""
        if self._life.ended.is_set() and not isinstance(step, Close):
            raise closed(sent=isinstance(step, Next))

    def _carry_out(self, step: Step) -> Reply | bytes | None:
        match step:
            case Send():
                self._close()
                self._transport = self._transport_to(step.request.url)
                self._check(step)  # until here, closing the client could not end it
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
                if self._life.ended.wait(step.seconds):
                    raise closed(sent=False)
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
