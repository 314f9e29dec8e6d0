"""An HTTP proxy on loopback: CONNECT for TLS, absolute-form requests for plain http, with or without a password."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

from raw_server import answer

from .exchange import Action, Wire, carry_out


class Proxy:
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
        self._knows = knows
        self._wanted = (
            None if password is None else "Basic " + base64.b64encode(f"user:{password}".encode("latin-1")).decode()
        )
        self._at_once = at_once
        self._echoes = echoes
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=500)
        self.asked: list[str] = []
        """The first lines of the requests."""
        self.headers: list[str] = []
        """All that it was sent beside them."""
        port = self._listener.getsockname()[1]
        self.url = (
            f"http://127.0.0.1:{port}"
            if password is None
            else f"http://user:{quote(password, safe='')}@127.0.0.1:{port}"
        )

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        with self._lock:
            left = [self._listener, *self._open]
        for sock in left:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive(), "a thread of the proxy did not end"

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type] # any callable
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(client)
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        upstream: socket.socket | None = None
        wire = Wire(client, 0)
        with client, contextlib.suppress(OSError, ValueError):
            while (head := wire.until_blank_line()) is not None:
                line, *headers = head.decode("latin-1").split("\r\n")
                self.asked.append(line)
                self.headers += headers
                method, target, version = line.split(" ")
                if self._at_once is not None and not carry_out(wire, self._at_once, self._stop):
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
                    _pass_on(client, upstream)
                    break
                self._forward(
                    wire, upstream, f"{method} {target.partition(urlsplit(target).netloc)[2]} {version}", headers
                )
        if upstream is not None:
            _end(upstream)

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
        with self._lock:
            self._open.add(upstream)
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
        _pass_on(upstream, client)
        with self._lock:
            self._open.discard(upstream)
        upstream.close()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    _end(sink)


def _end(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def never_accepting() -> tuple[str, list[socket.socket]]:
    """The host and port of a listener whose queue is full, and the sockets that keep it so."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    held = [listener]
    for _ in range(4):
        waiting = socket.socket()
        waiting.setblocking(False)
        waiting.connect_ex(listener.getsockname())
        held.append(waiting)
    return f"127.0.0.1:{listener.getsockname()[1]}", held
