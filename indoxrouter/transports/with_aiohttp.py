"""HTTP by aiohttp: one request out, the head of the answer back, then its raw bytes as they come.

Sessions belong to an event loop: each loop gets one of its own, which ends with that loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import aiohttp
import yarl
from requests.certs import where  # type: ignore[attr-defined] # documented, but not in its __all__

from indoxrouter import transports
from indoxrouter.config import Settings, environment_proxy
from indoxrouter.errors import NetworkError, RequestTimeoutError
from indoxrouter.transports.aiohttp_body import Body
from indoxrouter.transports.failures import Route
from indoxrouter.transports.uploads import Outgoing
from indoxrouter.wire.messages import HttpRequest, Reply, Source, Upload

_LARGE = 2**20
"""Bytes from which a body is sent piece by piece."""
_FAILURES = (aiohttp.ClientError, OSError, ValueError)


class AsyncTransport:
    """Carries out a plan's I/O. May be used in several event loops, one after the other or at once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._proxy = settings.proxy or environment_proxy(settings.base_url)
        self._route = Route.by(self._proxy)
        self._for_proxy = _proxy_headers(settings, self._proxy)
        self._ssl = _ssl_context(settings, self._proxy or "")
        self._sessions: dict[asyncio.AbstractEventLoop, _LoopSession] = {}

    async def send(self, request: HttpRequest, until: float, connect: float) -> Reply:
        """The head of the answer. Raises NetworkError or RequestTimeoutError, with the outcome."""
        content = request.body
        if isinstance(content, bytes) and len(content) > _LARGE:
            content = Upload(b"", Source(content), b"")
        if not isinstance(content, Upload):
            return await self._send(request, content, until, connect)
        outgoing = Outgoing(content, until)
        body: Body | None = None
        try:
            await _opened(outgoing, until)
            body = Body(outgoing)
            return await self._send(request, body, until, connect)
        except BaseException as error:
            outgoing.close() if body is None else body.abort()
            if not isinstance(error, NetworkError):
                raise
            failure = outgoing.failure or error
        raise failure

    async def _send(self, request: HttpRequest, body: bytes | Body | None, until: float, connect: float) -> Reply:
        held = await self._session()
        left = max(until - time.monotonic(), 0.001)
        sent: list[bool] = []
        try:
            async with held.waiting(left):
                response = await held.session.request(
                    request.method,
                    yarl.URL(request.url, encoded=True),
                    data=body,
                    headers={**request.headers, **self._for_proxy},
                    proxy=self._proxy,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(sock_connect=min(connect, left)),
                    trace_request_ctx=sent,
                )
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # aiohttp cancels those who wait for a connection when its session is closed.
            failure = transports.closed(sent=bool(sent))
        except (*_FAILURES, RuntimeError) as error:
            if not held.closed and isinstance(error, RuntimeError):
                raise
            failure = transports.closed(bool(sent)) if held.closed else _failure(error, bool(sent), self._route)
        else:
            headers = {name.lower(): value for name, value in response.headers.items()}
            source = _Source(held, response, body if isinstance(body, Body) else None)
            return Reply(response.status, headers, tuple(response.headers.getall("Set-Cookie", ())), source)
        raise failure  # outside of the except clause: its cause holds headers, and is left behind

    async def next(self, reply: Reply, until: float) -> bytes:
        """The next bytes of the body, undecoded; b"" at its end."""
        source: _Source = reply.source
        try:
            async with source.held.waiting(until - time.monotonic()):
                data = await source.response.content.readany()
        except (*_FAILURES, RuntimeError) as error:
            if not source.held.closed:
                if isinstance(error, RuntimeError):
                    raise
                if arrived := _arrived(source.response.content):
                    return arrived
            failure = _failure(error, True, self._route)
        else:
            if data or not source.held.closed:
                if not data:
                    source.ended()
                return data
        raise transports.closed(sent=True) if source.held.closed else failure

    def close_reply(self, reply: Reply) -> None:
        """Does not wait, so that it can follow a cancellation."""
        source: _Source = reply.source
        source.close()

    async def close(self) -> None:
        """End the session of this event loop; those of other loops end with them."""
        if (held := self._sessions.pop(asyncio.get_running_loop(), None)) is not None:
            await held.close()

    async def _session(self) -> _LoopSession:
        loop = asyncio.get_running_loop()
        if (held := self._sessions.get(loop)) is None:
            for ended in [other for other in list(self._sessions) if other.is_closed()]:
                self._sessions.pop(ended, None)
            held = self._sessions[loop] = _LoopSession(self._settings, self._ssl)
            await held.open()
        return held


