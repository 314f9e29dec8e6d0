"""Sending a generated text event by event, and billing what was generated when it ends early."""

import asyncio
from collections.abc import Iterator
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from indoxrouter.sandbox.billing import Bill
from indoxrouter.sandbox.counters import Counters
from indoxrouter.sandbox.faults import Fault, SeveredError, wait_for_end
from indoxrouter.sandbox.reply import TextReply
from indoxrouter.sandbox.settling import Slot
from indoxrouter.sandbox.stopping import OpenStreams
from indoxrouter.sandbox.streams import Generation

EVENT_STREAM = "text/event-stream; charset=utf-8"


def _headers(request_id: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", EVENT_STREAM.encode()),
        (b"cache-control", b"no-cache"),
        (b"x-request-id", request_id.encode()),
    ]


def _body(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


class EventStream:
    """The answer to a streaming request, as an ASGI application.

    A stream that its client leaves is billed for the pieces that were sent; one that has sent none is
    neither billed nor remembered. One that is stopped is billed at that moment, whatever its client does.
    """

    def __init__(
        self,
        reply: TextReply,
        generation: Generation,
        slot: Slot,
        fault: Fault,
        delay: float,
        open_streams: OpenStreams,
        counters: Counters,
    ) -> None:
        self._reply = reply
        self._generation = generation
        self._slot = slot
        self._fault = fault
        self._delay = delay
        self._open_streams = open_streams
        self._counters = counters
        self._head = generation.head(reply)
        self._pieces = 0
        self._count = 0  # of the pieces that were billed
        self._settled = False
        self._open = False
        self._stopped = asyncio.Event()
        self.id = generation.stream_id(reply)
        self.status = "open"
        self.bill: Bill | None = None  # what was charged

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        self._open_streams.enter(self)
        gone: asyncio.Future[Any] = asyncio.ensure_future(wait_for_end(receive))
        self._counters.move("open_streams", 1)
        self._open = True
        try:
            if self._fault.in_transit and self._fault.charged:
                self._settle(len(self._reply.deltas), "completed")
            await send({"type": "http.response.start", "status": 200, "headers": _headers(self._reply.request_id)})
            await self._send_events(send, gone)
        finally:
            gone.cancel()
            self._settle_early()
            self._slot.release()
            self._slot.close()
            self._open_streams.leave(self)
            self._end()

    def stop(self) -> None:
        """Ends the text where it is."""
        if not self._settled:
            self._counters.count("stopped_streams")
            self._settle(self._pieces, "stopped")
            self._stopped.set()

    async def _send_events(self, send: Send, gone: "asyncio.Future[Any]") -> None:
        for number, (count, event) in enumerate(self._events()):
            await self._pause(gone if number else None)
            if gone.done():
                self._settle_early()
                self._end()
                self._counters.count("cancelled_streams")
                raise SeveredError
            if number == self._fault.error_event:
                self._settle_early()
                self._end()
                await send(_body(self._fault.error_bytes(), more=False))
                return
            if count > self._count and self._stopped.is_set():
                continue  # a piece that was to be sent next when the stream was stopped
            if number == self._fault.malformed:
                await send(_body(self._fault.broken_bytes()))
            self._pieces = count
            await send(_body(event))
        self._end()
        await send(_body(b"", more=False))

    async def _pause(self, gone: "asyncio.Future[Any] | None") -> None:
        """Lets other requests run and shows whether the client is still there; a stop ends the delay."""
        if not self._delay or gone is None:
            await asyncio.sleep(0)
            return
        stopped: asyncio.Future[Any] = asyncio.ensure_future(self._stopped.wait())
        await asyncio.wait((gone, stopped), timeout=self._delay, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()

    def _events(self) -> Iterator[tuple[int, bytes]]:
        """The events, each with the number of pieces up to it; the bill is settled before the first of the end."""
        yield from ((0, event) for event in self._head)
        for index in range(len(self._reply.deltas)):
            if self._stopped.is_set():
                break
            yield index + 1, self._generation.piece(self._reply, index)
        if not self._settled:
            self._settle(len(self._reply.deltas), "completed")
        stopped = self._stopped.is_set()
        yield from ((self._count, event) for event in self._generation.tail(self._reply, self._count, stopped))

    def _end(self) -> None:
        if self._open:
            self._open = False
            self._counters.move("open_streams", -1)

    def _settle_early(self) -> None:
        if not self._settled and self._pieces:
            self._settle(self._pieces, "cancelled")

    def _settle(self, count: int, status: str) -> None:
        self._settled, self._count, self.status = True, count, status
        bill, cancelled = self._reply.bill(count), status == "cancelled"
        self.bill = bill if self._slot.charged else None
        body = b""
        if self._slot.keyed:
            reply, generation = self._reply, self._generation
            events = [*self._head, *(generation.piece(reply, index) for index in range(count))]
            if not cancelled:
                events += generation.tail(reply, count, status == "stopped")
            body = b"".join(events)
        self._slot.settle(self._reply.request_id, bill, EVENT_STREAM, body, not cancelled)
        self._slot.close()


class Replay:
    """A remembered stream, sent again event by event; a cancelled one ends where it was cancelled."""

    def __init__(self, request_id: str, body: bytes, complete: bool) -> None:
        self._request_id = request_id
        self._events = [part + b"\n\n" for part in body.split(b"\n\n")[:-1]]
        self._complete = complete

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [*_headers(self._request_id), (b"idempotent-replayed", b"true")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for event in self._events:
            await send(_body(event))
            await asyncio.sleep(0)
        if not self._complete:
            raise SeveredError
        await send(_body(b"", more=False))
