"""Faults below the answer's content: connections, heads, framing, compression, and what takes for ever."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace

from raw_server import FIN, HOLD, RST, End, head

from indoxrouter import StreamError

from .answers import Good, bomb
from .exchange import Action, Drip, Exchange, Script
from .verdicts import (
    BROKEN,
    CUT,
    CUT_MIDWAY,
    CUT_STREAM,
    LATE,
    NO_ANSWER,
    NOT_SENT,
    RIGHT,
    Fault,
    Judge,
    Verdict,
    always,
    by_form,
)

Ending = Callable[[Good], bytes]
OTHER_ANSWER = (
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 31\r\n\r\n{"data": "of somebody else\'s" }'
)
_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
_JSON = "application/json"
_TOO_LARGE = 65 * 2**20


def told(make: Ending, *after: Action) -> Script:
    """Carries the request out, and answers with these bytes; then what comes after."""

    def script(exchange: Exchange) -> Iterator[Action]:
        yield make(exchange.good())
        yield from after

    return script


def unanswered(count: int | None, end: End) -> Script:
    """Reads so much of the body, and ends the connection; only what was read whole is carried out."""

    def script(exchange: Exchange) -> Iterator[Action]:
        exchange.read(count)
        if exchange.whole:
            exchange.good()
        yield end

    return script


def dripped(make: Ending, size: int, every: float) -> Script:
    def script(exchange: Exchange) -> Iterator[Action]:
        yield Drip(make(exchange.good()), size, every)

    return script


def for_ever(first: bytes, then: bytes, every: float = 0.05) -> Script:
    def script(exchange: Exchange) -> Iterator[Action]:
        exchange.good()
        yield first
        while True:
            yield then
            yield every

    return script


def half(framed: bytes) -> bytes:
    """The head, and half of what follows."""
    start = framed.index(b"\r\n\r\n") + 4
    return framed[: start + (len(framed) - start) // 2]


def _zipped(good: Good) -> bytes:
    return good.sized(good.zipped(), Content_Encoding="gzip")


def _head_of(good: Good) -> bytes:
    return good.usual().partition(b"\r\n\r\n")[0]


def _head_in_pieces(exchange: Exchange) -> Iterator[Action]:
    framed = exchange.good().usual()
    end = framed.index(b"\r\n\r\n") + 4
    yield Drip(framed[:end], 9, 0.002)
    yield framed[end:]


def _with_trailers(good: Good) -> bytes:
    return good.chunked()[:-2] + b"X-Checksum: 123\r\n\r\n"


def _odd_chunk(size: bytes) -> Ending:
    return lambda good: good.head(Transfer_Encoding="chunked") + size + b"\r\n" + good.content + b"\r\n0\r\n\r\n"


def _without_line_ends(good: Good) -> bytes:
    return good.head(Transfer_Encoding="chunked") + b"5\r\n" + good.content + b"5\r\n" + good.content


def _http_1_0(good: Good) -> bytes:
    return good.sized().replace(b"HTTP/1.1", b"HTTP/1.0", 1)


def packed(encoding: str, pack: Ending) -> Ending:
    return lambda good: good.sized(pack(good), Content_Encoding=encoding)


def _two_members(good: Good) -> bytes:
    return gzip.compress(good.content[:30]) + gzip.compress(good.content[30:])


def with_length(length: str) -> Ending:
    return lambda good: good.head(Content_Length=length) + good.content


FORMS = [
    Fault("sized", told(Good.sized)),
    Fault("chunked", told(Good.chunked)),
    Fault("chunked-in-odd-pieces", told(lambda good: good.chunked(good.content))),
    Fault("until-close", told(Good.until_close, FIN)),
    Fault("http-1.0", told(_http_1_0, FIN)),
    Fault("sized-then-fin", told(Good.sized, FIN)),
    Fault("chunked-then-fin", told(Good.chunked, FIN)),
    Fault("chunked-with-trailers", told(_with_trailers)),
    Fault("dripped-whole", dripped(Good.usual, 60, 0.005)),
    Fault("head-in-pieces", _head_in_pieces),
    Fault("continue-100", told(lambda good: b"HTTP/1.1 100 Continue\r\n\r\n" + good.usual())),
    Fault("processing-102", told(lambda good: b"HTTP/1.1 102 Processing\r\n\r\n" + good.usual())),
    Fault("hints-103", told(lambda good: _HINTS + good.usual())),
    Fault("hints-103-twenty-times", told(lambda good: _HINTS * 20 + good.usual())),
    Fault("gzip", told(packed("gzip", Good.zipped))),
    Fault("gzip-in-capitals", told(packed("GZIP", Good.zipped))),
    Fault("gzip-of-two-members", told(packed("gzip", _two_members))),
    Fault("deflate", told(packed("deflate", lambda good: zlib.compress(good.content)))),
    Fault("deflate-bare", told(packed("deflate", lambda good: zlib.compress(good.content)[2:-4]))),
    Fault("gzip-with-padding", told(packed("gzip", lambda good: good.zipped() + bytes(16)))),
    Fault("gzip-chunked", told(lambda good: good.chunked(good.zipped(), Content_Encoding="gzip"))),
    Fault("two-answers-at-once", told(lambda good: good.usual() + OTHER_ANSWER)),
    Fault("a-second-answer-later", told(Good.usual, 0.03, OTHER_ANSWER), between=True),
    Fault("idle-408", told(Good.usual, 0.03, head(408, Content_Length="0", Connection="close"), FIN), between=True),
    Fault("idle-fin", told(Good.usual, FIN), between=True),
    Fault("idle-rst", told(Good.usual, 0.03, RST), between=True),
]
"""Good answers in every form that HTTP allows, and some that it doesn't: only ever the right answer."""

