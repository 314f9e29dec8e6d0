"""Decoding of API keys, payments and the analytics lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from indoxrouter import money
from indoxrouter.account_records import AnalyticsEntry, ApiKey, Transaction
from indoxrouter.records import CatalogueEntry
from indoxrouter.wire import fields, lists
from indoxrouter.wire.decode import not_understood
from indoxrouter.wire.fields import text
from indoxrouter.wire.messages import Result

_SECRETS = ("api_key", "key", "secret", "secret_key", "token", "full_key", "plain_key", "plaintext_key")
"""Fields that may hold a key, whole or masked."""
_MASKS = ("*", "…", "...", "•", "●")
"""What servers put in place of what they hide."""
_QUOTED = 8
"""Shorter texts are not looked for in other fields: they could stand there by chance."""
_MOST = 20
"""How many keys are looked for in other fields."""


def api_keys(result: Result) -> list[ApiKey]:
    """The account's keys, masked here where the server did not."""
    return [_key(row, created=False) for row in lists.rows(result, "keys", "api_keys", "data", "results")]


def api_key(result: Result) -> ApiKey:
    """The key that was created: the one answer that holds it whole."""
    body = _unwrapped(result)
    inside = next((name for name in ("key", "data", "api_key") if isinstance(body.get(name), dict)), None)
    created = _key(body, inside, created=True)
    if created.key is None and created.id is None:
        raise not_understood(result)
    if created.secret is None:
        which = f"key {created.id}" if isinstance(created.id, int) else "key"
        raise lists.refused(result, f"the {which} was created, but not told whole: it exists, see `details`")
    return created


def transactions_page(result: Result) -> tuple[list[Transaction], int | None]:
    """One page, and how many there are on all pages.

    An amount that is there but is no number fails the whole page: as unknown, it would hide money.
    """
    rows = lists.rows(result, "transactions", "data", "results")
    count = _unwrapped(result).get("total_count")  # other counts may be of this page
    try:
        found = [_transaction(row) for row in rows]
    except ValueError:
        raise lists.refused(result, "a transaction's amount is no number") from None
    return found, count if type(count) is int and count >= len(found) else None


def analytics_entries(result: Result) -> list[AnalyticsEntry]:
    rows = lists.rows(result, "data", "results", "usage", "sessions", "models", most=None)
    return [AnalyticsEntry(row) for row in rows]


def trending(result: Result) -> list[CatalogueEntry]:
    """The models that are asked most, the first first; how often stands in each as the server names it."""
    return [CatalogueEntry(row) for row in lists.rows(result, "models", "data", "results", "trending")]


def masked(key: str) -> str:
    """A key that can be told from others but not used; one that is masked already stays as it is."""
    if not key or any(mask in key for mask in _MASKS):
        return key
    shown = (key[:4], key[-4:]) if len(key) >= 20 else ("", key[-4:]) if len(key) >= 12 else ("", "")
    return "…".join(shown)


def _key(row: dict[str, Any], inside: str | None = None, *, created: bool) -> ApiKey:
    """`inside`: the field with the key's own object, where the key itself may stand beside it."""
    given = [found for part in _parts(row, inside) for name in _SECRETS if (found := text(part.get(name)))]
    given = [key for key in given if key.strip()]
    whole = [key for key in given if masked(key) != key]
    inner, outer = _parts(_without_secrets(row), inside)
    shown = outer | {name: value for name, value in inner.items() if value is not None or name not in outer}
    active = (shown.get(name) for name in ("is_active", "active", "enabled"))
    identity = _identity(inner, "id", "key_id")
    return ApiKey(
        id=_identity(outer, "id", "key_id") if identity is None else identity,
        name=text(shown.get("name")),
        key=next((masked(key) for key in whole + given), None),
        is_active=next((flag for flag in active if isinstance(flag, bool)), None),
        created_at=_moment(shown.get("created_at")),
        expires_at=_moment(shown.get("expires_at")),
        last_used_at=_moment(shown.get("last_used_at")),
        secret=whole[0] if created and whole else None,
        raw=shown,
    )


def _parts(row: dict[str, Any], inside: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The object in that field, and what stands beside it."""
    if inside is None:
        return row, {}
    return row[inside], {name: value for name, value in row.items() if name != inside}


def _without_secrets(row: dict[str, Any]) -> dict[str, Any]:
    """A copy in which keys are masked, also where other fields quote them.

    Without recursion: no answer is nested too deep for it.
    """
    copy = row.copy()
    holders: list[dict[Any, Any] | list[Any]] = [copy]
    secrets: set[str] = set()
    for holder in holders:
        for place, item in _items(holder):
            if isinstance(item, dict | list):
                holder[place] = item.copy()
                holders.append(holder[place])
            elif place in _SECRETS and isinstance(item, str) and len(item) >= _QUOTED and len(secrets) < _MOST:
                secrets.add(item)
    longest_first = sorted(secrets, key=len, reverse=True)  # one may begin with another
    for holder in holders:
        for place, item in _items(holder):
            if isinstance(item, str):
                hidden = masked(item) if place in _SECRETS else item
                for secret in longest_first:
                    hidden = hidden.replace(secret, masked(secret))
                holder[place] = hidden
    return copy


def _items(holder: dict[Any, Any] | list[Any]) -> Iterable[tuple[Any, Any]]:
    return holder.items() if isinstance(holder, dict) else enumerate(holder)


def _transaction(row: Mapping[str, Any]) -> Transaction:
    return Transaction(
        id=_identity(row, "id"),
        transaction_id=text(row.get("transaction_id")),
        amount=money.exact(row.get("amount")),
        currency=text(row.get("currency")),
        transaction_type=text(row.get("transaction_type")) or text(row.get("type")),
        status=text(row.get("status")),
        payment_method=text(row.get("payment_method")),
        description=text(row.get("description")),
        created_at=_moment(row.get("created_at")),
        raw=row,
    )


def _unwrapped(result: Result) -> dict[str, Any]:
    """The answer itself, out of the seed era's envelope; what is no object is an empty one."""
    body = result.body if isinstance(result.body, dict) else {}
    return body["result"] if isinstance(body.get("result"), dict) else body


def _identity(row: Mapping[str, Any], *names: str) -> int | str | None:
    values = (row.get(name) for name in names)
    return next((value for value in values if type(value) is int or (isinstance(value, str) and value)), None)


def _moment(value: Any) -> str | None:
    """ISO 8601, also from seconds since 1970 that were read exactly."""
    return fields.moment(float(value) if isinstance(value, Decimal) and value.is_finite() else value)
