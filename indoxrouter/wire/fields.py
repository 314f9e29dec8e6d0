"""Reading single fields of an answer: what is missing or of the wrong type is None, never an error."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from indoxrouter.errors import APIError
from indoxrouter.responses import RateLimit, Usage


def moment(value: Any) -> str | None:
    if (seconds := number(value)) is None:
        return text(value)
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None


def number(value: Any) -> int | float | None:
    """A finite number; NaN, Infinity, booleans and text are not known numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if isinstance(value, int) or math.isfinite(value) else None


def fraction(value: Any) -> float | None:
    try:
        return None if (found := number(value)) is None else float(found)
    except OverflowError:
        return None


def whole(value: Any) -> int | None:
    return None if (found := number(value)) is None else int(found)


def _first(value: Mapping[str, Any], *names: str) -> int | None:
    return next((found for name in names if (found := whole(value.get(name))) is not None), None)


def text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; anything else in it is passed over."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def few(value: Any) -> Any:
    """The value, unless it is a list of more than any answer lists, each item of which takes a moment to look at."""
    if isinstance(value, list):
        check_few(len(value))
    return value


def check_few(number: int, most: int = 2**14) -> None:
    if number > most:
        raise APIError("the answer lists more than the client accepts", code="too_large", outcome="done")


def usage(value: Any) -> Usage | None:
    """The usage of one call, in the router's field names, OpenAI's or the hub's; None: not known."""
    if not isinstance(value, dict):
        return None
    into = mapping(value.get("input_tokens_details") or value.get("prompt_tokens_details"))
    out = mapping(value.get("output_tokens_details") or value.get("completion_tokens_details"))
    breakdown = value.get("cost_breakdown")
    return Usage(
        tokens_prompt=_first(value, "tokens_prompt", "prompt_tokens", "input_tokens"),
        tokens_completion=_first(value, "tokens_completion", "completion_tokens", "output_tokens"),
        tokens_total=_first(value, "tokens_total", "total_tokens"),
        cost=fraction(value.get("cost")),
        latency=fraction(value.get("latency")),
        timestamp=text(value.get("timestamp")),
        cache_read_tokens=_first({**into, **value}, "cache_read_tokens", "cached_tokens"),
        cache_write_tokens=_first(value, "cache_write_tokens"),
        reasoning_tokens=_first({**out, **value}, "reasoning_tokens"),
        web_search_count=_first(value, "web_search_count"),
        request_count=_first(value, "request_count"),
        cost_breakdown=breakdown if isinstance(breakdown, dict) else None,
    )


def rate_limit(headers: Mapping[str, str], facts: Mapping[str, Any] | None = None) -> RateLimit | None:
    """What `x-ratelimit-…` headers say is left, else the fields of a 429's body; None where neither does.

    A header that names neither requests nor tokens is of requests.
    """
    found: dict[str, Any] = {}
    for name, read in (("limit", _written_count), ("remaining", _written_count), ("reset", _duration)):
        general = read(headers.get(f"x-ratelimit-{name}", ""))
        of_requests = read(headers.get(f"x-ratelimit-{name}-requests", ""))
        found[f"{name}_requests"] = general if of_requests is None else of_requests
        found[f"{name}_tokens"] = read(headers.get(f"x-ratelimit-{name}-tokens", ""))
    if facts and all(value is None for value in found.values()):
        what = "tokens" if "token" in (text(facts.get("limit_type")) or "") else "requests"
        limit, remaining = (_not_negative(whole(facts.get(name))) for name in ("limit", "remaining"))
        if limit is not None or remaining is not None:
            reset = _until(fraction(facts.get("retry_after")))
            found |= {f"limit_{what}": limit, f"remaining_{what}": remaining, f"reset_{what}": reset}
    return RateLimit(**found) if any(value is not None for value in found.values()) else None


def _written_count(written: str) -> int | None:
    return int(written) if re.fullmatch(r"[0-9]{1,15}", written) else None


def _not_negative(value: int | None) -> int | None:
    return None if value is None or value < 0 else value


def _until(seconds: float | None) -> float | None:
    """Large ones are seconds since 1970, which only a clock makes a wait of."""
    return seconds if seconds is not None and 0 <= seconds <= 1e8 else None


def cost_header(headers: Mapping[str, str]) -> float | None:
    """The cost in US dollars as LiteLLM's proxy names it."""
    try:
        return fraction(float(headers["x-litellm-response-cost"]))
    except (KeyError, ValueError):
        return None


def _duration(written: str) -> float | None:
    """Seconds, from a number or from text such as "6m0s" or "20ms"."""
    if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?", written):
        return _until(float(written))
    if not re.fullmatch(r"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?(?:ms|s|m|h|d))+", written):
        return None
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
    return sum(float(size) * units[unit] for size, unit in re.findall(r"([\d.]+)(ms|s|m|h|d)", written))
