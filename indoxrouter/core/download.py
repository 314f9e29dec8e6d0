"""The plan of a download: a file that an answer names the URL of, followed to where it is and read.

The URL comes from a server, so it is trusted with nothing: no login, no cookie and no header of the
caller's goes along, and it may not lead to what only this machine can reach (the transports see to
that: see `transports.guarded`). Its query may be what opens the file, and stands in no message.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, urljoin, urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from indoxrouter.config import Settings
from indoxrouter.core import policy
from indoxrouter.core.exchange import Body, Limits, begin, read, target_of
from indoxrouter.core.policy import Clock, RetryBucket
from indoxrouter.core.steps import Plan, close, sleep
from indoxrouter.errors import APIError, Attempt, IndoxRouterError, NetworkError, Outcome, ValidationError
from indoxrouter.wire.failures import Origin, from_body, from_reply, is_error, unusable
from indoxrouter.wire.messages import COMMON_HEADERS, HttpRequest, Reply, Request
from indoxrouter.wire.parsing import loads

IDLE = 60.0
"""Seconds to wait for an answer, then for more of it, where no timeout is set."""
REDIRECTS = 5
_REQUEST = Request("file", "GET", ())
_HEADERS = {**COMMON_HEADERS, "Accept": "*/*"}
_MOVED = (301, 302, 303, 307, 308)


class Place(NamedTuple):
    """A scheme, host and port: what an exception is made for."""

    scheme: str
    host: str
    port: int | None

    @classmethod
    def of(cls, url: str) -> Place:
        parts = urlsplit(url)
        return cls(parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme))


class Download:
    """One file: `opened`, then `more` until there is none.

    The timeout bounds each wait, for an answer and then for more of it; only a deadline bounds them all, so
    without one a file may drip in for as long as it likes.
    """

    def __init__(self, url: str, settings: Settings, clock: Clock, bucket: RetryBucket) -> None:
        self._home = Place.of(_normal(settings.base_url))
        self._start = self._url = self._checked(_absolute(url, settings.base_url))
        self._body: Body
        self._first = b""
        self._retries = settings.max_retries
        self._idle = settings.timeout or IDLE
        self._connect = min(settings.timeout or policy.CONNECT, policy.CONNECT)
        self._deadline = None if settings.deadline is None else clock.now() + settings.deadline
        self._clock = clock
        self._bucket = bucket
        self._drawn = 0

    def at_home(self, url: str) -> bool:
        """Whether it is at the base URL's own origin, which may be on any network."""
        return Place.of(url) == self._home

    def opened(self) -> Plan[Reply]:
        """The answer that has the file, once the first of it has come; until then it is asked for again."""
        attempts: list[Attempt] = []
        while True:
            started = self._clock.now()
            try:
                reply = yield from self._begun()
            except IndoxRouterError as error:
                failure = error
            else:
                self._bucket.give_back(self._drawn or 1)
                return reply
            seconds, outcome = self._clock.now() - started, failure.outcome or "unknown"
            wait = self._wait_before(len(attempts), failure)
            why = failure.code or type(failure).__name__
            attempts.append(Attempt(None, failure.status_code, outcome, seconds, wait, why))
            if wait is None:
                failure.attempts = tuple(attempts)
                raise failure
            try:
                yield from sleep(wait, f"download: {why}")
            except IndoxRouterError as interrupted:
                interrupted.outcome, interrupted.attempts = outcome, tuple(attempts)
                raise

    def more(self) -> Plan[bytes]:
        """The next bytes of the file; b"" at its end, which is there only if all of it came."""
        if first := self._first:
            self._first = b""
            return first
        limits = self._limits()
        try:
            return (yield from self._body.more(limits.until))
        except NetworkError as error:
            failure = error
        if failure.code is None and not isinstance(failure, TimeoutError):
            failure.code = "truncated"
        raise limits.explain(failure, f"GET {_shown(self._url)}")

    def _begun(self) -> Plan[Reply]:
        """The answer, and its first bytes put by."""
        self._url = self._start
        reply = yield from self._found()
        self._first = yield from self.more()
        if not self._first:
            empty = unusable(self._origin(f"GET {_shown(self._url)}"), reply.status, reply.headers, b"", "the file")
            empty.code = "no_content"
            raise empty
        return reply

    def _found(self) -> Plan[Reply]:
        """The head of the answer that has the file; redirects are followed, each checked as the first URL."""
        for _ in range(REDIRECTS + 1):
            request = HttpRequest("GET", self._url, _HEADERS)
            limits = self._limits()
            reply = yield from begin(request, limits)
            if reply.status not in _MOVED or "location" not in reply.headers:
                return (yield from self._good(target_of(request), reply, limits))
            yield from close(reply)
            self._url = self._checked(_as_text(reply.headers["location"]), self._url)
        raise APIError(
            f"{target_of(request)}: more than {REDIRECTS} redirects",
            status_code=reply.status,
            code="too_many_redirects",
            outcome="rejected",
        )

    def _good(self, target: str, reply: Reply, limits: Limits) -> Plan[Reply]:
        """The reply, if it has the file, and it is not too large."""
        if 200 < reply.status < 400:
            yield from close(reply)
            outcome: Outcome = "unknown" if reply.status < 300 else "rejected"
            raise APIError(f"{target} answered {reply.status}, not the file", status_code=reply.status, outcome=outcome)
        origin = self._origin(target)
        if reply.status != 200:
            raise from_reply(origin, reply.status, reply.headers, (yield from read(reply, limits, target)))
        if _is_page(reply.headers.get("content-type", "")):
            raise _no_file(origin, reply, (yield from read(reply, limits, target)))
        try:
            self._body = Body(reply, policy.MEDIA_CAP)
            length = reply.headers.get("content-length", "")
            if length.isdecimal() and int(length[:20]) > policy.MEDIA_CAP:
                raise NetworkError("the answer is larger than the client accepts", code="too_large", outcome="unknown")
        except NetworkError as error:
            failure = error
        else:
            return reply
        yield from close(reply)
        raise limits.explain(failure, target)

    def _wait_before(self, retry: int, error: IndoxRouterError) -> float | None:
        """Seconds to wait before it is asked for again; None: it is not."""
        if retry >= self._retries or not policy.may_repeat(_REQUEST, error, repeated=False, opted_in=False):
            return None
        wait = policy.wait_before_retry(retry, error, self._clock, self._deadline)
        if wait is None:
            return None
        drawn = self._bucket.draw(error)
        self._drawn += drawn
        return wait if drawn else None

    def _checked(self, given: str, came_from: str | None = None) -> str:
        """The URL in its normal form. Raises ValidationError where it is not to be fetched."""
        url = _normal(given, came_from)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise _refused(url, "it is no http or https URL")
        if parts.username is not None or parts.password is not None:
            raise _refused(url, "it holds a user name")
        if parts.scheme == "http" and came_from is not None and came_from.startswith("https:"):
            raise _refused(url, "a redirect leads from https to plain http")
        if parts.scheme == "http" and not self.at_home(url):
            raise _refused(url, "it is plain http, and elsewhere than base_url")
        return url

    def _limits(self) -> Limits:
        return Limits.of(self._clock.now(), self._idle, self._connect, self._deadline)

    def _origin(self, target: str) -> Origin:
        query = urlsplit(self._url).query
        return Origin(target, None, lambda: [query, *_values(query)], self._clock.wall())


