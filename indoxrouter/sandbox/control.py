"""The sandbox's own endpoints, below /sandbox/: what tests read and order over HTTP."""

import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from indoxrouter.sandbox.counters import Counters
from indoxrouter.sandbox.encoding import exact_json
from indoxrouter.sandbox.entries import PastUsage, Payment, from_fields
from indoxrouter.sandbox.errors import detail
from indoxrouter.sandbox.faults import Orders
from indoxrouter.sandbox.ledger import Ledger
from indoxrouter.sandbox.shelf import Shelf

PREFIX = "/sandbox/"


class Control:
    """The endpoints, with the methods and paths that they answer."""

    def __init__(self, counters: Counters, orders: Orders, ledger: Ledger, shelf: Shelf) -> None:
        self._counters = counters
        self._orders = orders
        self._ledger = ledger
        self.endpoints: list[tuple[list[str], str, Callable[[Request], Awaitable[Response]]]] = [
            (["GET", "DELETE"], "stats", self._stats),
            (["POST", "DELETE"], "faults", self._faults),
            (["POST"], "credits", self._credits),
            (["POST"], "usage", self._usage),
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
        with _refusing():
            self._orders.add(json.loads(await request.body()))
        return _answer({"success": True}, 201)

    async def _credits(self, request: Request) -> Response:
        with _refusing():
            payment = from_fields(Payment, json.loads(await request.body()))
        return _answer(self._ledger.add_credits(payment), 201)

    async def _usage(self, request: Request) -> Response:
        """Takes one entry, or a list of them: all or none are booked."""
        with _refusing():
            order = json.loads(await request.body())
            entries = [from_fields(PastUsage, item) for item in (order if isinstance(order, list) else [order])]
        self._ledger.add_usage(entries)
        return _answer({"success": True, "added": len(entries)}, 201)


@contextmanager
def _refusing() -> Iterator[None]:
    """Answers what is wrong with an order."""
    try:
        yield
    except (ValueError, RecursionError) as error:
        raise detail(400, str(error)) from None


def _answer(value: Any, status: int = 200) -> Response:
    return Response(exact_json(value), status, media_type="application/json")
