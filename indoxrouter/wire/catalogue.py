"""Decoding of what is not a generation: the catalogue, usage and the account."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, Self

from indoxrouter.errors import ProviderNotFoundError, ValidationError
from indoxrouter.records import CatalogueEntry, ModelInfo, ProviderEntry, UsageReport, UserInfo
from indoxrouter.wire.checks import check_text, count
from indoxrouter.wire.decode import not_understood
from indoxrouter.wire.fields import mapping, number, objects, text
from indoxrouter.wire.masking import clean
from indoxrouter.wire.messages import Result, request_id_in

KINDS: Mapping[str, str] = {
    **dict.fromkeys(("chat", "completion", "text", "text_completion", "text_completions", "llm"), "text_completions"),
    **dict.fromkeys(("embedding", "embeddings"), "embeddings"),
    **dict.fromkeys(("image", "images", "image_generation"), "image_generation"),
    **dict.fromkeys(("speech", "tts", "text_to_speech"), "text_to_speech"),
    **dict.fromkeys(("transcription", "stt", "speech_to_text"), "speech_to_text"),
    **dict.fromkeys(("video", "videos", "video_generation"), "video_generation"),
}
"""What a caller or a catalogue may call a kind of model, and the router's name for it."""


class Wanted(NamedTuple):
    """What a model must be to be found. Prices are US dollars for 1,000,000 tokens."""

    capability: str | None = None
    max_input_price: Decimal | None = None
    max_output_price: Decimal | None = None
    min_context: int | None = None

    @classmethod
    def check(cls, capability: Any, max_input_price: Any, max_output_price: Any, min_context: Any) -> Self:
        if capability is not None:
            check_text("capability", capability)
        prices = (_limit("max_input_price", max_input_price), _limit("max_output_price", max_output_price))
        return cls(capability, *prices, count("min_context", min_context, least=1))

    def met_by(self, model: ModelInfo) -> bool:
        """What the catalogue does not say of a model does not meet a wish."""
        return (
            (self.capability is None or _plain(self.capability) in map(_plain, model.capabilities))
            and _at_most(model.input_price_per_1m, self.max_input_price)
            and _at_most(model.output_price_per_1m, self.max_output_price)
            and (self.min_context is None or (model.context_window or 0) >= self.min_context)
        )


def kind(name: Any) -> str | None:
    """The router's name of a kind of model."""
    if name is None:
        return None
    found = KINDS.get(_plain(name)) if isinstance(name, str) else None
    if found is None:
        raise ValidationError(
            f"kind must be one of {', '.join(sorted(set(KINDS.values())))}, or a short form of it; not {name!r}"[:300]
        )
    return found


def models(result: Result, provider: str | None = None, kind: str | None = None) -> dict[str, list[CatalogueEntry]]:
    """Provider → its models, from any of the catalogue's shapes; `provider`: only that one's."""
    found: dict[str, list[CatalogueEntry]] = {}
    for entry in _providers(result, provider):
        rows = [row for row in entry["models"] if kind is None or _kind_of(row, kind if provider else None) == kind]
        found.setdefault(str(entry["id"]), []).extend(rows)
    if kind is not None:
        found = {name: rows for name, rows in found.items() if rows or name == provider}
    if provider is None:
        return found
    if provider not in found and (kind is None or found):
        raise ProviderNotFoundError(
            clean(f"the catalogue has no provider {provider!r}; it has {', '.join(sorted(found)) or 'none'}", ()),
            status_code=404,
            code="provider_not_found",
            outcome="done",
            client_request_id=result.client_request_id,
            request_id=request_id_in(result.headers) or result.client_request_id,
            attempts=result.attempts,
        )
    return {provider: found.get(provider, [])}


def find(result: Result, provider: str | None, kind: str | None, wanted: Wanted) -> list[ModelInfo]:
    """The models that are wanted, the cheapest first; those without a price last."""
    listed = models(result, provider, kind)
    found = [_info(row, row, name) for name, rows in listed.items() for row in rows]
    return sorted(filter(wanted.met_by, found), key=_dearness)


def providers(result: Result) -> list[ProviderEntry]:
    return list(_providers(result, None))


def model_info(result: Result, provider: str, model: str) -> ModelInfo:
    body = _inner(result)
    facts = mapping(body.get("model") if isinstance(body.get("model"), dict) else body)
    if not facts:
        raise not_understood(result)
    found = _info(facts, result.body, provider)
    found.name = found.name or model
    found.id = found.id or f"{provider}/{model}"
    return found


def _info(facts: Mapping[str, Any], raw: Any, provider: str) -> ModelInfo:
    prices = mapping(facts.get("pricing"))
    per_million = prices.get("unit") in ("1M", "per_1m_tokens", "1M tokens")
    into = _price(facts.get("inputPricePer1KTokens"), prices.get("prompt"), per_million)
    out = _price(facts.get("outputPricePer1KTokens"), prices.get("completion"), per_million)
    name = text(facts.get("modelName")) or text(facts.get("name")) or text(facts.get("id"))
    owner = text(facts.get("provider")) or provider
    return ModelInfo(
        id=None if name is None else name if name.startswith(f"{owner}/") else f"{owner}/{name}",
        name=name,
        provider=owner,
        type=text(facts.get("type")),
        description=text(facts.get("description")),
        input_price_per_1k=into,
        output_price_per_1k=out,
        input_price_per_1m=None if into is None else into * 1000,
        output_price_per_1m=None if out is None else out * 1000,
        context_window=_tokens(facts.get("contextWindows", facts.get("context_length"))),
        max_output_tokens=_tokens(facts.get("output", facts.get("max_output_tokens"))),
        capabilities=_capabilities(facts.get("capabilities")),
        raw=raw,
    )


def _capabilities(value: Any) -> list[str]:
    """A list of names, or an object of those that are there or not."""
    if isinstance(value, dict):
        return [name for name, there in value.items() if there is True]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _kind_of(row: Mapping[str, Any], otherwise: str | None) -> str | None:
    """`otherwise`: where the catalogue does not say, or in words that are not known."""
    return KINDS.get(_plain(row["type"]), otherwise) if isinstance(row.get("type"), str) else otherwise


def _plain(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def _limit(name: str, value: Any) -> Decimal | None:
    if value is None:
        return None
    if isinstance(value, int | float | str | Decimal) and not isinstance(value, bool):
        with contextlib.suppress(ArithmeticError):
            price = Decimal(str(value))
            if price.is_finite() and price >= 0:
                return price
    raise ValidationError(f"{name} must be US dollars for 1,000,000 tokens, 0 or more")


def _at_most(price: Decimal | None, limit: Decimal | None) -> bool:
    return limit is None or (price is not None and price <= limit)


def _dearness(model: ModelInfo) -> tuple[bool, Decimal, str]:
    prices = [price for price in (model.input_price_per_1m, model.output_price_per_1m) if price is not None]
    return not prices, sum(prices, Decimal(0)), model.id or ""


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
