"""Decoding of what is not a generation: the catalogue, usage and the account."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from indoxrouter.errors import ProviderNotFoundError
from indoxrouter.records import CatalogueEntry, ModelInfo, ProviderEntry, UsageReport, UserInfo
from indoxrouter.wire.decode import not_understood
from indoxrouter.wire.fields import mapping, number, objects, text
from indoxrouter.wire.messages import Result, request_id_in


def models(result: Result, provider: str | None = None) -> dict[str, list[CatalogueEntry]]:
    """Provider → its models, from any of the catalogue's shapes; `provider`: only that one's."""
    found: dict[str, list[CatalogueEntry]] = {}
    for entry in _providers(result, provider):
        found.setdefault(str(entry["id"]), []).extend(entry["models"])
    if provider is None:
        return found
    if provider not in found:
        raise ProviderNotFoundError(
            f"the catalogue has no provider {provider!r}; it has {', '.join(sorted(found)) or 'none'}"[:300],
            status_code=404,
            code="provider_not_found",
            outcome="done",
            client_request_id=result.client_request_id,
            request_id=request_id_in(result.headers) or result.client_request_id,
            attempts=result.attempts,
        )
    return {provider: found[provider]}


def providers(result: Result) -> list[ProviderEntry]:
    return list(_providers(result, None))


def model_info(result: Result, provider: str, model: str) -> ModelInfo:
    body = _inner(result)
    facts = mapping(body.get("model") if isinstance(body.get("model"), dict) else body)
    if not facts:
        raise not_understood(result)
    prices = mapping(facts.get("pricing"))
    per_million = prices.get("unit") in ("1M", "per_1m_tokens", "1M tokens")
    capabilities = facts.get("capabilities")
    return ModelInfo(
        name=text(facts.get("modelName")) or text(facts.get("name")) or text(facts.get("id")) or model,
        provider=text(facts.get("provider")) or provider,
        type=text(facts.get("type")),
        description=text(facts.get("description")),
        input_price_per_1k=_price(facts.get("inputPricePer1KTokens"), prices.get("prompt"), per_million),
        output_price_per_1k=_price(facts.get("outputPricePer1KTokens"), prices.get("completion"), per_million),
        context_window=_tokens(facts.get("contextWindows", facts.get("context_length"))),
        max_output_tokens=_tokens(facts.get("output", facts.get("max_output_tokens"))),
        capabilities=[str(item) for item in capabilities] if isinstance(capabilities, list) else None,
        raw=result.body,
    )


def usage_report(result: Result) -> UsageReport:
    """The report under its current names; an older form's `by_provider`, `by_model` are renamed."""
    body = _inner(result)
    report = UsageReport(body)
    for old, name in (("by_provider", "providers"), ("by_model", "models"), ("by_endpoint", "endpoints")):
        if report.get(name) is None and old in report:
            report[name] = report[old]
    if (total := number(report.get("total_tokens"))) is not None:
        report["total_tokens"] = {"input": None, "output": None, "total": total}
    return report


def user_info(result: Result) -> UserInfo:
    return UserInfo(_inner(result))


def _inner(result: Result) -> Mapping[str, Any]:
    body = result.body
    inner = body.get("result", body) if isinstance(body, dict) else None
    if not isinstance(inner, dict):
        raise not_understood(result)
    return inner


def _providers(result: Result, provider: str | None) -> Iterator[ProviderEntry]:
    body = result.body
    if isinstance(body, dict) and "result" in body:
        body = body["result"]
    if isinstance(body, dict):
        for name in ("data", "providers", "models"):
            if isinstance(body.get(name), list) and ("id" not in body or name != "models"):
                body = body[name]
                break
    if isinstance(body, dict) and isinstance(body.get("models"), list):
        body = [body]
    if isinstance(body, dict):
        body = [{"id": name, "name": name, "models": rows} for name, rows in body.items() if isinstance(rows, list)]
    if not isinstance(body, list):
        raise not_understood(result)
    loose: dict[str, list[dict[str, Any]]] = {}
    for entry in body:
        if isinstance(entry, str):
            yield ProviderEntry(id=entry, name=entry, models=[])
        elif isinstance(entry, dict) and isinstance(entry.get("models"), list):
            name = text(entry.get("id")) or text(entry.get("name")) or provider or "unknown"
            yield ProviderEntry({**entry, "id": name, "models": _entries(entry["models"])})
        elif isinstance(entry, dict) and isinstance(entry.get("id"), str) and not _MODEL_FIELDS.intersection(entry):
            yield ProviderEntry({**entry, "models": []})
        elif isinstance(entry, dict):
            loose.setdefault(_owner(entry, provider), []).append(entry)
    for name, rows in loose.items():
        yield ProviderEntry(id=name, name=name, models=_entries(rows))


_MODEL_FIELDS = frozenset({"provider", "owned_by", "modelName", "inputPricePer1KTokens", "pricing", "type", "object"})
"""An entry with none of them, and no models, is a provider: the seed era lists them so."""


def _owner(entry: Mapping[str, Any], provider: str | None) -> str:
    prefix = (text(entry.get("id")) or "").partition("/")
    return (
        text(entry.get("provider"))
        or text(entry.get("owned_by"))
        or provider
        or (prefix[0] if prefix[1] else "unknown")
    )


def _entries(rows: Any) -> list[CatalogueEntry]:
    return [CatalogueEntry(row) for row in objects(rows)]


def _price(per_1k: Any, price: Any, per_million: bool) -> Decimal | None:
    for value, scale in ((per_1k, 1), (price, 1000 if per_million else 1)):
        if (found := _exact(value)) is not None:
            return found / scale
    return None


def _exact(value: Any) -> Decimal | None:
    if isinstance(value, str) and re.fullmatch(r"\d{1,20}(\.\d{1,20})?", value):
        return Decimal(value)
    return Decimal(repr(found)) if (found := number(value)) is not None else None


def _tokens(value: Any) -> int | None:
    """A count of tokens, from a number or from text such as "128k Tokens" or "1,000,000"."""
    if isinstance(value, str) and (match := _COUNT.match(value)):
        scale = {"": 1, "k": 1000, "m": 1_000_000}[match[2].lower()]
        return int(Decimal(match[1].replace(",", "")) * scale)
    return None if (found := number(value)) is None else int(found)


_COUNT = re.compile(r"\s*((?:\d{1,3}(?:,\d{3}){1,4}|\d{1,12})(?:\.\d{1,6})?)\s*([km]?)\b", re.IGNORECASE)
