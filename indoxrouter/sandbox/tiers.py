"""Account tiers: how many paid requests and tokens may come in a window, told with every answer and enforced.

A window begins with the first that is counted in it, and forgets all of it at its end.
"""

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from indoxrouter.sandbox.errors import RouterError, named
from indoxrouter.sandbox.settings import Settings


@dataclass(frozen=True)
class Tier:
    """What an account may have."""

    requests: int  # a minute
    tokens: int  # an hour


TIERS = {"free": Tier(10, 10_000), "standard": Tier(60, 100_000), "enterprise": Tier(500, 1_000_000)}
UNLIMITED = "unlimited"


class Window:
    """What was counted since the window that runs began; `now` is a time in seconds."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit = limit
        self.seconds = seconds
        self._end = -math.inf
        self._used = 0

    def count(self, amount: int, now: float) -> None:
        if now >= self._end:
            self._end, self._used = now + self.seconds, 0
        self._used += amount

    def left(self, now: float) -> int:
        return self.limit if now >= self._end else max(0, self.limit - self._used)

    def reset(self, now: float) -> float:
        """Seconds until the window ends."""
        return max(0.0, self._end - now)


class Limits:
    """The limits of the account's tier, if it has any."""

    def __init__(self, settings: Settings) -> None:
        tier = TIERS.get(settings.tier)
        self._tier = settings.tier
        self._windows: dict[str, Window] = {}
        if tier is not None:
            self._windows["requests"] = Window(tier.requests, settings.request_window)
            self._windows["tokens"] = Window(tier.tokens, settings.token_window)

    def admit(self) -> None:
        """Counts a paid request, or refuses it; one that is refused is not counted."""
        if not self._windows:
            return
        now = time.monotonic()
        for kind, window in self._windows.items():
            if not window.left(now):
                raise self._exceeded(kind, window, window.reset(now))
        self._windows["requests"].count(1, now)

    def spend(self, tokens: int) -> None:
        """Counts the tokens of a generation; they are known when it is over, so the last one may pass the limit."""
        if self._windows:
            self._windows["tokens"].count(tokens, time.monotonic())

    def headers(self) -> list[tuple[bytes, bytes]]:
        """What every answer tells; resets are in seconds."""
        now = time.monotonic()
        told: list[tuple[bytes, bytes]] = []
        for kind, window in self._windows.items():
            for name, value in (
                ("limit", str(window.limit)),
                ("remaining", str(window.left(now))),
                ("reset", f"{window.reset(now):.3f}"),
            ):
                told.append((f"x-ratelimit-{name}-{kind}".encode(), value.encode()))
        return told

    def _exceeded(self, kind: str, window: Window, wait: float) -> RouterError:
        seconds = max(1, math.ceil(wait))
        message = (
            f"Rate limit exceeded: the {self._tier} tier has {window.limit} {kind} in {window.seconds:g} seconds."
            f" Try again in {seconds} seconds."
        )
        error = named(
            429,
            "RateLimitError",
            message,
            limit_type=kind,
            limit=window.limit,
            remaining=0,
            reset_time=(datetime.now(UTC) + timedelta(seconds=wait)).isoformat(),
            retry_after=seconds,
            tier=self._tier,
        )
        error.headers = {"Retry-After": str(seconds)}
        return error
