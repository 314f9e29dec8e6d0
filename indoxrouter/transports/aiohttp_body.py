"""An upload in the form that aiohttp sends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any, NoReturn

import aiohttp

from indoxrouter.transports.uploads import Outgoing


class Body(aiohttp.Payload):
    """Reads in threads, and drops its connection at once where it is broken off.

    Closing a connection is not enough then: asyncio would first wait until a server that has stopped
    reading takes what is left in the buffer.
    """

    def __init__(self, outgoing: Outgoing, readers: Executor) -> None:
        super().__init__(outgoing)
        self._readers = readers
        self._size = outgoing.size
        self._outgoing = outgoing
        self._transport: asyncio.Transport | None = None

    @property
    def complete(self) -> bool:
        return self._outgoing.complete

    async def write(self, writer: Any) -> None:
        self._transport = writer.transport
        pieces = iter(self._outgoing)
        while piece := await self._read(pieces) if self._outgoing.waits else next(pieces, b""):
            await writer.write(piece)
            if self._outgoing.complete:  # else asking for more would hold the connection a little longer
                break

    async def _read(self, pieces: Iterator[bytes]) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._readers, next, pieces, b"")

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> NoReturn:
        del encoding, errors
        raise TypeError("an upload is not held in memory")

    def abort(self) -> None:
        if self._transport is not None:
            with contextlib.suppress(RuntimeError):  # its event loop may have ended, and the connection with it
                self._transport.abort()
        self.let_go()

    def let_go(self) -> None:
        """The connection is another's from here on."""
        self._transport = None
        self._outgoing.close()
