"""Sending a generated text event by event, and billing what was generated when it ends early."""

import asyncio
from collections.abc import Iterator

from starlette.types import Message, Receive, Scope, Send

from indoxrouter.sandbox.counters import Counters
from indoxrouter.sandbox.faults import Fault, SeveredError, wait_for_end
from indoxrouter.sandbox.reply import TextReply
from indoxrouter.sandbox.settling import Slot
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


class OpenStreams:
    """The streams that can be stopped on request, by id."""

    def __init__(self) -> None:
        self._events: dict[str, asyncio.Event] = {}

    def enter(self, stream_id: str | None) -> asyncio.Event:
        event = asyncio.Event()
        if stream_id is not None:
            self._events[stream_id] = event
        return event

    def leave(self, stream_id: str | None) -> None:
        self._events.pop(stream_id or "", None)

    def stop(self, stream_id: str) -> bool:
        event = self._events.get(stream_id)
        if event is None:
            return False
        event.set()
        return True


class EventStream:
    """The answer to a streaming request, as an ASGI application.

    A stream that its client leaves is billed for the pieces that were sent; one that has sent none is
    neither billed nor remembered.
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
        self._settled = False
        self._open = False

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        stream_id = self._generation.stream_id(self._reply)
        stop = self._open_streams.enter(stream_id)
        gone = asyncio.ensure_future(wait_for_end(receive))
        self._counters.move("open_streams", 1)
        self._open = True
        try:
            if self._fault.in_transit and self._fault.charged:
                self._settle(len(self._reply.deltas))
            await send({"type": "http.response.start", "status": 200, "headers": _headers(self._reply.request_id)})
            await self._send_events(send, gone, stop)
        finally:
            gone.cancel()
            self._settle_early()
            self._slot.close()
            self._open_streams.leave(stream_id)
            self._end()

    async def _send_events(self, send: Send, gone: "asyncio.Future[None]", stop: asyncio.Event) -> None:
        for number, event in enumerate(self._events(stop)):
            # lets other requests run, and shows whether the client is still there
            await (asyncio.wait({gone}, timeout=self._delay) if self._delay and number else asyncio.sleep(0))
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
            if number == self._fault.malformed:
                await send(_body(self._fault.broken_bytes()))
            await send(_body(event))
            self._pieces = max(0, min(number + 1 - len(self._head), len(self._reply.deltas)))
        self._end()
        await send(_body(b"", more=False))

    def _events(self, stop: asyncio.Event) -> Iterator[bytes]:
        """The events; the bill is settled before the first that tells the end."""
        yield from self._head
        count = 0
        for index in range(len(self._reply.deltas)):
            if stop.is_set():
                break
            yield self._generation.piece(self._reply, index)
            count = index + 1
        stopped = count < len(self._reply.deltas)
        if stopped:
            self._counters.count("stopped_streams")
        if not self._settled:
            self._settle(count, stopped=stopped)
        yield from self._generation.tail(self._reply, count, stopped)

    def _end(self) -> None:
        if self._open:
            self._open = False
            self._counters.move("open_streams", -1)

    def _settle_early(self) -> None:
        if not self._settled and self._pieces:
            self._settle(self._pieces, cancelled=True)

    def _settle(self, count: int, *, stopped: bool = False, cancelled: bool = False) -> None:
        self._settled = True
        body = b""
        if self._slot.keyed:
            reply, generation = self._reply, self._generation
            events = [*self._head, *(generation.piece(reply, index) for index in range(count))]
            if not cancelled:
                events += generation.tail(reply, count, stopped)
            body = b"".join(events)
        self._slot.settle(self._reply.request_id, self._reply.bill(count), EVENT_STREAM, body, not cancelled)
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