ENDS = [
    Fault("refused", unanswered(0, FIN), always(NOT_SENT), refuses=True),
    *(
        Fault(
            f"accepted-then-{end.value}",
            unanswered(0, end),
            # Whether a byte had left before the connection was gone is chance.
            always(NO_ANSWER, NOT_SENT),
            door=end,
        )
        for end in (FIN, RST)
    ),
    *(
        Fault(f"{name}-then-{end.value}", unanswered(count, end), always(NO_ANSWER))
        for end in (FIN, RST)
        for name, count in (("head-read", 0), ("ten-bytes-read", 10), ("all-read", None))
    ),
    *(
        Fault(f"{name}-then-{end.value}", told(make, end), always(NO_ANSWER))
        for end in (FIN, RST)
        for name, make in (
            ("status-line-cut", lambda _: b"HTTP/1.1 2"),
            ("headers-cut", lambda good: _head_of(good)[:-9]),
            ("blank-line-missing", lambda good: _head_of(good) + b"\r\n"),
            ("only-hints-103", lambda _: _HINTS),
        )
    ),
    Fault("no-http", told(lambda _: b"SSH-2.0-OpenSSH_9.6\r\n", FIN), always(NO_ANSWER)),
    Fault("status-of-letters", told(lambda good: good.usual().replace(b"200", b"OK!", 1), FIN), always(NO_ANSWER)),
    Fault("header-of-100-kb", told(lambda good: good.sized(X_Long="x" * 100_000), FIN), always(NO_ANSWER)),
]
"""Connections that end before there is an answer."""

_CUTS: list[tuple[str, Ending]] = [
    ("sized-cut", lambda good: half(good.sized())),
    ("sized-cut-at-the-body", lambda good: good.sized().partition(b"\r\n\r\n")[0] + b"\r\n\r\n"),
    ("length-too-long", lambda good: half(good.sized(off=10))),
    ("chunked-cut", lambda good: half(good.chunked(good.content))),
    ("until-close-cut", lambda good: half(good.until_close())),
    ("gzip-cut", lambda good: half(_zipped(good))),
    ("gzip-chunked-cut", lambda good: half(good.chunked(good.zipped(), Content_Encoding="gzip"))),
]
_BEFORE_ANY_EVENT = ("sized-cut-at-the-body",)
_DONE_SEEN = by_form(CUT, RIGHT)
"""[DONE] has come: what is missing behind it changes nothing."""
_BROKEN_PACKING = by_form(BROKEN, replace(BROKEN, error=StreamError))


