"""An HTTP proxy on loopback: CONNECT for TLS, absolute-form requests for plain http, with or without a password."""

from __future__ import annotations

import base64
import contextlib
import socket
from urllib.parse import quote, urlsplit

from raw_server import answer
from socket_server import SocketServer, bound, pass_on, shut

from .exchange import Action, Wire, carry_out


class Proxy(SocketServer):
    """Forwards what it is asked to; or, with `at_once`, does only that to each connection that has asked.

    `knows`: a name that nobody else resolves, as which it knows this machine.
    """

    def __init__(
        self,
        password: str | None = None,
        at_once: Action | None = None,
        *,
        echoes: bool = False,
        knows: str | None = None,
    ) -> None:
        super().__init__()
        self._knows = knows
        self._wanted = (
            None if password is None else "Basic " + base64.b64encode(f"user:{password}".encode("latin-1")).decode()
        )
        self._at_once = at_once
        self._echoes = echoes
        self.asked: list[str] = []
        """The first lines of the requests."""
        self.headers: list[str] = []
        """All that it was sent beside them."""
        user = "" if password is None else f"user:{quote(password, safe='')}@"
        self.url = f"http://{user}127.0.0.1:{self.port}"

    def _serve(self, client: socket.socket, number: int) -> None:
        upstream: socket.socket | None = None
        wire = Wire(client, number)
        with contextlib.suppress(OSError, ValueError):
            while (head := wire.until_blank_line()) is not None:
                line, *headers = head.decode("latin-1").split("\r\n")
                self.asked.append(line)
                self.headers += headers
                method, target, version = line.split(" ")
                if self._at_once is not None and not carry_out(wire, self._at_once, self._ending):
                    return
                if not self._allowed(headers):
                    said = " ".join(headers) if self._echoes else "who are you?"
                    client.sendall(answer(407, {"detail": said}, Proxy_Authenticate="Basic", Connection="close"))
                    return
                host, _, port = (target if method == "CONNECT" else urlsplit(target).netloc).rpartition(":")
                if upstream is None:
                    upstream = self._dial(client, host, int(port))
                    if upstream is None:
                        return
                    if method == "CONNECT":
                        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    self._start(self._bring_back, upstream, client)
                if method == "CONNECT":
                    pass_on(client, upstream)
                    break
                self._forward(
                    wire, upstream, f"{method} {target.partition(urlsplit(target).netloc)[2]} {version}", headers
                )
        if upstream is not None:
            shut(upstream)

    def _allowed(self, headers: list[str]) -> bool:
        given = [line.partition(": ")[2] for line in headers if line.lower().startswith("proxy-authorization:")]
        return self._wanted is None or given == [self._wanted]

    def _dial(self, client: socket.socket, host: str, port: int) -> socket.socket | None:
        try:
            upstream = socket.create_connection(("127.0.0.1" if host == self._knows else host, port), timeout=30)
        except OSError:
            client.sendall(answer(502, {"detail": "no such server"}, Connection="close"))
            return None
        upstream.settimeout(None)
        return upstream

    def _forward(self, wire: Wire, upstream: socket.socket, line: str, headers: list[str]) -> None:
        """One plain request, without what is for the proxy alone."""
        kept = [line, *(header for header in headers if not header.lower().startswith("proxy-"))]
        upstream.sendall(("\r\n".join(kept) + "\r\n\r\n").encode("latin-1"))
        lengths = [int(header.partition(":")[2]) for header in headers if header.lower().startswith("content-length:")]
        left = sum(lengths)
        while left:
            part = wire.exactly(min(left, 65536))
            upstream.sendall(part)
            left -= len(part)

    def _bring_back(self, upstream: socket.socket, client: socket.socket) -> None:
        with self._held(upstream):
            pass_on(upstream, client)


def never_accepting() -> tuple[str, list[socket.socket]]:
    """The host and port of a listener whose queue is full, and the sockets that keep it so."""
    listener = bound()
    listener.listen(0)
    held = [listener]
    for _ in range(4):
        waiting = socket.socket()
        waiting.setblocking(False)
        waiting.connect_ex(listener.getsockname())
        held.append(waiting)
    return f"127.0.0.1:{listener.getsockname()[1]}", held
