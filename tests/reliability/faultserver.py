"""A server whose every byte is scripted: per connection, per request, for many clients at once.

Each client gets a *case*: a path prefix of its own, with its own script, logins and records, so that
a thousand cases share one server. Until a case's script is armed, it answers well.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from raw_server import End, answer

from .exchange import Action, Exchange, Script, Wire, carry_out
from .ledger import Ledger

OnConnect = Callable[[int], Action | None]
"""What becomes of a door's connection, counted from 0, before anything is read; None: it is served."""


def well(exchange: Exchange) -> Iterable[Action]:
    """Carry it out, and answer as most servers do."""
    yield exchange.good().usual()


@dataclass
class Case:
    """One client's corner of the server."""

    name: str
    origin: str
    script: Script = well
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    """`access`, `refresh` and `cookie`, which its logins hand out."""
    closing_logins: bool = False
    """Whether a connection ends with its login, so that the next call opens a new one."""
    same_token: bool = False
    """Whether each login hands out the same token."""
    sees_logins: bool = False
    """Whether logins go to the script too, as long as it is armed."""
    faults: int = 0
    """How many more requests go to the script."""
    requests: list[Exchange] = field(default_factory=list, repr=False)
    logins: list[Exchange] = field(default_factory=list, repr=False)
    log: list[str] = field(default_factory=list, repr=False)
    """What went wrong in the script itself."""

    @property
    def url(self) -> str:
        return f"{self.origin}/{self.name}/v1"

    def arm(self, times: int) -> None:
        self.faults = times

    def script_for(self, exchange: Exchange) -> Script:
        """The case's own as often as it is armed, and a good answer otherwise."""
        login = "/auth/" in exchange.path
        if self.faults > 0 and (self.sees_logins or not login):
            self.faults -= 1
            return self.script
        return self._login if login else well

    def _login(self, _: Exchange) -> Iterable[Action]:
        token = self.secrets.get("access", "token")
        body = {"access_token": token if self.same_token else f"{token}-{len(self.logins)}", "expires_in": 3600}
        content = json.dumps(body)
        lines = ["HTTP/1.1 200 OK", "Content-Type: application/json", f"Content-Length: {len(content)}"]
        for name, kind in (("refresh_token", "refresh"), ("session", "cookie")):
            if kind in self.secrets:
                lines.append(f"Set-Cookie: {name}={self.secrets[kind]}; HttpOnly; Path=/")
        if self.closing_logins:
            lines.append("Connection: close")
        yield ("\r\n".join(lines) + f"\r\n\r\n{content}").encode()
        if self.closing_logins:
            yield End.FIN


class FaultServer:
    """Serves each connection in a thread of its own, on loopback; with `tls`, over TLS."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.ledger = Ledger()
        self.cases: dict[str, Case] = {}
        self.connections = 0
        self._tls = tls
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._open: set[socket.socket] = set()
        self._listeners: list[socket.socket] = []
        self._threads: set[threading.Thread] = set()
        self.origin = self.door(lambda _: None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        with self._lock:
            left = [*self._listeners, *self._open]
            threads = list(self._threads)
        for connection in left:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for listener in self._listeners:
            listener.close()
        for thread in threads:
            thread.join(5)
            assert not thread.is_alive(), "a thread of the fault server did not end"

    def case(self, script: Script = well, origin: str | None = None, **settings: Any) -> Case:
        """A new corner, whose script is not armed yet."""
        with self._lock:
            name = f"case-{len(self.cases)}"
            case = self.cases[name] = Case(name, origin or self.origin, script, **settings)
        return case

    def door(self, on_connect: OnConnect) -> str:
        """The origin of another port of this server."""
        listener = self._bound()
        listener.listen(1000)
        self._start(self._accept, listener, on_connect)
        return self._origin(listener)

    def shut_door(self) -> tuple[str, Callable[[], None]]:
        """The origin of a port that refuses connections, and a call that opens it."""
        listener = self._bound()

        def open_it() -> None:
            listener.listen(1000)
            self._start(self._accept, listener, lambda _: None)

        return self._origin(listener), open_it

    def _bound(self) -> socket.socket:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        with self._lock:
            self._listeners.append(listener)
        return listener

    def _origin(self, listener: socket.socket) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=self._run, args=(target, *args), daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _run(self, target: Callable[..., None], *args: Any) -> None:
        try:
            target(*args)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _accept(self, listener: socket.socket, on_connect: OnConnect) -> None:
        count = 0
        while not self._stop.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(connection)
                self.connections += 1
                number = self.connections
            self._start(self._serve, connection, number, on_connect(count))
            count += 1

    def _serve(self, connection: socket.socket, number: int, at_once: Action | None) -> None:
        wire = Wire(connection, number)
        try:
            if at_once is not None:
                carry_out(wire, at_once, self._stop)
                return
            if self._tls is not None:
                wire.sock = self._tls.wrap_socket(connection, server_side=True)
                with self._lock:
                    self._open.add(wire.sock)
            while self._exchange(wire):
                pass
        except OSError:
            pass  # the client left first
        finally:
            wire.sock.close()
            connection.close()
            with self._lock:
                self._open -= {connection, wire.sock}

    def _exchange(self, wire: Wire) -> bool:
        """Answer one request; whether the connection goes on."""
        if (head := wire.until_blank_line()) is None:
            return False
        exchange, case = self._read(head, wire)
        if case is None:
            wire.sock.sendall(answer(404, {"detail": "no such case"}))
            return False
        (case.logins if "/auth/" in exchange.path else case.requests).append(exchange)
        try:
            for action in case.script_for(exchange)(exchange):
                if not carry_out(wire, action, self._stop):
                    return False
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - the test that wrote it looks there
            case.log.append(f"the script failed: {error!r}")
            return False
        exchange.read()
        return True

    def _read(self, head: bytes, wire: Wire) -> tuple[Exchange, Case | None]:
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        path = target[target.index("/", 8) :] if target.startswith("http") else target  # a proxy may ask so
        name = path.split("/")[1]
        case = self.cases.get(name)
        number = len(case.requests) if case is not None else 0
        return Exchange(method, path, headers, wire, self.ledger, name, number), case
