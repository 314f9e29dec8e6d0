"""HTTP by requests: one request out, the head of the answer back, then its raw bytes as they come.

requests' own adapter is used without a `Session`: so there is no cookie jar, no ~/.netrc, no
redirect to follow and no environment to read.
"""

from __future__ import annotations

import http.client
import re
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

import requests
import urllib3

from indoxrouter import transports
from indoxrouter.config import Settings
from indoxrouter.errors import IndoxRouterError, NetworkError
from indoxrouter.transports.failures import NO_TLS, Route
from indoxrouter.transports.framing import MALFORMED
from indoxrouter.transports.reading import UNTIL, Reader, interrupt
from indoxrouter.transports.timed import CONNECTIONS, ENDING, Connections, TimedAdapter
from indoxrouter.transports.uploads import Outgoing
from indoxrouter.wire.messages import HttpRequest, Reply, Upload


class Transport:
    """Carries out a plan's I/O. Its methods may be called from any thread."""

    def __init__(self, settings: Settings, url: str | None = None, adapter: type[TimedAdapter] = TimedAdapter) -> None:
        """`url` is where it leads to, if not to the base URL."""
        size = settings.max_connections
        self._adapter = adapter(pool_connections=2, pool_maxsize=size, max_retries=0)
        self._verify = settings.verify
        proxy = settings.proxy_for(url)
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._route = Route.by(proxy)
        self._connections = Connections()
        self._closing = threading.RLock()

    @property
    def proxied(self) -> bool:
        return bool(self._proxies)

    def send(self, request: HttpRequest, until: float, connect: float) -> Reply:
        """The head of the answer. Raises NetworkError or RequestTimeoutError, with the outcome."""
        CONNECTIONS.set(self._connections)
        if not isinstance(request.body, Upload):
            size = len(request.body or b"") if request.method != "GET" else None
            return self._send(request, request.body, size, until, connect)
        outgoing = Outgoing(request.body, until)
        try:
            CONNECTIONS.get().add(outgoing)
            outgoing.open()
            return self._send(request, iter(outgoing), outgoing.size, until, connect)
        except NetworkError as error:
            failure = outgoing.failure or error
        finally:
            outgoing.close()
        raise failure

    def _send(
        self, request: HttpRequest, body: bytes | Iterator[bytes] | None, size: int | None, until: float, connect: float
    ) -> Reply:
        prepared = requests.PreparedRequest()
        path, mark, query = request.url.partition("?")
        prepared.method, prepared.url = request.method, path
        ENDING.set(request.ending + mark + query)
        prepared.body = body
        prepared.headers = requests.structures.CaseInsensitiveDict(request.headers)
        if size is not None:
            prepared.headers["Content-Length"] = str(size)
        UNTIL.set(until)
        connections = CONNECTIONS.get()
        left = max(until - time.monotonic(), 0.001)
        limits = urllib3.Timeout(total=left, connect=min(max(connect, 0.001), left))
        try:
            response = self._adapter.send(
                prepared,
                stream=True,
                timeout=limits,  # type: ignore[arg-type] # a urllib3 Timeout is handed on as it is
                verify=self._verify,
                proxies=self._proxies,
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            sent = not _before_sending(error)
            failure = transports.closed(sent) if connections.closed else _failure(error, sent, self._route)
        else:
            raw = response.raw
            headers = {name.lower(): value for name, value in raw.headers.items()}
            return Reply(raw.status, headers, tuple(raw.headers.getlist("set-cookie")), _Source(raw, connections))
        raise failure  # outside of the except clause: its cause holds headers, and is left behind

    def next(self, reply: Reply, until: float) -> bytes:
        """The next bytes of the body, undecoded; b"" at its end."""
        source: _Source = reply.source
        if source.reader is not None:
            source.reader.until = until
        try:
            data: bytes = source.raw.read1(65536, decode_content=False)
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            failure = _failure(error, True, self._route)
        else:
            if data or not source.connections.closed:
                return data
        raise transports.closed(sent=True) if source.connections.closed else failure

    def close_reply(self, reply: Reply) -> None:
        # It is not handed back to its pool, whose lock this very thread may hold: a stream that nobody
        # holds any more is closed by the garbage collector, in the middle of anything.
        reply.source.raw.close()

    def abort(self, reply: Reply) -> None:
        """Let a read that is waiting in another thread come to its end."""
        source: _Source = reply.source
        if source.reader is not None and source.raw.connection is not None:  # it serves no other yet
            interrupt(source.reader.sock)

    def end(self) -> None:
        """End what waits in other threads, and whatever is sent from now on."""
        self._connections.close()

    def close(self) -> None:
        """End what waits in other threads, too; requests that are sent from now on get connections of their own."""
        with self._closing:
            self.end()
            self._adapter.close()
            self._connections = Connections()


class _Source:
    """The body of one answer; its reader is its own, also after the connection serves another."""

    __slots__ = ("connections", "raw", "reader")

    def __init__(self, raw: Any, connections: Connections) -> None:
        self.raw = raw
        self.connections = connections
        self.reader: Reader | None = raw.connection.reader if raw.connection is not None else None


_REASONS = {
    "IncompleteRead": "it ended early",
    "RemoteDisconnected": "closed by the server",
    "MalformedHead": MALFORMED,
}


def _before_sending(error: BaseException) -> bool:
    """Whether it failed before the first byte of the request left: no connection, or no TLS."""
    return isinstance(error, requests.exceptions.InvalidURL) or any(
        isinstance(cause, _NO_CONNECTION) for cause in _causes(error)
    )


_NO_CONNECTION = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.LocationValueError,
)


def _failure(error: BaseException, sent: bool, route: Route) -> IndoxRouterError:
    if isinstance(error, IndoxRouterError):
        return error  # of the connection: see `guarded`
    causes = list(_causes(error))
    if isinstance(causes[-1], ssl.SSLCertVerificationError):
        return route.refused_certificate(causes[-1])
    if not sent and isinstance(causes[-1], ssl.SSLError) and causes[-1].reason in NO_TLS:
        return route.no_tls()
    if refusal := re.match(r"Tunnel connection failed: (\d{3})", str(causes[-1])):  # all that http.client tells
        return route.refused_by_proxy(int(refusal[1]))
    timeout = (TimeoutError, urllib3.exceptions.TimeoutError, requests.Timeout)
    late = any(isinstance(cause, timeout) for cause in causes) and not any(
        isinstance(cause, urllib3.exceptions.NewConnectionError) for cause in causes
    )
    if late:
        return route.late(sent)
    told = next((cause.strerror for cause in reversed(causes) if isinstance(cause, OSError) and cause.strerror), None)
    name = type(causes[-1]).__name__
    return route.broken(sent, told or _REASONS.get(name, name))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it wraps, the innermost last: urllib3 keeps it in one of three places."""
    inner: BaseException | None = error
    while inner is not None:
        yield inner
        wrapped = [getattr(inner, "reason", None), *reversed(inner.args), inner.__cause__]
        inner = next((item for item in wrapped if isinstance(item, BaseException)), None)
