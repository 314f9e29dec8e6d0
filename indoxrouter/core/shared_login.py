"""A login that processes share: one of them logs in and writes the token down, the others read it."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
from dataclasses import replace
from typing import Any

from indoxrouter.core.login import AccessToken, Flight
from indoxrouter.core.policy import Clock
from indoxrouter.core.shared import Shared
from indoxrouter.core.sign_in import REFRESH_COOKIE, acquire, bases
from indoxrouter.core.steps import Plan, load_token, lock_tokens, save_token
from indoxrouter.errors import DeadlineExceededError

_VERSION = 1
LONGEST_LOCK = 30.0
"""Seconds to wait for another process's login before one of our own."""


def acquire_in_time(shared: Shared, flight: Flight, deadline: float | None, clock: Clock) -> Plan[AccessToken]:
    """A fresh token; an early refresh has less time than its call, which can do with the spare token."""
    try:
        return (yield from acquire_shared(shared, flight, flight.until(deadline, clock.now()), clock))
    except DeadlineExceededError:
        late = deadline is not None and clock.now() >= deadline
        if flight.spare is None or late or not flight.spare.expired(clock.now()):
            raise
    flight.spare = flight.refresh_with = None  # it expired meanwhile, so that the call waits for a login now
    return (yield from acquire_shared(shared, flight, deadline, clock))


def acquire_shared(shared: Shared, flight: Flight, deadline: float | None, clock: Clock) -> Plan[AccessToken]:
    """A fresh token: another process's newer one, else one that we log in for and leave for the others."""
    settings, key = shared.settings, functools.cache(shared.current_key)
    if settings.token_cache is None or settings.auth == "key":
        return (yield from acquire(shared, flight, key, deadline, clock))
    mark = _mark(settings.base_url, key())
    patience = clock.now() + LONGEST_LOCK
    locked = yield from lock_tokens(flight.tokens, patience if deadline is None else min(patience, deadline))
    if not locked and deadline is not None and clock.now() >= deadline:
        raise DeadlineExceededError("the deadline passed while another process logged in", outcome="not_sent")
    found = _unpacked((yield from load_token(flight.tokens)), mark, settings.base_url, clock) if locked else None
    if found is not None and not found.due(clock.now()) and (flight.last is None or found.value != flight.last.value):
        return found
    # The file's refresh cookie is the one that nobody has sent: ours may be an older one.
    flight.refresh_with = found
    if found is not None and REFRESH_COOKIE in found.cookies:
        # Whatever becomes of us now, nobody sends this one again.
        spent = replace(found, cookies={name: v for name, v in found.cookies.items() if name != REFRESH_COOKIE})
        yield from save_token(flight.tokens, _packed(spent, mark, clock))
    token = yield from acquire(shared, flight, key, deadline, clock)
    if locked and not any(key() in value for value in (token.value, *token.cookies.values())):
        yield from save_token(flight.tokens, _packed(token, mark, clock))
    return token


def _mark(base_url: str, key: str) -> str:
    """Whose token it is: the server and the key, from which the key can't be found."""
    return hashlib.blake2b(f"{base_url}\n{key}".encode(), digest_size=16, person=b"indoxrouter").hexdigest()


def _in_header(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[!-~]+", value) is not None


def _packed(token: AccessToken, mark: str, clock: Clock) -> str:
    """As text; times are by the wall clock, since no other is shared by processes that outlive a boot."""
    expires = None if token.lifetime is None else clock.wall() + token.fetched_at + token.lifetime - clock.now()
    return json.dumps({
        "version": _VERSION,
        "mark": mark,
        "access_token": token.value,
        "base": token.base,
        "lifetime": token.lifetime,
        "expires": expires,
        "cookies": dict(token.cookies),
    })  # fmt: skip


def _unpacked(text: str | None, mark: str, base_url: str, clock: Clock) -> AccessToken | None:
    """The token, if it is whole and ours; it may have expired."""
    try:
        body: Any = json.loads(text or "null")
        if body["version"] != _VERSION or body["mark"] != mark:
            return None
        value, base, cookies = body["access_token"], body["base"], body["cookies"]
        lifetime, expires = body["lifetime"], body["expires"]
        if base not in bases(base_url, None) or not all(map(_in_header, (value, *cookies, *cookies.values()))):
            return None
        if lifetime is None:
            return AccessToken(value, base, clock.now(), None, cookies, taken=True)
        left = min(float(expires) - clock.wall(), float(lifetime))  # a clock that was set makes no token longer
        if not (0 < lifetime < math.inf and math.isfinite(left)):
            return None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None
    return AccessToken(value, base, clock.now() - (lifetime - left), float(lifetime), cookies, taken=True)
