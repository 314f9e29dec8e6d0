"""The numbers and tables: how long, how often, and after what."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from indoxrouter.errors import IndoxRouterError, InsufficientCreditsError, RequestTimeoutError, ValidationError
from indoxrouter.wire.messages import Kind, Request
from indoxrouter.wire.parsing import MAX_BYTES

CONNECT = 15.0
"""Seconds to connect, to log in, and for catalogue and account calls, where no timeout is set."""
GENERATION = 600.0
"""Seconds to wait for a generation, where no timeout is set."""
STREAM_TAIL = 5.0
"""Seconds to wait for usage and [DONE] once every choice has its finish reason."""
STOP = 2.0
"""Seconds that stopping a stream may take."""
DRAIN = 0.25
"""Seconds to read on after [DONE], so that the connection can be used again."""
LONGEST_WAIT = 120.0
"""Seconds: a server that asks for more gets no retry, its error is raised at once."""
JSON_CAP = MAX_BYTES
"""Decoded bytes that a JSON answer may have."""
ERROR_CAP = 16 * 2**20
"""Decoded bytes of an error that are read: some repeat the request, with its images."""
MEDIA_CAP = 2 * 2**30
"""Decoded bytes that audio or a file may have."""

PAID: frozenset[Kind] = frozenset({"chat", "completion", "embeddings", "image", "speech", "transcription", "video"})
REPEATABLE: frozenset[Kind] = frozenset({"chat", "completion", "embeddings"})
"""Paid calls that may be repeated once, under the same idempotency key, after an unknown outcome."""
FINAL_CODES = frozenset({"certificate", "closed", "proxy_authentication"})
"""The server is not the one that was meant; the caller closed the client; the proxy's password is not the right
one: another try would be wrong."""
FALLBACK_STATUSES = frozenset({404, 408, 425, 429, 503, 529})
UNKNOWN_FALLBACK_STATUSES = frozenset({500, 502, 504})


class Clock(NamedTuple):
    """Time, chance and names, handed to every plan so that tests can choose them."""

    now: Callable[[], float]
    """Monotonic seconds."""
    wall: Callable[[], float]
    """Seconds since 1970."""
    random: Callable[[], float]
    """Uniform in [0, 1)."""
    new_id: Callable[[], str]
    """A new unique name."""


def time_limit(request: Request, timeout: float | None) -> float:
    """Seconds for one attempt; on a stream, for its first event and between events."""
    if timeout is not None:
        return timeout
    return GENERATION if request.kind in PAID or request.kind == "file" else CONNECT


def may_repeat(request: Request, error: IndoxRouterError, repeated: bool, opted_in: bool) -> bool:
    """Whether the same request may be sent again after `error`.

    `repeated`: it was repeated after an unknown outcome before. `opted_in`: the caller gave an
    idempotency key, and so vouches for the server.
    """
    if isinstance(error, ValidationError):
        return False
    if error.code in FINAL_CODES:
        return False
    if error.outcome == "not_sent":
        return True
    if error.outcome not in ("rejected", "unknown") or not error.retryable:
        return False
    if error.outcome == "rejected" or request.method == "GET" or request.kind == "login":
        return True
    return not repeated and request.kind in PAID and (opted_in or request.kind in REPEATABLE)


def may_fall_back(request: Request, error: IndoxRouterError, opted_in: bool) -> bool:
    """Whether the next model may be asked after `error`."""
    if isinstance(error, ValidationError):
        return False
    if error.code in FINAL_CODES:
        return False
    if error.outcome == "not_sent":
        return True
    if error.outcome == "rejected":
        return error.status_code in FALLBACK_STATUSES and not isinstance(error, InsufficientCreditsError)
    return error.status_code in UNKNOWN_FALLBACK_STATUSES and (opted_in or request.kind in REPEATABLE)


def spent(request: Request, error: IndoxRouterError) -> bool:
    """Whether the upload can't be sent again; `error`, after which it would have been, then says so."""
    if request.file is None or not request.file.source.spent:
        return False
    if _NOT_AGAIN not in error.message:
        error.message += _NOT_AGAIN
        error.args = (error.message,)
    return True


_NOT_AGAIN = "; it was not retried: the upload can't be read twice (pass a path or bytes)"


def wait_before_retry(retry: int, error: IndoxRouterError, clock: Clock, deadline: float | None) -> float | None:
    """Seconds to wait before retry number `retry` (from 0); None: longer than anyone should, or the call may, wait."""
    wait = error.retry_after
    if wait is None:
        wait = (0.5 + clock.random() / 2) * min(8.0, 0.5 * 2.0**retry)
    late = deadline is not None and clock.now() + wait >= deadline
    return None if late or wait > LONGEST_WAIT else wait


class RetryBucket:
    """Ends retry storms: retries draw from it, successes refill what their call drew."""

    CAPACITY = 500
    COST = 5
    TIMEOUT_COST = 10

    def __init__(self) -> None:
        self._level = self.CAPACITY
        self._lock = threading.Lock()

    def renew(self) -> None:
        """For a forked child."""
        self._lock = threading.Lock()

    def draw(self, error: IndoxRouterError) -> int:
        """What a retry after `error` takes; 0: the bucket is too empty for it."""
        cost = self.TIMEOUT_COST if isinstance(error, RequestTimeoutError) else self.COST
        with self._lock:
            if self._level < cost:
                return 0
            self._level -= cost
            return cost

    def give_back(self, amount: int) -> None:
        with self._lock:
            self._level = min(self.CAPACITY, self._level + amount)
