"""Carrying out a paid request once: its idempotency key, its bill, and the answer to replay."""

from decimal import Decimal
from hashlib import blake2b
from typing import Any

from starlette.requests import Request

from indoxrouter.sandbox.billing import Bill, dollars, exact_dollars
from indoxrouter.sandbox.counters import Counters
from indoxrouter.sandbox.errors import RouterError, detail, named
from indoxrouter.sandbox.ledger import Caller, Ledger, Remembered
from indoxrouter.sandbox.tiers import Limits

REPLAYED = {"Idempotent-Replayed": "true"}


class Bookkeeper:
    """Settles generations with the ledger and knows which keys are running."""

    def __init__(self, ledger: Ledger, counters: Counters, limits: Limits) -> None:
        self.ledger = ledger
        self.counters = counters
        self.limits = limits
        self._running: dict[str, bytes] = {}
        self._promised = 0  # what everything under way will cost

    def open(self, request: Request, endpoint: str, raw: bytes, charged: bool) -> "Slot":
        """Takes the request's idempotency key, if it has one, until the slot is closed.

        `raw` is what a repeated request must send again.
        """
        key = request.headers.get("idempotency-key") or None
        fingerprint = blake2b(endpoint.encode() + b"\0" + raw, digest_size=16).digest()
        slot = Slot(self, endpoint, key, fingerprint, charged)
        if key is None:
            return slot
        running = self._running.get(key)
        remembered = self.ledger.remembered(key) if running is None else None
        known = remembered.fingerprint if remembered else running
        if known is not None and known != fingerprint:
            raise detail(422, "This Idempotency-Key was used with another request.")
        if running is not None:
            raise detail(409, "The request with this Idempotency-Key is still running.")
        if remembered is not None:
            self.counters.count("replays")
            slot.remembered = remembered
        else:
            self._running[key] = fingerprint
            slot.holds_key = True
        return slot

    def release(self, key: str) -> None:
        self._running.pop(key, None)

    @property
    def available(self) -> Decimal:
        """US dollars that are neither spent nor promised to what is under way."""
        return self.ledger.remaining - exact_dollars(self._promised)

    def check_credits(self, byok: Any) -> None:
        if not byok and self.available <= 0:
            raise self._refused("The account has no credits left")

    def promise(self, bill: Bill) -> None:
        """Keeps a bill's cost free.

        What is priced by units is known before it is made, so it has to be covered. Tokens are counted when they
        are written: for them the last credits are enough to begin.
        """
        available = self.available
        if bill.cost and (available <= 0 or (bill.units and exact_dollars(bill.cost) > available)):
            message = f"This costs {_written(exact_dollars(bill.cost))}, but {_written(available)} of credits is left"
            raise self._refused(message, required_credits=dollars(bill.cost))
        self._promised += bill.cost

    def take_back(self, cost: int) -> None:
        self._promised -= cost

    def _refused(self, message: str, **details: Any) -> RouterError:
        if self._promised:
            message += f" besides {_written(exact_dollars(self._promised))} for what is still running"
        left = float(max(self.available, Decimal(0)))
        return named(402, "InsufficientCreditsError", message + ".", remaining_credits=left, **details)


def _written(amount: Decimal) -> str:
    return f"${max(amount, Decimal(0)).normalize():f}"


class Slot:
    """One paid request under way; closing it lets go of its key.

    What it promised is kept free until it is settled or released.
    """

    def __init__(self, books: Bookkeeper, endpoint: str, key: str | None, fingerprint: bytes, charged: bool) -> None:
        self._books = books
        self._endpoint = endpoint
        self._key = key
        self._fingerprint = fingerprint
        self.charged = charged
        self.caller = Caller()
        self.remembered: Remembered | None = None
        self.holds_key = False
        self._answered = False
        self._promised = 0

    @property
    def keyed(self) -> bool:
        return self._key is not None

    def promise(self, bill: Bill) -> None:
        """Refuses what the credits don't cover; what is not charged need not be covered."""
        if self.charged:
            self._books.promise(bill)
            self._promised = bill.cost

    def release(self) -> None:
        promised, self._promised = self._promised, 0
        self._books.take_back(promised)

    def remember(self, request_id: str, media_type: str, body: bytes) -> None:
        """Remembers the answer alone, of a request that is settled when what it started is done."""
        if self.charged and self._key is not None:
            self._books.ledger.remember(Remembered(self._key, self._fingerprint, request_id, media_type, body, True))
        self._answered = True

    def settle(self, request_id: str, bill: Bill, media_type: str, body: bytes, complete: bool = True) -> None:
        """Charges the bill and remembers the answer, unless a fault says that nothing was carried out."""
        self.release()
        if not self.charged:
            return
        answer = None
        if self._key is not None and not self._answered:
            answer = Remembered(self._key, self._fingerprint, request_id, media_type, body, complete)
        self._books.ledger.settle(self._endpoint, request_id, bill, self.caller, answer)
        self._books.limits.spend(bill.tokens_prompt + bill.tokens_completion)
        if not bill.byok:
            self._books.counters.count("charges")

    def close(self) -> None:
        if self._key is not None and self.holds_key:
            self._books.release(self._key)
            self.holds_key = False
