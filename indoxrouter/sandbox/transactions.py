"""Payments into the account: its opening credit and what was added later."""

import secrets
import sqlite3
import time
from decimal import Decimal
from typing import Any

from indoxrouter.sandbox.dates import moment, time_on
from indoxrouter.sandbox.entries import Payment

_OPENING = 1


class Transactions:
    """The account's payments; amounts are decimal text, so that any number of digits is kept."""

    def __init__(self, db: sqlite3.Connection, opening: Decimal) -> None:
        self._db = db
        known = db.execute("SELECT 1 FROM transactions WHERE id = ?", (_OPENING,)).fetchone()
        if known is None:
            self._book(opening, "credit", "sandbox", "Opening credit", time.time())
        else:  # the setting counts, not what it was at an earlier start
            db.execute("UPDATE transactions SET amount = ? WHERE id = ?", (str(opening), _OPENING))
        self.total = sum((Decimal(row[0]) for row in db.execute("SELECT amount FROM transactions")), Decimal(0))

    def add(self, payment: Payment) -> dict[str, Any]:
        """The new transaction."""
        method, at = payment.payment_method, time_on(payment.day)
        number = self._book(payment.dollars, "top_up", method, payment.description, at)
        self.total += payment.dollars
        return _row(self._db.execute("SELECT * FROM transactions WHERE id = ?", (number,)).fetchone())

    def page(self, limit: int, offset: int) -> dict[str, Any]:
        """Transactions, newest first."""
        rows = self._db.execute(
            "SELECT * FROM transactions ORDER BY at DESC, id DESC LIMIT ? OFFSET ?", (limit, offset)
        )
        count = self._db.execute("SELECT count(*) FROM transactions").fetchone()[0]
        return {"transactions": [_row(row) for row in rows], "total_count": count}

    def _book(self, amount: Decimal, kind: str, method: str, description: str, at: float) -> int | None:
        row = ("txn_" + secrets.token_hex(12), str(amount), kind, method, description, at)
        return self._db.execute("INSERT INTO transactions VALUES (NULL, ?, ?, ?, ?, ?, ?)", row).lastrowid


def _row(row: tuple[Any, ...]) -> dict[str, Any]:
    number, transaction, amount, kind, method, description, at = row
    return {
        "id": number,
        "transaction_id": transaction,
        "amount": Decimal(amount),
        "currency": "USD",
        "transaction_type": kind,
        "status": "completed",
        "payment_method": method,
        "description": description,
        "created_at": moment(at),
    }
