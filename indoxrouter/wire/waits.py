"""When to come again, and other numbers, as the headers and bodies of errors name them."""

from __future__ import annotations

import contextlib
import email.utils
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_LONGEST = 2**10
"""Characters of a number or a date; reading a longer one takes time."""


def retry_after(headers: Mapping[str, str], facts: Mapping[str, Any], wall: float) -> float | None:
    """Seconds to wait as the server asks for them; None where it does not, or not sensibly."""
    if (milliseconds := number_in(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    asked = headers.get("retry-after")
    if asked is not None:
        if (seconds := number_in(asked)) is not None:
            return seconds
        with contextlib.suppress(ValueError, OverflowError):
            return max(0.0, _in_utc(email.utils.parsedate_to_datetime(asked)).timestamp() - wall)
    return number_in(facts.get("retry_after"))


def status_in(value: Any) -> int | None:
    number = number_in(value)
    return int(number) if number is not None and 300 <= number < 600 else None


def number_in(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and len(value) > _LONGEST:
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def reset_time(facts: Mapping[str, Any], headers: Mapping[str, str], wall: float) -> datetime | None:
    value = facts.get("reset_time")
    for name in ("x-ratelimit-reset", "x-ratelimit-reset-requests", "x-ratelimit-reset-tokens"):
        value = headers.get(name) if value is None else value
    try:
        if (seconds := number_in(value)) is not None:
            # Small numbers are seconds from now, large ones seconds since 1970.
            return datetime.fromtimestamp(seconds if seconds > 1e8 else wall + seconds, UTC)
        return _in_utc(datetime.fromisoformat(value)) if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None


def _in_utc(moment: datetime) -> datetime:
    """Servers that name no zone mean UTC, as HTTP does."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
