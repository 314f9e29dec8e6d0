"""What holds for any input of the pure parts: the framer, the decoders, error answers, waits, content encodings.

Numbered inputs are made from their number alone: the number in a failure's message brings the input
back. They are made by loops, not by Hypothesis, which takes ten times as long; with `-m long` there
are a hundred times as many.
"""

from __future__ import annotations

import email.utils
import gzip
import html
import json
import math
import tracemalloc
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from indoxrouter.errors import IndoxRouterError, NetworkError
from indoxrouter.wire.encoding import Decoder
from indoxrouter.wire.failures import Origin, from_body, from_reply, retry_after, unusable

from . import counts
from .claims import WALL, answers, check_error
from .decoders import DECODERS, TARGET, decoded, real_answers
from .event_streams import by_the_framer, by_the_specification, cut, cut_at, odd_stream
from .mutations import mutated, one_mutation_each, places

SAMPLED, ALL = 5_000, 500_000
sizes = pytest.mark.parametrize("size", [SAMPLED, pytest.param(ALL, marks=[pytest.mark.long])])
REAL = real_answers()
NAMES = sorted({str(name) for body in REAL.values() for place in places(body) for name in place})
"""Every field of every real answer."""
ERROR_NAMES = [
    *("error", "detail", "details", "message", "msg", "loc", "code", "type", "status", "status_code", "request_id"),
    *("retry_after", "reset_time", "limit", "limit_type", "success", "object", "param"),
]


def json_of(names: list[str], leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names), inner, max_size=5),
        max_leaves=12,
    )


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400)


class TestC23Framer:
    @sizes
    @pytest.mark.timeout(1800)
    def test_c23_no_cut_changes_what_a_stream_says(self, size: int) -> None:
        events = refused = 0
        for n in range(size):
            random = Random(n)
            stream = odd_stream(random)
            expected = by_the_specification(stream)
            for pieces in ([stream], cut(stream, random)):
                found = by_the_framer(pieces)
                assert found == expected, f"input {n}: {pieces} should read as {expected}, not {found}"
            events += len(expected.events)
            refused += expected.refusal is not None
        assert events > size / 2
        assert size / 100 < refused < size / 2
        counts.RUN["event streams framed"] += size

    @settings(max_examples=500, deadline=None)
    @given(
        st.lists(st.binary(max_size=3) | st.sampled_from([b"data:", b" ", b"\n", b"\r", b"\r\n", b":"]), max_size=20),
        st.lists(st.integers(0, 60), max_size=5),
    )
    def test_c23_whatever_the_bytes(self, parts: list[bytes], cuts: list[int]) -> None:
        stream = b"".join(parts)
        assert by_the_framer(cut_at(stream, cuts)) == by_the_specification(stream)


class TestD29Decoders:
    @pytest.mark.parametrize("shape", REAL)
    def test_d29_a_real_answer_is_understood(self, shape: str) -> None:
        assert not isinstance(decoded(shape.partition(".")[0], REAL[shape]), IndoxRouterError)

    @pytest.mark.parametrize("shape", REAL)
    def test_d29_with_any_field_nulled_retyped_nested_or_removed(self, shape: str) -> None:
        name = shape.partition(".")[0]
        for n, body in enumerate(one_mutation_each(REAL[shape])):
            try:
                decoded(name, body)
            except Exception as error:
                raise AssertionError(f"mutation {n} of {shape}: {body!r}") from error
            counts.RUN["mutated answers decoded"] += 1

    @sizes
    @pytest.mark.timeout(1800)
    def test_d29_with_several_mutations_in_any_decoder(self, size: int) -> None:
        understood = 0
        for n in range(size):
            random = Random(n)
            shape = random.choice(list(REAL))
            name = random.choice([shape.partition(".")[0], *DECODERS])
            body = mutated(REAL[shape], random)
            try:
                understood += not isinstance(decoded(name, body), IndoxRouterError)
            except Exception as error:
                raise AssertionError(f"input {n}, {name}: {body!r}") from error
        assert size / 5 < understood < size * 4 / 5
        counts.RUN["mutated answers decoded"] += size

    @settings(max_examples=200, deadline=None)
    @given(json_of(NAMES, LEAVES))
    def test_d29_any_json(self, body: Any) -> None:
        for name in DECODERS:
            decoded(name, body)

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=40) | json_of(NAMES, LEAVES).map(lambda body: json.dumps(body).encode()))
    def test_d29_any_bytes(self, content: bytes) -> None:
        answers(content)


