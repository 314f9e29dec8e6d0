"""A router that can be down in several ways, and come back on the same port."""

from __future__ import annotations

import json
import socket
import threading
from collections import defaultdict
from types import TracebackType
from typing import Literal, Self

from raw_server import answer, ok
from socket_server import SocketServer

from .exchange import Wire

How = Literal["busy", "gone", "silent", "in turns"]
"""503; nobody listens; no answer; the first two, one after the other."""
_TURN = 0.2


class Outage(SocketServer):
    """Completions quote their prompts."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: defaultdict[str, list[str | None]] = defaultdict(list)
        """For each prompt, the idempotency key of each request."""
        self.refusals = 0
        self.stumbles = 0
        """How many more requests are answered by a 503, though it is up."""
        self._down: How | None = None
        self._turns = threading.Event()
        self._turner: threading.Thread | None = None
        self._ears: socket.socket | None = None
        """What listens while it is up; the server's own listener keeps the port from others meanwhile."""
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._come()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.up()
        super().__exit__(kind, error, trace)

    def down(self, how: How) -> None:
        self._down = how
        if how == "gone":
            self._leave()
        if how == "in turns":
            self._turns.clear()
            self._turner = threading.Thread(target=self._take_turns, daemon=True)
            self._turner.start()

    def up(self) -> None:
        self._turns.set()
        if self._turner is not None:
            self._turner.join()
            self._turner = None
        self._down = None
        self._come()

    def _take_turns(self) -> None:
        while not self._turns.is_set():
            self._leave()
            self._turns.wait(_TURN)
            self._come()
            self._turns.wait(_TURN)

    def _come(self) -> None:
        if self._ears is None:
            self._ears = self._new_port(self.port)
            self._listen(self._ears, self._serve)

    def _leave(self) -> None:
        """Stop listening, and drop all connections."""
        ears, self._ears = self._ears, None
        if ears is not None:
            self._give_up(ears)
        self.sever()

    def _serve(self, connection: socket.socket, number: int) -> None:
        wire = Wire(connection, number)
        while (head := wire.until_blank_line()) is not None and self._answer(wire, head.decode("latin-1")):
            pass

    def _answer(self, wire: Wire, head: str) -> bool:
        line, *fields = head.split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        content = wire.exactly(int(headers.get("content-length", "0")))
        down = self._down
        if "/auth/" in line:
            wire.sock.sendall(ok({"access_token": "token", "expires_in": 3600}))
            return True
        prompt = json.loads(content)["prompt"]
        with self._lock:
            self.asked[prompt].append(headers.get("idempotency-key"))
            if down is None and self.stumbles:
                self.stumbles, down = self.stumbles - 1, "busy"
        if down == "silent":
            while wire.sock.recv(65536):
                pass
            return False
        if down is None:
            wire.sock.sendall(ok({"data": f"answer to {prompt}", "finish_reason": "stop"}))
        else:
            wire.sock.sendall(answer(503, {"detail": "down for maintenance"}))
            with self._lock:
                self.refusals += 1
        return True
