"""Decoding of what is not a generation: the catalogue, usage and the account."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, Self

from indoxrouter import money
from indoxrouter.errors import ProviderNotFoundError, ValidationError
from indoxrouter.records import CatalogueEntry, ModelInfo, ProviderEntry, UsageReport, UserInfo
from indoxrouter.wire.checks import check_text, count
from indoxrouter.wire.decode import not_understood
from indoxrouter.wire.fields import check_few, mapping, number, objects, text
from indoxrouter.wire.masking import clean
from indoxrouter.wire.messages import Result, request_id_in
from indoxrouter.wire.prices import prices

KINDS: Mapping[str, str] = {
    **dict.fromkeys(("chat", "completion", "text", "text_completion", "text_completions", "llm"), "text_completions"),
    "text_generation": "text_completions",
    **dict.fromkeys(("embedding", "embeddings"), "embeddings"),
    **dict.fromkeys(("image", "images", "image_generation"), "image_generation"),
    **dict.fromkeys(("speech", "tts", "text_to_speech"), "text_to_speech"),
    **dict.fromkeys(("transcription", "stt", "speech_to_text"), "speech_to_text"),
    **dict.fromkeys(("video", "videos", "video_generation"), "video_generation"),
}
"""What a caller or a catalogue may call a kind of model, and the router's name for it."""
_BY_TOKENS = (None, "text_completions", "embeddings")
"""Kinds for whose tokens a price of 0 may be meant so."""


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
    """The models that are wanted: by the price of tokens in and out, then by unit and its price, then those without."""
    listed = models(result, provider, kind)
    found = [_info(row, row, name, kind if provider else None) for name, rows in listed.items() for row in rows]
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


def _info(facts: Mapping[str, Any], raw: Any, provider: str, kind: str | None = None) -> ModelInfo:
    into, out, unit_price, unit = prices(facts, media=_kind_of(facts, kind) not in _BY_TOKENS)
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
        input_price_per_1m=None if into is None else money.scaled(into, 3),
        output_price_per_1m=None if out is None else money.scaled(out, 3),
        unit_price=unit_price,
        price_unit=unit,
        context_window=_first_tokens(facts, "contextWindows", "context_length"),
        max_output_tokens=_first_tokens(facts, "output", "max_output_tokens"),
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
    try:
        price = money.exact(value)
    except ValueError:
        price = None
    if price is None or price < 0:
        raise ValidationError(f"{name} must be US dollars for 1,000,000 tokens, 0 or more")
    return price


def _at_most(price: Decimal | None, limit: Decimal | None) -> bool:
    return limit is None or (price is not None and price <= limit)


def _dearness(model: ModelInfo) -> tuple[int, str, Decimal, str]:
    of_tokens, unknown = money.total((model.input_price_per_1m, model.output_price_per_1m))
    if unknown < 2:
        return 0, "", of_tokens, model.id or ""
    if model.unit_price is not None:
        return 1, model.price_unit or "", model.unit_price, model.id or ""
    return 2, "", of_tokens, model.id or ""


def usage_report(result: Result) -> UsageReport:
    """The report under its current names; an older form's `by_provider`, `by_model` are renamed.

    Its totals may stand in `current_period` alone, and are then found beside it too.
    """
    body = _inner(result)
    report = UsageReport(body)
    for old, name in (("by_provider", "providers"), ("by_model", "models"), ("by_endpoint", "endpoints")):
        if report.get(name) is None and old in report:
            report[name] = report[old]
    period = mapping(report.get("current_period"))
    for name in ("total_requests", "total_cost", "remaining_credits", "total_tokens"):
        if report.get(name) is None and period.get(name) is not None:
            report[name] = period[name]
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
    listed = sum(
        len(rows) for entry in body if isinstance(entry, dict) and isinstance(rows := entry.get("models"), list)
    )
    check_few(len(body) + listed)
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


def _first_tokens(facts: Mapping[str, Any], *names: str) -> int | None:
    return next((found for name in names if (found := _tokens(facts.get(name))) is not None), None)


def _tokens(value: Any) -> int | None:
    """A count of tokens, from a number or from text such as "128k Tokens", "1 million" or "1,000,000"."""
    found = _written(value) if isinstance(value, str) else number(value)
    return int(found) if found is not None and 0 < found <= _MOST and found == int(found) else None


def _written(value: str) -> Decimal | None:
    match = _COUNT.fullmatch(" ".join(value.split())) if len(value) <= _LONGEST else None
    if match is None:
        return None
    digits, unit = re.sub("[, ]", "", match["number"]), (match["unit"] or "").lower()
    if digits.count(".") > 1:
        digits = digits.replace(".", "")
    elif not unit and re.search(r"\.[0-9]{3}$", digits):
        return None  # 8.192 may be eight or eight thousand
    return money.scaled(Decimal(digits), {"": 0, "k": 3, "thousand": 3, "m": 6, "million": 6}[unit])


_LONGEST = 100
_MOST = 10**9
"""No model takes more tokens at once."""
_COUNT = re.compile(
    r"(?P<number>[0-9]{1,3}(?P<sep>[, ])[0-9]{3}(?:(?P=sep)[0-9]{3}){0,3}|[0-9]{1,3}(?:\.[0-9]{3}){2,3}"
    r"|[0-9]{1,12}(?:\.[0-9]{1,6})?)"
    r"[ -]?(?P<unit>k|thousand|m|million)?"
    r"(?:[ -]?(?:tokens?|input|output|context|max|maximum|total)\b[a-z ]*)?",
    re.IGNORECASE | re.ASCII,
)
