"""Rows of usage: which may be asked for, and how the answer of `analytics/usage` is read."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import repeat
from typing import Any, NamedTuple

from indoxrouter import money
from indoxrouter.errors import ValidationError
from indoxrouter.usage_rows import COUNTS, GROUPS, UsageRow, UsageRows
from indoxrouter.wire import checks, lists
from indoxrouter.wire.columns import FIELDS, columns
from indoxrouter.wire.messages import Result

MOST_DAYS = 3660
"""Requests that one call may make: ten years of days."""
_UTC = ("UTC", "ETC/UTC", "Z")
_MOST = 2**63 - 1
"""No count is greater."""


class Part(NamedTuple):
    """One request: its first and last day, what it groups by, and the day that its rows are of."""

    start: datetime.date | None
    end: datetime.date | None
    group_by: str
    day: datetime.date | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller of `usage_rows` wants, checked."""

    group_by: tuple[str, ...]
    start: datetime.date | None
    end: datetime.date | None

    @classmethod
    def check(cls, start: checks.Date | None, end: checks.Date | None, group_by: str | Sequence[str], tz: Any) -> Asked:
        """ValidationError for what the server can't answer."""
        groups = _groups(group_by)
        _check_tz(tz)
        days = checks.day("start", start), checks.day("end", end)
        first, last = (datetime.date.fromisoformat(day) if day else None for day in days)
        if first is not None and last is not None and first > last:
            raise ValidationError("start is after end")
        if len(groups) > 1 and (first is None or last is None):
            raise ValidationError("for a date and another field, start and end are needed: each day is asked for alone")
        asked = cls(groups, first, last)
        if len(groups) > 1 and first is not None and last is not None and (last - first).days >= MOST_DAYS:
            raise ValidationError(
                f"a date and another field take one request for each day, at most {MOST_DAYS}: "
                f"from start to end there are {(last - first).days + 1} days"
            )
        return asked

    def requests(self) -> Iterator[Part]:
        """The server groups by one field: with a date beside it, each day is asked for alone."""
        if len(self.group_by) == 1 or self.start is None or self.end is None:
            yield Part(self.start, self.end, self.group_by[0], None)
            return
        field = next(name for name in self.group_by if name != "date")
        for day in days(self.start, self.end):
            yield Part(day, day, field, day)

    def joined(self, parts: Iterable[list[UsageRow]]) -> UsageRows:
        return UsageRows([row for part in parts for row in part], self.group_by, self.start, self.end)


def days(start: datetime.date, end: datetime.date) -> list[datetime.date]:
    """Every day from the first to the last, both included."""
    return [datetime.date.fromordinal(day) for day in range(start.toordinal(), end.toordinal() + 1)]


def usage_rows(
    result: Result,
    group_by: str,
    day: datetime.date | None = None,
    start: datetime.date | None = None,
    end: datetime.date | None = None,
) -> list[UsageRow]:
    """The rows of one answer, asked for from `start` to `end`; `day`: the only one that they were asked for.

    A cost that is there but is no number fails the whole answer: as unknown, it would hide money. So does
    a row that names a day that was not asked for. A count that is no whole number is unknown.
    """
    rows = lists.rows(result, "data", "results", "usage", most=None)
    found: dict[str, Iterable[Any]] = {}
    for field, values in columns(rows, group_by).items():
        types = set(map(type, values))
        if field == "date":
            found[field] = _dates(values)
        elif field == "cost":
            try:
                found[field] = list(map(money.exact, values))
            except ValueError:
                raise lists.refused(result, "a row has a cost that is no number") from None
        elif field in COUNTS:
            sound = types == {int} and min(values) >= 0 and max(values) <= _MOST
            found[field] = values if sound else map(_count, values)
        else:
            found[field] = values if types == {str} else map(_text, values)
    first, last = (start, end) if day is None else (day, day)
    if others := [other for other in set(found.get("date", ())) - {None} if _outside(other, first, last)]:
        asked = day or f"{first or 'the beginning'} to {last or 'now'}"
        raise lists.refused(result, f"a row is of {min(others)}, and only {asked} was asked for")
    if day is not None:
        found["date"] = repeat(day)
    return list(map(UsageRow, *(found.get(field, repeat(None)) for field in FIELDS), rows))


def _outside(day: datetime.date, first: datetime.date | None, last: datetime.date | None) -> bool:
    return (first is not None and day < first) or (last is not None and day > last)


def _groups(group_by: Any) -> tuple[str, ...]:
    given = (group_by,) if isinstance(group_by, str) else group_by
    known = f"group_by must be one of {', '.join(GROUPS)}, or a list or tuple of date and another; not {group_by!r}"[
        :300
    ]
    if not isinstance(given, list | tuple) or not all(isinstance(name, str) for name in given):
        raise ValidationError(known)
    if not given or len(given) > 2 or not set(given) <= set(GROUPS):
        raise ValidationError(known)
    if len(set(given)) < len(given):
        raise ValidationError(f"group_by names {given[0]} twice")
    if len(given) == 2 and "date" not in given:
        raise ValidationError(
            f"the server groups by one field at a time: {given[0]} and {given[1]} can't be had together. "
            "A date can stand beside a field, since then each day is asked for alone"
        )
    return tuple(given)


def _check_tz(tz: Any) -> None:
    if tz == datetime.UTC or (isinstance(tz, str | datetime.tzinfo) and str(tz).upper() in _UTC):
        return
    raise ValidationError(
        "the server's days are UTC days; it keeps no hours, so days of another time zone can't be made of them: "
        'leave tz at "UTC"'
    )


def _dates(values: Sequence[Any]) -> list[datetime.date | None]:
    texts = [value if type(value) is str else "" for value in values]
    known = {text: _date(text) for text in set(texts)}
    return [known[text] for text in texts]


def _date(written: str) -> datetime.date | None:
    """The day that YYYY-MM-DD names, with or without a time; a time with a zone names a UTC day."""
    if not _DAY.match(written):
        return None
    try:
        moment = datetime.datetime.fromisoformat(written)
        return (moment.astimezone(datetime.UTC) if moment.tzinfo else moment).date()
    except (ValueError, OverflowError):
        return None


def _text(value: Any) -> str | None:
    """A name; an id may be a number."""
    if type(value) is str or value is None:
        return value
    return str(value) if type(value) is int and abs(value) <= _MOST else None


def _count(value: Any) -> int | None:
    if type(value) is int:
        return value if 0 <= value <= _MOST else None
    if isinstance(value, Decimal | float):
        finite = value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)
        return int(value) if finite and 0 <= value <= _MOST and value == int(value) else None
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else None


_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ]|\Z)")
_DIGITS = re.compile(r"[0-9]{1,18}")
"""A count as text, as databases write sums."""
