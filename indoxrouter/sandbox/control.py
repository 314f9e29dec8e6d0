"""The sandbox's own endpoints, below /sandbox/: what tests read and order over HTTP."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from indoxrouter.sandbox.counters import Counters
from indoxrouter.sandbox.encoding import to_json
from indoxrouter.sandbox.errors import detail
from indoxrouter.sandbox.faults import Orders
from indoxrouter.sandbox.shelf import Shelf

PREFIX = "/sandbox/"


class Control:
    """The endpoints, with the methods and paths that they answer."""

    def __init__(self, counters: Counters, orders: Orders, shelf: Shelf) -> None:
        self._counters = counters
        self._orders = orders
        self.endpoints: list[tuple[list[str], str, Callable[[Request], Awaitable[Response]]]] = [
            (["GET", "DELETE"], "stats", self._stats),
            (["POST", "DELETE"], "faults", self._faults),
            (["GET"], "{folder}/{name}", shelf.fetch),
        ]

    async def _stats(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._counters.reset()
        return _answer(self._counters.report())

    async def _faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._orders.clear()
            return _answer({"faults": 0})
        try:
            self._orders.add(json.loads(await request.body()))
        except (ValueError, RecursionError) as error:
            raise detail(400, str(error)) from None
        return _answer({"success": True}, 201)


def _answer(value: Any, status: int = 200) -> Response:
    return Response(to_json(value), status, media_type="application/json")
