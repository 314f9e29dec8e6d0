"""Complete answers that are none: errors of every shape, redirects, odd bodies under a good status."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from raw_server import answer

from indoxrouter import (
    APIError,
    AuthenticationError,
    ContextWindowExceededError,
    IndoxRouterError,
    InsufficientCreditsError,
    InvalidParametersError,
    ModelNotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestError,
    ServiceUnavailableError,
    ValidationError,
)

from .exchange import Action, Exchange, Script
from .methods import Method
from .verdicts import BROKEN, CUT, Fault, Judge, Verdict, always

_EMPTY = Verdict(empty=True)
_UNUSABLE = Verdict(APIError, "unknown", status=200)
_NOT_UNDERSTOOD = Verdict(APIError, "done")
_DEEP = b"[" * 100_000 + b"]" * 100_000


def answered(status: int, body: Any, *, charged: bool = False, **headers: str) -> Script:
    """The same for everyone; the body may be made from what was asked."""

    def script(exchange: Exchange) -> Iterator[Action]:
        exchange.read()
        if charged:
            exchange.good()
        yield answer(
            status, body(exchange) if callable(body) else body, X_Request_Id=f"req-{exchange.nonce}", **headers
        )

    return script


def detail(exchange: Exchange) -> Any:
    return {"detail": exchange.echo()}


def _problems(exchange: Exchange) -> Any:
    return {"detail": [{"loc": ["body", "messages", 0], "msg": exchange.echo(), "type": "value_error", "input": 1}]}


def _like_openai(exchange: Exchange) -> Any:
    return {"error": {"message": exchange.echo(), "type": "server_error", "param": None, "code": None}}


def _enveloped(exchange: Exchange) -> Any:
    return {"success": False, "error": "SomeError", "message": exchange.echo(), "request_id": f"req-{exchange.nonce}"}


def _nested(exchange: Exchange) -> Any:
    return {"detail": {"error": {"message": {"detail": exchange.echo()}}}}


def _page(exchange: Exchange) -> bytes:
    return f"<html><head><title>{exchange.echo()}</title></head></html>".encode()


def _raw(text: bytes) -> Callable[[Exchange], bytes]:
    return lambda _: text


def rejected(error: type[IndoxRouterError], status: int, again: bool = False) -> Judge:
    return always(Verdict(error, "rejected", again, status))


def failed(status: int, again: bool = True) -> Judge:
    """The router or the provider failed: what was done by then is not known."""
    return always(Verdict(RequestError, "unknown", again, status))


def _missing(method: Method) -> Verdict:
    return Verdict(ModelNotFoundError if method.paid else APIError, "rejected", status=404)


REFUSED = [
    Fault("400-detail", answered(400, detail), rejected(InvalidParametersError, 400)),
    Fault("400-code", answered(400, {"error": {"message": "m", "code": "context_length_exceeded"}}),
          rejected(ContextWindowExceededError, 400)),
    Fault("400-list", answered(400, ["no"]), rejected(InvalidParametersError, 400)),
    Fault("400-null", answered(400, None), rejected(InvalidParametersError, 400)),
    Fault("400-number", answered(400, 7), rejected(InvalidParametersError, 400)),
    Fault("400-empty", answered(400, b""), rejected(InvalidParametersError, 400)),
    Fault("400-nested", answered(400, _nested), rejected(InvalidParametersError, 400)),
    Fault("400-deep", answered(400, _DEEP), rejected(InvalidParametersError, 400)),
    Fault("400-of-a-megabyte", answered(400, {"detail": "x" * 2**20}), rejected(InvalidParametersError, 400)),
    Fault("400-no-utf-8", answered(400, b'{"detail": "\xff\xfe"}'), rejected(InvalidParametersError, 400)),
    Fault("402", answered(402, detail), rejected(InsufficientCreditsError, 402)),
    Fault("403", answered(403, _enveloped), rejected(PermissionDeniedError, 403)),
    Fault("404", answered(404, _like_openai), _missing),
    Fault("408", answered(408, detail), rejected(APIError, 408, again=True)),
    Fault("409", answered(409, detail), rejected(APIError, 409, again=True)),
    Fault("413", answered(413, _page, Content_Type="text/html"), rejected(InvalidParametersError, 413)),
    Fault("418", answered(418, detail), rejected(APIError, 418)),
    Fault("422", answered(422, _problems), rejected(ValidationError, 422)),
    Fault("425", answered(425, detail), rejected(APIError, 425, again=True)),
    Fault("400-with-a-hint-to-retry", answered(400, detail, X_Should_Retry="true"),
          rejected(InvalidParametersError, 400)),
]  # fmt: skip
FAILED = [
    Fault("500-detail", answered(500, detail, charged=True), failed(500)),
    Fault("500-html", answered(500, _page, charged=True, Content_Type="text/html"), failed(500)),
    Fault("500-empty", answered(500, b"", charged=True), failed(500)),
    Fault("501", answered(501, detail), failed(501, again=False)),
    Fault("502-html", answered(502, _page, charged=True, Content_Type="text/html"), failed(502)),
    Fault("503", answered(503, _enveloped), rejected(ServiceUnavailableError, 503, again=True)),
    Fault("504", answered(504, _page, charged=True, Content_Type="text/html"), failed(504)),
    Fault("529", answered(529, _like_openai), rejected(ServiceUnavailableError, 529, again=True)),
    Fault("599", answered(599, None, charged=True), failed(599)),
    Fault("503-with-a-hint-not-to", answered(503, detail, X_Should_Retry="false"),
          rejected(ServiceUnavailableError, 503)),
]  # fmt: skip


def _soon() -> str:
    return email.utils.formatdate(time.time() - 5, usegmt=True)


def _limited(name: str, again: bool = True, body: Any = None, **headers: str) -> Fault:
    script = answered(429, {"detail": "slow down"} if body is None else body, charged=False, **headers)
    return Fault(f"429-{name}", script, rejected(RateLimitError, 429, again))


LIMITS = [
    _limited("plain"),
    _limited("seconds", Retry_After="0"),
    _limited("fraction", Retry_After="0.05"),
    _limited("milliseconds", retry_after_ms="20"),
    _limited("date-of-the-past", Retry_After=_soon()),
    _limited("in-the-body", body={"success": False, "error": "RateLimitError", "details": {"retry_after": 0.02}}),
    _limited("an-hour", again=False, Retry_After="3600"),
    _limited("nonsense", Retry_After="soon"),
    _limited("negative", Retry_After="-1"),
    _limited("infinite", Retry_After="inf"),
    Fault("429-of-a-quota", answered(429, {"error": {"message": "m", "code": "insufficient_quota"}}),
          rejected(InsufficientCreditsError, 429)),
]  # fmt: skip
"""Rate limits, in every form that a server may say when to come back."""


def _for(whole: Judge, models: Verdict, usage: Verdict) -> Judge:
    """Verdicts that differ for calls whose answer may well be empty."""

    def judge(method: Method) -> Verdict | tuple[Verdict, ...]:
        return {"models": models, "get_usage": usage}.get(method.name) or whole(method)

    return judge


def _or_words(method: Method) -> tuple[Verdict, ...]:
    """A string in JSON may be a transcript."""
    return (_EMPTY,) if method.name == "transcribe" else (_NOT_UNDERSTOOD, _UNUSABLE)


_ODD = always(_NOT_UNDERSTOOD)

ODD_BODIES = [
    Fault("200-html", answered(200, _page, charged=True, Content_Type="text/html"), always(_UNUSABLE)),
    Fault("200-html-called-json", answered(200, _page, charged=True), always(_UNUSABLE)),
    Fault("200-text", answered(200, b"OK", charged=True, Content_Type="text/plain"), always(_UNUSABLE)),
    Fault("200-empty", answered(200, b"", charged=True), always(_UNUSABLE)),
    Fault("200-empty-html", answered(200, b"", charged=True, Content_Type="text/html"), always(_UNUSABLE)),
    Fault("204", answered(204, b"", charged=True), always(replace(_UNUSABLE, status=204))),
    Fault("200-null", answered(200, b"null", charged=True), always(_NOT_UNDERSTOOD, _UNUSABLE)),
    Fault("200-number", answered(200, b"42", charged=True), always(_NOT_UNDERSTOOD, _UNUSABLE)),
    Fault("200-string", answered(200, b'"fine"', charged=True), _or_words),
    Fault("200-list", answered(200, b"[]", charged=True), _for(_ODD, models=_EMPTY, usage=_NOT_UNDERSTOOD)),
    Fault("200-object", answered(200, b"{}", charged=True), _for(_ODD, models=_EMPTY, usage=_EMPTY)),
    Fault("200-json-cut", answered(200, b'{"data": "fi', charged=True), always(CUT)),
    Fault("200-json-broken", answered(200, b'{"data": fine}', charged=True), always(BROKEN)),
    Fault("200-no-utf-8", answered(200, b'{"data": "\xff\xfe"}', charged=True), always(BROKEN)),
    Fault("200-deep", answered(200, b'{"data":' + _DEEP + b"}", charged=True), always(BROKEN)),
    Fault("200-error-text", answered(200, {"error": "boom"}), always(Verdict(APIError, "unknown"))),
    Fault("200-error-echoed", answered(200, _like_openai), always(Verdict(RequestError, "unknown", True, 500))),
    Fault("200-error-of-a-limit", answered(200, {"error": {"message": "m", "code": "rate_limit_exceeded"}}),
          rejected(RateLimitError, 429, again=True)),
    Fault("200-no-success", answered(200, _enveloped), always(Verdict(APIError, "unknown"))),
    Fault("200-object-error", answered(200, {"object": "error", "message": "m", "code": 503}),
          rejected(ServiceUnavailableError, 503, again=True)),
]  # fmt: skip
"""A good status over a body that is no answer."""


def _of_numbers(exchange: Exchange) -> bytes:
    content = json.loads(exchange.good().content)
    text = json.dumps(content if isinstance(content, dict) else content[0])
    odd = text[:-1] + ', "nan": NaN, "inf": -Infinity, "huge": ' + "9" * 5000 + ', "lone": "\\ud800"}'
    return (odd if isinstance(content, dict) else f"[{odd}]").encode()


HARMLESS = [
    Fault("odd-numbers", answered(200, _of_numbers), methods=lambda method: not method.stream),
    Fault("type-missing", answered(200, lambda exchange: exchange.good().content, Content_Type=""),
          methods=lambda method: method.name not in ("speech", "transcribe")),
    Fault("byte-order-mark", answered(200, lambda exchange: b"\xef\xbb\xbf" + exchange.good().content),
          methods=lambda method: not method.stream),
]  # fmt: skip


def redirect(status: int, elsewhere: str) -> Script:
    """To another origin, where nothing may arrive."""

    def script(exchange: Exchange) -> Iterator[Action]:
        exchange.read()
        location = f"{elsewhere}{exchange.path}?key=secret"
        yield answer(status, b"", Location=location, X_Request_Id=f"req-{exchange.nonce}")

    return script


def redirects(elsewhere: str) -> list[Fault]:
    return [
        Fault(f"{status}-elsewhere", redirect(status, elsewhere), rejected(APIError, status))
        for status in (301, 302, 303, 307, 308)
    ]


REFUSALS = [Fault("401", answered(401, _like_openai), rejected(AuthenticationError, 401))]
"""Once, it costs a login and is not seen by the caller; for ever, it ends the call after one fresh token."""
