"""Logins, access tokens and rotating refresh tokens."""

import base64
import hmac
import math
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from indoxrouter.sandbox.encoding import seconds, to_json
from indoxrouter.sandbox.errors import unauthorized
from indoxrouter.sandbox.keyring import Key, KeyRing
from indoxrouter.sandbox.settings import Settings
from indoxrouter.sandbox.tiers import TIERS

USER = {
    "id": 1,
    "username": "sandbox",
    "email": "sandbox@localhost",
    "first_name": "Sandbox",
    "last_name": "User",
    "is_active": True,
}
_UNLIMITED = {"requests_per_minute": 1000, "tokens_per_hour": 1_000_000}  # told, never enforced
_REFRESH_SECONDS = 30 * 86400


@dataclass(eq=False)
class _Family:
    """The tokens that descend from one login with a key."""

    key: Key
    refresh_token: str = ""
    access_tokens: list[str] = field(default_factory=list)


class Tokens:
    """Every token issued and when it expires, on the monotonic clock."""

    def __init__(self, settings: Settings, keys: KeyRing) -> None:
        self._settings = settings
        self._keys = keys
        self._secret = secrets.token_bytes(32)
        self._issued: dict[str, tuple[float, _Family]] = {}  # by access token
        self._families: dict[str, _Family] = {}  # by refresh token, used ones included

    def login(self, written: str) -> dict[str, Any]:
        """A new pair for a key, if it is one that is in use."""
        key = self._keys.find(written)
        if key is None:
            raise unauthorized("Invalid API key")
        return self._issue(_Family(self._keys.used(key)))

    def refresh(self, refresh_token: str) -> dict[str, Any]:
        """A new pair for a refresh token; one sent twice revokes everything that came of its login."""
        family = self._families.get(refresh_token)
        if family is None:
            raise unauthorized("Invalid refresh token")
        if family.refresh_token != refresh_token:
            family.refresh_token = ""
            for token in family.access_tokens:
                self._issued.pop(token, None)
            raise unauthorized("Invalid refresh token")
        self._keys.used(family.key)
        return self._issue(family)

    def check(self, authorization: str | None) -> Key:
        """The key behind a bearer; a call without a valid one is refused."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unauthorized("Not authenticated")
        issued = self._issued.get(token)
        if issued is None:
            key = self._keys.find(token) if self._settings.accept_key else None
            if key is None:
                raise unauthorized("Could not validate credentials")
            return self._keys.used(key)
        expiry, family = issued
        if time.monotonic() >= expiry:
            raise unauthorized("Token has expired")
        return self._keys.used(family.key)

    def expire_all(self) -> None:
        self._issued.clear()

    def withdraw(self, key: Key) -> None:
        """Forgets every token that was issued to a key."""
        self._issued = {token: issued for token, issued in self._issued.items() if issued[1].key is not key}
        self._families = {token: family for token, family in self._families.items() if family.key is not key}

    def _issue(self, family: _Family) -> dict[str, Any]:
        lifetime = self._settings.token_lifetime
        now = time.monotonic()
        self._forget(now)
        token = self._jwt(lifetime) if self._settings.jwt else "sandbox_" + secrets.token_urlsafe(32)
        self._issued[token] = now + lifetime, family
        family.access_tokens = [t for t in family.access_tokens if t in self._issued] + [token]
        answer: dict[str, Any] = {"access_token": token, "token_type": "bearer"}
        if self._settings.refresh_tokens:
            answer["refresh_token"] = family.refresh_token = "refresh_" + secrets.token_urlsafe(32)
            self._families[family.refresh_token] = family
        if self._settings.expires_in:
            answer["expires_in"] = seconds(lifetime)
        return answer

    def _forget(self, now: float) -> None:
        # expired tokens are told apart from unknown ones until they would fill the memory
        if len(self._issued) > 10_000:
            self._issued = {token: issued for token, issued in self._issued.items() if issued[0] > now}

    def _jwt(self, lifetime: float) -> str:
        now = time.time()
        issued = int(now) if lifetime == int(lifetime) else round(now, 3)
        claims = {
            "sub": USER["username"],
            "iat": issued,
            "exp": seconds(issued + lifetime),
            "jti": secrets.token_hex(8),
            "user": USER,
            "rate_limits": self._rate_limits(),
        }
        signed = _segment({"alg": "HS256", "typ": "JWT"}) + b"." + _segment(claims)
        signature = hmac.digest(self._secret, signed, "sha256")
        return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()

    def _rate_limits(self) -> dict[str, int]:
        tier = TIERS.get(self._settings.tier)
        return {"requests_per_minute": tier.requests, "tokens_per_hour": tier.tokens} if tier else _UNLIMITED


def _segment(claims: dict[str, Any]) -> bytes:
    return base64.urlsafe_b64encode(to_json(claims)).rstrip(b"=")


def cookies(answer: dict[str, Any], lifetime: float) -> list[tuple[bytes, bytes]]:
    """The headers that set the session's cookies."""
    ages = {"access_token": math.ceil(lifetime), "refresh_token": _REFRESH_SECONDS}
    return [
        (b"set-cookie", f"{name}={answer[name]}; Max-Age={age}; Path=/; HttpOnly; SameSite=lax".encode())
        for name, age in ages.items()
        if name in answer
    ]
