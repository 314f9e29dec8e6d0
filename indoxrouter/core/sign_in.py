"""The plan of one login: the refresh cookie once, else the key, on the server's own origin alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from indoxrouter.core import policy
from indoxrouter.core.exchange import Limits, begin, parsed, read, target_of
from indoxrouter.core.login import AccessToken, Flight, lifetime
from indoxrouter.core.policy import Clock
from indoxrouter.core.shared import Shared
from indoxrouter.core.steps import Plan, sleep
from indoxrouter.errors import AuthenticationError, DeadlineExceededError, IndoxRouterError
from indoxrouter.wire.failures import Origin, from_reply
from indoxrouter.wire.masking import header_secrets
from indoxrouter.wire.messages import COMMON_HEADERS, HttpRequest, Reply, Request
from indoxrouter.wire.parsing import first_of

REFRESH_COOKIE = "refresh_token"
_ABSENT = (404, 405)
_LOGIN = Request("login", "POST", ())


def acquire(
    shared: Shared, flight: Flight, key: Callable[[], str], deadline: float | None, clock: Clock
) -> Plan[AccessToken]:
    """A fresh token; `key` is called where it takes one. Raises what the server answered, or that no login is there."""
    settings = shared.settings
    sign_in = _SignIn(shared, deadline, clock, retries=0 if flight.spare else settings.max_retries)
    if settings.auth == "key":
        return AccessToken(key(), settings.base_url, clock.now())
    if flight.refresh_with is not None and (token := (yield from sign_in.refresh(flight.refresh_with))):
        return token
    return (yield from sign_in.with_key(key(), flight.last))


class _SignIn:
    def __init__(self, shared: Shared, deadline: float | None, clock: Clock, retries: int) -> None:
        self._settings = shared.settings
        self._bucket = shared.bucket
        self._deadline = deadline
        self._clock = clock
        self._retries = retries
        self._secrets = (*header_secrets(shared.settings.default_headers), *shared.known_keys)

    def refresh(self, old: AccessToken) -> Plan[AccessToken | None]:
        """By the session's cookies; None: refused or not offered, and not to be tried again."""
        if REFRESH_COOKIE not in old.cookies:
            return None
        self._secrets += (old.value, *old.cookies.values())
        cookie = "; ".join(f"{name}={value}" for name, value in old.cookies.items())
        request = HttpRequest("POST", f"{old.base}/auth/refresh", self._headers({"Cookie": cookie}))
        try:
            return (yield from self._post(request, old.base, retries=0))
        except DeadlineExceededError:
            raise
        except IndoxRouterError as error:
            if error.code in policy.FINAL_CODES:
                raise
            return None

    def with_key(self, key: str, last: AccessToken | None) -> Plan[AccessToken]:
        self._secrets += (key,)
        asked = []
        for base in bases(self._settings.base_url, last):
            for request in (
                HttpRequest("POST", f"{base}/auth/api-key", self._headers({"X-API-Key": key})),
                HttpRequest(
                    "POST",
                    f"{base}/auth/token",
                    self._headers({"Content-Type": "application/json"}),
                    json.dumps({"api_key": key}).encode(),
                ),
            ):
                if token := (yield from self._post(request, base, self._retries)):
                    return token
                asked.append(target_of(request))
        raise AuthenticationError(
            f"no login endpoint at {', '.join(asked)}: is base_url right? "
            'A server that takes the API key itself as the bearer token needs auth="key"',
            code="no_login",
            outcome="rejected",
        )

    def _post(self, request: HttpRequest, base: str, retries: int) -> Plan[AccessToken | None]:
        """The token that the answer holds; None where the endpoint does not exist."""
        drawn = 0
        for retry in range(retries + 1):
            started = self._clock.now()
            try:
                reply, content = yield from self._exchange(request)
                token = self._token(request, reply, content, base, started)
            except IndoxRouterError as error:
                if retry == retries or not policy.may_repeat(_LOGIN, error, repeated=False, opted_in=False):
                    raise
                wait = policy.wait_before_retry(retry, error, self._clock, self._deadline)
                if wait is None or not (cost := self._bucket.draw(error)):
                    raise
                drawn += cost
                why = f"login: {type(error).__name__}"
            else:
                self._bucket.give_back(drawn)
                return token
            yield from sleep(wait, why)
        raise AssertionError("unreachable: the last round returns or raises")

    def _exchange(self, request: HttpRequest) -> Plan[tuple[Reply, bytes]]:
        seconds = self._settings.timeout or policy.CONNECT
        limits = Limits.of(self._clock.now(), seconds, min(seconds, policy.CONNECT), self._deadline)
        reply = yield from begin(request, limits)
        return reply, (yield from read(reply, limits, target_of(request)))

    def _token(
        self, request: HttpRequest, reply: Reply, content: bytes, base: str, started: float
    ) -> AccessToken | None:
        if reply.status in _ABSENT:
            return None
        origin = Origin(target_of(request), None, lambda: self._secrets, self._clock.wall())
        if not 200 <= reply.status < 300:
            raise from_reply(origin, reply.status, reply.headers, content)
        cookies = _cookies(reply.set_cookies)
        answer = parsed(origin, reply, content) if first_of(content) == b"{" else {}
        value = answer.get("access_token") or cookies.get("access_token", "").strip('"')
        if not isinstance(value, str) or not re.fullmatch(r"[!-~]+", value):
            raise AuthenticationError(
                f"{origin.target} answered {reply.status} without a usable access_token: is base_url right?",
                status_code=reply.status,
                code="no_token",
                outcome="rejected",
            )
        seconds = lifetime(answer, value, self._clock.wall())
        return AccessToken(value, base, started, seconds, cookies)

    def _headers(self, extra: dict[str, str]) -> dict[str, str]:
        return {**COMMON_HEADERS, **self._settings.default_headers, **extra}


def bases(base_url: str, last: AccessToken | None) -> Iterator[str]:
    """Where login endpoints may stand: where they were before, then as given, then its usual other forms."""
    found = [last.base] if last is not None else []
    found.append(base_url)
    path = urlsplit(base_url).path
    if path in ("", "/v1"):
        root = base_url.removesuffix(path) if path else base_url
        found += [root + other for other in ("/v1", "/api/v1")]
    yield from dict.fromkeys(found)


def _cookies(lines: tuple[str, ...]) -> dict[str, str]:
    """Names and values of Set-Cookie headers; what is no cookie is passed over."""
    found: dict[str, str] = {}
    for line in lines:
        try:
            sent = {name: morsel.coded_value for name, morsel in SimpleCookie(line).items()}
            found.update({name: value for name, value in sent.items() if re.fullmatch(r"[!-~]+", value)})
        except CookieError:
            continue
    return found
