"""A port that counts its connections and passes them on to another, which may change; or that ends TLS for it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from types import TracebackType
from typing import Self


class Relay:
    """Passes bytes on to a port of this machine."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.target = port
        self.connections = 0
        self._tls = tls
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drop(self._listener)
        self.sever()
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive(), "a connection of the relay did not end"

    def sever(self) -> None:
        """End every connection."""
        with self._lock:
            left = list(self._open)
        for sock in left:
            self.drop(sock, closing=False)

    def drop(self, sock: socket.socket, *, closing: bool = True) -> None:
        with contextlib.suppress(OSError):  # it may be gone already
            sock.shutdown(socket.SHUT_RDWR)
        if closing:
            sock.close()

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type] # any callable
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            stack.callback(client.close)
            if self._tls is not None:
                client = stack.enter_context(self._tls.wrap_socket(client, server_side=True))
            upstream = stack.enter_context(socket.create_connection(("127.0.0.1", self.target)))
            with self._lock:
                self._open |= {client, upstream}
            back = threading.Thread(target=self._pass_on, args=(upstream, client), daemon=True)
            back.start()
            self._pass_on(client, upstream)
            back.join()
            with self._lock:
                self._open -= {client, upstream}

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        self.drop(sink, closing=False)
