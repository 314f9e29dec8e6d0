"""What a fault server received and carried out: the proof that nothing was paid for twice."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict


class Ledger:
    """Charges each request once under its idempotency key, as a server that honours keys does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._carried_out: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def charge(self, case: str, key: str) -> None:
        with self._lock:
            self._carried_out[case][key] += 1

    def charges(self, case: str) -> int:
        """How many requests were paid for."""
        with self._lock:
            return len(self._carried_out[case])

    def carried_out(self, case: str) -> dict[str, int]:
        """How often each key came to be carried out: more than once is a charge twice where keys mean nothing."""
        with self._lock:
            return dict(self._carried_out[case])
