"""One request and its answer: the smallest part of a plan, shared by calls and logins."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from indoxrouter.core.policy import ERROR_CAP, FINAL_CODES, JSON_CAP
from indoxrouter.core.steps import Plan, close, read_next, send
from indoxrouter.errors import DeadlineExceededError, IndoxRouterError, NetworkError, RequestTimeoutError
from indoxrouter.wire.encoding import Decoder
from indoxrouter.wire.failures import Origin, from_body, is_error, unusable
from indoxrouter.wire.messages import HttpRequest, Reply
from indoxrouter.wire.parsing import TooLargeError, first_of, loads

_FINAL_CODES = FINAL_CODES | {"too_large", "encoding", "undecodable", "event_too_large"}
"""Failures that the same request would meet again."""


class Limits(NamedTuple):
    """Monotonic times at which an attempt and its whole call must have ended."""

    until: float
    connect: float
    """Seconds."""
    deadline: float | None
    connecting_is_shorter: bool = False
    """Whether connecting has less time than the attempt."""
    seconds: float | None = None
    """What `until` is so many seconds after, where the deadline leaves them."""

    @classmethod
    def of(cls, now: float, seconds: float, connect: float, deadline: float | None) -> Limits:
        """From now on: so many seconds, and so many of them to connect, as far as the deadline leaves them."""
        until = now + seconds if deadline is None else min(now + seconds, deadline)
        left = max(until - now, 0.001)
        return cls(until, min(connect, left), deadline, connect < left, seconds)

    def explain(self, error: IndoxRouterError, target: str) -> IndoxRouterError:
        """Say where it happened, and whether it was the call's own deadline that passed."""
        error.message = f"{target}: {error.message}"
        error.args = (error.message,)
        error.retryable = error.code not in _FINAL_CODES
        whole = self.deadline is not None and self.until >= self.deadline
        if isinstance(error, RequestTimeoutError) and error.outcome == "not_sent" and self.connecting_is_shorter:
            whole = False  # it is not the call that had no more time
        if isinstance(error, RequestTimeoutError) and whole:
            late = DeadlineExceededError(f"{target}: the deadline of the call passed")
            late.outcome = error.outcome
            return late
        if isinstance(error, RequestTimeoutError) and error.outcome == "unknown" and self.seconds is not None:
            error.message += f" ({self.seconds:g} s)"
            error.args = (error.message,)
        return error


def begin(request: HttpRequest, limits: Limits) -> Plan[Reply]:
    """Send, and wait for the head of the answer."""
    try:
        return (yield from send(request, limits.until, limits.connect))
    except NetworkError as error:
        failure = error
    raise limits.explain(failure, target_of(request))


class Body:
    """The decoded body of a reply, a little at a time: a thousandfold may come out of what was sent."""

    def __init__(self, reply: Reply, cap: int) -> None:
        """Raises NetworkError where it is encoded in a way that was not asked for."""
        self._reply = reply
        self._decoder = Decoder(reply.headers.get("content-encoding"), cap)
        self._pieces: Iterator[bytes] = iter(())

    def more(self, until: float) -> Plan[bytes]:
        """The next of it; b"" at its end, which is there only if all of it came."""
        while not (piece := next(self._pieces, b"")):
            data = yield from read_next(self._reply, until)
            if not data:
                self._decoder.finish()
                return b""
            self._pieces = self._decoder.pieces(data)
        return piece


def read(reply: Reply, limits: Limits, target: str, cap: int = JSON_CAP) -> Plan[bytes]:
    """The whole decoded body; the reply is closed where it can't be had. Of a huge error, its beginning."""
    is_error = not 200 <= reply.status < 300
    cap = min(cap, ERROR_CAP) if is_error else cap
    failure: IndoxRouterError
    content = io.BytesIO()  # whose value is no copy, as that of joined parts is
    try:
        body = Body(reply, cap)
        while piece := (yield from body.more(limits.until)):
            content.write(piece)
        return content.getvalue()
    except GeneratorExit:
        raise  # nobody is left to carry out a step
    except NetworkError as error:
        failure = error
    except BaseException:
        yield from close(reply)
        raise
    yield from close(reply)
    if is_error and failure.code == "too_large":
        return content.getvalue()  # its status says more than that it is too large
    raise limits.explain(failure, target)


def parsed(
    origin: Origin,
    reply: Reply,
    content: bytes,
    *,
    exact: bool = False,
    job: bool = False,
    values: int | None = None,
) -> Any:
    """The JSON of a 2xx answer, or the error that it is. For the flags and `values`, see Request."""
    try:
        body = _json(content, Decimal if exact else float, values)
    except TooLargeError as error:
        raise NetworkError(
            f"{origin.target} answered {reply.status} with {error}",
            code="too_large",
            request_id=origin.request_id(reply.headers),
            outcome="unknown",
        ) from None
    except (ValueError, RecursionError) as error:
        if first_of(content) not in (b"{", b"["):
            raise unusable(origin, reply.status, reply.headers, content) from None
        cut = isinstance(error, json.JSONDecodeError) and (
            error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated string")
        )
        raise NetworkError(
            f"{origin.target} answered {reply.status} with JSON that is {'cut' if cut else 'broken'}",
            code="truncated" if cut else "undecodable",
            request_id=origin.request_id(reply.headers),
            outcome="unknown",
            retryable=cut,
        ) from None
    if isinstance(body, dict) and is_error(body) and not (job and _is_job(body)):
        raise from_body(origin, None, reply.headers, body)
    return body


def _is_job(body: Mapping[str, Any]) -> bool:
    return isinstance(body.get("status"), str) and ("job_id" in body or body.get("success") is not False)


def _json(content: bytes, fraction: Callable[[str], Any], values: int | None) -> Any:
    try:
        if fraction is float:
            return loads(content, values=values)
        return loads(content, values=values, lists=_ROWS, parse_float=fraction)
    except (json.JSONDecodeError, TooLargeError):
        raise
    except (ValueError, ArithmeticError):  # thousands of digits, which int refuses; 1e9999999999999999999
        whole, exact = partial(_number, int), partial(_number, fraction)
        return loads(content, values=_BY_HAND, parse_int=whole, parse_float=exact)


_ROWS = 2**17
"""Objects in an answer whose amounts are read exactly: each is a row, which takes longer than its parsing."""
_BY_HAND = 2**16
"""Values that are read by functions of ours, each of which takes ten times as long."""


def _number(kind: Callable[[str], Any], text: str) -> Any:
    """The number; where it can't be kept, the nearest float, or NaN for what should have been exact."""
    try:
        return kind(text)
    except (ValueError, ArithmeticError):
        return float("nan") if kind is Decimal else float(text)


def target_of(request: HttpRequest) -> str:
    """The method, host and path: no query, no user."""
    parts = urlsplit(request.url)
    return f"{request.method} {parts.netloc}{parts.path}"
