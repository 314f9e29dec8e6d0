"""What can be put into the books besides what generations cost: past usage, and payments."""

import datetime
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from indoxrouter.sandbox.billing import Bill, exact_dollars, pico
from indoxrouter.sandbox.catalogue import ENDPOINTS, Model, find
from indoxrouter.sandbox.misnomers import complaint

_MOST = 10**12  # of requests or tokens in one entry
_MOST_DOLLARS = 1_000_000
Amount = Decimal | str | float
T = TypeVar("T", "PastUsage", "Payment")


@dataclass(frozen=True, kw_only=True)
class PastUsage:
    """Requests of one day that are booked together.

    Without a cost, a model of the catalogue that is priced by tokens has its price; without an endpoint, they
    were sent where models of its kind are asked.
    """

    date: datetime.date | str
    model: str = "openai/gpt-4o-mini"
    endpoint: str | None = None
    provider: str | None = None
    requests: int = 1
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Amount | None = None
    session_id: str | None = None
    client_ip: str | None = None

    def __post_init__(self) -> None:
        _check_text("model", self.model)
        for name in ("endpoint", "provider", "session_id", "client_ip"):
            if getattr(self, name) is not None:
                _check_text(name, getattr(self, name))
        for name, least in (("requests", 1), ("input_tokens", 0), ("output_tokens", 0)):
            _check_count(name, getattr(self, name), least)
        _ = self.day, self.pico  # both refuse what they cannot read

    @property
    def day(self) -> str:
        return _day(self.date)

    @property
    def model_id(self) -> str:
        """The model as generations are booked: by its id, also if its bare name was given."""
        return self._known.id if self._known else self.model

    @property
    def path(self) -> str:
        return self.endpoint or ENDPOINTS[self._known.kind if self._known else "chat"]

    @property
    def company(self) -> str:
        return self.provider or self.model_id.partition("/")[0]

    @property
    def pico(self) -> int:
        return pico(_amount("cost", self._price() if self.cost is None else self.cost))

    @property
    def _known(self) -> Model | None:
        return find(self.model)

    def _price(self) -> Decimal:
        if self._known is None:
            raise ValueError(f"{self.model} has no price in the catalogue: give its cost")
        if self._known.unit:
            raise ValueError(f"{self.model} is not priced by tokens: give its cost")
        return exact_dollars(Bill(self._known, self.input_tokens, self.output_tokens).cost)


@dataclass(frozen=True, kw_only=True)
class Payment:
    """US dollars that are put on the account, today or on another day."""

    amount: Amount
    description: str = "Credits added"
    payment_method: str = "sandbox"
    date: datetime.date | str | None = None

    def __post_init__(self) -> None:
        if not self.dollars:
            raise ValueError("amount must be above 0")
        for name in ("description", "payment_method"):
            _check_text(name, getattr(self, name))
        _ = self.day  # refuses what is none

    @property
    def dollars(self) -> Decimal:
        return _amount("amount", self.amount)

    @property
    def day(self) -> str | None:
        return None if self.date is None else _day(self.date)


def from_fields(kind: type[T], order: Any) -> T:
    """An entry from the fields of a JSON object."""
    if not isinstance(order, Mapping):
        raise ValueError("an entry is an object")  # noqa: TRY004 - told to the caller as a bad value
    problem = complaint("an entry", "field", order, names(kind))
    missing = [field.name for field in fields(kind) if field.default is MISSING and field.name not in order]
    if problem or missing:
        raise ValueError(problem or f"an entry needs {' and '.join(missing)}")
    return kind(**order)


def names(kind: type[PastUsage] | type[Payment]) -> tuple[str, ...]:
    """What an entry of a kind can be told."""
    return tuple(field.name for field in fields(kind))


def _day(value: Any) -> str:
    if isinstance(value, datetime.date):
        return value.isoformat()[:10]  # of a datetime, its day
    try:
        if datetime.date.fromisoformat(value).isoformat() == value:
            return str(value)
    except (ValueError, TypeError):
        pass
    raise ValueError(f"date must be a date, or text like 2025-11-20, not {value!r}")


def _amount(name: str, value: Any) -> Decimal:
    """An amount that the books can hold: whole 1e-12 US dollars."""
    try:
        amount = Decimal("NaN") if isinstance(value, bool) else Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount <= _MOST_DOLLARS:
        raise ValueError(f"{name} must be an amount from 0 to {_MOST_DOLLARS}, not {value!r}")
    if exact_dollars(pico(amount)) != amount:
        raise ValueError(f"{name} must have at most 12 digits after the point, not {value!r}")
    return amount


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value or not writable(value):
        raise ValueError(f"{name} must be text, not {value!r}")


def writable(text: str) -> bool:
    """Whether SQLite takes a text: a lone surrogate has no bytes."""
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def _check_count(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _MOST:
        raise ValueError(f"{name} must be a whole number from {least}, not {value!r}")
