"""One test text for both clients and both dialects.

`Client` here is a factory: it makes the kind of client that the fixture `client_kind` has chosen. An
`AsyncClient` runs on an event loop in a thread of its own, behind the plain methods of `Client`.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Coroutine, Iterator
from types import TracebackType
from typing import Any, NamedTuple, Self

import indoxrouter


class Kind(NamedTuple):
    """Which client, speaking what."""

    asynchronous: bool = False
    dialect: str = "indox"


KINDS = {
    "sync": Kind(),
    "async": Kind(asynchronous=True),
    "sync-openai": Kind(dialect="openai"),
    "async-openai": Kind(asynchronous=True, dialect="openai"),
}
chosen = [KINDS["sync"]]
"""The one in force: all threads of a test share it."""


class _Loop:
    """An event loop in a thread, in debug mode, for all tests."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result()
        except BaseException:  # interrupted here: so is the task there
            future.cancel()
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01), self.loop).result()
            raise

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="clients", daemon=True).start()
        return self._loop

    def close(self) -> None:
        if self._loop is not None:
            loop, self._loop = self._loop, None
            asyncio.run_coroutine_threadsafe(loop.shutdown_asyncgens(), loop).result(5)
            loop.call_soon_threadsafe(loop.stop)
            while loop.is_running():
                threading.Event().wait(0.01)
            loop.close()


LOOP = _Loop()


def Client(*args: Any, **settings: Any) -> Any:  # noqa: N802 - it stands where the class stands
    kind = chosen[0]
    if kind.dialect != "indox":
        settings = {"dialect": kind.dialect, "default_model": "openai/gpt-4o-mini", **settings}
    if kind.asynchronous:
        return Blocking(indoxrouter.AsyncClient(*args, **settings))
    return indoxrouter.Client(*args, **settings)


class Blocking:
    """An AsyncClient whose methods wait."""

    def __init__(self, client: indoxrouter.AsyncClient) -> None:
        self._client = client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._client).replace("AsyncClient", "Client")

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not inspect.iscoroutinefunction(found):
            return found

        def waiting(*args: Any, **params: Any) -> Any:
            answer = LOOP.run(found(*args, **params))
            return BlockingStream(answer) if isinstance(answer, indoxrouter.AsyncChatStream) else answer

        return waiting


class BlockingStream:
    """An AsyncChatStream that waits; dropped without closing, it is collected where its loop runs."""

    def __init__(self, stream: indoxrouter.AsyncChatStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return LOOP.run(self._next())
        except StopAsyncIteration:
            raise StopIteration from None

    async def _next(self) -> Any:
        return await anext(self._stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        kept = [self.__dict__.pop("_stream")]
        LOOP.loop.call_soon_threadsafe(kept.clear)

    def __repr__(self) -> str:
        return repr(self._stream).replace("AsyncChatStream", "ChatStream")

    def close(self) -> None:
        LOOP.run(self._stream.close())

    def response(self) -> Any:
        return LOOP.run(self._stream.response())

    @property
    def data(self) -> Any:
        return self.response().data

    @property
    def message(self) -> Any:
        return self.response().message

    @property
    def raw_response(self) -> Any:
        return self.response().raw_response

    @property
    def text(self) -> str:
        return self._stream.text

    @property
    def state(self) -> str:
        return self._stream.state

    @property
    def usage(self) -> Any:
        return self._stream.usage

    @property
    def cost(self) -> Any:
        return self._stream.cost

    @property
    def finish_reason(self) -> str | None:
        return self._stream.finish_reason

    @property
    def tool_calls(self) -> Any:
        return self._stream.tool_calls

    @property
    def request_id(self) -> str | None:
        return self._stream.request_id

    @property
    def attempts(self) -> Any:
        return self._stream.attempts