def _by_form_or_unread(whole: Verdict, *stream: Verdict) -> Judge:
    """aiohttp reads no answer at all where something impossible came behind it in the same packet."""
    return lambda method: (*stream, NO_ANSWER) if method.stream else (whole, NO_ANSWER)


CUT_BODIES = [
    *(
        Fault(
            f"{name}-by-{end.value}",
            told(make, end),
            by_form(CUT, CUT_STREAM if name in _BEFORE_ANY_EVENT else CUT_MIDWAY),
        )
        for name, make in _CUTS
        for end in (FIN, RST)
    ),
]
LYING_BODIES = [
    Fault("last-byte-missing", told(lambda good: good.sized()[:-1], FIN), _DONE_SEEN),
    Fault("length-too-long-by-ten", told(lambda good: good.sized(off=10), FIN), _DONE_SEEN),
    Fault("last-chunk-missing", told(lambda good: good.chunked(last=False), FIN), _DONE_SEEN),
    Fault("last-chunk-missing-by-rst", told(lambda good: good.chunked(last=False), 0.02, RST), _DONE_SEEN),
    Fault("gzip-trailer-missing", told(packed("gzip", lambda good: good.zipped()[:-8])), _DONE_SEEN),
    Fault("length-too-short", told(lambda good: good.head(Content_Length=str(len(good.content) // 2)) + good.content),
          _by_form_or_unread(CUT, CUT_MIDWAY)),
    Fault("gzip-that-is-none", told(lambda good: good.sized(Content_Encoding="gzip")), _BROKEN_PACKING),
    Fault("gzip-with-garbage-after-it", told(packed("gzip", lambda good: good.zipped() + b"x" * 20)),
          by_form(BROKEN, RIGHT)),
    Fault("encoding-unknown", told(lambda good: good.sized(Content_Encoding="br")),
          always(BROKEN)),
    *(
        Fault(f"chunk-size-{name}", told(_odd_chunk(size), FIN), _by_form_or_unread(CUT, CUT_STREAM, RIGHT))
        for name, size in (("of-letters", b"zz"), ("empty", b""), ("negative", b"-5"))
    ),
    Fault("chunk-size-huge", told(_odd_chunk(b"F" * 20), FIN), _by_form_or_unread(CUT, RIGHT)),
    Fault("chunks-without-line-ends", told(_without_line_ends, FIN), always(CUT, CUT_STREAM, CUT_MIDWAY)),
    *(
        Fault(f"length-{name}", told(with_length(length), FIN), always(NO_ANSWER))
        for name, length in (("of-letters", "many"), ("negative", "-5"), ("two-of-them", "40\r\nContent-Length: 41"))
    ),
]  # fmt: skip
BOMBS = [
    Fault("gzip-bomb", told(packed("gzip", lambda _: bomb(_TOO_LARGE))),
          _BROKEN_PACKING,
          methods=lambda method: method.method == "chat"),
]  # fmt: skip

HANGS = [
    replace(fault, hangs=True)
    for fault in (
        Fault("silent", unanswered(None, HOLD), always(LATE)),
        Fault("status-line-then-silent", told(lambda _: b"HTTP/1.1 200 OK\r\n", HOLD), always(LATE)),
        Fault("head-then-silent", told(lambda good: _head_of(good) + b"\r\n\r\n", HOLD), always(LATE)),
        Fault("half-then-silent", told(lambda good: half(good.sized()), HOLD),
              by_form(LATE, replace(LATE, midway="failed"))),
        Fault("too-long-then-silent", told(lambda good: good.sized(off=10), HOLD), by_form(LATE, RIGHT)),
        Fault("head-dripped", dripped(Good.usual, 1, 0.1), always(LATE)),
        Fault("body-dripped", for_ever(head(Content_Length="9000", Content_Type=_JSON), b" "), always(LATE)),
        Fault("hints-103-for-ever", for_ever(b"", _HINTS), always(LATE)),
        Fault("chunks-for-ever", for_ever(head(Transfer_Encoding="chunked", Content_Type=_JSON), b"1\r\n \r\n"),
              always(LATE)),
    )
]  # fmt: skip
"""Answers that never end by themselves."""
