"""The sandbox as a context manager: a server in a thread, on loopback alone."""

import asyncio
import contextlib
import datetime
import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from decimal import Decimal
from types import TracebackType
from typing import Any, TypeVar

import uvicorn

from indoxrouter.sandbox.app import App
from indoxrouter.sandbox.entries import PastUsage, Payment
from indoxrouter.sandbox.ledger import Ledger
from indoxrouter.sandbox.settings import OPENAI_PREFIX, Settings

HOST = "127.0.0.1"
_KEEP_ALIVE = 75  # seconds; longer than clients keep idle connections
_START_SECONDS = 10
_ORDER_SECONDS = 10
T = TypeVar("T")
_LOGGERS = ("uvicorn.error", "uvicorn.access", "asyncio", "python_multipart.multipart")


class Sandbox:
    """A local router: ``with Sandbox() as s:`` then ``Client(api_key=s.api_key, base_url=s.url)``.

    `openai_url` is for clients of OpenAI-compatible servers. The settings are the
    fields of `indoxrouter.sandbox.settings.Settings`.
    """

    def __init__(self, port: int = 0, **settings: Any) -> None:
        self._settings = Settings(**settings)
        self._port = port
        self._app: App | None = None
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def api_key(self) -> str:
        return str(self._settings.api_key)

    @property
    def port(self) -> int:
        """The port; after the first start it is kept for the next."""
        if not self._port:
            raise RuntimeError("the sandbox has no port before it is started")
        return self._port

    @property
    def origin(self) -> str:
        scheme = "http" if self._settings.certificate is None else "https"
        return f"{scheme}://{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """The base URL of the hosted API."""
        return self.origin + self._settings.prefixes[0]

    @property
    def openai_url(self) -> str:
        """The base URL of the OpenAI-compatible API; the same key is its bearer."""
        return self.origin + OPENAI_PREFIX

    def start(self) -> "Sandbox":
        """Returns when the server answers."""
        if self._thread is not None:
            return self
        listener = _listen(self._port)
        try:
            app = App(self._settings)
        except BaseException:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        self._app, self._server = app, _Server(app, self._settings)
        self._thread = threading.Thread(
            target=self._server.run_on, args=(listener,), name="indoxrouter-sandbox", daemon=True
        )
        self._thread.start()
        if not self._server.ready.wait(_START_SECONDS) or not self._server.started:
            self.close()
            raise RuntimeError("the sandbox did not start") from self._server.failure
        return self

    def close(self) -> None:
        """Ends every connection; answers that are being sent end unfinished."""
        thread, self._thread = self._thread, None
        if thread is None or self._server is None or self._app is None:
            return
        self._server.stop()
        thread.join()
        self._app.close()

    def fault(self, **order: Any) -> None:
        """Orders a fault: `path` (a pattern), `method`, `times`, `after`, and the fields of `Fault`."""
        self._running_app().orders.add(order)

    def clear_faults(self) -> None:
        self._running_app().orders.clear()

    def stats(self) -> dict[str, Any]:
        """What was counted since the start or the last reset."""
        return self._running_app().counters.report()

    def reset_stats(self) -> None:
        self._running_app().counters.reset()

    def add_credits(self, amount: Decimal | str | float, **facts: Any) -> dict[str, Any]:
        """Puts US dollars on the account, and gives the transaction; the facts are fields of `Payment`."""
        payment = Payment(amount=amount, **facts)
        return self._in_the_books(lambda ledger: ledger.add_credits(payment))

    def add_usage(self, date: datetime.date | str, **facts: Any) -> None:
        """Books usage of a day, past or not, and its cost; the facts are fields of `PastUsage`."""
        entry = PastUsage(date=date, **facts)
        self._in_the_books(lambda ledger: ledger.add_usage([entry]))

    def _in_the_books(self, write: Callable[[Ledger], T]) -> T:
        app = self._running_app()
        if self._server is None or self._thread is None:
            raise RuntimeError("the sandbox is not running")
        return self._server.call(lambda: write(app.ledger))

    def _running_app(self) -> App:
        if self._app is None:
            raise RuntimeError("the sandbox was not started")
        return self._app

    def __enter__(self) -> "Sandbox":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _listen(port: int) -> socket.socket:
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it an answer takes 40 ms
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"the sandbox cannot listen on {HOST}:{port}: {error.strerror}") from error
    except OverflowError:
        listener.close()
        raise ValueError(f"port must be from 0 to 65535, not {port}") from None
    return listener


class _Server(uvicorn.Server):
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
