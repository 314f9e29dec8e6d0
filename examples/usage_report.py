"""What was spent in the last 30 days: a table by model and one by day. Days are UTC."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from _router import connect


def show(number: float | None, form: str) -> str:
    """What the router did not say is unknown, not 0."""
    return "unknown" if number is None else format(number, form)


def table(title: str, rows: Mapping[str, Mapping[str, Any]]) -> None:
    print(f"\n{title:34}{'requests':>10}{'tokens':>12}{'US dollars':>16}")
    for name, row in rows.items():
        requests, cost = show(row.get("requests"), ","), show(row.get("cost"), ",.8f")
        tokens = show((row.get("tokens") or {}).get("total"), ",")
        print(f"{name:34}{requests:>10}{tokens:>12}{cost:>16}")


with connect() as client:
    if client.get_usage().total_requests == 0:  # a new account: make something to report
        client.chat([{"role": "user", "content": "Hello"}])
        client.completion("Once upon a time", model="openai/gpt-3.5-turbo-instruct")
        client.embeddings(["Hello", "Goodbye"])
    today = datetime.now(UTC).date()
    usage = client.get_usage(start_date=today - timedelta(days=29), end_date=today)
    table("Model", usage.models or {})
    table("Day", {str(day.get("date")): day for day in usage.daily_usage or ()})
    total = {"requests": usage.total_requests, "tokens": usage.total_tokens, "cost": usage.total_cost}
    table("Total", {f"since {today - timedelta(days=29)}": total})
    print(f"\nCredits left: {show(usage.remaining_credits, ',.2f')} US dollars")
