"""The account's books in SQLite: every generation's bill, and the answers to replay.

Amounts are whole 1e-12 US dollars. All of it runs on the server's event loop; one transaction takes some
microseconds in memory and in a write-ahead log, so no thread is paid for.
"""

import sqlite3
import time
from dataclasses import astuple, dataclass
from decimal import Decimal
from typing import Any

from indoxrouter.sandbox.billing import Bill, exact_dollars
from indoxrouter.sandbox.dates import day_of, time_on
from indoxrouter.sandbox.entries import PastUsage, Payment
from indoxrouter.sandbox.transactions import Transactions

_CHARGE = (
    "INSERT INTO charges (request_id, at, day, endpoint, provider, model, tokens_prompt, tokens_completion,"
    " units, cost, byok, requests, api_key, session_id, client_ip) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True)
class Remembered:
    """An answer that was carried out and charged; one that was cancelled is not complete."""

    key: str
    fingerprint: bytes
    request_id: str
    media_type: str
    body: bytes
    complete: bool  # SQLite's 0 or 1 when read back


@dataclass(frozen=True)
class Caller:
    """Who asked for a generation."""

    api_key: str | None = None  # masked
    session_id: str | None = None
    client_ip: str | None = None


class Ledger:
    """The books of one account: what was paid in, and what was charged."""

    def __init__(self, db: sqlite3.Connection, opening: Decimal) -> None:
        self._db = db
        self.transactions = Transactions(db, opening)
        halves = db.execute("SELECT coalesce(sum(cost / 1000000), 0), coalesce(sum(cost % 1000000), 0) FROM charges")
        high, low = halves.fetchone()
        self._spent: int = high * 1_000_000 + low

    @property
    def remaining(self) -> Decimal:
        return self.transactions.total - exact_dollars(self._spent)

    def settle(self, endpoint: str, request_id: str, bill: Bill, caller: Caller, answer: Remembered | None) -> None:
        """Books a bill and remembers its answer, both or neither."""
        now, model = time.time(), bill.model
        tokens = (bill.tokens_prompt, bill.tokens_completion, bill.units)
        row = (request_id, now, day_of(now), endpoint, model.provider, model.id, *tokens, bill.cost, bill.byok, 1)
        with self._db:  # commits, or rolls back
            self._db.execute("BEGIN")
            self._db.execute(_CHARGE, (*row, caller.api_key, caller.session_id, caller.client_ip))
            if answer is not None:
                self._db.execute("INSERT INTO replays VALUES (?, ?, ?, ?, ?, ?)", astuple(answer))
        self._spent += bill.cost

    def remember(self, answer: Remembered) -> None:
        """Remembers an answer whose bill comes later, if at all."""
        self._db.execute("INSERT INTO replays VALUES (?, ?, ?, ?, ?, ?)", astuple(answer))

    def remembered(self, key: str) -> Remembered | None:
        row = self._db.execute("SELECT * FROM replays WHERE key = ?", (key,)).fetchone()
        return Remembered(*row) if row else None

    def add_usage(self, entries: list[PastUsage]) -> None:
        """Books what is said to have been used; it is paid from the same credits."""
        with self._db:
            self._db.execute("BEGIN")
            for entry in entries:
                head = ("past", time_on(entry.day), entry.day, entry.path, entry.company, entry.model_id)
                numbers = (entry.input_tokens, entry.output_tokens, 0, entry.pico, False, entry.requests)
                self._db.execute(_CHARGE, (*head, *numbers, None, entry.session_id, entry.client_ip))
        self._spent += sum(entry.pico for entry in entries)

    def add_credits(self, payment: Payment) -> dict[str, Any]:
        """The new transaction."""
        return self.transactions.add(payment)
