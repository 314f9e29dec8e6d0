"""What was used and what it cost, in rows: by day, model, provider, endpoint, session or address."""

from __future__ import annotations

import csv
import datetime
import html
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Literal, overload

from indoxrouter import money
from indoxrouter.errors import ValidationError, public
from indoxrouter.generation import Answer
from indoxrouter.saving import StrPath, save

if TYPE_CHECKING:
    import pandas

GROUPS: Final = ("date", "model", "provider", "endpoint", "session_id", "client_ip")
"""What the server can group by."""
COUNTS: Final = ("requests", "input_tokens", "output_tokens", "total_tokens")
_SHOWN = 20
"""Rows that a notebook shows."""
_PIECE = 2**16
"""Characters written at once."""


@dataclass(slots=True)
class UsageRow(Answer):
    """What one group used. Fields that the rows are not grouped by are None, as is what is unknown."""

    date: datetime.date | None = None
    """A UTC day."""
    model: str | None = None
    provider: str | None = None
    endpoint: str | None = None
    session_id: str | None = None
    client_ip: str | None = None
    requests: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cost: Decimal | None = None
    """US dollars, exactly as the server wrote them."""
    raw: Any = field(default=None, repr=False, compare=False)
    """The row as the server sent it."""


@dataclass(slots=True)
class UsageTotals(Answer):
    """The sums of some rows, each over what is known; None where no row knows it."""

    rows: int
    requests: int | None
    input_tokens: int | None
    output_tokens: int | None
    total_tokens: int | None
    cost: Decimal | None
    """US dollars, exact."""
    unpriced: int
    """How many rows have no cost: the sum says nothing of what they cost."""
    uncounted: dict[str, int]
    """How many rows lack a count, for each count that some row lacks."""


