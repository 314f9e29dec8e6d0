"""From an error answer to one typed exception: by status, then by code and type fields, by one table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from indoxrouter import errors
from indoxrouter.errors import APIError, Outcome
from indoxrouter.wire.fields import rate_limit
from indoxrouter.wire.masking import Mask
from indoxrouter.wire.masking import clean as clean
from indoxrouter.wire.messages import request_id_in
from indoxrouter.wire.parsing import loads
from indoxrouter.wire.waits import reset_time, status_in
from indoxrouter.wire.waits import retry_after as retry_after

BY_STATUS: Mapping[int, type[APIError]] = {
    400: errors.InvalidParametersError,
    401: errors.AuthenticationError,
    402: errors.InsufficientCreditsError,
    403: errors.PermissionDeniedError,
    413: errors.InvalidParametersError,
    422: errors.ValidationError,
    429: errors.RateLimitError,
    503: errors.ServiceUnavailableError,
    529: errors.ServiceUnavailableError,
}
BY_MISSING: Mapping[str | None, type[APIError]] = {
    "model": errors.ModelNotFoundError,
    "provider": errors.ProviderNotFoundError,
    None: APIError,
}
BY_CODE: Mapping[str, type[APIError]] = {
    "authenticationerror": errors.AuthenticationError,
    "invalid_api_key": errors.AuthenticationError,
    "no_db_connection": errors.AuthenticationError,  # LiteLLM's proxy: not its master key, and no other is known
    "permissiondeniederror": errors.PermissionDeniedError,
    "permission_denied": errors.PermissionDeniedError,
    "ratelimiterror": errors.RateLimitError,
    "rate_limit_exceeded": errors.RateLimitError,
    "rate_limit_error": errors.RateLimitError,
    "insufficientcreditserror": errors.InsufficientCreditsError,
    "insufficient_credits": errors.InsufficientCreditsError,
    "insufficient_quota": errors.InsufficientCreditsError,
    "contextwindowexceedederror": errors.ContextWindowExceededError,
    "context_length_exceeded": errors.ContextWindowExceededError,
    "contentpolicyerror": errors.ContentPolicyError,
    "contentpolicyviolationerror": errors.ContentPolicyError,
    "content_policy_violation": errors.ContentPolicyError,
    "content_filter": errors.ContentPolicyError,
    "providernotfounderror": errors.ProviderNotFoundError,
    "provider_not_found": errors.ProviderNotFoundError,
    "modelnotfounderror": errors.ModelNotFoundError,
    "model_not_found": errors.ModelNotFoundError,
    "modelnotavailableerror": errors.ModelNotAvailableError,
    "model_not_available": errors.ModelNotAvailableError,
    "serviceunavailableerror": errors.ServiceUnavailableError,
    "service_unavailable": errors.ServiceUnavailableError,
    "overloaded_error": errors.ServiceUnavailableError,
}
"""Codes and types that say more than any status."""
BY_BROAD_TYPE: Mapping[str, type[APIError]] = {
    "invalidparameterserror": errors.InvalidParametersError,
    "invalid_request_error": errors.InvalidParametersError,
    "validationerror": errors.ValidationError,
    "providererror": errors.ProviderError,
    "provider_error": errors.ProviderError,
    "requesterror": errors.RequestError,
    "server_error": errors.RequestError,
    "internal_server_error": errors.RequestError,
}
"""Types that servers put on errors of many kinds: asked only where there is no telling status."""
STATUS_OF: Mapping[type[APIError], int] = {
    **{kind: status for status, kind in BY_STATUS.items() if status not in (413, 529)},
    errors.ModelNotFoundError: 404,
    errors.ProviderNotFoundError: 404,
    errors.ContextWindowExceededError: 400,
    errors.ContentPolicyError: 400,
    errors.RequestError: 500,
    errors.ProviderError: 502,
}
RETRY_STATUSES = frozenset({408, 409, 425, 429, 503, 529})
"""Complete answers that say: nothing was done, come again."""
FINAL_STATUSES = frozenset({400, 401, 402, 403, 404, 407, 422})
"""Another try would be answered the same, whatever else the server says."""
_REPEATABLE_CLASSES = (errors.RateLimitError, errors.RequestError)


class Origin(NamedTuple):
    """Where an answer came from, and what its error message may not repeat."""

    target: str
    """The method, host and path, as a person would write them."""
    names: str | None = None
    """What a 404 says does not exist: "model", "provider" or nothing known."""
    secrets: Callable[[], Iterable[str]] = tuple
    """Asked for where there is something to show; they may be thousands."""
    wall: float = 0.0
    """Seconds since 1970, to read a Retry-After date against."""
    mask: Mask | None = None
    """Of the secrets, where they are known by now."""

    def known(self) -> Origin:
        """With its secrets looked up once, for several texts."""
        return self._replace(mask=Mask(self.secrets()))

    def hidden(self) -> Mask:
        return Mask(self.secrets()) if self.mask is None else self.mask

    def short(self, value: Any) -> str | None:
        """A name that the server gave, as far as it may be shown."""
        if not isinstance(value, str) or len(value) > _LONGEST_NAME:
            return None
        return clean(value, self.hidden(), 100)

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        return self.short(request_id_in(headers))


_LONGEST_NAME = 2**10
"""Characters of an id or a code; what is longer is none."""


def is_error(body: Mapping[str, Any]) -> bool:
    """Whether an answer or an event with a good status is an error all the same, in any of its forms."""
    return (
        bool(body.get("error"))  # null, "", {} and false say that there is none
        or "error" in (body.get("object"), body.get("type"))
        or body.get("success") is False
        or body.get("status") == "failed"
    )


def from_reply(origin: Origin, status: int, headers: Mapping[str, str], content: bytes) -> APIError:
    """The exception for a complete answer whose status is not 2xx."""
    try:
        body: Any = loads(content, values=_MOST_VALUES) if content.strip() else None
    except (ValueError, RecursionError):
        body = content[:_SHOWN_BYTES].decode("utf-8", "replace")
    return from_body(origin, status, headers, body)


_MOST_VALUES = 2**18
"""Values in the JSON of an error, which may repeat a whole request."""
_SHOWN_BYTES = 2**20
"""Of a page, or of what is no answer in another way: what follows says no more."""


def from_body(origin: Origin, status: int | None, headers: Mapping[str, str], body: Any) -> APIError:
    """The exception for an error body of any shape; `status` None: an error event inside a stream."""
    facts = dict(_flatten(body))
    origin = origin.known()
    status = status if status and status >= 300 else status_in(facts.get("status_code")) or status_in(facts.get("code"))
    stray = status == 404 and not isinstance(body, dict | list)  # of no API: a gateway's page, or nothing
    cls = APIError if stray else _choose(origin, status, facts)
    status = status or STATUS_OF.get(cls)
    text = clean(_said(body), origin.hidden())
    if status is not None and 300 <= status < 400:
        host = clean(_host(headers.get("location", "")), origin.hidden(), 100)
        text = f"a redirect to {host!r}, which is not followed: is base_url right?"
    if status == 407:  # its own words may repeat what only the proxy is to know
        text = "the proxy wants another user or password than those in its URL"
    if stray or (status == 404 and text == "Not Found"):  # what web frameworks say of paths that they don't know
        text = f"{text}: is base_url right?".removeprefix(": ")
    told = {"true": True, "false": False}.get(headers.get("x-should-retry", ""))
    retryable = status in RETRY_STATUSES or issubclass(cls, _REPEATABLE_CLASSES) if told is None else told
    if status in FINAL_STATUSES or status == 501 or issubclass(cls, errors.InsufficientCreditsError):
        retryable = False
    error = cls(
        f"{origin.target} answered {status or 'an error'}" + (f": {text}" if text else ""),
        status_code=status,
        code=origin.short(facts.get("code")) or origin.short(facts.get("error")),
        error_type=origin.short(facts.get("type")),
        request_id=origin.short(facts.get("request_id")) or origin.request_id(headers),
        retry_after=retry_after(headers, facts, origin.wall),
        reset_time=reset_time(facts, headers, origin.wall),
        details=body,
        retryable=retryable,
        outcome=_outcome(status),
    )
    if isinstance(error, errors.RateLimitError):
        error.rate_limit = rate_limit(headers, facts)
    return error


def unusable(
    origin: Origin, status: int, headers: Mapping[str, str], content: bytes, due: str = "usable JSON"
) -> APIError:
    """The exception for a 2xx answer that is HTML, text or empty where something else is due."""
    shown = content.lstrip()[:_SHOWN_BYTES].decode("utf-8", "replace").strip()
    origin = origin.known()
    kind = clean(headers.get("content-type", "no content type").split(";")[0], origin.hidden(), 100)
    text = clean(_title(shown) or shown, origin.hidden(), 200) or "an empty body"
    return APIError(
        f"{origin.target} answered {status} without {due} ({kind}): {text}",
        status_code=status,
        request_id=origin.request_id(headers),
        details=shown,
        outcome="unknown",
    )


_LEVELS = 8
"""How deep an error body is looked into."""


def _flatten(body: Any, levels: int = _LEVELS) -> Iterator[tuple[str, Any]]:
    """The fields of an error body, the outer ones last so that they win."""
    if isinstance(body, Mapping) and levels:
        for name in ("details", "detail", "error"):
            yield from _flatten(body.get(name), levels - 1)
        yield from ((name, value) for name in _FACTS if (value := body.get(name)) is not None)


_CODE_FIELDS = ("code", "type", "error", "error_type")
_FACTS = (
    *("code", "type", "error", "error_type", "status_code", "request_id"),
    *("retry_after", "reset_time", "limit", "remaining", "limit_type"),
)
"""The fields that are asked for: an error may have millions of others."""


def _choose(origin: Origin, status: int | None, facts: Mapping[str, Any]) -> type[APIError]:
    codes = [value.lower() for name in _CODE_FIELDS if isinstance(value := facts.get(name), str)]
    if known := [BY_CODE[code] for code in codes if code in BY_CODE]:
        return known[0]
    if status is not None and status in BY_STATUS:
        return BY_STATUS[status]
    if status == 404:
        return BY_MISSING[origin.names]
    if broad := [BY_BROAD_TYPE[code] for code in codes if code in BY_BROAD_TYPE]:
        return broad[0]
    return errors.RequestError if status is not None and status >= 500 else APIError


def _outcome(status: int | None) -> Outcome:
    return "unknown" if status is None or (status >= 500 and status not in RETRY_STATUSES) else "rejected"


def _said(body: Any, levels: int = _LEVELS) -> str:
    """The server's own words, from whichever place it put them."""
    match body if levels else None:
        case str():
            return _title(body) or body
        case {"message": str(message)}:
            return message
        case {"detail": list(problems)}:
            return "; ".join(filter(None, (_problem(entry, levels - 1) for entry in problems[:_MOST_PROBLEMS])))
        case {"detail": detail} if detail is not None:
            return _said(detail, levels - 1)
        case {"error": error} if error is not None:
            return _said(error, levels - 1)
        case {"msg": str(message)}:
            return message
        case _:
            return ""


_MOST_PROBLEMS = 100
"""So many fill what is shown of them, and so many steps lead to any field."""


def _title(page: str) -> str | None:
    """The title of a page, which stands near its beginning."""
    found = re.search(r"<title[^>]*>(.*?)</title", page[:4096], re.IGNORECASE | re.DOTALL)
    return found[1] if found else None


def _problem(entry: Any, levels: int) -> str:
    match entry:
        case {"loc": list(loc), "msg": str(message)}:
            return ".".join(str(part) for part in loc[:_MOST_PROBLEMS] if isinstance(part, str | int)) + ": " + message
        case _:
            return _said(entry, levels)


def _host(location: str) -> str:
    return re.sub(r"^[a-z]+://(?:[^/@]*@)?|[/?#].*$", "", location, flags=re.IGNORECASE) or "the same host"
