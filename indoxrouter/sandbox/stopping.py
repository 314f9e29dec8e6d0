"""Stopping streams on request: those that are open, and for some seconds those that have ended.

A client that leaves a stream closes its connection first, and posts the stop on another.
"""

import time
from typing import Any, Protocol

from indoxrouter.sandbox.billing import Bill, dollars
from indoxrouter.sandbox.counters import Counters


class Stoppable(Protocol):
    """A stream; `status` and `bill` are final when it is stopped or has ended."""

    id: str | None
    status: str
    bill: Bill | None

    def stop(self) -> None: ...


class OpenStreams:
    """The streams by id; one without an id cannot be stopped."""

    def __init__(self, grace: float, counters: Counters) -> None:
        self._grace = grace
        self._counters = counters
        self._open: dict[str, Stoppable] = {}
        self._ended: dict[str, tuple[float, dict[str, Any]]] = {}  # when to forget it; the next first

    def enter(self, stream: Stoppable) -> None:
        if stream.id is not None:
            self._open[stream.id] = stream

    def leave(self, stream: Stoppable) -> None:
        if stream.id is not None and self._open.pop(stream.id, None) is not None:
            now = time.monotonic()
            self._ended[stream.id] = now + self._grace, _outcome(stream)
            self._forget(now)

    def stop(self, stream_id: str) -> dict[str, Any] | None:
        """What became of the stream and what it cost; None for one that is not known."""
        self._forget(time.monotonic())
        stream = self._open.get(stream_id)
        if stream is not None:
            stream.stop()
            outcome = _outcome(stream)
        elif stream_id in self._ended:
            outcome = self._ended[stream_id][1]
        else:
            return None
        self._counters.count("stops")
        return {"success": True, "stream_id": stream_id, **outcome}

    def _forget(self, now: float) -> None:
        for stream_id, (until, _) in list(self._ended.items()):
            if until > now:
                break
            del self._ended[stream_id]


def _outcome(stream: Stoppable) -> dict[str, Any]:
    bill = stream.bill
    asked, generated, cost = (bill.tokens_prompt, bill.tokens_completion, bill.cost) if bill else (0, 0, 0)
    usage = {"tokens_prompt": asked, "tokens_completion": generated, "tokens_total": asked + generated}
    return {"status": stream.status, "usage": usage | {"cost": dollars(cost)}}
