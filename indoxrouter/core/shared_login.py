"""A login that processes share: one of them logs in and writes the token down, the others read it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import Any

from indoxrouter.config import Settings
from indoxrouter.core.login import AccessToken, Flight
from indoxrouter.core.policy import Clock
from indoxrouter.core.shared import Shared
from indoxrouter.core.sign_in import acquire, bases
from indoxrouter.core.steps import Plan, load_token, lock_tokens, save_token
from indoxrouter.errors import DeadlineExceededError

_VERSION = 1
LONGEST_LOCK = 30.0
"""Seconds to wait for another process's login before one of our own."""


def acquire_shared(shared: Shared, flight: Flight, deadline: float | None, clock: Clock) -> Plan[AccessToken]:
    """A fresh token: another process's newer one, else one that we log in for and leave for the others."""
    settings = shared.settings
    if settings.token_cache is None or settings.auth == "key":
        return (yield from acquire(shared, flight, deadline, clock))
    patience = clock.now() + LONGEST_LOCK
    locked = yield from lock_tokens(flight.tokens, patience if deadline is None else min(patience, deadline))
    if not locked:
        if deadline is not None and clock.now() >= deadline:
            raise DeadlineExceededError("the deadline passed while another process logged in", outcome="not_sent")
        return (yield from acquire(shared, flight, deadline, clock))
    return (yield from _acquire_locked(shared, flight, deadline, clock))


def _acquire_locked(shared: Shared, flight: Flight, deadline: float | None, clock: Clock) -> Plan[AccessToken]:
    settings = shared.settings
    mark = _mark(settings)
    found = _unpacked((yield from load_token(flight.tokens)), mark, settings.base_url, clock)
    if found is not None and (flight.last is None or found.value != flight.last.value):
        if not found.due(clock.now()):
            return found
        flight.last = flight.refresh_with = found  # the newest one: older refresh cookies are spent
    if found is not None and flight.refresh_with is not None:
        # Whatever becomes of us now, nobody sends this refresh cookie again.
        spent = replace(found, cookies={name: v for name, v in found.cookies.items() if name != "refresh_token"})
        yield from save_token(flight.tokens, _packed(spent, mark, clock))
    token = yield from acquire(shared, flight, deadline, clock)
    yield from save_token(flight.tokens, _packed(token, mark, clock))
    return token


def _mark(settings: Settings) -> str:
    """Whose token it is: the server and the key, from which the key can't be found."""
    named = f"{settings.base_url}\n{settings.current_key()}".encode()
    return hashlib.blake2b(named, digest_size=16, person=b"indoxrouter").hexdigest()


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
    """The token, if it is whole, ours and not known to have expired."""
    try:
        body: Any = json.loads(text or "null")
        if body["version"] != _VERSION or body["mark"] != mark:
            return None
        value, base, cookies = body["access_token"], body["base"], body["cookies"]
        lifetime, expires = body["lifetime"], body["expires"]
        if base not in bases(base_url, None) or not all(map(_in_header, (value, *cookies, *cookies.values()))):
            return None
        if lifetime is None:
            return AccessToken(value, base, clock.now(), None, cookies)
        left = min(float(expires) - clock.wall(), float(lifetime))  # a clock that was set makes no token longer
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None
    return AccessToken(value, base, clock.now() - (lifetime - left), float(lifetime), cookies) if left > 0 else None
