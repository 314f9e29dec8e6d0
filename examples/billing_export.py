"""The bill of the last 7 days: a CSV file by day and model, and exact totals by model. Days are UTC."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from _router import connect

from indoxrouter import UsageTotals

DAYS = 7


def count(number: int | None) -> str:
    """What the router did not say is unknown, not 0."""
    return "unknown" if number is None else f"{number:,}"


def dollars(cost: Decimal | None) -> str:
    """Every digit of it: nothing is rounded, and the points are one below the other."""
    whole, point, fraction = ("unknown" if cost is None else f"{cost:,f}").partition(".")
    return f"{whole:>12}{point}{fraction}"


def show(name: str, used: UsageTotals) -> None:
    print(f"{name:34}{count(used.requests):>10}{count(used.total_tokens):>12}{dollars(used.cost)}")


today = datetime.now(UTC).date()
with connect(history=DAYS - 1) as client:
    rows = client.usage_rows(today - timedelta(days=DAYS - 1), today, group_by=("date", "model"))

path = Path("demo-output/billing.csv")
path.parent.mkdir(exist_ok=True)
rows.to_csv(path, overwrite=True)
print(f"\n{len(rows)} rows, {rows.start} to {rows.end}: {path.absolute()}")

print(f"\n{'Model':34}{'requests':>10}{'tokens':>12}{'US dollars':>20}")
for model, used in rows.totals_by("model").items():
    show(model or "unknown", used)
show("Total", rows.totals)

unpriced = rows.totals.unpriced
print(f"\nRows without a price: {unpriced}{', of which the sums say nothing' if unpriced else ''}")
