"""The plan of a download: a file that an answer names the URL of, followed to where it is and read.

The URL comes from a server, so it is trusted with nothing: no login, no cookie and no header of the
caller's goes along, and it may not lead to what only this machine can reach (the transports see to
that: see `transports.guarded`). Its query may be what opens the file, and stands in no message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import parse_qsl, urljoin, urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from indoxrouter.config import Settings
from indoxrouter.core import policy
from indoxrouter.core.exchange import Limits, begin, read, target_of
from indoxrouter.core.steps import Plan, close, read_next
from indoxrouter.errors import APIError, IndoxRouterError, NetworkError, ValidationError
from indoxrouter.wire.encoding import Decoder
from indoxrouter.wire.failures import Origin, from_reply
from indoxrouter.wire.messages import COMMON_HEADERS, HttpRequest, Reply

IDLE = 60.0
"""Seconds to wait for an answer, then for more of it, where no timeout is set."""
REDIRECTS = 5
_BITE = 2**12
"""Packed bytes that are decoded at a time: a thousandfold may come out of them."""
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
    """One file: `opened`, then `more` until there is none."""

    def __init__(self, url: str, settings: Settings, now: Callable[[], float], wall: float) -> None:
        self._home = Place.of(_normal(settings.base_url))
        self._url = self._checked(url)
        self._decoder: Decoder
        self._undecoded = b""
        self._idle = settings.timeout or IDLE
        self._connect = min(settings.timeout or policy.CONNECT, policy.CONNECT)
        self._deadline = None if settings.deadline is None else now() + settings.deadline
        self._now = now
        self._wall = wall

    def at_home(self, url: str) -> bool:
        """Whether it is at the base URL's own origin, which may be on any network."""
        return Place.of(url) == self._home

    def opened(self) -> Plan[Reply]:
        """The head of the answer that has the file; redirects are followed, each checked as the first URL."""
        for _ in range(REDIRECTS + 1):
            request = HttpRequest("GET", self._url, _HEADERS)
            limits = self._limits()
            reply = yield from begin(request, limits)
            if reply.status not in _MOVED or "location" not in reply.headers:
                return (yield from self._good(request, reply, limits))
            yield from close(reply)
            self._url = self._checked(_as_text(reply.headers["location"]), self._url)
        raise APIError(
            f"{target_of(request)}: more than {REDIRECTS} redirects",
            status_code=reply.status,
            code="too_many_redirects",
            outcome="rejected",
        )

    def more(self, reply: Reply) -> Plan[bytes]:
        """The next bytes of the file; b"" at its end, which is there only if all of it came."""
        limits = self._limits()
        try:
            while data := self._undecoded or (yield from read_next(reply, limits.until)):
                bite = _BITE if "content-encoding" in reply.headers else len(data)
                self._undecoded = data[bite:]
                if decoded := self._decoder.feed(data[:bite]):
                    return decoded
            self._decoder.finish()
        except NetworkError as error:
            failure = error
        else:
            return b""
        if failure.code is None and not isinstance(failure, TimeoutError):
            failure.code = "truncated"
        raise limits.explain(failure, f"GET {_shown(self._url)}")

    def _good(self, request: HttpRequest, reply: Reply, limits: Limits) -> Plan[Reply]:
        """The reply, if it has the file, and it is not too large."""
        target = target_of(request)
        if 200 < reply.status < 300:
            yield from close(reply)
            raise APIError(
                f"{target} answered {reply.status}, not the file", status_code=reply.status, outcome="unknown"
            )
        if reply.status != 200:
            query = urlsplit(self._url).query
            origin = Origin(target, None, lambda: [query, *_values(query)], self._wall)
            raise from_reply(origin, reply.status, reply.headers, (yield from read(reply, limits, target)))
        try:
            self._decoder = Decoder(reply.headers.get("content-encoding"), policy.MEDIA_CAP)
            length = reply.headers.get("content-length", "")
            if length.isdecimal() and int(length[:20]) > policy.MEDIA_CAP:
                raise NetworkError("the answer is larger than the client accepts", code="too_large", outcome="unknown")
        except NetworkError as error:
            failure = error
        else:
            return reply
        yield from close(reply)
        raise limits.explain(failure, target)

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
        until = self._now() + self._idle
        until = until if self._deadline is None else min(until, self._deadline)
        return Limits(until, min(self._connect, max(until - self._now(), 0.001)), self._deadline)


def _normal(url: str, base: str | None = None) -> str:
    """As urllib3 writes it: percent-encoded, lower case, without dots in the path; no fragment."""
    try:
        found = parse_url(url.strip() if base is None else urljoin(base, url.strip()))
        Place.of(found.url)  # raises where the port is none
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
    return f"a URL of the scheme {parts.scheme[:20]!r}"


def _values(query: str) -> list[str]:
    return [value for pair in parse_qsl(query, errors="replace") for value in pair if len(value) > 5]
