"""The account's books in SQLite: every generation's bill, and the answers to replay.

Amounts are whole 1e-12 US dollars. All of it runs on the server's event loop; one transaction takes some
microseconds in memory and in a write-ahead log, so no thread is paid for.
"""

import os
import sqlite3
import time
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from os import PathLike
from typing import Any

from indoxrouter.sandbox.billing import Bill, dollars, pico

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS charges (
    id INTEGER PRIMARY KEY, request_id TEXT NOT NULL, at REAL NOT NULL, day TEXT NOT NULL,
    endpoint TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
    tokens_prompt INTEGER NOT NULL, tokens_completion INTEGER NOT NULL,
    units INTEGER NOT NULL, cost INTEGER NOT NULL, byok INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS replays (
    key TEXT PRIMARY KEY, fingerprint BLOB NOT NULL, request_id TEXT NOT NULL,
    media_type TEXT NOT NULL, body BLOB NOT NULL, complete INTEGER NOT NULL
);
"""


@dataclass(frozen=True)
class Remembered:
    """An answer that was carried out and charged; one that was cancelled is not complete."""

    key: str
    fingerprint: bytes
    request_id: str
    media_type: str
    body: bytes
    complete: bool  # SQLite's 0 or 1 when read back


class Ledger:
    """The books of one account."""

    def __init__(self, database: str | PathLike[str] | None, opening: Decimal) -> None:
        if database is not None:
            _make_private(database)
        path = ":memory:" if database is None else os.fspath(database)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._db.executescript(_SCHEMA)
        except sqlite3.Error:
            self._db.close()
            raise
        spent = self._db.execute("SELECT coalesce(sum(cost), 0) FROM charges").fetchone()[0]
        self._remaining = pico(opening) - spent

    @property
    def remaining(self) -> Decimal:
        return Decimal(self._remaining) / 10**12

    def settle(self, endpoint: str, request_id: str, bill: Bill, answer: Remembered | None) -> None:
        """Books a bill and remembers its answer, both or neither."""
        now = time.time()
        day = datetime.fromtimestamp(now, UTC).date().isoformat()
        row = (
            request_id,
            now,
            day,
            endpoint,
            bill.model.provider,
            bill.model.id,
            bill.tokens_prompt,
            bill.tokens_completion,
            bill.units,
            bill.cost,
            bill.byok,
        )
        with self._db:  # commits, or rolls back
            self._db.execute("BEGIN")
            self._db.execute("INSERT INTO charges VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            if answer is not None:
                self._db.execute("INSERT INTO replays VALUES (?, ?, ?, ?, ?, ?)", astuple(answer))
        self._remaining -= bill.cost

    def remembered(self, key: str) -> Remembered | None:
        row = self._db.execute("SELECT * FROM replays WHERE key = ?", (key,)).fetchone()
        return Remembered(*row) if row else None

    def usage(self, start: str | None, end: str | None) -> dict[str, Any]:
        """The usage report of the days from start to end, both included."""
        rows = self._db.execute(
            "SELECT endpoint, provider, model, day, count(*), sum(cost), sum(tokens_prompt),"
            " sum(tokens_completion) FROM charges WHERE day >= ? AND day <= ?"
            " GROUP BY endpoint, provider, model, day ORDER BY day",
            (start or "0000-00-00", end or "9999-99-99"),
        ).fetchall()
        total = _Sum()
        groups: list[dict[str, _Sum]] = [{}, {}, {}, {}]
        for *names, requests, cost, prompt, completion in rows:
            total.add(requests, cost, prompt, completion)
            for group, name in zip(groups, names, strict=True):
                group.setdefault(name, _Sum()).add(requests, cost, prompt, completion)
        endpoints, providers, models, days = groups
        return {
            "total_requests": total.requests,
            "total_cost": dollars(total.cost),
            "remaining_credits": float(self.remaining),
            "total_tokens": total.tokens(),
            "endpoints": {name: entry.report() for name, entry in endpoints.items()},
            "providers": {name: entry.report() for name, entry in providers.items()},
            "models": {name: entry.report() for name, entry in models.items()},
            "daily_usage": [{"date": day, **entry.report()} for day, entry in days.items()],
        }

    def close(self) -> None:
        self._db.close()


class _Sum:
    """Requests, cost and tokens, added up."""

    def __init__(self) -> None:
        self.requests = self.cost = self.prompt = self.completion = 0

    def add(self, requests: int, cost: int, prompt: int, completion: int) -> None:
        self.requests += requests
        self.cost += cost
        self.prompt += prompt
        self.completion += completion

    def tokens(self) -> dict[str, int]:
        return {"input": self.prompt, "output": self.completion, "total": self.prompt + self.completion}

    def report(self) -> dict[str, Any]:
        return {"requests": self.requests, "cost": dollars(self.cost), "tokens": self.tokens()}


def _make_private(database: str | PathLike[str]) -> None:
    # SQLite gives its log files the mode of the database, so that this covers them too
    os.close(os.open(database, os.O_RDWR | os.O_CREAT, 0o600))
    os.chmod(database, 0o600)
