"""The control port of a fault server, for processes that it does not run in.

A tiny line protocol: each line is a word, a space and JSON; each answer is `ok` or `error`, a space
and JSON. A script is a list of steps, such as `[{"good": "half"}, {"end": "rst"}]`.

    case {"script": [...], "times": 1}    a new corner, armed for so many requests: {"name", "url"}
    arm ["case-0", 3]                     arm it again
    seen "case-0"                         its requests: [[method, path, idempotency key, whole], ...]
    ledger "case-0"                       what was carried out: {key: how often}
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from raw_server import End, answer
from socket_server import SocketServer

from .answers import Good
from .exchange import Action, Drip, Exchange, Script
from .faults_of_http import half
from .faultserver import Case, FaultServer

FRAMINGS: dict[str, Callable[[Good], bytes]] = {
    "usual": Good.usual,
    "sized": Good.sized,
    "chunked": Good.chunked,
    "until close": Good.until_close,
    "half": lambda good: half(good.usual()),
}


def script_of(steps: list[dict[str, Any]]) -> Script:
    """The script that the steps describe."""

    def script(exchange: Exchange) -> Iterator[Action]:
        for step in steps:
            match step:
                case {"read": count}:
                    exchange.read(count)
                case {"good": framing}:
                    yield FRAMINGS[framing](exchange.good())
                case {"answer": [status, body]}:
                    exchange.read()
                    yield answer(status, body)
                case {"send": text}:
                    yield text.encode("latin-1")
                case {"drip": text}:
                    yield Drip(text.encode("latin-1"), step.get("size", 1), step.get("every", 0.02))
                case {"sleep": seconds}:
                    yield float(seconds)
                case {"end": end}:
                    yield End(end)
                case _:
                    raise ValueError(f"no such step: {step}")

    return script


class Control(SocketServer):
    """Serves the control port of a fault server."""

    def __init__(self, server: FaultServer) -> None:
        super().__init__()
        self._server = server

    def _serve(self, connection: socket.socket, number: int) -> None:
        del number
        with connection.makefile("rw") as lines:
            for line in lines:
                try:
                    said = f"ok {json.dumps(self._obey(line))}"
                except (KeyError, TypeError, ValueError) as error:
                    said = f"error {json.dumps(repr(error))}"
                lines.write(said + "\n")
                lines.flush()

    def _obey(self, line: str) -> Any:
        word, _, rest = line.partition(" ")
        given = json.loads(rest)
        match word:
            case "case":
                case = self._server.case(script_of(given["script"]))
                case.arm(given.get("times", 1))
                return {"name": case.name, "url": case.url}
            case "arm":
                return self._server.cases[given[0]].arm(given[1])
            case "seen":
                return [[seen.method, seen.path, seen.key, seen.whole] for seen in self._case(given).requests]
            case "ledger":
                return self._server.ledger.carried_out(self._case(given).name)
            case _:
                raise ValueError(f"no such word: {word}")

    def _case(self, name: str) -> Case:
        return self._server.cases[name]


class Remote:
    """A fault server in another process, by its control port."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port))
        self._lines = self._sock.makefile("rw")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()
        self._sock.close()

    def ask(self, word: str, given: Any) -> Any:
        self._lines.write(f"{word} {json.dumps(given)}\n")
        self._lines.flush()
        verdict, _, rest = self._lines.readline().partition(" ")
        if verdict != "ok":
            raise ValueError(json.loads(rest))
        return json.loads(rest)