class UsageRows(Sequence[UsageRow]):
    """Rows of usage, in the order of the server; a slice of them is one too."""

    __slots__ = ("_rows", "end", "group_by", "start", "tz")
    __hash__ = None  # type: ignore[assignment] # rows can be changed

    def __init__(
        self,
        rows: Sequence[UsageRow],
        group_by: Sequence[str] | None = None,
        start: datetime.date | None = None,
        end: datetime.date | None = None,
        tz: str = "UTC",
    ) -> None:
        self._rows = list(rows)
        self.group_by = tuple(group_by) if group_by is not None else self._found_groups()
        self.start = start
        """The first day asked for; None: from the beginning."""
        self.end = end
        """The last day asked for, included; None: until now."""
        self.tz = tz
        """Where the days begin."""

    def _found_groups(self) -> tuple[str, ...]:
        """The fields that some row has, for rows that were picked by hand."""
        found = tuple(name for name in GROUPS if any(getattr(row, name) is not None for row in self._rows))
        return found or ("date",)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[UsageRow]:
        return iter(self._rows)

    @overload
    def __getitem__(self, index: int) -> UsageRow: ...
    @overload
    def __getitem__(self, index: slice) -> UsageRows: ...
    def __getitem__(self, index: int | slice) -> UsageRow | UsageRows:
        if isinstance(index, slice):
            return self._like(self._rows[index])
        return self._rows[index]

    def _like(self, rows: Sequence[UsageRow]) -> UsageRows:
        return UsageRows(rows, self.group_by, self.start, self.end, self.tz)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, UsageRows):
            return NotImplemented
        mine = (self.group_by, self.start, self.end, self.tz, self._rows)
        return mine == (other.group_by, other.start, other.end, other.tz, other._rows)

    def __repr__(self) -> str:
        return f"<UsageRows: {self._title()}>"

    @property
    def columns(self) -> tuple[str, ...]:
        """The fields that are exported: those grouped by, then the numbers."""
        return (*self.group_by, *COUNTS, "cost")

    @property
    def totals(self) -> UsageTotals:
        """The sums over all rows, computed afresh."""
        sums: dict[str, int | None] = {}
        uncounted: dict[str, int] = {}
        for name in COUNTS:
            given = [getattr(row, name) for row in self._rows]
            known = [count for count in given if count is not None]
            sums[name] = sum(known) if known or not given else None
            if len(known) < len(given):
                uncounted[name] = len(given) - len(known)
        cost, unpriced = money.total(row.cost for row in self._rows)
        priced = unpriced < len(self) or not self._rows
        return UsageTotals(len(self), **sums, cost=cost if priced else None, unpriced=unpriced, uncounted=uncounted)

    def totals_by(self, field: str) -> dict[Any, UsageTotals]:
        """The sums for each value of one of the grouping fields, the dearest first; those without a cost last.

        By "date", they are in the order of the days.
        """
        if field not in self.group_by:
            raise ValidationError(f"the rows are grouped by {' and '.join(self.group_by)}, not by {field!r}"[:300])
        groups: dict[Any, list[UsageRow]] = {}
        for row in self._rows:
            groups.setdefault(getattr(row, field), []).append(row)
        found = {value: self._like(rows).totals for value, rows in groups.items()}
        if field == "date":
            return dict(sorted(found.items(), key=lambda item: (item[0] is None, item[0] or datetime.date.min)))
        return dict(sorted(found.items(), key=lambda item: _dearness(item[1].cost), reverse=True))

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict for each row, of `columns`; days stay dates and costs Decimals."""
        return [{name: getattr(row, name) for name in self.columns} for row in self._rows]

    @public
    def to_csv(self, path: StrPath | IO[str], overwrite: bool = False) -> Path | None:
        """Write the rows, under a header, to a file, and return its path; or to one open for text, UTF-8, newline="".

        An existing file is kept unless `overwrite`. A text that a spreadsheet would run as a formula gets an
        apostrophe before it; what is unknown is an empty cell. Excel wants a file opened with
        encoding="utf-8-sig".
        """
        if isinstance(path, str | os.PathLike):
            if os.path.isdir(path):
                raise ValidationError(f"{os.fspath(path)!r} is a folder: name the file to write")
            return save((lines.encode() for lines in self._csv()), path, "usage", overwrite)
        if not callable(getattr(path, "write", None)):
            raise ValidationError(f"path must be a path or an open file, not {type(path).__name__}")
        for lines in self._csv():
            _write(path, lines)
        return None

    def to_dataframe(self, costs: Literal["decimal", "float"] = "decimal") -> pandas.DataFrame:
        """A pandas DataFrame of `columns`: days as datetime64, counts as Int64, costs as Decimals or floats."""
        try:
            import numpy
            import pandas
        except ImportError:
            raise ImportError("to_dataframe() needs pandas: pip install pandas") from None
        if costs not in ("decimal", "float"):
            raise ValidationError('costs must be "decimal" or "float"')
        found: dict[str, Any] = {}
        for name in self.columns:
            values = [getattr(row, name) for row in self._rows]
            if name == "date":  # in seconds, which reach every day that a date can name
                found[name] = numpy.array(values, dtype="datetime64[D]").astype("datetime64[s]")
            elif name == "cost" and costs == "float":
                found[name] = pandas.Series(values, dtype="float64")
            else:
                found[name] = pandas.Series(values, dtype="Int64" if name in COUNTS else "object")
        return pandas.DataFrame(found)

    def _csv(self) -> Iterator[str]:
        """The file in pieces of some size, so that a long one takes no more memory than a short one."""
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer)
        writer.writerow(self.columns)
        for row in self._rows:
            writer.writerow([_cell(getattr(row, name)) for name in self.columns])
            if buffer.tell() > _PIECE:
                yield buffer.getvalue()
                buffer.seek(0)
                buffer.truncate()
        yield buffer.getvalue()

    def _title(self) -> str:
        days = f"{self.start or 'the beginning'} to {self.end or 'now'}"
        return f"{len(self)} by {' and '.join(self.group_by)}, {days} ({self.tz})"

    def _repr_html_(self) -> str:
        """A table of the first rows, for notebooks."""
        head = "".join(f"<th>{name}</th>" for name in self.columns)
        lines = []
        for row in self._rows[:_SHOWN]:
            cells = (html.escape(_written(getattr(row, name))) for name in self.columns)
            lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
        if len(self) > _SHOWN:
            lines.append(f'<tr><td colspan="{len(self.columns)}">… and {len(self) - _SHOWN} more</td></tr>')
        caption = f"<caption>{html.escape(self._title())}</caption>"
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _dearness(cost: Decimal | None) -> tuple[bool, Decimal]:
    """Without a minus, which would round to the caller's decimal context."""
    return cost is not None, cost or Decimal(0)


def _write(file: IO[str], lines: str) -> None:
    try:
        file.write(lines)
    except TypeError:
        raise ValidationError("the file must be open for text, not for bytes") from None
    except UnicodeEncodeError as error:
        raise ValidationError(
            f'the file can\'t hold every letter as {error.encoding}: open it with encoding="utf-8"'
        ) from None
    except (OSError, ValueError) as error:  # it is closed, not open for writing, or its disk is full
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ValidationError(f"can't write to the file: {reason}"[:300]) from None


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet begins a formula with; the last four are the full-width forms of the first four."""


def _written(value: object) -> str:
    """The text of a cell: costs without exponents, lone surrogates as escapes, nothing for None."""
    if value is None:
        return ""
    written = format(value, "f") if isinstance(value, Decimal) else str(value)
    return written if written.isascii() else written.encode("utf-8", "backslashreplace").decode()


def _cell(value: object) -> str:
    written = _written(value)
    return f"'{written}" if isinstance(value, str) and written.startswith(_FORMULA) else written
