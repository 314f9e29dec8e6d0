"""HTTP by aiohttp: one request out, the head of the answer back, then its raw bytes as they come.

Sessions belong to an event loop: each loop gets one of its own, which ends with that loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import time

import aiohttp
import yarl

from indoxrouter import transports
from indoxrouter.config import Settings
from indoxrouter.errors import NetworkError, RequestTimeoutError
from indoxrouter.transports.aiohttp_body import Body
from indoxrouter.transports.aiohttp_session import LoopSession, Response, Sending, proxy_headers, ssl_context
from indoxrouter.transports.failures import NO_TLS, Route
from indoxrouter.transports.framing import MALFORMED, is_clear
from indoxrouter.transports.uploads import Outgoing
from indoxrouter.wire.messages import HttpRequest, Reply, Source, Upload

_LARGE = 2**20
"""Bytes from which a body is sent piece by piece."""
_FAILURES = (aiohttp.ClientError, OSError, ValueError)


class AsyncTransport:
    """Carries out a plan's I/O. May be used in several event loops, one after the other or at once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._proxy = settings.proxy_for(None)
        self._route = Route.by(self._proxy)
        self._for_proxy = proxy_headers(settings, self._proxy)
        self._ssl = ssl_context(settings, self._proxy or "")
        self._sessions: dict[asyncio.AbstractEventLoop, LoopSession] = {}

    async def send(self, request: HttpRequest, until: float, connect: float) -> Reply:
        """The head of the answer. Raises NetworkError or RequestTimeoutError, with the outcome."""
        held = await self._session()
        content = request.body
        if isinstance(content, bytes) and len(content) > _LARGE:
            content = Upload(b"", Source(content), b"")
        if not isinstance(content, Upload):
            return await self._send(held, request, content, until, connect)
        outgoing = Outgoing(content, until)
        body: Body | None = None
        try:
            await _opened(outgoing, held, until)
            body = Body(outgoing, held.readers)
            return await self._send(held, request, body, until, connect)
        except BaseException as error:
            outgoing.close() if body is None else body.abort()
            if not isinstance(error, NetworkError):
                raise
            failure = outgoing.failure or error
        raise failure

    async def _send(
        self, held: LoopSession, request: HttpRequest, body: bytes | Body | None, until: float, connect: float
    ) -> Reply:
        sending: Sending | None = None
        try:
            async with held.waiting(max(until - time.monotonic(), 0.001)) as wait:
                sending = Sending(held, wait, connect)
                response = await held.session.request(
                    request.method,
                    yarl.URL(request.url + request.ending, encoded=True),
                    data=body,
                    headers={**request.headers, **self._for_proxy},
                    proxy=self._proxy,
                    allow_redirects=False,
                    trace_request_ctx=sending,
                )
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # aiohttp cancels those who wait for a connection when its session is closed.
            failure = transports.closed(_was_sent(sending))
        except (*_FAILURES, RuntimeError) as error:
            if not held.closed and isinstance(error, RuntimeError):
                raise
            sent = _was_sent(sending)
            failure = transports.closed(sent) if held.closed else _failure(error, sent, self._route)
        else:
            assert isinstance(response, Response)
            headers = {name.lower(): value for name, value in response.headers.items()}
            source = _Source(held, response, body if isinstance(body, Body) else None)
            told = (response.headers.getall(name, []) for name in ("Transfer-Encoding", "Content-Length"))
            # Older versions of aiohttp let NUL pass.
            if is_clear(*told) and not any("\0" in value for value in headers.values()):
                return Reply(response.status, headers, tuple(response.headers.getall("Set-Cookie", ())), source)
            source.close()
            failure = self._route.broken(True, MALFORMED)
        finally:
            if sending is not None:
                sending.over()
        raise failure  # outside of the except clause: its cause holds headers, and is left behind

    async def next(self, reply: Reply, until: float) -> bytes:
        """The next bytes of the body, undecoded; b"" at its end."""
        source: _Source = reply.source
        if time.monotonic() >= until and not source.held.closed:
            raise self._route.late(True)  # where there is always something to read, nothing waits, and nothing is late
        try:
            async with source.held.waiting(until - time.monotonic()):
                data = await source.response.content.readany()
        except (*_FAILURES, RuntimeError) as error:
            if not source.held.closed:
                if isinstance(error, RuntimeError):
                    raise
                if not isinstance(error, TimeoutError) and (arrived := _arrived(source.response.content)):
                    return arrived
            failure = _failure(error, True, self._route)
        else:
            if data:
                return data
            if not source.held.closed:
                source.ended()
                if (broken := source.response.cut) is None:
                    return b""
                failure = _failure(broken, True, self._route)
        raise transports.closed(sent=True) if source.held.closed else failure

    def close_reply(self, reply: Reply) -> None:
        """Does not wait, so that it can follow a cancellation."""
        source: _Source = reply.source
        source.close()

    async def close(self) -> None:
        """End the sessions of this event loop and of those that run in other threads; others end with their loops."""
        here = asyncio.get_running_loop()
        for loop in [loop for loop in list(self._sessions) if loop is not here and loop.is_running()]:
            with contextlib.suppress(RuntimeError, KeyError):  # it has ended just now, or another closes it
                loop.call_soon_threadsafe(self._sessions.pop(loop).end)
        if (held := self._sessions.pop(here, None)) is not None:
            await held.close()

    async def _session(self) -> LoopSession:
        loop = asyncio.get_running_loop()
        if (held := self._sessions.get(loop)) is None:
            for ended in [other for other in list(self._sessions) if other.is_closed()]:
                self._sessions.pop(ended, None)
            held = self._sessions[loop] = LoopSession(self._settings, self._ssl)
            await held.open()
        return held


