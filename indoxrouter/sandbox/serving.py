"""The HTTP server that runs the application: uvicorn, on a socket of loopback."""

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import uvicorn

from indoxrouter.sandbox.app import App
from indoxrouter.sandbox.settings import Settings

HOST = "127.0.0.1"
_KEEP_ALIVE = 75  # seconds; longer than clients keep idle connections
_ORDER_SECONDS = 10
T = TypeVar("T")
_LOGGERS = ("uvicorn.error", "uvicorn.access", "asyncio", "python_multipart.multipart")


def listen(port: int) -> socket.socket:
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it an answer takes 40 ms
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"the sandbox cannot listen on {HOST}:{port}: {error.strerror}") from error
    return listener


class Server(uvicorn.Server):
    """uvicorn, quiet, and closed at once."""

    def __init__(self, app: App, settings: Settings) -> None:
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE,
            ssl_certfile=settings.certificate,
            ssl_keyfile=settings.private_key,
        )
        super().__init__(config)
        self.ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self.failure: BaseException | None = None

    def run_on(self, listener: socket.socket) -> None:
        quiet = _Quiet(threading.get_ident())
        loggers = [logging.getLogger(name) for name in _LOGGERS]
        for logger in loggers:
            logger.addFilter(quiet)
        try:
            asyncio.run(self.serve(sockets=[listener]))
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            self.failure = error
        finally:
            listener.close()
            self.ready.set()
            for logger in loggers:
                logger.removeFilter(quiet)

    def call(self, function: Callable[[], T]) -> T:
        """Calls it on the server's event loop, where the books are kept."""
        done: Future[T] = Future()

        def fulfil() -> None:
            try:
                done.set_result(function())
            except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
                done.set_exception(error)

        if self._loop is None:
            raise RuntimeError("the sandbox is not running")
        self._loop.call_soon_threadsafe(fulfil)
        return done.result(_ORDER_SECONDS)

    def stop(self) -> None:
        self.should_exit = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        """Wakes to be stopped, and once a second for the date header; uvicorn looks ten times a second."""
        while not await self.on_tick(counter=0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Does not wait for answers under way, as uvicorn would."""
        for server in self.servers:
            server.close()
        for sock in sockets or ():
            sock.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # the connections learn that they are lost
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Quiet(logging.Filter):
    """Drops what this server's thread logs about faults and closings; its own errors pass."""

    def __init__(self, thread: int) -> None:
        super().__init__()
        self._thread = thread

    def filter(self, record: logging.LogRecord) -> bool:
        if record.thread != self._thread:
            return True
        error = record.exc_info[1] if record.exc_info else None
        return error is not None and not isinstance(error, asyncio.CancelledError)
