"""What each public method asks that generates nothing: the catalogue, usage, the account."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from indoxrouter import options
from indoxrouter.config import Settings
from indoxrouter.core.plan import Call
from indoxrouter.errors import ConfigurationError
from indoxrouter.options import CallOptions
from indoxrouter.records import CatalogueEntry, ModelInfo, ProviderEntry, UsageReport, UserInfo
from indoxrouter.wire import catalogue, hosted_account
from indoxrouter.wire.checks import Date
from indoxrouter.wire.dialect import DIALECTS, Dialect
from indoxrouter.wire.messages import Request, Result

T = TypeVar("T")


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

    def get_usage(self, start_date: Date | None, end_date: Date | None, params: dict[str, Any]) -> Call[UsageReport]:
        self.needs_router("get_usage")
        return self._plain(hosted_account.usage(start_date, end_date), catalogue.usage_report, params)

    def get_user_info(self, params: dict[str, Any]) -> Call[UserInfo]:
        self.needs_router("get_user_info")
        return self._plain(hosted_account.user_info(), catalogue.user_info, params)

    def needs_router(self, method: str) -> None:
        if self._settings.dialect != "indox":
            raise ConfigurationError(f"an OpenAI-compatible server has no {method}(): it needs the hosted router")

    def _plain(self, request: Request, read: Callable[[Result], T], params: dict[str, Any]) -> Call[T]:
        return Call([request], self._options(params), read)

    def _options(self, params: dict[str, Any]) -> CallOptions:
        chosen = options.split(params)
        options.refuse_unknown(params)
        return chosen
