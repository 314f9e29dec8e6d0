"""Where paid requests are carried out: once for a key, billed, and remembered."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from indoxrouter.sandbox.billing import Bill
from indoxrouter.sandbox.call import Call
from indoxrouter.sandbox.encoding import to_json
from indoxrouter.sandbox.entries import writable
from indoxrouter.sandbox.errors import HOSTED, invalid
from indoxrouter.sandbox.eventstream import EVENT_STREAM, EventStream, Replay
from indoxrouter.sandbox.ledger import Caller, Remembered
from indoxrouter.sandbox.reply import TextReply
from indoxrouter.sandbox.settings import Settings
from indoxrouter.sandbox.settling import REPLAYED, Bookkeeper, Slot
from indoxrouter.sandbox.stopping import OpenStreams
from indoxrouter.sandbox.streams import Generation

JSON = "application/json"
Body = dict[str, Any]
Carrier = Callable[[Call, Body, Slot], ASGIApp]


class Desk:
    """The one way of both APIs to the ledger."""

    def __init__(self, settings: Settings, books: Bookkeeper) -> None:
        self._settings = settings
        self._books = books
        self.open_streams = OpenStreams(settings.stop_grace, books.counters)

    async def carry_out(
        self, request: Request, endpoint: str, raw: bytes, read: Callable[[], Body], carrier: Carrier
    ) -> ASGIApp:
        """The answer to a request whose content is `raw`; `read` checks it, `carrier` does what it asks."""
        call = Call.of(request)
        self._books.limits.admit()
        if call.form != HOSTED:
            raw = b"openai\0" + raw  # the same body asks for another answer there
        slot = self._books.open(request, endpoint, raw, call.fault.charged)
        if slot.remembered is not None:
            return _replay(slot.remembered)
        try:
            body = read()
            self._books.check_credits(body.get("byok_api_key"))
            slot.caller = _caller(request, call, body)
            await call.pause()
            answer = carrier(call, body, slot)
        except BaseException:
            slot.release()
            slot.close()
            raise
        if not isinstance(answer, EventStream):  # a stream closes its slot when it ends
            slot.close()
        return answer

    def stream(self, reply: TextReply, generation: Generation, slot: Slot, call: Call) -> EventStream:
        call.bill = reply.bill()
        slot.promise(call.bill)
        delay, counters = self._settings.stream_delay, self._books.counters
        return EventStream(reply, generation, slot, call.fault, delay, self.open_streams, counters)

    def answer(self, slot: Slot, bill: Bill, call: Call, value: Body) -> Response:
        return self.content(slot, bill, call, to_json(value), JSON)

    def content(self, slot: Slot, bill: Bill, call: Call, content: bytes, media_type: str) -> Response:
        """An answer of any kind, billed and remembered."""
        slot.promise(bill)
        call.bill = bill
        slot.settle(call.request_id, bill, media_type, content)
        return Response(content, media_type=media_type)


def _caller(request: Request, call: Call, body: Body) -> Caller:
    """Who asks; a session is named in `additional_params` or in a header."""
    params = body.get("additional_params")
    session = params.get("session_id") if isinstance(params, dict) else None
    if session is None:
        session = request.headers.get("x-session-id") or None
    elif not isinstance(session, str) or not writable(session):
        place = ("body", "additional_params", "session_id")
        raise invalid([(place, "Input should be a valid string", "string_type")])
    host = request.client.host if request.client else None
    return Caller(call.key.masked if call.key else None, session or None, host)


def _replay(answer: Remembered) -> ASGIApp:
    if answer.media_type == EVENT_STREAM:
        return Replay(answer.request_id, answer.body, answer.complete)
    return Response(answer.body, 200, REPLAYED | {"x-request-id": answer.request_id}, answer.media_type)