ODD_TEXT = st.text(st.sampled_from("ab \n\t\"'\\/<>&é\u00a0\u2028\u200b\x00\x1b\x85😀\ud800"), max_size=8)
SECRETS = st.lists(ODD_TEXT.map(lambda tail: f"canary-{tail}"), min_size=1, max_size=3)
QUOTES: tuple[Callable[[str], str], ...] = (
    str,
    json.dumps,
    lambda secret: json.dumps(secret, ensure_ascii=False),
    repr,
    html.escape,
    lambda secret: " ".join(secret.split()),
    lambda secret: secret.replace(" ", "\r\n\t"),
    lambda secret: f"Bearer {secret}",
)


class Quoted(NamedTuple):
    """A place of an error body where a secret is told: which, how, between what; whole or a part of it."""

    before: str
    quote: Callable[[str], str]
    secret: int
    after: str
    part: slice

    def text(self, secrets: list[str]) -> str:
        return self.before + self.quote(secrets[self.secret % len(secrets)])[self.part] + self.after


QUOTED = st.builds(
    Quoted,
    ODD_TEXT,
    st.sampled_from(QUOTES),
    st.integers(0, 2),
    st.sampled_from(["", " ", "x", ".", "\n", "x" * 290]),
    st.sampled_from([slice(None), slice(None), slice(5), slice(5, None)]),
)
BODIES = json_of([*ERROR_NAMES, "first secret"], LEAVES | QUOTED | QUOTED)


def telling(body: Any, secrets: list[str]) -> Any:
    """The body with the secrets in their places."""
    if isinstance(body, Quoted):
        return body.text(secrets)
    if isinstance(body, dict):
        named = {secrets[0] if name == "first secret" else name: value for name, value in body.items()}
        return {name: telling(value, secrets) for name, value in named.items()}
    return [telling(item, secrets) for item in body] if isinstance(body, list) else body


class TestErrorAnswers:
    @settings(max_examples=500, deadline=None)
    @given(SECRETS, BODIES, st.sampled_from([301, 400, 401, 404, 422, 429, 500, 503]), st.integers(0, 400))
    def test_no_body_tells_a_secret(self, secrets: list[str], told: Any, status: int, end: int) -> None:
        origin = Origin(TARGET, "model", lambda: secrets, WALL)
        body = telling(told, secrets)
        content = json.dumps(body).encode()
        check_error(from_body(origin, None, {}, body), origin)
        check_error(from_reply(origin, status, {}, content), origin)
        for broken in (content[:end], f"<title>{body}</title>".encode(errors="replace")):
            check_error(from_reply(origin, status, {}, broken), origin)
            check_error(unusable(origin, 200, {}, broken), origin)

    @settings(max_examples=300, deadline=None)
    @given(SECRETS, st.sampled_from(QUOTES), st.sampled_from([302, 400, 429, 503]))
    def test_no_header_tells_a_secret(self, secrets: list[str], quote: Any, status: int) -> None:
        origin = Origin(TARGET, None, lambda: secrets, WALL)
        told = " ".join(quote(secrets[0]).split())
        headers = dict.fromkeys(("x-request-id", "content-type", "retry-after", "x-ratelimit-reset"), told)
        headers["location"] = f"https://{told}/"
        check_error(from_reply(origin, status, headers, b""), origin)
        check_error(unusable(origin, 200, headers, b""), origin)

    @settings(max_examples=300, deadline=None)
    @given(st.text(), st.integers(0, 3000))
    def test_any_words_of_the_server_are_cut_short(self, said: str, more: int) -> None:
        content = json.dumps({"detail": said + "x" * more}).encode()
        error = from_reply(Origin(TARGET, None), 400, {}, content)
        check_error(error, Origin(TARGET, None))
        assert len(str(error)) <= len(f"{TARGET} answered 400: ") + 300

    @pytest.mark.parametrize("length", [1, 299, 300, 301, 5000])
    def test_300_characters_of_them_are_told(self, length: int) -> None:
        error = from_reply(Origin(TARGET, None), 400, {}, json.dumps({"detail": "x" * length}).encode())
        told = "x" * length if length <= 300 else "x" * 299 + "…"
        assert str(error) == f"{TARGET} answered 400: {told}"


