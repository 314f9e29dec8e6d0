"""The x-ratelimit- headers: limits that are told and counted, but never enforced."""

from indoxrouter.sandbox.tiers import Window

_SECONDS = 60.0


class RateLimits:
    """Requests and tokens of the minute that runs."""

    def __init__(self) -> None:
        self._requests = Window(10_000, _SECONDS)
        self._tokens = Window(2_000_000, _SECONDS)

    def headers(self, now: float, tokens: int) -> dict[str, str]:
        """Counts a request, and tells what is left."""
        self._requests.count(1, now)
        self._tokens.count(tokens, now)
        told = {}
        for kind, window in (("requests", self._requests), ("tokens", self._tokens)):
            told[f"x-ratelimit-limit-{kind}"] = str(window.limit)
            told[f"x-ratelimit-remaining-{kind}"] = str(window.left(now))
            told[f"x-ratelimit-reset-{kind}"] = f"{window.reset(now):.3f}s"
        return told
