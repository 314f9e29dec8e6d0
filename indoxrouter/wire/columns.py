"""The values of usage rows, field by field, under whatever names they stand.

The reference doesn't say what the server calls the fields of a row, so all plausible names are known.
Which of them an answer uses is found out once for the answer, and each field is read for all rows at
once: for many rows that is several times faster than row by row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

FIELDS: Mapping[str, Sequence[str]] = {
    "date": ("date", "day", "usage_date"),
    "model": ("model", "model_name"),
    "provider": ("provider", "provider_name"),
    "endpoint": ("endpoint", "endpoint_name"),
    "session_id": ("session_id", "session"),
    "client_ip": ("client_ip", "ip", "ip_address"),
    "requests": ("requests", "request_count", "total_requests", "requests_count", "num_requests", "count"),
    "input_tokens": (
        *("tokens_input", "input_tokens", "prompt_tokens", "tokens_prompt"),
        *("total_input_tokens", "total_tokens_input", "total_prompt_tokens", "total_tokens_prompt"),
    ),
    "output_tokens": (
        *("tokens_output", "output_tokens", "completion_tokens", "tokens_completion"),
        *("total_output_tokens", "total_tokens_output", "total_completion_tokens", "total_tokens_completion"),
    ),
    "total_tokens": ("total_tokens", "tokens_total", "token_count", "tokens"),
    "cost": ("cost", "total_cost", "cost_usd", "total_cost_usd"),
}
"""Fields of a UsageRow, in their order, and their names on the wire, the likeliest first."""

_NESTING = ("tokens", "total_tokens")
"""Keys that may hold an object with the counts of tokens, whose keys are these."""
_INNER: Mapping[str, Sequence[str]] = {
    "input_tokens": ("input", "prompt", *FIELDS["input_tokens"]),
    "output_tokens": ("output", "completion", *FIELDS["output_tokens"]),
    "total_tokens": ("total", *FIELDS["total_tokens"]),
}
_GENERIC = ("period", "group", "group_value", "group_key", "key", "value", "name", "label", "_id")
"""Keys that may hold the value of the field grouped by, where no key has its name."""

Column = Sequence[Any]


def columns(rows: Sequence[Mapping[str, Any]], group_by: str) -> dict[str, Column]:
    """Field → its value in each row, as it is; None where there is none. A field that no row has is left out."""
    places = {key: [row.get(key) for row in rows] for key in sorted(frozenset[str]().union(*rows) & _KNOWN)}
    nested = [_within(places[key]) for key in _NESTING if key in places and dict in set(map(type, places[key]))]
    found: dict[str, Column] = {}
    for field, names in FIELDS.items():
        candidates: list[Column] = [places[name] for name in names if name in places]
        if field == group_by and not candidates:
            candidates = [_values(places[name], group_by) for name in _GENERIC if name in places]
        if nested and field in _INNER:
            candidates = [
                *(inner[name] for inner in nested for name in _INNER[field] if name in inner),
                *([None if type(value) is dict else value for value in column] for column in candidates),
            ]
        if candidates:
            found[field] = _first(candidates)
    return found


_KNOWN = frozenset(name for names in FIELDS.values() for name in names) | set(_NESTING) | set(_GENERIC)
_KNOWN_WITHIN = frozenset(name for names in _INNER.values() for name in names)


def _within(column: Column) -> dict[str, Column]:
    """The columns of the objects in a column."""
    objects = [value if type(value) is dict else {} for value in column]
    return {key: [row.get(key) for row in objects] for key in frozenset[str]().union(*objects) & _KNOWN_WITHIN}


def _values(column: Column, group_by: str) -> Column:
    """A generic key may name the field grouped by, and another hold its value."""
    return [None if value == group_by else value for value in column]


def _first(candidates: Iterable[Column]) -> Column:
    """In each row, the first value that is not null."""
    first, *others = candidates
    for column in others:
        first = [other if value is None else value for value, other in zip(first, column, strict=True)]
    return first
