"""Event streams for the framer: the specification's reading of one, and any number of odd ones."""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from indoxrouter.errors import StreamError
from indoxrouter.wire.sse import Framer


class Reading(NamedTuple):
    """What a stream says: the data of its events, and how it is refused, if it is."""

    events: list[str]
    refusal: str | None


def by_the_specification(stream: bytes) -> Reading:
    """https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation, line by line.

    Where the specification puts U+FFFD in place of what is no UTF-8, the event is refused; events whose
    data is empty say nothing, and are left out.
    """
    events: list[str] = []
    data, readable = "", True
    for line in _lines(stream.removeprefix(codecs.BOM_UTF8)):
        if not line:
            if not readable:
                return Reading(events, "undecodable")
            events += [data[:-1]] if data[:-1] else []
            data = ""
            continue
        try:
            field, colon, value = line.decode().partition(":")
        except UnicodeDecodeError:
            readable = False
            continue
        if colon and not field:
            continue  # a comment
        if value.startswith(" "):
            value = value[1:]
        if field == "data":
            data += value + "\n"
    return Reading(events, None)


def _lines(stream: bytes) -> Iterator[bytes]:
    """The lines that end: by CR LF, LF or CR."""
    line = bytearray()
    after_cr = False
    for byte in stream:
        if byte == 0x0A and after_cr:
            after_cr = False
        elif byte in (0x0A, 0x0D):
            yield bytes(line)
            line.clear()
            after_cr = byte == 0x0D
        else:
            line.append(byte)
            after_cr = False


def by_the_framer(pieces: Sequence[bytes]) -> Reading:
    framer = Framer()
    events: list[str] = []
    try:
        for piece in pieces:
            events.extend(framer.feed(piece))
    except StreamError as error:
        return Reading(events, error.code)
    return Reading(events, None)


def cut_at(stream: bytes, places: Sequence[int]) -> list[bytes]:
    """The stream in pieces; a place that is named twice makes an empty one."""
    ends = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(ends)]


def cut(stream: bytes, random: Random) -> list[bytes]:
    if random.random() < 0.2:
        return [stream[n : n + 1] for n in range(len(stream))]
    return cut_at(stream, [random.randint(0, len(stream)) for _ in range(random.randint(0, 6))])


LINES = (
    *(b"data: a", b"data:b", b"data:  c", b"data:", b"data: ", b"data", b"data: [DONE]", b'data: {"data": "x"}'),
    *(b": comment", b":", b"id: 1", b"id: \0", b"id", b"event: e", b"event", b"retry: 5", b"retry: x"),
    *(b"unknown: x", b"no colon", b" data: x", b"data : x", b"DATA: x", b"datab: x", b" ", b"\t", b"\xc2\xa0"),
    *(b"data: \xe2\x80\xa8", b"data: a\xe2\x80\xa9b", b"data: \xc2\x85", b"data: \x0b\x0c\x1c\x1d", b"data: \0", b"\0"),
    *(b"\xef\xbb\xbfdata: x", b"data: \xef\xbb\xbf", b"\xef\xbb\xbf", b"data: \xf0\x9f\x98\x80", b"data: \xc3\xa9"),
)
BROKEN = (b"data: \xff", b"data: \xe2\x80", b": \xff", b"\xff", b"data: \xed\xa0\x80", b"data: \xc0\xaf", b"\xef\xbb")
"""No UTF-8."""
ENDS = (b"\n", b"\r", b"\r\n")
BEGINNINGS = (
    b"",
    b"",
    b"",
    b"\xef\xbb\xbf",
    b"\xef\xbb\xbf\xef\xbb\xbf",
    b"\xef",
    b"\xef\xbb",
    b"\n",
    b"\r",
    b"\r\n\r\n",
)


def odd_stream(random: Random) -> bytes:
    """A stream of every kind of line, of one kind of line ending or of all, whole or left over at its end."""
    ends = random.choice([ENDS, ENDS[:1], ENDS[1:2], ENDS[2:]])
    parts = [random.choice(BEGINNINGS)]
    for _ in range(random.randint(0, 12)):
        parts.append(_line(random) + random.choice(ends))
        while random.random() < 0.4:
            parts.append(random.choice(ends))
    if random.random() < 0.5:
        parts.append(random.choice(LINES))
    return b"".join(parts)


def _line(random: Random) -> bytes:
    kind = random.random()
    if kind < 0.02:
        return random.choice(BROKEN)
    if kind < 0.04:  # more lines than are parsed at once
        return random.choice(ENDS).join(random.choices(LINES[:12], k=random.choice([99, 100, 101, 201])))
    if kind < 0.1:
        return random.randbytes(random.randint(1, 4))
    if kind < 0.2:
        return b"data: " + bytes(random.choices(b"ab :\0{}", k=random.randint(0, 30)))
    return random.choice(LINES)