class _Source:
    """The body of one answer, and of its request: an answer may come before that was sent whole."""

    __slots__ = ("body", "held", "response")

    def __init__(self, held: LoopSession, response: Response, body: Body | None) -> None:
        self.held = held
        self.response = response
        self.body = body

    def ended(self) -> None:
        if self.body is not None and self.body.complete:
            self.body.let_go()
        elif self.body is not None:
            self.close()  # what follows on such a connection is not known

    def close(self) -> None:
        connection = self.response.connection
        with contextlib.suppress(RuntimeError):  # its event loop may have ended, and the connection with it
            if connection is not None and connection.transport is not None:
                connection.transport.abort()  # over TLS, it would wait for the other side's farewell
            self.response.close()
        if self.body is not None:
            self.body.let_go() if connection is None else self.body.abort()


def _was_sent(sending: Sending | None) -> bool:
    return sending is not None and sending.sent


async def _opened(outgoing: Outgoing, held: LoopSession, until: float) -> None:
    try:
        async with held.waiting(until - time.monotonic()):
            await asyncio.get_running_loop().run_in_executor(held.readers, outgoing.open)
    except TimeoutError:
        pass
    else:
        return
    if held.closed:
        raise transports.closed(sent=False)
    raise RequestTimeoutError("the file could not be opened in time", code="timeout", outcome="not_sent")


def _arrived(content: aiohttp.StreamReader) -> bytes:
    """What came before the connection broke. aiohttp's public reads raise, and would lose it."""
    data: bytes = content._read_nowait(-1)
    return data


def _failure(error: BaseException, sent: bool, route: Route) -> NetworkError:
    if isinstance(error, TimeoutError):
        return route.late(sent)
    if isinstance(refused := getattr(error, "certificate_error", error), ssl.SSLCertVerificationError):
        return route.refused_certificate(refused)
    told = getattr(error, "os_error", error)
    if not sent and isinstance(told, ssl.SSLError) and told.reason in NO_TLS:
        return route.no_tls()
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return route.refused_by_proxy(error.status)
    number = None if isinstance(told, ssl.SSLError) else getattr(told, "errno", None)  # OpenSSL has its own
    reason = os.strerror(number) if isinstance(number, int) and number > 0 else getattr(told, "strerror", None)
    return route.broken(sent, reason or _REASONS.get(type(told).__name__, type(told).__name__))


_REASONS = {
    "ClientPayloadError": "it ended early",
    "ClientResponseError": MALFORMED,
    "ServerDisconnectedError": "closed by the server",
}
