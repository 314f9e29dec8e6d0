"""One request on its way through the application."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter

from starlette.requests import Request

from indoxrouter.sandbox.billing import Bill
from indoxrouter.sandbox.errors import HOSTED
from indoxrouter.sandbox.faults import NO_FAULT, Fault
from indoxrouter.sandbox.keyring import Key


@dataclass
class Call:
    """What the application knows of a request besides what it carries."""

    path: str  # below the prefix
    origin: str
    form: str = HOSTED  # of its error answers; any other form is one of the OpenAI-compatible API
    fault: Fault = NO_FAULT
    request_id: str = field(default_factory=lambda: "req_" + uuid.uuid4().hex)
    started: float = field(default_factory=perf_counter)
    key: Key | None = None  # the caller's
    bill: Bill | None = None  # what the whole answer costs, once that is known
    on_end: Callable[[], None] | None = None
    _paused: bool = False

    @staticmethod
    def of(request: Request) -> "Call":
        call: Call = request.scope["call"]
        return call

    def end(self) -> None:
        """Tells, once, that the request is over."""
        on_end, self.on_end = self.on_end, None
        if on_end is not None:
            on_end()

    async def pause(self) -> None:
        """The delay that a fault orders, once."""
        if self.fault.delay and not self._paused:
            self._paused = True
            await asyncio.sleep(self.fault.delay)
