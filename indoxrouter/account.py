"""The methods of both clients that generate nothing: the catalogue, usage and billing, the account."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from indoxrouter.account_calls import AccountCalls
from indoxrouter.account_records import AnalyticsEntry, ApiKey, Transaction
from indoxrouter.core.policy import Clock
from indoxrouter.core.shared import Shared
from indoxrouter.core.steps import Plan
from indoxrouter.errors import public
from indoxrouter.records import CatalogueEntry, ModelInfo, ProviderEntry, UsageReport, UserInfo
from indoxrouter.usage_rows import UsageRows
from indoxrouter.wire import hosted_account
from indoxrouter.wire.catalogue import Wanted
from indoxrouter.wire.checks import Date

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
Price = Decimal | float | str


class Planned(Protocol[T_co]):
    """Anything that a client can carry out."""

    def plan(self, shared: Shared, clock: Clock) -> Plan[T_co]: ...


class Account(abc.ABC):
    """This part of `Client`."""

    _calls: AccountCalls

    @abc.abstractmethod
    def _run(self, call: Planned[T]) -> T: ...

    @public
    def providers(self, **options: Any) -> list[ProviderEntry]:
        """The providers, each with its models."""
        return self._run(self._calls.providers(options))

    @public
    def models(
        self, provider: str | None = None, kind: str | None = None, **options: Any
    ) -> dict[str, list[CatalogueEntry]]:
        """Provider → its models with their prices; with `provider` or `kind`, only those.

        `kind`: text_completions, embeddings, image_generation, text_to_speech, speech_to_text or
        video_generation; also chat, image, speech, transcription, video.
        """
        return self._run(self._calls.models(provider, kind, options))

    @public
    def find_models(
        self,
        kind: str | None = None,
        *,
        provider: str | None = None,
        capability: str | None = None,
        max_input_price: Price | None = None,
        max_output_price: Price | None = None,
        min_context: int | None = None,
        **options: Any,
    ) -> list[ModelInfo]:
        """The models that meet every wish, the cheapest first.

        Prices are US dollars for 1,000,000 tokens, `min_context` is in tokens. A model of which the
        catalogue does not say what is asked for is not found. `model.id` is what `model=` takes.
        What is sold by the image, minute or second (`unit_price`, `price_unit`) comes after what is
        sold by tokens, and what has no price comes last.
        """
        wanted = Wanted.check(capability, max_input_price, max_output_price, min_context)
        return self._run(self._calls.find_models(kind, provider, wanted, options))

    @public
    def model_info(self, provider: str, model: str, **options: Any) -> ModelInfo:
        """One model's prices and limits."""
        return self._run(self._calls.model_info(provider, model, options))

    get_model_info = model_info

    @public
    def trending_models(
        self, days: int | None = None, limit: int | None = None, **options: Any
    ) -> list[CatalogueEntry]:
        """The models that were asked most in the last `days`."""
        return self._run(self._calls.trending_models(days, limit, options))

    @public
    def get_usage(self, start_date: Date | None = None, end_date: Date | None = None, **options: Any) -> UsageReport:
        """Requests, tokens and cost, by endpoint, provider, model and UTC day, both dates included."""
        return self._run(self._calls.get_usage(start_date, end_date, options))

    @public
    def usage_rows(
        self,
        start: Date | None = None,
        end: Date | None = None,
        group_by: str | Sequence[str] = "date",
        *,
        provider: str | None = None,
        model: str | None = None,
        session_id: str | None = None,
        endpoint: str | None = None,
        tz: Any = "UTC",
        **options: Any,
    ) -> UsageRows:
        """Usage from `start` to `end`, both included, in rows whose costs are exact Decimals.

        `start`, `end` unset: from the beginning, until now. `model`, `endpoint` … are filters, in the
        server's own words: "openai/gpt-4o", "chat/completions".

        `group_by`: date, model, provider, endpoint, session_id or client_ip; or a pair of "date" and
        another of them, for which the server is asked once for each day. Days are UTC: the server
        has no others, so another `tz` is refused.
        """
        filters = {"provider": provider, "model": model, "session_id": session_id, "endpoint": endpoint}
        return self._run(self._calls.usage_rows(start, end, group_by, tz, filters, options))

    @public
    def analytics_sessions(
        self, start: Date | None = None, end: Date | None = None, session_id: str | None = None, **options: Any
    ) -> list[AnalyticsEntry]:
        """Usage by session, as the server reports it."""
        return self._run(self._calls.analytics_sessions(start, end, session_id, options))

    @public
    def analytics_models(
        self, start: Date | None = None, end: Date | None = None, provider: str | None = None, **options: Any
    ) -> list[AnalyticsEntry]:
        """Usage by model, as the server reports it."""
        return self._run(self._calls.analytics_models(start, end, provider, options))

    @public
    def get_user_info(self, **options: Any) -> UserInfo:
        """The account: its credits, tier and address."""
        return self._run(self._calls.get_user_info(options))

    @public
    def transactions(self, limit: int | None = None, **options: Any) -> list[Transaction]:
        """The payments of the account, the newest first as the server lists them; from all its pages.

        `limit`: how many at most.
        """
        return self._run(self._calls.transactions(limit, options))

    @public
    def api_keys(self, **options: Any) -> list[ApiKey]:
        """The keys of the account, without their secrets."""
        return self._run(self._calls.api_keys(options))

    @public
    def create_api_key(self, name: str, expiration_days: int | None = None, **options: Any) -> ApiKey:
        """A new key: the answer's `secret` is the only time that it is told whole."""
        return self._run(self._calls.create_api_key(name, expiration_days, options))

    @public
    def revoke_api_key(self, key_id: int | str | ApiKey, **options: Any) -> None:
        """Switch a key off; `enable_api_key` switches it on again."""
        self._run(self._calls.change_api_key("revoke_api_key", hosted_account.revoke_api_key, key_id, options))

    @public
    def enable_api_key(self, key_id: int | str | ApiKey, **options: Any) -> None:
        """Switch a revoked key on again."""
        self._run(self._calls.change_api_key("enable_api_key", hosted_account.enable_api_key, key_id, options))

    @public
    def delete_api_key(self, key_id: int | str | ApiKey, **options: Any) -> None:
        """Delete a key for good."""
        self._run(self._calls.change_api_key("delete_api_key", hosted_account.delete_api_key, key_id, options))
