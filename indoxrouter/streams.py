"""What a caller holds while a streaming plan runs: `ChatStream`, and its twin for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Protocol, Self

from indoxrouter.core.assembly import Assembly
from indoxrouter.core.steps import Closed, Emit, Plan
from indoxrouter.errors import IndoxRouterError, public
from indoxrouter.held import Held
from indoxrouter.responses import ChatChunk, ChatResponse
from indoxrouter.wire.messages import Reply


class _Driver(Protocol):
    def advance(self, plan: Plan[ChatResponse], failure: BaseException | None = None) -> Emit | ChatResponse: ...
    def abort(self, reply: Reply) -> None: ...


class _AsyncDriver(Protocol):
    async def advance(self, plan: Plan[ChatResponse], failure: BaseException | None = None) -> Emit | ChatResponse: ...
    def abandon(self, plan: Plan[Any], why: BaseException) -> None: ...
    def abort(self, reply: Reply) -> None: ...


class ChatStream(Held, Iterator[ChatChunk]):
    """A streamed answer: iterate over its chunks, or read the finished answer, or both.

    `text, state, usage, finish_reason, tool_calls, request_id, attempts` show what has been handed
    out so far and never read on; `data, message, raw_response` and `response()` read to the end.
    A stream that breaks raises, with the text so far in the error's `partial`. It ends with its
    with-block, with `close()` (from any thread), and with its last reference.
    """

    def __init__(self, driver: _Driver, plan: Plan[ChatResponse], assembly: Assembly) -> None:
        """Send the request, and return at the first event."""
        super().__init__(plan, assembly)
        self._driver = driver
        self._turn = threading.Lock()
        self._step()

    @public
    def __next__(self) -> ChatChunk:
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

    _leave = __del__

    def close(self) -> None:
        """Drop the rest of the answer; closing again, or after its end, does nothing."""
        if not self._is_ours():
            return
        self._closing = True
        if not self._over and self._turn.locked() and self._assembly.reply is not None:
            self._driver.abort(self._assembly.reply)  # ends another thread's read at once
        self._end_if_closing()

    @public
    def response(self) -> ChatResponse:
        """The finished answer; reads to the end. Raises what ended the stream before that."""
        while self._step() is not None:
            pass
        if self._response is None:
            raise self._not_finished("the stream was closed before its end", "cancelled")
        return self._response

    @property
    def data(self) -> str | None:
        """The whole text; reads to the end."""
        return self.response().data

    @property
    def message(self) -> str | None:
        return self.response().message

    @property
    def raw_response(self) -> Any:
        """The answer as one body, assembled from its chunks; reads to the end."""
        return self.response().raw_response

    def _step(self) -> ChatChunk | None:
        if not self._is_ours() and self._error is not None:
            raise self._error
        try:
            with self._turn:
                if self._error is not None:
                    raise self._error
                if self._over or self._closing:
                    return None
                return self._take(self._driver.advance(self._plan))
        except BaseException as error:
            closed = self._closing
            self._broke(error)
            if not (closed and isinstance(error, IndoxRouterError)):
                raise
            return None
        finally:
            self._end_if_closing()

    def _end_if_closing(self) -> None:
        # Whoever has the turn looks here again after letting go of it, so nobody needs to wait.
        while self._closing and not self._over and self._turn.acquire(blocking=False):
            try:
                with contextlib.suppress(Closed):
                    self._driver.advance(self._plan, Closed())
            finally:
                self._ended()
                self._turn.release()


class AsyncChatStream(Held, AsyncIterator[ChatChunk]):
    """`ChatStream` for asyncio: `async for`, `async with`, `await s.response()`, `await s.close()`.

    `data`, `message` and `raw_response` are there once the stream has been read to its end.
    """

    def __init__(self, driver: _AsyncDriver, plan: Plan[ChatResponse], assembly: Assembly) -> None:
        super().__init__(plan, assembly)
        self._driver = driver
        self._turn = asyncio.Lock()
        self._loop = asyncio.get_running_loop()

    async def open(self) -> Self:
        """Send the request, and return at the first event."""
        await self._step()
        return self

    @public
    async def __anext__(self) -> ChatChunk:
        if (chunk := await self._step()) is None:
            raise StopAsyncIteration
        return chunk

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        """The collector may call it in any thread, and in the middle of anything that its event loop is doing."""
        if not self._is_ours() or self._over:
            return
        if self._loop.is_running():
            with contextlib.suppress(RuntimeError):  # it ends just now, and the connection with it
                self._loop.call_soon_threadsafe(self._driver.abandon, self._plan, Closed())
        else:
            self._driver.abandon(self._plan, Closed())
        self._ended()

    _leave = __del__

    async def close(self) -> None:
        """Drop the rest of the answer; closing again, or after its end, does nothing."""
        if not self._is_ours():
            return
        self._closing = True
        if not self._over and self._turn.locked() and self._assembly.reply is not None:
            self._driver.abort(self._assembly.reply)  # ends another task's read at once
        self._end_if_closing()

    @public
    async def response(self) -> ChatResponse:
        """The finished answer; reads to the end. Raises what ended the stream before that."""
        while await self._step() is not None:
            pass
        return self._finished()

    @property
    def data(self) -> str | None:
        return self._finished().data

    @property
    def message(self) -> str | None:
        return self._finished().message

    @property
    def raw_response(self) -> Any:
        return self._finished().raw_response

    def _finished(self) -> ChatResponse:
        if self._response is not None:
            return self._response
        if self._error is not None:
            raise self._error
        if self._over or self._closing:
            raise self._not_finished("the stream was closed before its end", "cancelled")
        raise self._not_finished("the stream is not finished: await response() first", "unfinished")

    async def _step(self) -> ChatChunk | None:
        if not self._is_ours() and self._error is not None:
            raise self._error
        await self._turn.acquire()  # who is cancelled here has no say: another task reads
        try:
            if self._error is not None:
                raise self._error
            if self._over or self._closing:
                return None
            return self._take(await self._driver.advance(self._plan))
        except BaseException as error:
            closed = self._closing
            self._broke(error)
            if not (closed and isinstance(error, IndoxRouterError)):
                raise
            return None
        finally:
            self._turn.release()
            self._end_if_closing()

    def _end_if_closing(self) -> None:
        # What is left of a plan that is closed does not wait: see AsyncDriver.abandon.
        if self._closing and not self._over and not self._turn.locked():
            self._driver.abandon(self._plan, Closed())
            self._ended()
