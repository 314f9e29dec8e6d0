"""What an account has besides its usage: API keys, payments, and lists of sessions and models."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from indoxrouter.generation import Answer
from indoxrouter.records import Record


@dataclass(slots=True)
class ApiKey(Answer):
    """An API key. Nothing but `secret` holds the key itself, and no text of this object shows it."""

    id: int | str | None = None
    name: str | None = None
    key: str | None = None
    """Masked: enough to tell keys apart."""
    is_active: bool | None = None
    created_at: str | None = None
    """ISO 8601, as are the other times."""
    expires_at: str | None = None
    last_used_at: str | None = None
    secret: str | None = field(default=None, repr=False)
    """The whole key, which the server shows once: when the key is created."""
    raw: Any = field(default=None, repr=False, compare=False)
    """What the server sent, with the key masked."""


@dataclass(slots=True)
class Transaction(Answer):
    """A payment or a charge."""

    id: int | str | None = None
    transaction_id: str | None = None
    amount: Decimal | None = None
    """Exactly as the server wrote it."""
    currency: str | None = None
    transaction_type: str | None = None
    status: str | None = None
    payment_method: str | None = None
    description: str | None = None
    created_at: str | None = None
    """ISO 8601."""
    raw: Any = field(default=None, repr=False, compare=False)


class AnalyticsEntry(Record):
    """A session, or a model, of the account's analytics, with the server's own field names."""

    session_id: str | None
    model: str | None
    provider: str | None
    endpoint: str | None
    requests: int | None
    input_tokens: int | None
    output_tokens: int | None
    total_tokens: int | None
    cost: float | None
    first_request_at: str | None
    last_request_at: str | None
