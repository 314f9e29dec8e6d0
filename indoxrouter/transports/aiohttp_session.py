"""Sessions of aiohttp: one for each event loop and client, with what aiohttp has no switch for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
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

    def end(self) -> None:
        """Close it, and wait for nothing."""
        self._ending = asyncio.ensure_future(self.close())


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


async def _note_sent(
    session: aiohttp.ClientSession, context: Any, params: aiohttp.TraceRequestHeadersSentParams
) -> None:
    """From here on a failed request may have been carried out."""
    del session, params
    context.trace_request_ctx.append(True)
