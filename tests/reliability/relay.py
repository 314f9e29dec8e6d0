"""A port that counts its connections and passes them on to another, which may change; or that ends TLS for it."""

from __future__ import annotations

import contextlib
import socket
import ssl

from socket_server import SocketServer, pass_on, shut


class Relay(SocketServer):
    """Passes bytes on to a port of this machine."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.target = port
        self.every = 0.0
        """Seconds from each byte that comes back to the next; 0: they come as they are."""
        self._tls = tls

    def _serve(self, client: socket.socket, number: int) -> None:
        del number
        with contextlib.ExitStack() as stack:
            if self._tls is not None:
                client = stack.enter_context(self._held(self._tls.wrap_socket(client, server_side=True)))
            upstream = stack.enter_context(self._held(socket.create_connection(("127.0.0.1", self.target))))
            back = self._start(self._bring_back, upstream, client)
            pass_on(client, upstream)
            back.join()

    def _bring_back(self, upstream: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := upstream.recv(65536):
                if not self.every:
                    client.sendall(data)
                    continue
                for byte in data:
                    client.sendall(bytes([byte]))
                    if self._ending.wait(self.every):
                        return
        shut(client)
