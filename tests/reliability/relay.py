"""A port that counts its connections and passes them on to another, which may change; or that ends TLS for it."""

from __future__ import annotations

import contextlib
import socket
import ssl

from socket_server import SocketServer, pass_on


class Relay(SocketServer):
    """Passes bytes on to a port of this machine."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.target = port
        self._tls = tls

    def _serve(self, client: socket.socket, number: int) -> None:
        del number
        with contextlib.ExitStack() as stack:
            if self._tls is not None:
                client = stack.enter_context(self._held(self._tls.wrap_socket(client, server_side=True)))
            upstream = stack.enter_context(self._held(socket.create_connection(("127.0.0.1", self.target))))
            back = self._start(pass_on, upstream, client)
            pass_on(client, upstream)
            back.join()
