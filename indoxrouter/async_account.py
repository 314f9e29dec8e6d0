"""The methods of `AsyncClient` that generate nothing; each is described at its twin in `account`."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, TypeVar

from indoxrouter.account import Planned, Price
from indoxrouter.account_calls import AccountCalls
from indoxrouter.account_records import AnalyticsEntry, ApiKey, Transaction
from indoxrouter.errors import public
from indoxrouter.records import CatalogueEntry, ModelInfo, ProviderEntry, UsageReport, UserInfo
from indoxrouter.usage_rows import UsageRows
from indoxrouter.wire import hosted_account
from indoxrouter.wire.catalogue import Wanted
from indoxrouter.wire.checks import Date

T = TypeVar("T")


class AsyncAccount(abc.ABC):
    """This part of `AsyncClient`."""

    _calls: AccountCalls

    @abc.abstractmethod
    async def _run(self, call: Planned[T]) -> T: ...

    @public
    async def providers(self, **options: Any) -> list[ProviderEntry]:
        return await self._run(self._calls.providers(options))

    @public
    async def models(
        self, provider: str | None = None, kind: str | None = None, **options: Any
    ) -> dict[str, list[CatalogueEntry]]:
        return await self._run(self._calls.models(provider, kind, options))

    @public
    async def find_models(
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
        wanted = Wanted.check(capability, max_input_price, max_output_price, min_context)
        return await self._run(self._calls.find_models(kind, provider, wanted, options))

    @public
    async def model_info(self, provider: str, model: str, **options: Any) -> ModelInfo:
        return await self._run(self._calls.model_info(provider, model, options))

    get_model_info = model_info

    @public
    async def trending_models(
        self, days: int | None = None, limit: int | None = None, **options: Any
    ) -> list[CatalogueEntry]:
        return await self._run(self._calls.trending_models(days, limit, options))

    @public
    async def get_usage(
        self, start_date: Date | None = None, end_date: Date | None = None, **options: Any
    ) -> UsageReport:
        return await self._run(self._calls.get_usage(start_date, end_date, options))

    @public
    async def usage_rows(
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
        filters = {"provider": provider, "model": model, "session_id": session_id, "endpoint": endpoint}
        return await self._run(self._calls.usage_rows(start, end, group_by, tz, filters, options))

    @public
    async def analytics_sessions(
        self, start: Date | None = None, end: Date | None = None, session_id: str | None = None, **options: Any
    ) -> list[AnalyticsEntry]:
        return await self._run(self._calls.analytics_sessions(start, end, session_id, options))

    @public
    async def analytics_models(
        self, start: Date | None = None, end: Date | None = None, provider: str | None = None, **options: Any
    ) -> list[AnalyticsEntry]:
        return await self._run(self._calls.analytics_models(start, end, provider, options))

    @public
    async def get_user_info(self, **options: Any) -> UserInfo:
        return await self._run(self._calls.get_user_info(options))

    @public
    async def transactions(self, limit: int | None = None, **options: Any) -> list[Transaction]:
        return await self._run(self._calls.transactions(limit, options))

    @public
    async def api_keys(self, **options: Any) -> list[ApiKey]:
        return await self._run(self._calls.api_keys(options))

    @public
    async def create_api_key(self, name: str, expiration_days: int | None = None, **options: Any) -> ApiKey:
        return await self._run(self._calls.create_api_key(name, expiration_days, options))

    @public
    async def revoke_api_key(self, key_id: int | str | ApiKey, **options: Any) -> None:
        await self._run(self._calls.change_api_key("revoke_api_key", hosted_account.revoke_api_key, key_id, options))

    @public
    async def enable_api_key(self, key_id: int | str | ApiKey, **options: Any) -> None:
        await self._run(self._calls.change_api_key("enable_api_key", hosted_account.enable_api_key, key_id, options))

    @public
    async def delete_api_key(self, key_id: int | str | ApiKey, **options: Any) -> None:
        await self._run(self._calls.change_api_key("delete_api_key", hosted_account.delete_api_key, key_id, options))
