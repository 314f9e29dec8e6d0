"""What the charges add up to: by day, model, provider, endpoint, session and address."""

import sqlite3
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from indoxrouter.sandbox.billing import exact_dollars
from indoxrouter.sandbox.dates import days_ago, moment

GROUPS = {
    "date": "day",
    "model": "model",
    "provider": "provider",
    "endpoint": "endpoint",
    "session_id": "session_id",
    "client_ip": "client_ip",
}
# A sum of SQLite's ends at 2**63, which is nine million dollars: the two halves of the costs do not come there.
_MILLION = 10**6
_SUMS = f"sum(requests), sum(tokens_prompt), sum(tokens_completion), sum(cost / {_MILLION}), sum(cost % {_MILLION})"


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which charges are meant; None: whichever. A model is meant by its id or its bare name."""

    start: str | None = None
    end: str | None = None
    provider: str | None = None
    model: str | None = None
    endpoint: str | None = None
    session_id: str | None = None

    def where(self) -> tuple[str, list[Any]]:
        conditions, values = ["1"], list[Any]()
        for condition, value in (
            ("day >= ?", self.start),
            ("day <= ?", self.end),
            ("provider = ?", self.provider),
            ("? IN (model, substr(model, length(provider) + 2))", self.model),
            ("endpoint = ?", self.endpoint),
            ("session_id = ?", self.session_id),
        ):
            if value is not None:
                conditions.append(condition)
                values.append(value)
        return " AND ".join(conditions), values


class Reports:
    """Sums of the charges, read anew each time."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def usage(self, start: str | None, end: str | None) -> dict[str, Any]:
        """The usage report of the days from start to end, both included."""
        rows = self._sums("endpoint, provider, model, day", Filters(start=start, end=end), "day")
        total = _Sum()
        groups: list[dict[str, _Sum]] = [{}, {}, {}, {}]
        for names, found in rows:
            total.add(found)
            for group, name in zip(groups, names, strict=True):
                group.setdefault(name, _Sum()).add(found)
        endpoints, providers, models, days = groups
        return {
            "total_requests": total.requests,
            "total_cost": total.dollars,
            "total_tokens": total.tokens(),
            "endpoints": {name: entry.report() for name, entry in endpoints.items()},
            "providers": {name: entry.report() for name, entry in providers.items()},
            "models": {name: entry.report() for name, entry in models.items()},
            "daily_usage": [{"date": day, **entry.report()} for day, entry in days.items()],
        }

    def rows(self, group: str, filters: Filters) -> list[dict[str, Any]]:
        """A row for each value of a group: days in their order, else the costliest first."""
        found = self._sums(GROUPS[group], filters, GROUPS[group])
        if group != "date":
            found.sort(key=lambda row: -row[1].cost)
        return [{group: names[0], **entry.row()} for names, entry in found]

    def sessions(self, filters: Filters) -> list[dict[str, Any]]:
        """A row for each session, the latest first; requests without one are in none."""
        found = self._sums(
            "session_id, min(at), max(at)", filters, "max(at) DESC", "session_id", "session_id IS NOT NULL"
        )
        return [
            {
                "session_id": names[0],
                **entry.row(),
                "first_request_at": moment(names[1]),
                "last_request_at": moment(names[2]),
            }
            for names, entry in found
        ]

    def models(self, filters: Filters) -> list[dict[str, Any]]:
        """A row for each model, the most asked first."""
        found = self._sums("model, provider, max(at)", filters, "sum(requests) DESC, model", "model, provider")
        return [
            {"model": names[0], "provider": names[1], **entry.row(), "last_request_at": moment(names[2])}
            for names, entry in found
        ]

    def trending(self, days: int, limit: int) -> list[dict[str, Any]]:
        """The models that were asked most in the last days, today included."""
        filters = Filters(start=days_ago(days - 1))
        found = self._sums("model, provider", filters, "sum(requests) DESC, model")[:limit]
        return [
            {
                "model": model,
                "provider": provider,
                "modelName": model.removeprefix(f"{provider}/"),
                "count": entry.requests,
                "total_tokens": entry.prompt + entry.completion,
            }
            for (model, provider), entry in found
        ]

    def _sums(
        self, columns: str, filters: Filters, order: str, group: str | None = None, also: str = "1"
    ) -> "list[tuple[tuple[Any, ...], _Sum]]":
        where, values = filters.where()
        statement = f"SELECT {_SUMS}, {columns} FROM charges WHERE {where} AND {also}"  # noqa: S608 - our own words
        rows = self._db.execute(f"{statement} GROUP BY {group or columns} ORDER BY {order}", values)
        return [
            (tuple(names), _Sum(requests, prompt, completion, high * _MILLION + low))
            for requests, prompt, completion, high, low, *names in rows
        ]


@dataclass
class _Sum:
    """Requests, tokens and cost, added up."""

    requests: int = 0
    prompt: int = 0
    completion: int = 0
    cost: int = 0

    def add(self, other: "_Sum") -> None:
        self.requests += other.requests
        self.prompt += other.prompt
        self.completion += other.completion
        self.cost += other.cost

    @property
    def dollars(self) -> Decimal:
        return exact_dollars(self.cost)

    def tokens(self) -> dict[str, int]:
        return {"input": self.prompt, "output": self.completion, "total": self.prompt + self.completion}

    def report(self) -> dict[str, Any]:
        return {"requests": self.requests, "cost": self.dollars, "tokens": self.tokens()}

    def row(self) -> dict[str, Any]:
        """As analytics answers it."""
        return {
            "requests": self.requests,
            "input_tokens": self.prompt,
            "output_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "cost": self.dollars,
        }
