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
from indoxrouter.sandbox.settings import Settings

USER = {
    "id": 1,
    "username": "sandbox",
    "email": "sandbox@localhost",
    "first_name": "Sandbox",
    "last_name": "User",
    "is_active": True,
}
RATE_LIMITS = {"requests_per_minute": 1000, "tokens_per_hour": 1_000_000}
_REFRESH_SECONDS = 30 * 86400


@dataclass(eq=False)
class _Family:
    """The tokens that descend from one login."""

    refresh_token: str = ""
    access_tokens: list[str] = field(default_factory=list)


class Tokens:
    """Every token issued and when it expires, on the monotonic clock."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._key = (settings.api_key or "").encode()
        self._secret = secrets.token_bytes(32)
        self._expiries: dict[str, float] = {}
        self._families: dict[str, _Family] = {}  # by refresh token, used ones included

    def is_key(self, key: str) -> bool:
        return hmac.compare_digest(key.encode(errors="replace"), self._key)

    def login(self) -> dict[str, Any]:
        """A new pair for a caller whose key was accepted."""
        return self._issue(_Family())

    def refresh(self, refresh_token: str) -> dict[str, Any] | None:
        """A new pair for a refresh token; one sent twice revokes everything that came of its login."""
        family = self._families.get(refresh_token)
        if family is None:
            return None
        if family.refresh_token != refresh_token:
            family.refresh_token = ""
            for token in family.access_tokens:
                self._expiries.pop(token, None)
            return None
        return self._issue(family)

    def check(self, authorization: str | None) -> None:
        """Refuses a call without a valid bearer."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unauthorized("Not authenticated")
        expiry = self._expiries.get(token)
        if expiry is None:
            if self._settings.accept_key and self.is_key(token):
                return
            raise unauthorized("Could not validate credentials")
        if time.monotonic() >= expiry:
            raise unauthorized("Token has expired")

    def expire_all(self) -> None:
        self._expiries.clear()

    def _issue(self, family: _Family) -> dict[str, Any]:
        lifetime = self._settings.token_lifetime
        now = time.monotonic()
        self._forget(now)
        token = self._jwt(lifetime) if self._settings.jwt else "sandbox_" + secrets.token_urlsafe(32)
        self._expiries[token] = now + lifetime
        family.access_tokens = [t for t in family.access_tokens if t in self._expiries] + [token]
        answer: dict[str, Any] = {"access_token": token, "token_type": "bearer"}
        if self._settings.refresh_tokens:
            answer["refresh_token"] = family.refresh_token = "refresh_" + secrets.token_urlsafe(32)
            self._families[family.refresh_token] = family
        if self._settings.expires_in:
            answer["expires_in"] = seconds(lifetime)
        return answer

    def _forget(self, now: float) -> None:
        # expired tokens are told apart from unknown ones until they would fill the memory
        if len(self._expiries) > 10_000:
            self._expiries = {token: expiry for token, expiry in self._expiries.items() if expiry > now}

    def _jwt(self, lifetime: float) -> str:
        now = time.time()
        issued = int(now) if lifetime == int(lifetime) else round(now, 3)
        claims = {
            "sub": USER["username"],
            "iat": issued,
            "exp": seconds(issued + lifetime),
            "jti": secrets.token_hex(8),
            "user": USER,
            "rate_limits": RATE_LIMITS,
        }
        signed = _segment({"alg": "HS256", "typ": "JWT"}) + b"." + _segment(claims)
        signature = hmac.digest(self._secret, signed, "sha256")
        return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


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