def _is_page(content_type: str) -> bool:
    """Whether it is what servers write in a file's place, rather than images, sound or film."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind in ("text/html", "application/xhtml+xml") or kind.endswith(("/json", "+json"))


def _no_file(origin: Origin, reply: Reply, content: bytes) -> APIError:
    """The error that a page or JSON with a good status is."""
    try:
        body = loads(content)
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict) and is_error(body):
        return from_body(origin, None, reply.headers, body)
    return unusable(origin, reply.status, reply.headers, content, "the file")


def _absolute(url: str, base_url: str) -> str:
    """A URL that names a path alone is one of base_url's host."""
    try:
        written = url.strip()
        parts = urlsplit(written)
        relative = not parts.scheme and (parts.path or parts.netloc) and written.isprintable()
        return urljoin(urljoin(base_url, "/"), written) if relative else url
    except (ValueError, AttributeError, TypeError):
        return url  # and is refused as it is


def _normal(url: str, base: str | None = None) -> str:
    """As urllib3 writes it: percent-encoded, lower case, without dots in the path; no fragment."""
    try:
        written = url.strip() if base is None else urljoin(base, url.strip())
        found = parse_url(written)
        Place.of(found.url)  # raises where the port is none
        if re.search(r"[\x00-\x20\x7f]", found.host or ""):  # urllib3 before 2.8 lets such a host pass
            raise LocationParseError(written)
    except (LocationParseError, ValueError, AttributeError, TypeError):
        raise ValidationError("what the answer names as a URL is none", code="unsafe_url", outcome="not_sent") from None
    return found._replace(fragment=None).url


def _as_text(header: str) -> str:
    """Servers write UTF-8, which is read as Latin-1 like any header."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def _refused(url: str, why: str) -> IndoxRouterError:
    return ValidationError(f"{_shown(url)} is not fetched: {why}", code="unsafe_url", outcome="not_sent")


def _shown(url: str) -> str:
    """The host and path; of what is no http URL, the scheme."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        return f"{parts.hostname}{parts.path}"[:300]
    return f"a URL of the scheme {parts.scheme[:20]!r}" if parts.scheme else "an empty or broken URL"


def _values(query: str) -> list[str]:
    return [value for pair in parse_qsl(query, errors="replace") for value in pair if len(value) > 5]