NUMBERS = st.integers().map(str) | st.floats().map(str) | st.floats(0, 1e6).map(lambda seconds: f" {seconds:.3f} ")
WAITS = st.text() | NUMBERS | st.sampled_from(["9" * 5000, "1e400", "-0.0", "NaN", "Infinity", "0x10", "1_000", "١٢"])
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_dates(date: datetime) -> list[str]:
    """The three forms of RFC 9110, 5.6.7, and that of mail with a zone."""
    day, month, clock = date.weekday(), MONTHS[date.month - 1], f"{date:%H:%M:%S}"
    return [
        f"{DAYS[day]}, {date.day:02} {month} {date.year} {clock} GMT",
        f"{LONG_DAYS[day]}, {date.day:02}-{month}-{date.year % 100:02} {clock} GMT",
        f"{DAYS[day]} {month} {date.day:2} {clock} {date.year}",
        email.utils.format_datetime(date.astimezone(UTC) + timedelta(hours=3)).replace("+0000", "+0300"),
    ]


class TestRetryAfter:
    @settings(max_examples=1500, deadline=None)
    @given(WAITS, WAITS | st.none(), LEAVES, st.floats(-1e10, 1e11))
    @example("Mon, 1 Jan 0001 00:00:00 +2359", None, None, 0.0)
    @example("31 Dec 9999 23:59:59 -2359", None, None, 0.0)
    @example("", None, 7, 0.0)
    def test_any_text_is_no_wait_or_a_finite_one(self, text: str, other: str | None, fact: Any, wall: float) -> None:
        for name, another in (("retry-after", "retry-after-ms"), ("retry-after-ms", "retry-after")):
            headers: Mapping[str, str] = {name: text} if other is None else {name: text, another: other}
            found = retry_after(headers, {"retry_after": fact}, wall)
            assert found is None or (isinstance(found, float) and math.isfinite(found) and found >= 0)

    @settings(max_examples=500, deadline=None)
    @given(
        st.lists(
            st.sampled_from([*DAYS, *MONTHS, ",", "-", ":", " ", "0", "1", "99", "2026", "GMT", "+", "é"]), max_size=12
        )
    )
    def test_so_is_any_text_made_of_parts_of_dates(self, parts: list[str]) -> None:
        for glue in ("", " "):
            found = retry_after({"retry-after": glue.join(parts)}, {}, WALL)
            assert found is None or (math.isfinite(found) and found >= 0)

    @given(st.floats(0, 1e9), st.integers(0, 10**9))
    def test_a_number_is_itself(self, seconds: float, whole: int) -> None:
        assert retry_after({"retry-after": repr(seconds)}, {}, WALL) == seconds
        assert retry_after({"retry-after": str(whole)}, {"retry_after": 5}, WALL) == whole
        assert retry_after({"retry-after-ms": str(whole), "retry-after": "5"}, {}, WALL) == whole / 1000
        assert retry_after({}, {"retry_after": seconds}, WALL) == seconds

    @given(
        st.datetimes(datetime(1970, 1, 1), datetime(2068, 12, 31), timezones=st.just(UTC)), st.integers(-(10**9), 10**6)
    )
    def test_a_date_is_told_from_the_given_clock(self, date: datetime, ahead: int) -> None:
        date = date.replace(microsecond=0)
        wall = date.timestamp() - ahead
        for written in http_dates(date):
            assert retry_after({"retry-after": written}, {}, wall) == max(0, ahead), written


def packed(payload: bytes, encoding: str) -> bytes:
    return zlib.compress(payload) if encoding == "deflate" else gzip.compress(payload, mtime=0)


def unpacked(pieces: list[bytes], encoding: str, cap: int = 2**20) -> tuple[bytes, str | None]:
    """What came out, and the code of the error that ended it."""
    decoder, out = Decoder(encoding, cap), bytearray()
    try:
        for piece in pieces:
            for part in decoder.pieces(piece):
                out += part
        decoder.finish()
    except NetworkError as error:
        return bytes(out), error.code
    return bytes(out), None


PAYLOADS = st.binary(max_size=300) | st.builds(
    lambda part, times: part * times, st.binary(max_size=20), st.integers(0, 500)
)
CUTS = st.lists(st.integers(0, 400), max_size=5)
encodings = pytest.mark.parametrize("encoding", ["gzip", "deflate", "X-GZIP "])


KNOWN = ("identity", "gzip", "x-gzip", "deflate")


