"""Every way to leave a stream before its end. Each returns what it has read of it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from typing import Any

from indoxrouter import DeadlineExceededError

from .cells import settled

Way = Callable[[Callable[..., Any]], Coroutine[Any, Any, str]]
"""Of a stream that the callable opens; it takes options of the call."""


class LeftError(Exception):
    """What a caller's own code raises within a with-block."""


async def _read(stream: Any, count: int = 2) -> str:
    text = ""
    if hasattr(stream, "__aiter__"):
        async for chunk in stream:
            text, count = text + chunk.data, count - 1
            if not count:
                break
    else:
        for chunk in stream:
            text, count = text + chunk.data, count - 1
            if not count:
                break
    return text


async def by_close(opened: Callable[..., Any]) -> str:
    stream = await settled(opened())
    text = await _read(stream)
    await settled(stream.close())
    await settled(stream.close())
    return text


async def by_break(opened: Callable[..., Any]) -> str:
    """The last reference goes with this frame."""
    return await _read(await settled(opened()))


async def by_exception(opened: Callable[..., Any]) -> str:
    text = ""
    stream = await settled(opened())
    with contextlib.suppress(LeftError):
        if hasattr(stream, "__aenter__"):
            async with stream:
                text = await _read(stream, 1)
                raise LeftError
        else:
            with stream:
                text = await _read(stream, 1)
                raise LeftError
    return text


async def unread(opened: Callable[..., Any]) -> str:
    await settled(opened())
    return ""


async def by_the_collector(opened: Callable[..., Any]) -> str:
    """Part of a cycle: only the garbage collector finds it, at any moment and in any thread."""
    held: list[Any] = [await settled(opened())]
    held.append(held)
    return await _read(held[0], 1)


async def in_a_generator(opened: Callable[..., Any]) -> str:
    stream = await settled(opened())
    if hasattr(stream, "__aiter__"):

        async def later() -> AsyncIterator[Any]:
            async for chunk in stream:
                yield chunk

        return str((await anext(later())).data)

    def now() -> Iterator[Any]:
        yield from stream

    return str(next(now()).data)


async def from_elsewhere(opened: Callable[..., Any]) -> str:
    """Another thread closes it, or its task is cancelled, while it is read."""
    stream = await settled(opened())
    if hasattr(stream, "__aiter__"):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_read(stream, -1), 0.03)
    else:
        other = threading.Timer(0.03, stream.close)
        other.start()
        await _read(stream, -1)
        other.join()
    return str(stream.text)


async def by_deadline(opened: Callable[..., Any]) -> str:
    stream = None
    with contextlib.suppress(DeadlineExceededError):
        stream = await settled(opened(deadline=0.15))
        await _read(stream, -1)
    return "" if stream is None else str(stream.text)


WAYS: Mapping[str, Way] = {
    "close": by_close,
    "break": by_break,
    "exception": by_exception,
    "unread": unread,
    "collector": by_the_collector,
    "generator": in_a_generator,
    "elsewhere": from_elsewhere,
    "deadline": by_deadline,
}
