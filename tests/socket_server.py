"""What the servers of these tests are built on: ports of loopback, a thread for each connection, one end to all."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

Serve = Callable[[socket.socket, int], object]
"""What becomes of a connection; its number counts from 1."""


class SocketServer(ABC):
    """Serves whoever connects, for as long as its with-block lasts. What belongs to it ends with the block."""

    def __init__(self) -> None:
        self.connections = 0
        """How many have come."""
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._ports: set[socket.socket] = set()
        self._open: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._listener = self._new_port()
        self.port: int = self._listener.getsockname()[1]

    @abstractmethod
    def _serve(self, connection: socket.socket, number: int) -> object:
        """Until it returns the connection is open; that the client leaves first is no error."""

    def __enter__(self) -> Self:
        self._listen(self._listener, self._serve)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._give_up(*self._ports)
        self.sever()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(5)
            assert not thread.is_alive(), f"a thread of the {type(self).__name__} did not end"

    @property
    def open_connections(self) -> int:
        with self._lock:
            return len(self._open)

    def wait_until_closed(self, seconds: float = 2.0) -> bool:
        """Whether the client drops every connection in time."""
        end = time.monotonic() + seconds
        while self.open_connections and time.monotonic() < end:
            time.sleep(0.01)
        return not self.open_connections

    def sever(self) -> None:
        """End every connection."""
        with self._lock:
            left = list(self._open)
        for sock in left:
            shut(sock)

    def _new_port(self, number: int = 0) -> socket.socket:
        """One more; it refuses connections until `_listen`."""
        port = bound(number)
        with self._lock:
            self._ports.add(port)
        return port

    def _listen(self, listener: socket.socket, serve: Serve) -> None:
        listener.listen(1000)
        self._start(self._accept, listener, serve)

    def _give_up(self, *ports: socket.socket) -> None:
        with self._lock:
            self._ports -= {*ports}
        for port in ports:
            shut(port)
            port.close()

    @contextlib.contextmanager
    def _held(self, sock: socket.socket) -> Iterator[socket.socket]:
        """Open until its block ends, or its server does."""
        with self._lock:
            self._open.add(sock)
        try:
            with sock:
                yield sock
        finally:
            with self._lock:
                self._open.discard(sock)

    def _start(self, target: Callable[..., object], *args: Any) -> threading.Thread:
        thread = threading.Thread(target=self._run, args=(target, *args), daemon=True)
        with self._lock:
            self._threads.add(thread)
            thread.start()  # within the lock: what is not started can't be joined
        return thread

    def _run(self, target: Callable[..., object], *args: Any) -> None:
        try:
            target(*args)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _accept(self, listener: socket.socket, serve: Serve) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(connection)
                self.connections += 1
                number, too_late = self.connections, listener not in self._ports
            if too_late:
                shut(connection)
            self._start(self._one, connection, number, serve)

    def _one(self, connection: socket.socket, number: int, serve: Serve) -> None:
        with self._held(connection), contextlib.suppress(OSError):
            serve(connection, number)


def bound(port: int = 0) -> socket.socket:
    """A socket that has a port of loopback, and refuses connections as long as it does not listen."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock


def shut(sock: socket.socket) -> None:
    """End what waits for it, in other threads too."""
    with contextlib.suppress(OSError):  # it may be gone already
        sock.shutdown(socket.SHUT_RDWR)


def pass_on(source: socket.socket, sink: socket.socket) -> None:
    """All that comes, and then the end of it."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    shut(sink)
