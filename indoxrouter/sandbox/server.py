"""The sandbox as a context manager: a server in a thread, on loopback alone."""

import datetime
import threading
from collections.abc import Callable
from decimal import Decimal
from types import TracebackType
from typing import Any, TypeVar

from indoxrouter.sandbox import entries, faults
from indoxrouter.sandbox.app import App
from indoxrouter.sandbox.entries import PastUsage, Payment
from indoxrouter.sandbox.ledger import Ledger
from indoxrouter.sandbox.misnomers import complaint
from indoxrouter.sandbox.serving import HOST, Server, listen
from indoxrouter.sandbox.settings import NAMES, OPENAI_PREFIX, Settings, checked_port

_START_SECONDS = 10
T = TypeVar("T")


class Sandbox:
    """A local router: ``with Sandbox() as s:`` then ``Client(api_key=s.api_key, base_url=s.url)``.

    `openai_url` is for clients of OpenAI-compatible servers. ``python -m indoxrouter.sandbox --help`` lists the
    settings, as flags.
    """

    # what is wrong with an argument is raised where the caller gave it, not where it was found

    def __init__(self, port: int = 0, **settings: Any) -> None:
        problem = complaint("Sandbox()", "setting", settings, NAMES)
        if problem:
            raise TypeError(problem)
        try:
            self._port, self._settings = checked_port(port), Settings(**settings)
        except ValueError as error:
            raise ValueError(str(error)) from None
        self._app: App | None = None
        self._server: Server | None = None
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
        listener = listen(self._port)
        try:
            app = App(self._settings)
        except BaseException:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        self._app, self._server = app, Server(app, self._settings)
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
        """Orders a fault for requests to come.

        - Which: `path` below the base URL (a pattern, as in `videos/*`), `method`, `times` (how many requests; 1 if
          not given, None: all that come), `after` (how many pass before).
        - Another answer: `status`, `body` (text, or what is written as JSON), `headers`, `retry_after` (seconds).
        - The answer in trouble: `delay` (seconds before it); `cut` (bytes of its body, then the connection breaks);
          `hang` (seconds of silence) and `hang_after` (bytes before it); `drip` (bytes at a time) and `interval`
          (seconds between them).
        - A stream: `malformed` (events before a broken one) and `malformed_as` (json or utf-8); `error_event`
          (events before an error that ends it) and `error` (what that says).
        - `expire` (every access token expires before it), `charge` (whether the request is carried out and billed all
          the same), `job_error` (text: the video job that it starts fails with it).
        """
        problem = complaint("Sandbox.fault()", "field", order, faults.NAMES)
        if problem:
            raise TypeError(problem)
        try:
            self._running_app().orders.add(order)
        except ValueError as error:
            raise ValueError(str(error)) from None

    def clear_faults(self) -> None:
        self._running_app().orders.clear()

    def stats(self) -> dict[str, Any]:
        """What was counted since the start or the last reset."""
        return self._running_app().counters.report()

    def reset_stats(self) -> None:
        self._running_app().counters.reset()

    def add_credits(self, amount: Decimal | str | float, **facts: Any) -> dict[str, Any]:
        """Puts US dollars on the account, and gives the transaction.

        The facts are `description`, `payment_method` and `date`: today, or a day as for `add_usage`.
        """
        problem = complaint("Sandbox.add_credits()", "field", facts, entries.names(Payment))
        if problem:
            raise TypeError(problem)
        try:
            payment = Payment(amount=amount, **facts)
        except ValueError as error:
            raise ValueError(str(error)) from None
        return self._in_the_books(lambda ledger: ledger.add_credits(payment))

    def add_usage(self, date: datetime.date | str, **facts: Any) -> None:
        """Books usage of a day (YYYY-MM-DD, or a date), past or not, and its cost.

        The facts are `model`, `endpoint` and `provider` (else those of the model); `requests`, `input_tokens` and
        `output_tokens` (counts, of all the requests together); `cost` (US dollars of all of them; else what the
        tokens cost); `session_id` and `client_ip`.
        """
        problem = complaint("Sandbox.add_usage()", "field", facts, entries.names(PastUsage))
        if problem:
            raise TypeError(problem)
        try:
            entry = PastUsage(date=date, **facts)
        except ValueError as error:
            raise ValueError(str(error)) from None
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