class _Source:
    """The body of one answer, and of its request: an answer may come before that was sent whole."""

    __slots__ = ("body", "held", "response")

    def __init__(self, held: _LoopSession, response: aiohttp.ClientResponse, body: Body | None) -> None:
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


async def _opened(outgoing: Outgoing, until: float) -> None:
    try:
        async with asyncio.timeout(until - time.monotonic()):
            await asyncio.to_thread(outgoing.open)
    except TimeoutError:
        pass
    else:
        return
    raise RequestTimeoutError("the file could not be opened in time", code="timeout", outcome="not_sent")


class _LoopSession:
    """A session that ends with its event loop, or with whatever forgot to close it."""

    def __init__(self, settings: Settings, verify: ssl.SSLContext | bool) -> None:
        self.session = _new_session(settings, verify)
        self.closed = False
        self._keeper = _kept_open(self.session)
        self._waits: set[asyncio.Timeout] = set()

    async def open(self) -> None:
        await anext(self._keeper)

    @contextlib.asynccontextmanager
    async def waiting(self, seconds: float) -> AsyncIterator[None]:
        """At most so long, and at most until the client is closed: what it reads from then on never ends by itself."""
        async with asyncio.timeout(seconds) as wait:
            self._waits.add(wait)
            try:
                yield
            finally:
                self._waits.discard(wait)

    async def close(self) -> None:
        self.closed = True
        for wait in [wait for wait in self._waits if not wait.expired()]:
            wait.reschedule(asyncio.get_running_loop().time())
        await self._keeper.aclose()


async def _kept_open(session: aiohttp.ClientSession) -> AsyncGenerator[None]:
    # A loop closes the generators that were begun on it: when it shuts down, as asyncio.run does,
    # and when they are collected.
    try:
        yield
    finally:
        await session.close()


def _proxy_headers(settings: Settings, proxy: str | None) -> dict[str, str]:
    """What a proxy is told with each plain request: aiohttp before 3.13.3 tells it once for each connection."""
    auth = aiohttp.BasicAuth.from_url(yarl.URL(proxy or ""))
    return {"Proxy-Authorization": auth.encode()} if auth and settings.base_url.startswith("http:") else {}


def _ssl_context(settings: Settings, proxy: str) -> ssl.SSLContext | bool:
    """Made once, at construction: reading the certificates would hold up an event loop."""
    if settings.verify is False:
        return False
    if not settings.base_url.startswith("https:") and not proxy.startswith("https:"):
        return True
    if settings.verify is True:
        return ssl.create_default_context(cafile=where())
    if os.path.isdir(settings.verify):
        return ssl.create_default_context(capath=settings.verify)
    return ssl.create_default_context(cafile=settings.verify)


def _new_session(settings: Settings, verify: ssl.SSLContext | bool) -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_note_sent)
    session = aiohttp.ClientSession(
        trace_configs=[trace],
        connector=_Connector(limit=settings.max_connections, ssl=verify, keepalive_timeout=transports.IDLE_LIMIT),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        skip_auto_headers=("User-Agent", "Content-Type"),
        timeout=aiohttp.ClientTimeout(total=None),
    )
    # aiohttp would send a GET again by itself, unrecorded; there is no public switch.
    object.__setattr__(session, "_retry_connection", False)
    return session


class _Connector(aiohttp.TCPConnector):
    """Gives out no connection on which an answer has come that nobody asked for."""

    async def _get(self, *args: Any, **kwargs: Any) -> Any:
        while (found := await super()._get(*args, **kwargs)) is not None:
            if found.protocol is not None and not found.protocol.should_close:
                return found
            found.close()
        return None


async def _note_sent(
    session: aiohttp.ClientSession, context: Any, params: aiohttp.TraceRequestHeadersSentParams
) -> None:
    """From here on a failed request may have been carried out."""
    del session, params
    context.trace_request_ctx.append(True)


def _arrived(content: aiohttp.StreamReader) -> bytes:
    """What came before the connection broke. aiohttp's public reads raise, and would lose it."""
    data: bytes = content._read_nowait(-1)
    return data


def _failure(error: BaseException, sent: bool, route: Route) -> NetworkError:
    if isinstance(error, TimeoutError):
        return route.late(sent)
    if isinstance(refused := getattr(error, "certificate_error", error), ssl.SSLCertVerificationError):
        return route.refused_certificate(refused)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return route.refused_by_proxy(error.status)
    told = getattr(error, "os_error", error)
    number = getattr(told, "errno", None)
    reason = os.strerror(number) if isinstance(number, int) and number > 0 else getattr(told, "strerror", None)
    return route.broken(sent, reason or _REASONS.get(type(told).__name__, type(told).__name__))


_REASONS = {"ClientPayloadError": "it ended early", "ServerDisconnectedError": "closed by the server"}
