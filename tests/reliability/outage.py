"""A router that can be down in several ways, and come back on the same port."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections import defaultdict
from types import TracebackType
from typing import Any, Literal, Self

from raw_server import answer, ok

from .exchange import Wire

How = Literal["busy", "gone", "silent", "in turns"]
"""503; nobody listens; no answer; the first two, one after the other."""
_TURN = 0.2


class Outage:
    """Serves each connection in a thread of its own, on loopback; completions quote their prompts."""

    def __init__(self) -> None:
        self.asked: defaultdict[str, list[str | None]] = defaultdict(list)
        """For each prompt, the idempotency key of each request."""
        self.refusals = 0
        self.stumbles = 0
        """How many more requests are answered by a 503, though it is up."""
        self._down: How | None = None
        self._turns = threading.Event()
        self._turner: threading.Thread | None = None
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._listener: socket.socket | None = None
        self._keeper = _bound(0)  # never listens: it keeps the port from being given to others meanwhile
        self.port: int = self._keeper.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.up()
        self._leave()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(5)
            assert not thread.is_alive(), "a connection of the router did not end"
        self._keeper.close()

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
        self._listen()

    def _take_turns(self) -> None:
        while not self._turns.is_set():
            self._leave()
            self._turns.wait(_TURN)
            self._listen()
            self._turns.wait(_TURN)

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = _bound(self.port)
            self._listener.listen(1000)
            self._start(self._accept, self._listener)

    def _leave(self) -> None:
        """Stop listening, and drop all connections."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            left = list(self._open)
        for connection in left:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _start(self, target: Any, *args: Any) -> None:
        thread = threading.Thread(target=self._run, args=(target, *args), daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _run(self, target: Any, *args: Any) -> None:
        try:
            target(*args)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(connection)
            if self._listener is not listener:
                connection.shutdown(socket.SHUT_RDWR)  # it had left already
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        wire = Wire(connection, 0)
        with connection, contextlib.suppress(OSError):
            while (head := wire.until_blank_line()) is not None:
                if not self._answer(wire, head.decode("latin-1")):
                    break
        with self._lock:
            self._open.discard(connection)

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


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock
