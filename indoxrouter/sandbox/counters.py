"""What the server counts, for tests to read."""

import threading
from collections import Counter
from typing import Any

COUNTS = (
    "logins",
    "refused_logins",
    "refreshes",
    "refused_refreshes",
    "tokens_issued",
    "unauthorized",
    "rate_limited",
    "charges",
    "replays",
    "cancelled_streams",
    "stopped_streams",
    "stops",
    "faults",
)


class Counters:
    """Counts since the start or the last reset, and what is running now; safe to read from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._requests: Counter[str] = Counter()
        self._now: Counter[str] = Counter()

    def count(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1

    def enter(self, path: str) -> None:
        with self._lock:
            self._requests[path] += 1
            self._now["running"] += 1

    def leave(self) -> None:
        self.move("running", -1)

    def move(self, name: str, step: int) -> None:
        with self._lock:
            self._now[name] += step

    def reset(self) -> None:
        with self._lock:
            self._counts.clear()
            self._requests.clear()

    def report(self) -> dict[str, Any]:
        with self._lock:
            counts: dict[str, Any] = {name: self._counts[name] for name in COUNTS}
            now = {name: self._now[name] for name in ("running", "open_streams")}
            return counts | now | {"requests": dict(self._requests)}
