"""What each public method asks that generates nothing: the catalogue, usage, the account."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from indoxrouter import options
from indoxrouter.account_records import AnalyticsEntry, ApiKey, Transaction
from indoxrouter.config import Settings
from indoxrouter.core.plan import Call
from indoxrouter.core.series import Pages, Series
from indoxrouter.errors import ConfigurationError
from indoxrouter.options import CallOptions
from indoxrouter.records import CatalogueEntry, ModelInfo, ProviderEntry, UsageReport, UserInfo
from indoxrouter.usage_rows import UsageRow, UsageRows
from indoxrouter.wire import account, analytics, catalogue, hosted_account
from indoxrouter.wire.checks import Date, count
from indoxrouter.wire.decode import not_understood
from indoxrouter.wire.dialect import DIALECTS, Dialect
from indoxrouter.wire.messages import Request, Result

T = TypeVar("T")
PAGE = 100
"""Transactions asked for at once."""


class AccountCalls:
    """Builds the calls of a client with these settings; Calls adds those that generate."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._dialect: Dialect = DIALECTS[settings.dialect]

    def providers(self, params: dict[str, Any]) -> Call[list[ProviderEntry]]:
        return self._plain(self._dialect.providers(), catalogue.providers, params)

    def models(
        self, provider: str | None, kind: str | None, params: dict[str, Any]
    ) -> Call[dict[str, list[CatalogueEntry]]]:
        named = catalogue.kind(kind)
        read = partial(catalogue.models, provider=provider, kind=named)
        return self._plain(self._dialect.models(provider, named), read, params)

    def find_models(
        self, kind: str | None, provider: str | None, wanted: catalogue.Wanted, params: dict[str, Any]
    ) -> Call[list[ModelInfo]]:
        named = catalogue.kind(kind)
        read = partial(catalogue.find, provider=provider, kind=named, wanted=wanted)
        return self._plain(self._dialect.models(provider, named), read, params)

    def model_info(self, provider: str, model: str, params: dict[str, Any]) -> Call[ModelInfo]:
        if isinstance(model, str):
            model = model.removeprefix(f"{provider}/")  # as the catalogue writes it in `name`
        read = partial(catalogue.model_info, provider=provider, model=model)
        return self._plain(self._dialect.model_info(provider, model), read, params)

    def trending_models(
        self, days: int | None, limit: int | None, params: dict[str, Any]
    ) -> Call[list[CatalogueEntry]]:
        self.needs_router("trending_models")
        return self._plain(hosted_account.trending_models(days, limit), account.trending, params)

    def get_usage(self, start_date: Date | None, end_date: Date | None, params: dict[str, Any]) -> Call[UsageReport]:
        self.needs_router("get_usage")
        return self._plain(hosted_account.usage(start_date, end_date), catalogue.usage_report, params)

    def get_user_info(self, params: dict[str, Any]) -> Call[UserInfo]:
        self.needs_router("get_user_info")
        return self._plain(hosted_account.user_info(), catalogue.user_info, params)

    def usage_rows(
        self,
        start: Date | None,
        end: Date | None,
        group_by: str | Sequence[str],
        tz: Any,
        filters: dict[str, Any],
        params: dict[str, Any],
    ) -> Series[list[UsageRow], UsageRows]:
        """One request; for a date and another field, one for each day."""
        self.needs_router("usage_rows")
        chosen = self._options(params)
        asked = analytics.Asked.check(start, end, group_by, tz)
        calls = [
            Call(
                [hosted_account.analytics_usage(first, last, group_by=field, **filters)],
                chosen,
                partial(analytics.usage_rows, group_by=field, day=day, start=first, end=last),
            )
            for first, last, field, day in asked.requests()
        ]
        return Series(calls, asked.joined, chosen)

    def analytics_sessions(
        self, start: Date | None, end: Date | None, session_id: str | None, params: dict[str, Any]
    ) -> Call[list[AnalyticsEntry]]:
        self.needs_router("analytics_sessions")
        request = hosted_account.analytics_sessions(start, end, session_id)
        return self._plain(request, account.analytics_entries, params)

    def analytics_models(
        self, start: Date | None, end: Date | None, provider: str | None, params: dict[str, Any]
    ) -> Call[list[AnalyticsEntry]]:
        self.needs_router("analytics_models")
        request = hosted_account.analytics_models(start, end, provider)
        return self._plain(request, account.analytics_entries, params)

    def transactions(self, limit: int | None, params: dict[str, Any]) -> Pages[Transaction]:
        self.needs_router("transactions")
        chosen = self._options(params)
        size = min(PAGE, count("limit", limit, least=1) or PAGE)

        def page(offset: int) -> Call[tuple[list[Transaction], int | None]]:
            return Call([hosted_account.transactions(size, offset)], chosen, account.transactions_page)

        return Pages(page, _name_of, limit, chosen)

    def api_keys(self, params: dict[str, Any]) -> Call[list[ApiKey]]:
        self.needs_router("api_keys")
        return self._plain(hosted_account.api_keys(), account.api_keys, params)

    def create_api_key(self, name: str, expiration_days: int | None, params: dict[str, Any]) -> Call[ApiKey]:
        self.needs_router("create_api_key")
        return self._plain(hosted_account.create_api_key(name, expiration_days), account.api_key, params)

    def change_api_key(
        self,
        method: str,
        request: Callable[[int | str | ApiKey], Request],
        key_id: int | str | ApiKey,
        params: dict[str, Any],
    ) -> Call[None]:
        """Revoke, enable or delete: what counts is that the server says yes."""
        self.needs_router(method)
        active = {"revoke_api_key": False, "enable_api_key": True}.get(method)
        return self._plain(request(key_id), partial(_done, active=active), params)

    def needs_router(self, method: str) -> None:
        if self._settings.dialect != "indox":
            raise ConfigurationError(f"an OpenAI-compatible server has no {method}(): it needs the hosted router")

    def _plain(self, request: Request, read: Callable[[Result], T], params: dict[str, Any]) -> Call[T]:
        return Call([request], self._options(params), read)

    def _options(self, params: dict[str, Any]) -> CallOptions:
        chosen = options.split(params)
        options.refuse_unknown(params)
        return chosen


def _name_of(transaction: Transaction) -> object:
    """A refund may bear its payment's id; payments without any are told apart by nothing."""
    named = transaction.id is not None or transaction.transaction_id is not None
    return tuple(value for name, value in transaction.items() if name != "raw") if named else None


def _done(result: Result, active: bool | None) -> None:
    """An empty answer, or one in JSON that does not say otherwise; `active`: what the key now is."""
    body = result.body
    if body is False or (isinstance(body, dict) and active is not None and body.get("is_active") is (not active)):
        raise not_understood(result)
