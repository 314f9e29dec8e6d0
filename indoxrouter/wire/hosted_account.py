"""The hosted router's catalogue and account: what is read and managed there, each call as a `Request`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from indoxrouter.account_records import ApiKey
from indoxrouter.errors import ValidationError
from indoxrouter.wire.checks import Date, check_days, count, path_part
from indoxrouter.wire.messages import Request


def models(provider: str | None = None, kind: str | None = None) -> Request:
    """`kind` is the server's own name of one; without a provider, the server lists all kinds."""
    if provider is None:
        return Request("catalogue", "GET", ("models/", "models"))
    part = path_part("provider", provider)
    older = "models?" + urlencode({"provider": provider})
    first = f"models/{part}" if kind is None else f"models/{part}/{kind}"
    return Request("catalogue", "GET", (first, older), names="provider")


def providers() -> Request:
    return Request("catalogue", "GET", ("models/", "providers"))


def model_info(provider: str, model: str) -> Request:
    path = f"models/{path_part('provider', provider)}/{path_part('model', model)}"
    return Request("catalogue", "GET", (path,), names="model")


def trending_models(days: int | None, limit: int | None) -> Request:
    query = {"days": count("days", days, least=1), "limit": count("limit", limit, least=1)}
    return Request("catalogue", "GET", (_with("models/trending", query),))


def usage(start_date: Date | None, end_date: Date | None) -> Request:
    days = check_days(start_date, end_date, ("start_date", "end_date"))
    return Request("account", "GET", (_with("user/usage", days), _with("usage", days)))


def user_info() -> Request:
    return Request("account", "GET", ("user/me",))


def transactions(limit: int, offset: int) -> Request:
    return Request("account", "GET", (_with("user/transactions", {"limit": limit, "offset": offset}),), exact=True)


def api_keys() -> Request:
    return Request("account", "GET", ("user/api-keys",))


def create_api_key(name: str, expiration_days: int | None) -> Request:
    if not isinstance(name, str) or not name.strip():
        raise ValidationError("name must be a non-empty string")
    days = count("expiration_days", expiration_days, least=1)
    body = {"name": name} if days is None else {"name": name, "expiration_time": days}
    return Request("account", "POST", ("user/api-keys",), body)


def revoke_api_key(key_id: int | str | ApiKey) -> Request:
    return Request("account", "POST", (f"{_key(key_id)}/revoke",), content=True)


def enable_api_key(key_id: int | str | ApiKey) -> Request:
    return Request("account", "POST", (f"{_key(key_id)}/enable",), content=True)


def delete_api_key(key_id: int | str | ApiKey) -> Request:
    return Request("account", "DELETE", (_key(key_id),), content=True)


def analytics_usage(start: Date | None, end: Date | None, **filters: Any) -> Request:
    """Rows by one field, `group_by`; the other filters are the server's own."""
    return Request("account", "GET", (_with("analytics/usage", {**check_days(start, end), **filters}),), exact=True)


def analytics_sessions(start: Date | None, end: Date | None, session_id: str | None) -> Request:
    query = {**check_days(start, end), "session_id": session_id}
    return Request("account", "GET", (_with("analytics/sessions", query),))


def analytics_models(start: Date | None, end: Date | None, provider: str | None) -> Request:
    query = {**check_days(start, end), "provider": provider}
    return Request("account", "GET", (_with("analytics/models", query),))


def _key(key_id: int | str | ApiKey) -> str:
    if isinstance(key_id, str) and (_KEY.match(key_id) or len(key_id) > 64):
        raise ValidationError("key_id looks like an API key itself: pass its id, or the ApiKey")
    key_id = key_id.id if isinstance(key_id, ApiKey) and key_id.id is not None else key_id
    whole = isinstance(key_id, int) and not isinstance(key_id, bool)
    return f"user/api-keys/{path_part('key_id', str(key_id) if whole else key_id)}"


_KEY = re.compile(r"(?:sk|pk|rk|indox\w*|sandbox)[-_]", re.IGNORECASE)


def _with(path: str, query: Mapping[str, Any]) -> str:
    """The path and what of the query is set. A flag is written as the server's JSON would."""
    given = {name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items()}
    written = urlencode({name: value for name, value in given.items() if value is not None})
    return f"{path}?{written}" if written else path
