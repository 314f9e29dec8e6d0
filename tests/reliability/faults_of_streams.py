"""Faults that only an event stream can have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from raw_server import DONE, FIN, HOLD, RST, chunked, event, piece

from indoxrouter import APIError, IndoxRouterError, RateLimitError, RequestError, StreamError

from .answers import answer_to
from .exchange import Action, Drip, Exchange, Script
from .methods import Method
from .verdicts import (
    CUT_MIDWAY,
    CUT_STREAM,
    FAILED_MIDWAY,
    LATE,
    LATE_MIDWAY,
    RIGHT,
    Fault,
    Judge,
    Verdict,
    always,
)

_COMMENT = b": keep-alive\n\n"
_UNDECODABLE = Verdict(StreamError, "unknown")


def events(change: Callable[[tuple[bytes, ...]], tuple[bytes, ...]], *after: Action, last: bool = True) -> Script:
    """The good answer's events, changed: text, text, text, finish, usage, [DONE]."""

    def script(exchange: Exchange) -> Iterator[Action]:
        good = exchange.good()
        yield good.head(Transfer_Encoding="chunked") + chunked(*change(good.pieces), last=last)
        yield from after

    return script


def instead(*parts: bytes) -> Script:
    return events(lambda _: parts)


def _commented_for_ever(after: int) -> Script:
    def script(exchange: Exchange) -> Iterator[Action]:
        good = exchange.good()
        yield good.head(Transfer_Encoding="chunked") + chunked(*good.pieces[:after], last=False)
        while True:
            yield chunked(_COMMENT, last=False)
            yield 0.05

    return script


def _dripped(exchange: Exchange) -> Iterator[Action]:
    yield Drip(exchange.good().until_close(), 25, 0.003)
    yield FIN


def _whole_answer(exchange: Exchange) -> Iterator[Action]:
    """A server that does not stream."""
    exchange.good()
    yield answer_to(exchange.path, {**exchange.json(), "stream": False}, exchange.nonce).sized()


def _midway(error: type[IndoxRouterError], status: int | None = None) -> Judge:
    return always(Verdict(error, "unknown", status=status, midway="failed"))


def _error(body: Any) -> bytes:
    return event({"error": body})


_LIMIT = _error({"message": "slow", "code": "rate_limit_exceeded"})
_FAULTS = [
    Fault("crlf", events(lambda parts: tuple(part.replace(b"\n", b"\r\n") for part in parts))),
    Fault("cr", events(lambda parts: tuple(part.replace(b"\n", b"\r") for part in parts))),
    Fault("byte-order-mark-of-events", events(lambda parts: (b"\xef\xbb\xbf", *parts))),
    Fault("comments-between", events(lambda parts: tuple(_COMMENT + part for part in parts))),
    Fault("unknown-fields", events(lambda parts: tuple(b"id: 7\nretry: 10\nfoo: bar\n" + part for part in parts))),
    Fault("odd-events", events(lambda parts: (event({"choices": []}), event([1]), event({"x": None}), *parts))),
    Fault("dripped-events", _dripped),
    Fault("one-byte-chunks", events(lambda parts: tuple(bytes([byte]) for byte in b"".join(parts)))),
    Fault("no-stream-but-json", _whole_answer),
    Fault("finish-without-done", events(lambda parts: parts[:4])),
    Fault("finish-then-rst", events(lambda parts: parts[:4], 0.02, RST, last=False)),
    Fault("done-without-finish", events(lambda parts: (*parts[:3], DONE))),
    Fault("done-then-rst", events(lambda parts: parts, 0.02, RST, last=False)),
    Fault("done-then-silent", events(lambda parts: parts, HOLD, last=False)),
    Fault("done-then-more", events(lambda parts: (*parts, piece("more")))),
    Fault("no-end", events(lambda parts: parts[:3]), always(CUT_MIDWAY)),
    Fault("no-end-by-fin", events(lambda parts: parts[:3], FIN, last=False), always(CUT_MIDWAY)),
    Fault("no-end-by-rst", events(lambda parts: parts[:3], 0.02, RST, last=False), always(CUT_MIDWAY)),
    Fault("only-comments", instead(_COMMENT, _COMMENT), always(CUT_STREAM)),
    Fault("no-events", instead(), always(CUT_STREAM)),
    Fault("half-an-event", instead(piece("x")[:-1]), always(CUT_STREAM)),
    Fault("error-first", instead(_error("boom")), always(Verdict(APIError, "unknown"))),
    Fault("limit-first", instead(_LIMIT), always(Verdict(RateLimitError, "rejected", True, 429))),
    Fault("failure-first", instead(_error({"message": "m", "type": "server_error"})),
          always(Verdict(RequestError, "unknown", True, 500))),
    Fault("error-midway", events(lambda parts: (*parts[:2], _error("boom"))), _midway(APIError)),
    Fault("limit-midway", events(lambda parts: (*parts[:2], _LIMIT)), _midway(RateLimitError, 429)),
    Fault("null-error", events(lambda parts: (parts[0], event({"error": None, "choices": []}), *parts[1:]))),
    Fault("broken-first", instead(b'data: {"choices": [\n\n'), always(_UNDECODABLE)),
    Fault("broken-midway", events(lambda parts: (*parts[:2], b'data: {"choices": [\n\n')), always(FAILED_MIDWAY)),
    Fault("no-utf-8-first", instead(b"data: \xff\xfe\n\n"), always(_UNDECODABLE)),
    Fault("no-utf-8-midway", events(lambda parts: (*parts[:2], b"data: \xff\xfe\n\n")), always(FAILED_MIDWAY)),
    Fault("lines-without-number", instead(b"data: x\n" * 10_002 + b"\n"), always(_UNDECODABLE)),
    Fault("comments-for-ever", _commented_for_ever(0), always(LATE), hangs=True),
    Fault("comments-for-ever-midway", _commented_for_ever(2), always(LATE_MIDWAY), hangs=True),
    Fault("silent-midway", events(lambda parts: parts[:2], HOLD, last=False), always(LATE_MIDWAY), hangs=True),
    Fault("silent-after-finish", events(lambda parts: parts[:4], HOLD, last=False), always(RIGHT), hangs=True),
]  # fmt: skip


def _streams(method: Method) -> bool:
    return method.stream


STREAMS = [replace(fault, methods=_streams) for fault in _FAULTS]