@encodings
class TestB17Encodings:
    @settings(max_examples=300, deadline=None)
    @given(PAYLOADS, CUTS)
    def test_b17_whole_bodies_come_out_however_they_are_cut(
        self, encoding: str, payload: bytes, cuts: list[int]
    ) -> None:
        content = packed(payload, encoding)
        assert unpacked(cut_at(content, cuts), encoding) == (payload, None)
        single = [content[n : n + 1] for n in range(len(content))]
        assert unpacked(single, encoding, cap=len(payload)) == (payload, None)

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=200), st.binary(max_size=200), CUTS)
    def test_b17_so_do_several_members(self, encoding: str, one: bytes, two: bytes, cuts: list[int]) -> None:
        content = packed(one, encoding) + packed(two, encoding)
        assert unpacked(cut_at(content, cuts), encoding) == (one + two, None)

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=120))
    def test_b14_a_body_that_is_cut_anywhere_is_truncated(self, encoding: str, payload: bytes) -> None:
        content = packed(payload, encoding)
        for end in range(1, len(content)):
            out, code = unpacked([content[:end]], encoding)
            assert code == "truncated"
            assert payload.startswith(out)

    @settings(max_examples=300, deadline=None)
    @given(PAYLOADS, st.binary(min_size=1, max_size=20), CUTS)
    def test_b14_what_follows_a_body_is_refused_and_changes_nothing(
        self, encoding: str, payload: bytes, garbage: bytes, cuts: list[int]
    ) -> None:
        out, code = unpacked(cut_at(packed(payload, encoding) + garbage, cuts), encoding)
        harmless = not garbage.strip(b"\0")
        assert (out, code) == (payload, None) if harmless else code in ("truncated", "undecodable")
        assert payload.startswith(out)

    @settings(max_examples=300, deadline=None)
    @given(st.binary(max_size=100), st.integers(0, 10**6))
    def test_b14_a_flipped_bit_is_found_or_changes_nothing(self, encoding: str, payload: bytes, place: int) -> None:
        content = bytearray(packed(payload, encoding))
        content[place // 8 % len(content)] ^= 1 << place % 8
        out, code = unpacked([bytes(content)], encoding)
        assert code in ("truncated", "undecodable") or (out, code) == (payload, None)

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=60), CUTS)
    def test_b14_any_bytes(self, encoding: str, content: bytes, cuts: list[int]) -> None:
        assert unpacked(cut_at(content, cuts), encoding)[1] in (None, "truncated", "undecodable", "too_large")

    def test_b17_a_bomb_costs_the_cap(self, encoding: str) -> None:
        cap, bomb = 2**20, packed(bytes(2**26), encoding)
        assert len(bomb) < cap / 8
        for size in (len(bomb), 4096, 100):
            tracemalloc.start()
            out, code = unpacked([bomb[n : n + size] for n in range(0, len(bomb), size)], encoding, cap)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert code == "too_large"
            assert len(out) <= cap
            assert peak < 6 * cap

    def test_b17_the_cap_itself_is_allowed(self, encoding: str) -> None:
        for over in (0, 1):
            content = packed(b"x" * (1000 + over), encoding)
            assert unpacked([content], encoding, 1000)[1] == ("too_large" if over else None)


class TestB17BareDeflate:
    """What some servers call deflate: without zlib's header and checksum."""

    @settings(max_examples=300, deadline=None)
    @given(PAYLOADS, st.integers(0, 9), CUTS)
    def test_b17_it_comes_out_however_it_is_cut(self, payload: bytes, level: int, cuts: list[int]) -> None:
        content = bare(payload, level)
        assert unpacked(cut_at(content, cuts), "deflate", len(payload)) == (payload, None)
        single = [content[n : n + 1] for n in range(len(content))]
        assert unpacked(single, "deflate", len(payload)) == (payload, None)

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=120), st.integers(0, 9))
    def test_b14_a_body_that_is_cut_anywhere_is_truncated(self, payload: bytes, level: int) -> None:
        content = bare(payload, level)
        for end in range(1, len(content)):
            out, code = unpacked([content[:end]], "deflate")
            assert code == "truncated"
            assert payload.startswith(out)

    def test_b17_a_large_one_comes_out_whole(self) -> None:
        payload = b"".join(Random(1).randbytes(50) * 20 for _ in range(3000))
        content = bare(payload, 9)
        for size in (1000, 2**16, len(content)):
            pieces = [content[n : n + size] for n in range(0, len(content), size)]
            assert unpacked(pieces, "deflate", len(payload)) == (payload, None)


def bare(payload: bytes, level: int) -> bytes:
    maker = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return maker.compress(payload) + maker.flush()


@given(st.text(min_size=1, max_size=20).filter(lambda name: name.strip().lower() not in KNOWN))
def test_other_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(NetworkError, match="not asked for") as caught:
        Decoder(encoding, 10)
    assert len(str(caught.value)) < 300
