"""Mutations of real answers and of bytes: a field nulled, retyped, removed, nested; bytes cut, doubled, replaced."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

Path = tuple[str | int, ...]

STRANGERS: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 10**400, 1e308, float("nan"), float("-inf")),
    *("", " ", "x", "a\ud800b", "1e999", "NaN", "<b>", "2026-13-45", "data:image/png;base64,!", "completed", "\u0661"),
    *([], [None], [[[]]], [1, "x"], {}, {"": None}, {"x": [{}]}, {"id": 5, "status": "failed"}),
)
"""Values that stand in for what was there."""


def places(body: Any, here: Path = ()) -> Iterator[Path]:
    """Everything in a JSON value, the whole of it first."""
    yield here
    items = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for name, item in items:
        yield from places(item, (*here, name))


def one_mutation_each(body: Any, strangers: Sequence[Any] = STRANGERS) -> Iterator[Any]:
    """Every place replaced by each stranger, nested, doubled, and removed."""
    for place in places(body):
        value = at(body, place)
        for other in (*strangers, [value], {"x": value}, [value, value]):
            yield replaced(body, place, other)
        if place:
            yield removed(body, place)


def mutated(body: Any, random: Random, most: int = 4) -> Any:
    """Some places replaced by strangers or by what stands elsewhere in the value, nested, or removed."""
    for _ in range(random.randint(1, most)):
        everywhere = list(places(body))
        place = random.choice(everywhere)
        value = at(body, place)
        match random.randrange(5):
            case 0:
                body = replaced(body, place, at(body, random.choice(everywhere)))
            case 1:
                body = replaced(body, place, random.choice(([value], {"x": value}, [value, value], {"result": value})))
            case 2 if place:
                body = removed(body, place)
            case _:
                body = replaced(body, place, random.choice(STRANGERS))
    return body


def at(body: Any, place: Path) -> Any:
    for name in place:
        body = body[name]
    return body


def replaced(body: Any, place: Path, value: Any) -> Any:
    """A copy with another value in that place."""
    if not place:
        return copy.deepcopy(value)
    found = copy.copy(body)
    found[place[0]] = replaced(body[place[0]], place[1:], value)
    return found


def removed(body: Any, place: Path) -> Any:
    """A copy without that place."""
    found = copy.copy(body)
    if len(place) == 1:
        del found[place[0]]
    else:
        found[place[0]] = removed(body[place[0]], place[1:])
    return found


def mutated_events(content: bytes, random: Random) -> bytes:
    """The JSON between two empty lines mutated as JSON; what is none, doubled, moved, or dropped."""
    blocks = content.split(b"\n\n")
    n = random.randrange(len(blocks))
    prefix = b"data: " if blocks[n].startswith(b"data: ") else b""
    try:
        value = json.loads(blocks[n][len(prefix) :])
        blocks[n] = prefix + json.dumps(mutated(value, random)).encode()
    except (ValueError, RecursionError):
        moved = blocks.pop(n)
        for _ in range(random.randrange(3)):
            blocks.insert(random.randint(0, len(blocks)), moved)
    return b"\n\n".join(blocks)


def mutated_bytes(content: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """As fuzzers do it: bytes flipped, dropped, doubled, swapped for words, spliced with another input."""
    for _ in range(random.randint(1, 5)):
        start = random.randint(0, len(content))
        end = min(len(content), start + random.choice((0, 1, 1, 2, 4, 8, 32, 128)))
        match random.randrange(6):
            case 0:
                middle = b""
            case 1:
                middle = content[start:end] * 2
            case 2:
                middle = random.randbytes(random.randint(1, 4))
            case 3:
                middle = bytes(byte ^ (1 << random.randrange(8)) for byte in content[start:end])
            case 4:
                other = random.choice(others)
                begin = random.randint(0, len(other))
                middle = other[begin : begin + random.randint(1, 64)]
            case _:
                middle = random.choice(WORDS)
        content = content[:start] + middle + content[end:]
    return content


WORDS = (
    *(b"null", b"true", b"NaN", b"Infinity", b"-1e999", b"9" * 400, b"0.1", b'""', b"[]", b"{}", b"[[[[", b"]]", b"}"),
    *(b'"\\ud800"', b"\\u0000", b"\xff", b"\xe2\x80\xa8", b"\n\n", b"\r", b"\r\n", b"data: ", b":", b'"error": '),
    *(b'"data": ', b'"choices": ', b'"status": "failed"', b'"index": -5', b'{"type": "response.done"}', b"[DONE]"),
)
