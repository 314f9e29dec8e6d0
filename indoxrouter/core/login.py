"""Who logs in, when, and with what.

`Login` is what a client knows about its token. It decides and never waits: a driver asks it and is
told to use a token, to wait for somebody else's flight, or to lead one. A leader runs the plan of a
login and reports how it ended. A 401 names the token that it was for, so
that a late one costs no login.
"""

from __future__ import annotations

import base64
import json
import math
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, NamedTuple

from indoxrouter.errors import AuthenticationError, DeadlineExceededError, IndoxRouterError

REFRESH_AHEAD = 120.0
"""Seconds before expiry at which one caller fetches the next token; a quarter of a short lifetime."""
PAUSE = 30.0
"""Seconds without another early refresh after one that failed."""
LOOK_AGAIN = 1.0
"""Seconds after which who waits for a flight looks whether it can still land."""
FRUITLESS_LIMIT, FRUITLESS_WINDOW, FRUITLESS_PAUSE = 3, 60.0, 60.0


@dataclass(frozen=True, slots=True, eq=False)
class AccessToken:
    """A bearer token, as its login brought it. Two logins never bring the same one."""

    value: str = field(repr=False)
    base: str
    """The versioned base URL that answered the login, and serves every path."""
    fetched_at: float
    """Monotonic, from before its login was sent: no token is taken for fresher than it is."""
    lifetime: float | None = None
    """Seconds; None: unknown, found out by a 401."""
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)
    taken: bool = False
    """From another process, which logged in for it: what becomes of it says nothing about our key."""

    def expired(self, now: float) -> bool:
        return self.lifetime is not None and now >= self.fetched_at + self.lifetime

    def due(self, now: float) -> bool:
        """Whether it is time to fetch the next one."""
        if self.lifetime is None:
            return False
        return now >= self.fetched_at + self.lifetime - min(REFRESH_AHEAD, self.lifetime / 4)


class Flight:
    """One login under way. Those who wait for it share its end."""

    __slots__ = ("alive", "baton", "begun", "done", "error", "last", "refresh_with", "spare", "tokens")

    def __init__(self) -> None:
        self.begun = False
        self.done = False
        self.baton: SimpleQueue[None] = SimpleQueue()
        """Goes from thread to thread of those who wait, when the flight has ended; an interrupt leaves no lock held."""
        self.error: IndoxRouterError | None = None
        self.last: AccessToken | None = None
        """The token before: its base answers logins."""
        self.refresh_with: AccessToken | None = None
        """Its refresh cookie is tried first, and never again."""
        self.spare: AccessToken | None = None
        """Still valid: what the leader goes on with where an early refresh fails."""
        self.tokens: Any = None
        """The leader's view of the file that processes share: locked, at most until the flight ends."""
        self.alive: Callable[[], bool] = lambda: True
        """Whether its leader can bring it to its end."""

    def until(self, deadline: float | None, now: float) -> float | None:
        """When the leader gives up; an early refresh may take half of what its spare token, and its call, have left."""
        if self.spare is None or self.spare.lifetime is None:
            return deadline
        end = self.spare.fetched_at + self.spare.lifetime
        return now + ((end if deadline is None else min(end, deadline)) - now) / 2


class Lead(NamedTuple):
    """Whoever gets it must log in, and report with `landed` or `failed`."""

    flight: Flight


class Wait(NamedTuple):
    """Somebody logs in: wait until the flight is done, then raise its error or ask again."""

    flight: Flight


