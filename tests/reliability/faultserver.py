"""A server whose every byte is scripted: per connection, per request, for many clients at once.

Each client gets a *case*: a path prefix of its own, with its own script, logins and records, so that
a thousand cases share one server. Until a case's script is armed, it answers well.
"""

from __future__ import annotations

import itertools
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from raw_server import End, answer
from socket_server import Serve, SocketServer

from .answers import Grant
from .exchange import Action, Drip, Exchange, Script, Wire, carry_out
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
        login = exchange.grant is not None
        if self.faults > 0 and (self.sees_logins or not login):
            self.faults -= 1
            return self.script
        return self._login if login else well

    def grant(self) -> Grant:
        """What the next login brings."""
        token = self.secrets.get("access", "token")
        cookies = (
            f"{name}={self.secrets[kind]}; HttpOnly; Path=/"
            for name, kind in (("refresh_token", "refresh"), ("session", "cookie"))
            if kind in self.secrets
        )
        return Grant(token if self.same_token else f"{token}-{len(self.logins) + 1}", tuple(cookies))

    def _login(self, exchange: Exchange) -> Iterable[Action]:
        if not self.closing_logins:
            yield exchange.good().usual()
            return
        yield exchange.good().sized(Connection="close")
        yield End.FIN


class FaultServer(SocketServer):
    """Serves its cases; with `tls`, over TLS."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.cases: dict[str, Case] = {}
        self._tls = tls
        self.origin = self._origin(self._listener)

    def case(self, script: Script = well, origin: str | None = None, **settings: Any) -> Case:
        """A new corner, whose script is not armed yet."""
        with self._lock:
            name = f"case-{len(self.cases)}"
            case = self.cases[name] = Case(name, origin or self.origin, script, **settings)
        return case

    def door(self, on_connect: OnConnect) -> str:
        """The origin of another port of this server."""
        listener = self._new_port()
        self._listen(listener, self._serving(on_connect))
        return self._origin(listener)

    def shut_door(self) -> tuple[str, Callable[[], None]]:
        """The origin of a port that refuses connections, and a call that opens it."""
        listener = self._new_port()
        return self._origin(listener), lambda: self._listen(listener, self._serve)

    def _origin(self, listener: socket.socket) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"

    def _serving(self, on_connect: OnConnect) -> Serve:
        count = itertools.count()

        def serve(connection: socket.socket, number: int) -> None:
            if (at_once := on_connect(next(count))) is None:
                self._serve(connection, number)
            else:
                if isinstance(at_once, Drip):
                    connection.recv(1)  # it answers, if slowly: it does not speak first
                carry_out(Wire(connection, number), at_once, self._ending)

        return serve

    def _serve(self, connection: socket.socket, number: int) -> None:
        if self._tls is None:
            return self._exchanges(Wire(connection, number))
        with self._held(self._tls.wrap_socket(connection, server_side=True)) as secured:
            return self._exchanges(Wire(secured, number))

    def _exchanges(self, wire: Wire) -> None:
        while self._exchange(wire):
            pass

    def _exchange(self, wire: Wire) -> bool:
        """Answer one request; whether the connection goes on."""
        if (head := wire.until_blank_line()) is None:
            return False
        exchange, case = self._read(head, wire)
        if case is None:
            wire.sock.sendall(answer(404, {"detail": "no such case"}))
            return False
        if "/auth/" in exchange.path:
            exchange.grant = case.grant()
            case.logins.append(exchange)
        else:
            case.requests.append(exchange)
        try:
            for action in case.script_for(exchange)(exchange):
                if not carry_out(wire, action, self._ending):
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
