"""What is added to urllib3's connections and pools: limits, and being interrupted."""

from __future__ import annotations

import errno
import http.client
import queue
import socket
import ssl
import threading
import time
import weakref
from contextvars import ContextVar
from typing import Any, ClassVar

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.wait import wait_for_read, wait_for_socket

from indoxrouter import transports
from indoxrouter.transports.reading import UNTIL, Head, OuterTLS, Reader, holds_more, interrupt, left

CONNECTIONS: ContextVar[Connections] = ContextVar("connections")
"""Where the connections that are made for it are noted."""
_LARGE = 2**16
"""Bytes that may not fit into the buffers on the way: sending them may have to wait."""
ENDING: ContextVar[str] = ContextVar("ending", default="")
"""Of the request's URL, kept from urllib3, which logs URLs: a query may hold a signature, a server's id anything."""


class Connections:
    """Those that a client has made since it was last closed, and what it uploads by them."""

    def __init__(self) -> None:
        self.closed = False
        self._lock = threading.RLock()  # a signal's handler may close the client that its thread is using
        self._made: weakref.WeakSet[Any] = weakref.WeakSet()

    def add(self, what: Any) -> None:
        with self._lock:
            self._made.add(what)

    def check(self) -> None:
        """For a connection that could not be interrupted yet when all others were."""
        if self.closed:
            raise ConnectionAbortedError(errno.ECONNABORTED, "the client was closed")

    def close(self) -> None:
        self.closed = True
        with self._lock:
            made = list(self._made)
        for what in made:
            what.interrupt()


class Timed:
    """What is added to urllib3's connections, to which `self` belongs too."""

    reader: Reader | None = None
    half_sent = False
    handle: socket.socket | None = None
    """What it can be interrupted by while it is being made: TLS takes the socket itself over."""

    def _new_conn(self: Any) -> socket.socket:
        """As urllib3 does it, but with one limit for all of a host's addresses, and of what follows, together."""
        failure: OSError = OSError("the name has no address")
        for family, kind, protocol, _, address in self.addresses():
            connection = socket.socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    connection.setsockopt(*option)
                connection.settimeout(left(UNTIL.get()))
                self._hold(connection)
                CONNECTIONS.get().check()
                connection.connect(address)
                connection.settimeout(left(UNTIL.get()))
            except OSError as error:
                connection.close()
                failure = error
            else:
                return connection
        if isinstance(failure, TimeoutError):
            raise ConnectTimeoutError(self, "no connection in time") from failure
        raise NewConnectionError(self, str(failure)) from failure

    def addresses(self: Any) -> list[Any]:
        try:
            return socket.getaddrinfo(self._dns_host, self.port, 0, socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise NameResolutionError(self.host, self, error) from error  # type: ignore[arg-type] # or no name at all

    def connect(self: Any) -> None:
        """Whatever fails here, a TLS handshake or a proxy too, fails before anything was sent."""
        connections = CONNECTIONS.get()
        sending = UNTIL.set(min(UNTIL.get(), time.monotonic() + self.timeout))
        try:
            connections.add(self)
            connections.check()
            super().connect()  # type: ignore[misc] # urllib3's, by the classes below
            connections.check()
            if isinstance(self.sock, ssl.SSLSocket) and self.sock.version() is None:
                # ssl passes over such a connection, and would go on without TLS.
                raise ConnectionResetError(errno.ECONNRESET, "the server left before TLS was begun")
        except (NewConnectionError, ConnectTimeoutError):
            raise
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "no connection in time") from error
        except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError) as error:
            raise NewConnectionError(self, str(error)) from error
        finally:
            UNTIL.reset(sending)
            self._hold(None)

    def _tunnel(self: Any) -> None:
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.__class__ = OuterTLS  # urllib3 makes it, of a context that it makes itself
        super()._tunnel()  # type: ignore[misc] # http.client's, by the classes below
        self.sock.settimeout(left(UNTIL.get()))  # for the handshake that follows

    def _hold(self: Any, connection: socket.socket | None) -> None:
        held, self.handle = self.handle, connection and connection.dup()
        if held is not None:
            held.close()

    def putrequest(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        super().putrequest(method, url + ENDING.get(), *args, **kwargs)  # type: ignore[misc] # as above

    def request(self: Any, *args: Any, **kwargs: Any) -> None:
        self.half_sent = True  # urllib3 goes on to read the answer where sending breaks
        super().request(*args, **kwargs)  # type: ignore[misc] # urllib3's, by the classes below
        self.half_sent = False

    def send(self: Any, data: Any) -> None:
        """Sending may take as long as the attempt: only connecting has a limit of its own."""
        if self.sock is None:
            self.connect()
        self.sock.settimeout(max(UNTIL.get() - time.monotonic(), 0.001))
        if len(data) > _LARGE and type(self.sock) is socket.socket:  # TLS has readable bytes of its own
            _send_unless_answered(self.sock, memoryview(data))
        else:
            super().send(data)  # type: ignore[misc] # urllib3's, by the classes below

    def response_class(self, sock: socket.socket, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:
        head = Head(sock, *args, **kwargs)
        head.early = self.half_sent
        self.reader = head.reader
        return head

    def interrupt(self: Any) -> None:
        """End what waits for it in other threads; an answer that ends with the connection has taken the socket over."""
        for sock in (self.handle, self.sock, self.reader and self.reader.sock):
            if sock is not None:
                interrupt(sock)

    @property
    def is_connected(self: Any) -> bool:
        idle = self.reader is not None and time.monotonic() - self.reader.last > transports.IDLE_LIMIT
        connected: bool = super().is_connected  # type: ignore[misc] # urllib3's, by the classes below
        # What is there already is nobody's answer; urllib3 looks for it at the socket alone.
        return connected and not idle and not holds_more(self.sock)


def _send_unless_answered(sock: socket.socket, data: memoryview) -> None:
    """Raises BrokenPipeError where the other side has answered, or left, before it had all of the data."""
    while data:
        if not wait_for_socket(sock, read=True, write=True, timeout=sock.gettimeout()):
            raise TimeoutError("timed out")
        if wait_for_read(sock, 0):
            raise BrokenPipeError("answered early")
        sock.settimeout(max(UNTIL.get() - time.monotonic(), 0.001))
        data = data[sock.send(data) :]


class Quiet:
    """What is added to urllib3's pools, to which `self` belongs too."""

    def _put_conn(self: Any, conn: Any) -> None:
        """As urllib3 does it, but without its warning: there may well be more threads than connections to keep."""
        try:
            self.pool.put(conn, block=False)
        except (AttributeError, queue.Full):  # the pool may have been closed meanwhile
            if conn:
                conn.close()


class _HttpPool(Quiet, HTTPConnectionPool):
    ConnectionCls = type("TimedHTTPConnection", (Timed, HTTPConnection), {})


class HttpsPool(Quiet, HTTPSConnectionPool):
    ConnectionCls = type("TimedHTTPSConnection", (Timed, HTTPSConnection), {})

    def _validate_conn(self, conn: Any) -> None:
        """As urllib3 does it, but without its warning, which may be made an error: verify=False was asked for."""
        if conn.is_closed:
            conn.connect()


class TimedAdapter(HTTPAdapter):
    pools: ClassVar[dict[str, type[HTTPConnectionPool]]] = {"http": _HttpPool, "https": HttpsPool}

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self.pools

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """A proxy that is spoken to by TLS is held to its certificate for plain targets, too."""
        super().cert_verify(conn, "https:" if conn.scheme == "https" else url, verify, cert)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self.poolmanager.pool_classes_by_scheme
        return manager
