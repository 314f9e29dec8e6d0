"""Sessions of aiohttp: one for each event loop and client, with what aiohttp has no switch for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import yarl
from aiohttp.client_proto import ResponseHandler
from requests.certs import where  # type: ignore[attr-defined] # documented, but not in its __all__

from indoxrouter import transports
from indoxrouter.config import Settings


class LoopSession:
    """A session that ends with its event loop, or with whatever forgot to close it."""

    def __init__(self, settings: Settings, verify: ssl.SSLContext | bool) -> None:
        self.session = _new_session(settings, verify)
        self.readers = ThreadPoolExecutor(settings.max_connections, "indoxrouter-upload")
        """A thread for every upload that there can be: pipes that are silent keep nobody else waiting."""
        self.closed = False
        self._keeper = _kept_open(self.session)
        self._waits: set[asyncio.Timeout] = set()

    async def open(self) -> None:
        await anext(self._keeper)

    @contextlib.asynccontextmanager
    async def waiting(self, seconds: float) -> AsyncIterator[asyncio.Timeout]:
        """At most so long, and at most until the client is closed: what it reads from then on never ends by itself."""
        async with asyncio.timeout(seconds) as wait:
            self._waits.add(wait)
            try:
                yield wait
            finally:
                self._waits.discard(wait)

    async def close(self) -> None:
        self.closed = True
        for wait in [wait for wait in self._waits if not wait.expired()]:
            wait.reschedule(asyncio.get_running_loop().time())
        await self._keeper.aclose()
        self.readers.shutdown(wait=False)

    def end(self) -> None:
        """Close it, and wait for nothing."""
        self._ending = asyncio.ensure_future(self.close())


class Sending:
    """A request on its way: aiohttp tells how far it has come."""

    def __init__(self, held: LoopSession, wait: asyncio.Timeout, connect: float) -> None:
        self.sent = False
        """From here on, if it fails, it may have been carried out."""
        self._held = held
        self._wait: asyncio.Timeout | None = wait
        self._until = wait.when()
        self._connect = connect

    def connecting(self) -> None:
        """Has one limit for all of it: the proxy's part and TLS too."""
        end = asyncio.get_running_loop().time() + self._connect
        self._set(end if self._until is None else min(end, self._until))

    def connected(self) -> None:
        self._set(self._until)

    def over(self) -> None:
        """aiohttp keeps this with the answer: the limit would keep its task, and so the stream that it returned."""
        self._wait = None

    def _set(self, end: float | None) -> None:
        if self._wait is not None and not self._held.closed and not self._wait.expired():
            self._wait.reschedule(end)


async def _kept_open(session: aiohttp.ClientSession) -> AsyncGenerator[None]:
    # A loop closes the generators that were begun on it: when it shuts down, as asyncio.run does,
    # and when they are collected.
    try:
        yield
    finally:
        await session.close()


def proxy_headers(settings: Settings, proxy: str | None) -> dict[str, str]:
    """What a proxy is told with each plain request: aiohttp before 3.13.3 tells it once for each connection."""
    auth = aiohttp.BasicAuth.from_url(yarl.URL(proxy or ""))
    return {"Proxy-Authorization": auth.encode()} if auth and settings.base_url.startswith("http:") else {}


def ssl_context(settings: Settings, proxy: str) -> ssl.SSLContext | bool:
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
    trace.on_connection_create_start.append(_note_connecting)
    trace.on_connection_create_end.append(_note_connected)
    trace.on_request_headers_sent.append(_note_sent)
    session = aiohttp.ClientSession(
        trace_configs=[trace],
        connector=_Connector(limit=settings.max_connections, ssl=verify, keepalive_timeout=transports.IDLE_LIMIT),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        skip_auto_headers=("User-Agent", "Content-Type"),
        timeout=aiohttp.ClientTimeout(total=None),
        response_class=Response,
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


class Response(aiohttp.ClientResponse):
    """Knows how its connection ended, which aiohttp tells of no body that ends with its connection."""

    _wire: ResponseHandler | None = None

    async def start(self, connection: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        self._wire = connection.protocol
        return await super().start(connection)

    @property
    def cut(self) -> OSError | None:
        """What broke the connection that was to say, by its end, that the body is whole (RFC 9112, section 6.3)."""
        framed = "Content-Length" in self.headers or "chunked" in self.headers.get("Transfer-Encoding", "").lower()
        framed = framed or self.status in (204, 304)  # which have no body
        error = None if framed or self._wire is None else self._wire.exception()
        return error if isinstance(error, OSError) else None


async def _note_connecting(
    _: aiohttp.ClientSession, context: Any, __: aiohttp.TraceConnectionCreateStartParams
) -> None:
    context.trace_request_ctx.connecting()


async def _note_connected(_: aiohttp.ClientSession, context: Any, __: aiohttp.TraceConnectionCreateEndParams) -> None:
    context.trace_request_ctx.connected()


async def _note_sent(_: aiohttp.ClientSession, context: Any, __: aiohttp.TraceRequestHeadersSentParams) -> None:
    context.trace_request_ctx.sent = True
