"""The x-ratelimit- headers: limits that are told and counted, but never enforced."""

_WINDOW = 60.0  # seconds
_REQUESTS = 10_000
_TOKENS = 2_000_000


class RateLimits:
    """Requests and tokens of the minute that runs; it begins with the first request after the last one."""

    def __init__(self) -> None:
        self._start = 0.0
        self._requests = self._tokens = 0

    def headers(self, now: float, tokens: int) -> dict[str, str]:
        """Counts a request, and tells what is left."""
        if not self._requests or now - self._start >= _WINDOW:
            self._start, self._requests, self._tokens = now, 0, 0
        self._requests += 1
        self._tokens += tokens
        reset = f"{_WINDOW - (now - self._start):.3f}s"
        return {
            "x-ratelimit-limit-requests": str(_REQUESTS),
            "x-ratelimit-remaining-requests": str(max(0, _REQUESTS - self._requests)),
            "x-ratelimit-reset-requests": reset,
            "x-ratelimit-limit-tokens": str(_TOKENS),
            "x-ratelimit-remaining-tokens": str(max(0, _TOKENS - self._tokens)),
            "x-ratelimit-reset-tokens": reset,
        }
