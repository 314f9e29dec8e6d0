"""The tokens of one call: whatever its attempts meet, it logs in again once at most."""

from __future__ import annotations

from indoxrouter.core.login import AccessToken
from indoxrouter.core.policy import Clock
from indoxrouter.core.shared import Shared
from indoxrouter.core.steps import Grant, Plan, token
from indoxrouter.errors import APIError, DeadlineExceededError, IndoxRouterError


class CallTokens:
    """What a call's requests are sent with."""

    def __init__(self, shared: Shared, clock: Clock, deadline: float | None) -> None:
        self._shared = shared
        self._clock = clock
        self._deadline = deadline
        self.login_failed = False
        self._logged_in_again: AccessToken | None = None
        self._took_one = False  # another process's, after a 401

    def current(self, stale: AccessToken | None = None) -> Plan[Grant]:
        """The client's token; where `stale` was refused, another."""
        self.check_deadline()
        try:
            return (yield from token(stale, self._deadline))
        except IndoxRouterError as error:
            self.login_failed = True
            error.outcome = "not_sent"  # of the call, whatever became of the login
            raise

    def after_401(self, refused: Grant, failure: APIError) -> Plan[Grant]:
        """Another token: once another process's, then one that we log in for, whose 401 is final."""
        if self._logged_in_again is not None:
            if refused.token is self._logged_in_again:
                self._shared.login.useless(refused.token, self._clock.now())
            raise failure
        grant = yield from self.current(refused.token)
        if grant.fetched_after_401 and grant.token.taken and not self._took_one:
            self._took_one = True
        elif grant.fetched_after_401:
            self._logged_in_again = grant.token
        if grant.token.value == refused.token.value:
            if self._shared.settings.auth == "login":
                self._shared.login.useless(grant.token, self._clock.now())
            raise failure
        return grant

    def check_deadline(self) -> None:
        if self._deadline is not None and self._clock.now() >= self._deadline:
            raise DeadlineExceededError("the deadline of the call passed before it was sent", outcome="not_sent")
