"""Fetching the files that answers name URLs of. Nothing is fetched before it is asked for."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any, TypeVar

from indoxrouter.config import Settings
from indoxrouter.core.download import Download
from indoxrouter.core.steps import Close, Next, Plan, Send, Step
from indoxrouter.errors import IndoxRouterError
from indoxrouter.transports.guarded import GuardedAdapter, check_host
from indoxrouter.transports.with_requests import Transport
from indoxrouter.wire.messages import Reply

log = logging.getLogger("indoxrouter")
T = TypeVar("T")


class Downloads:
    """Fetches as a client with these settings may; in any thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def fetch(self, url: str) -> Iterator[bytes]:
        """The file in pieces, decoded. Raises where it is not to be fetched, or does not come whole."""
        try:
            download = Download(url, self._settings, time.monotonic, time.time())
            del url
            with _Connections(self._settings, download) as connections:
                reply = connections.run(download.opened())
                while piece := connections.run(download.more(reply)):
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
            case _:
                assert isinstance(step, Close)
                self._close()
                return None

    def _transport_to(self, url: str) -> Transport:
        transport = Transport(self._settings, url)
        if self._download.at_home(url):
            return transport
        if transport.proxied:
            check_host(url)
            return transport
        return Transport(self._settings, url, GuardedAdapter)

    def _close(self) -> None:
        if self._transport is not None:
            if self._reply is not None:
                self._transport.close_reply(self._reply)
            self._transport.close()
        self._transport = self._reply = None