class Login:
    """What one client knows of its login. Its methods may be called from any thread."""

    def __init__(self, auto_refresh: bool = True) -> None:
        self._lock = threading.Lock()
        self._auto_refresh = auto_refresh
        self._token: AccessToken | None = None
        self._last: AccessToken | None = None
        self._unspent: AccessToken | None = None
        self._flight: Flight | None = None
        self._no_refresh_before = -math.inf
        self._fruitless: deque[float] = deque(maxlen=FRUITLESS_LIMIT)
        self._found_fruitless: AccessToken | None = None
        self._silent_until = -math.inf

    def ask(self, stale: AccessToken | None, now: float, mine: Flight) -> AccessToken | Lead | Wait:
        """What to do for a token; `stale` was refused by a 401. `mine` is the flight to lead, if any.

        Raises AuthenticationError where logging in again is not allowed or has proved useless.
        """
        with self._lock:
            refused = stale is not None and stale is self._token
            if refused and now < self._silent_until:
                raise self._silence(now)  # but for others the token may well work
            if refused:
                self._token = None
            spare = self._token if self._token is not None and not self._token.expired(now) else None
            if spare is not None:
                refresh = self._auto_refresh and spare.due(now) and now >= self._no_refresh_before
                if not refresh or self._flight is not None:
                    return spare
            elif self._flight is not None:
                return Wait(self._flight)
            elif self._last is not None and not self._auto_refresh:
                raise AuthenticationError(
                    "the token has expired and auto_refresh is off", code="token_expired", outcome="not_sent"
                )
            elif now < self._silent_until:
                raise self._silence(now)
            mine.begun, mine.last, mine.refresh_with, mine.spare = True, self._last, self._unspent, spare
            self._flight, self._unspent = mine, None
            return Lead(mine)

    def landed(self, flight: Flight, token: AccessToken) -> None:
        """The leader brought a token; late, when another has led and landed meanwhile, it is for its own call."""
        with self._lock:
            if not flight.done or self._token is None:
                self._token = self._last = self._unspent = token
                self._no_refresh_before = -math.inf
            self._end(flight)

    def failed(self, flight: Flight, error: BaseException, now: float) -> AccessToken | None:
        """The leader brought none; a still valid token is returned for it to go on with.

        The leader's own deadline or interruption says nothing about the server: the next one who
        waits leads then; so it does when the client was closed, since it may be used again. Any other
        failure is shared by all who waited.
        """
        with self._lock:
            self._end(flight)
            if not isinstance(error, IndoxRouterError):
                return None
            if flight.spare is not None and not flight.spare.expired(now):
                self._no_refresh_before = now + (error.retry_after or PAUSE)
                return flight.spare
            if not isinstance(error, DeadlineExceededError) and error.code != "closed":
                flight.error = error
            if error.status_code in (401, 403):
                self._count_fruitless(now)
            return None

    def useless(self, token: AccessToken, now: float) -> None:
        """A token fetched because of a 401 was answered by a 401 too."""
        with self._lock:
            if token is not self._found_fruitless and not token.taken:
                self._found_fruitless = token
                self._count_fruitless(now)

    def worked(self) -> None:
        """A token brought an answer: what was counted before were not logins in a row."""
        if self._fruitless:
            with self._lock:
                self._fruitless.clear()

    def renew(self) -> None:
        """For a forked child: its parent's flight lands elsewhere. The token is good for both."""
        self._lock = threading.Lock()
        self._flight = None
        self._unspent = None  # a refresh cookie that the parent may spend

    def _count_fruitless(self, now: float) -> None:
        self._fruitless.append(now)
        if len(self._fruitless) == FRUITLESS_LIMIT and now - self._fruitless[0] <= FRUITLESS_WINDOW:
            self._silent_until = now + FRUITLESS_PAUSE
            self._fruitless.clear()

    def _silence(self, now: float) -> AuthenticationError:
        return AuthenticationError(
            f"{FRUITLESS_LIMIT} logins in a row brought no token that works; not asking again for "
            f"{self._silent_until - now:.0f} s: is the API key revoked?",
            code="logins_fruitless",
            outcome="not_sent",
        )

    def _end(self, flight: Flight) -> None:
        flight.done = True
        if self._flight is flight:
            self._flight = None


def lifetime(answer: Mapping[str, Any], token: str, wall: float) -> float | None:
    """Seconds that a token lives: `expires_in`, else what its JWT payload says; None: unknown.

    `exp` is measured against `iat`, the server's own clock; against ours only where `iat` is missing.
    """
    if (seconds := _positive(answer.get("expires_in"))) is not None:
        return seconds
    claims = _claims(token)
    exp, iat = _positive(claims.get("exp")), _positive(claims.get("iat"))
    if exp is None:
        return None
    return _positive(exp - (iat if iat is not None else wall))


def _claims(token: str) -> Mapping[str, Any]:
    """The unverified payload of a JWT (RFC 7519); the token is opaque to us otherwise."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _positive(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if 0 < value < math.inf else None
    except OverflowError:
        return None
