"""What a caller holds while a streaming plan runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from indoxrouter.core.assembly import Assembly, State
from indoxrouter.core.steps import Closed, Emit, Plan
from indoxrouter.errors import Attempt, IndoxRouterError, StreamError, public
from indoxrouter.responses import ChatChunk, ChatResponse, Usage
from indoxrouter.wire.messages import Result

Advance = Callable[[Plan[Result], BaseException | None], Emit | Result]


class ChatStream(Iterator[ChatChunk]):
    """A streamed answer: iterate over its chunks, or read the finished answer, or both.

    `text, state, usage, finish_reason, tool_calls, request_id, attempts` show what has been handed
    out so far and never read on; `data, message, raw_response` and `response()` read to the end.
    A stream that breaks raises, with the text so far in the error's `partial`. Leaving the
    with-block, `close()` and garbage collection drop the connection.
    """

    def __init__(
        self,
        advance: Advance,
        plan: Plan[Result],
        assembly: Assembly,
        decode: Callable[[Result], ChatResponse],
    ) -> None:
        """Send the request, and return at the first event."""
        self._advance = advance
        self._plan = plan
        self._assembly = assembly
        self._decode = decode
        self._closing = False
        self._reading = False
        self._response: ChatResponse | None = None
        self._error: IndoxRouterError | None = None
        self._step()

    @public
    def __next__(self) -> ChatChunk:
        if self._error is not None:
            raise self._error
        if self._response is not None or self._closing:
            raise StopIteration
        if (chunk := self._step()) is None:
            raise StopIteration
        return chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ChatStream {self.state}, {len(self.text)} characters so far>"

    def close(self) -> None:
        """Drop the rest of the answer; closing again, or after its end, does nothing."""
        if self._closing:
            return
        self._closing = True
        if not self._reading:
            self._end()

    @public
    def response(self) -> ChatResponse:
        """The finished answer; reads to the end. Raises what ended the stream before that."""
        for _ in self:
            pass
        if self._response is None:
            raise StreamError(
                "the stream was closed before its end",
                code="cancelled",
                partial=self.text,
                request_id=self.request_id,
                client_request_id=self._assembly.client_request_id,
                attempts=self.attempts,
                outcome="unknown",
            )
        return self._response

    @property
    def data(self) -> str | None:
        """The whole text; reads to the end."""
        return self.response().data

    @property
    def message(self) -> str | None:
        """The router's own remark on the answer; reads to the end."""
        return self.response().message

    @property
    def raw_response(self) -> Any:
        """The answer as one body, assembled from its chunks; reads to the end."""
        return self.response().raw_response

    @property
    def text(self) -> str:
        """What has been handed out so far."""
        return self._assembly.text

    @property
    def state(self) -> State:
        """open, complete, truncated (the bytes ended early), failed, or cancelled (closed by us)."""
        return self._assembly.state

    @property
    def usage(self) -> Usage | None:
        return self._assembly.usage

    @property
    def finish_reason(self) -> str | None:
        return self._assembly.finish_reason

    @property
    def tool_calls(self) -> list[dict[str, Any]] | None:
        """The tool calls, as far as their pieces have come."""
        return self._assembly.tool_calls

    @property
    def request_id(self) -> str | None:
        return self._assembly.request_id

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        return self._assembly.attempts

    def _step(self) -> ChatChunk | None:
        """The next chunk; None at the end, and when the stream opens."""
        self._reading = True
        try:
            step = self._advance(self._plan, None)
        except IndoxRouterError as error:
            self._error = error
            raise
        finally:
            self._reading = False
            if self._closing:  # by another thread, while this one was reading
                self._end()
        if isinstance(step, Emit):
            return step.chunk
        self._response = self._decode(step)
        return None

    def _end(self) -> None:
        if self._assembly.state == "open":
            with contextlib.suppress(Closed):
                self._advance(self._plan, Closed())
