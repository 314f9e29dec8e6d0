"""Streamed answers of the OpenAI style: `Stream`, and its twin for asyncio."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from indoxrouter.core.assembly import State
from indoxrouter.errors import public
from indoxrouter.openai_asks import AnswerT, Ask, ChunkT
from indoxrouter.openai_types import Page, PartT
from indoxrouter.streams import AsyncChatStream, ChatStream


class Stream(Iterator[ChunkT], Generic[ChunkT, AnswerT]):
    """A streamed answer: iterate over its chunks, or read the finished `response()`, or both.

    Each chunk has a choice, except for the last one if `stream_options` asked for the usage. A
    with-block or `close()` drops the rest.
    """

    def __init__(self, held: ChatStream, ask: Ask[ChunkT, AnswerT]) -> None:
        self._held = held
        self._chunks = ask.chunks
        self._finish = ask.finish

    def __next__(self) -> ChunkT:
        for chunk in self._held:
            if (shaped := self._chunks.shaped(chunk, self._held)) is not None:
                return shaped
        if (last := self._chunks.usage(self._held)) is not None:
            return last
        raise StopIteration

    async def __aiter__(self) -> AsyncIterator[ChunkT]:
        while (chunk := await asyncio.to_thread(next, self, None)) is not None:
            yield chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def state(self) -> State:
        """open, complete, truncated, failed or cancelled, as on a `ChatStream`."""
        return self._held.state

    @property
    def request_id(self) -> str | None:
        return self._held.request_id

    @public
    def response(self) -> AnswerT:
        """The finished answer; reads to the end."""
        return self._finish(self._held.response())

    def close(self) -> None:
        self._held.close()


class AsyncStream(AsyncIterator[ChunkT], Generic[ChunkT, AnswerT]):
    """`Stream` for asyncio: `async for`, `async with`, `await s.response()`, `await s.close()`."""

    def __init__(self, held: AsyncChatStream, ask: Ask[ChunkT, AnswerT]) -> None:
        self._held = held
        self._chunks = ask.chunks
        self._finish = ask.finish

    async def __anext__(self) -> ChunkT:
        async for chunk in self._held:
            if (shaped := self._chunks.shaped(chunk, self._held)) is not None:
                return shaped
        if (last := self._chunks.usage(self._held)) is not None:
            return last
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def state(self) -> State:
        return self._held.state

    @property
    def request_id(self) -> str | None:
        return self._held.request_id

    @public
    async def response(self) -> AnswerT:
        return self._finish(await self._held.response())

    async def close(self) -> None:
        await self._held.close()


class AsyncPage(Awaitable[Page[PartT]], AsyncIterable[PartT]):
    """A list from the server that is still to be asked for: await it, or iterate with `async for`."""

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, Page[PartT]]]) -> None:
        self._ask = ask

    def __await__(self) -> Generator[Any, Any, Page[PartT]]:
        return self._ask().__await__()

    async def __aiter__(self) -> AsyncIterator[PartT]:
        for entry in await self:
            yield entry


T = TypeVar("T")


def threaded(method: Callable[..., T]) -> Callable[..., Coroutine[Any, Any, T]]:
    """The method in a thread, awaited: `acreate` on a client that is not for asyncio.

    Cancelling it stops the waiting, not the call: `AsyncOpenAI` does both.
    """

    @public
    @functools.wraps(method)
    async def awaited(self: Any, /, *args: Any, **kwargs: Any) -> T:
        return await asyncio.to_thread(method, self, *args, **kwargs)

    return awaited
