"""What is not generated: models and their prices, usage, the account.

The dict subclasses have the router's documented keys as attributes, and go through `json.dumps`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from indoxrouter.generation import Answer


@dataclass(slots=True)
class ModelInfo(Answer):
    """One model of the catalogue. Prices are US dollars: of tokens for 1,000 and for 1,000,000, else of a unit."""

    id: str | None = None
    """provider/name, as `model=` takes it."""
    name: str | None = None
    provider: str | None = None
    type: str | None = None
    description: str | None = None
    input_price_per_1k: Decimal | None = None
    output_price_per_1k: Decimal | None = None
    input_price_per_1m: Decimal | None = None
    output_price_per_1m: Decimal | None = None
    unit_price: Decimal | None = None
    """For one `price_unit`: what is not, or not only, sold by tokens."""
    price_unit: str | None = None
    """As the catalogue's field names it: "image", "minute", "second", "1K characters" …"""
    context_window: int | None = None
    """In tokens."""
    max_output_tokens: int | None = None
    capabilities: list[str] = field(default_factory=list)
    """What the catalogue says it can do; empty where it says nothing."""
    raw: Any = field(default=None, repr=False)


class Record(dict[str, Any]):
    """A dict whose keys are attributes too; a documented key that is missing reads as None."""

    if not TYPE_CHECKING:  # to a type checker, the documented keys are all there are

        def __getattr__(self, name: str) -> Any:
            if name in self and not name.startswith("__"):
                return self[name]
            if name in type(self).__annotations__:
                return None
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *type(self).__annotations__, *self})


class UsageReport(Record):
    """Usage and billing of the account. Days are UTC."""

    total_requests: int | None
    total_cost: float | None
    remaining_credits: float | None
    total_tokens: dict[str, Any] | None
    endpoints: dict[str, Any] | None
    providers: dict[str, Any] | None
    models: dict[str, Any] | None
    daily_usage: list[dict[str, Any]] | None


class UserInfo(Record):
    """The account."""

    id: int | str | None
    username: str | None
    email: str | None
    first_name: str | None
    last_name: str | None
    is_active: bool | None
    credits: float | None
    app_credit: float | None
    account_tier: str | None
    created_at: str | None
    metadata: dict[str, Any] | None
    avatar_url: str | None


class CatalogueEntry(Record):
    """A model as the catalogue lists it, with the hosted router's own field names."""

    modelName: str | None  # noqa: N815 - the wire's name
    name: str | None
    type: str | None
    inputPricePer1KTokens: float | None  # noqa: N815 - the wire's name
    outputPricePer1KTokens: float | None  # noqa: N815 - the wire's name
    description: str | None
    contextWindows: str | None  # noqa: N815 - the wire's name
    output: str | None


class ProviderEntry(Record):
    """A provider and its models."""

    id: str | None
    name: str | None
    models: list[CatalogueEntry] | None
