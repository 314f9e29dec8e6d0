"""Times of the books: seconds since 1970, and days of UTC."""

import time
from datetime import UTC, date, datetime, timedelta


def moment(at: float | None) -> str | None:
    """As answers write it."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat()


def day_of(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def days_ago(days: int) -> str:
    return (datetime.now(UTC).date() - timedelta(days)).isoformat()


def time_on(day: str | None) -> float:
    """Now, or noon of another day."""
    now = time.time()
    if day is None or day == day_of(now):
        return now
    other = date.fromisoformat(day)
    return datetime(other.year, other.month, other.day, 12, tzinfo=UTC).timestamp()
