"""A picture drawn from a prompt, as PNG: a sky, a sun and hills, by the standard library alone."""

import struct
import zlib
from functools import lru_cache
from typing import Any

from indoxrouter.sandbox.answers import digest

_SKY = 192  # palette entries of the sky's gradient; the shapes' colours follow
Colour = tuple[int, int, int]


@lru_cache(maxsize=32)
def draw(prompt: str, seed: Any, index: int, width: int, height: int) -> bytes:
    """The PNG of a prompt; another seed or index gives another picture."""
    rows, palette = scene(prompt, seed, index, width, height)
    pixels = b"".join(b"\0" + row for row in rows)  # each row begins with its filter: none
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = [(b"IHDR", header), (b"PLTE", b"".join(bytes(colour) for colour in palette))]
    parts += [(b"tEXt", b"Software\0indoxrouter sandbox"), (b"IDAT", zlib.compress(pixels, 1)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_part(kind, data) for kind, data in parts)


def scene(
    prompt: str, seed: Any, index: int, width: int, height: int, day: float | None = None
) -> tuple[list[bytearray], list[Colour]]:
    """The rows, made of palette entries, and the palette; the part of the day that has passed moves the sun."""
    key = digest(prompt, seed, index)
    rows = [bytearray([y * (_SKY - 1) // max(1, height - 1)]) * width for y in range(height)]
    for number, (x, y, radius) in enumerate(_circles(key, width, height, day)):
        _fill(rows, x, y, radius, _SKY + number)
    return rows, _palette(key)


def _part(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _circles(key: bytes, width: int, height: int, day: float | None) -> list[tuple[int, int, int]]:
    """A sun, and hills: great circles whose centres lie below the picture."""
    unit = min(width, height)
    x, y = width * (40 + key[0] % 176) // 256, height * (40 + key[1] % 60) // 256
    if day is not None:
        x, y = round(width * day), round(height * 2 * (0.5 - day) ** 2) + y
    circles = [(x, y, unit // 8)]
    for hill in range(5):
        radius = unit * (40 + key[2 + hill] % 50) // 100
        x = width * key[7 + hill] // 255
        circles.append((x, height * (80 + 5 * hill) // 100 + radius - key[3 + hill] % (1 + unit // 10), radius))
    return circles


def _fill(rows: list[bytearray], x: int, y: int, radius: int, colour: int) -> None:
    width = len(rows[0])
    for line in range(max(0, y - radius), min(len(rows), y + radius + 1)):
        half = int((radius * radius - (line - y) ** 2) ** 0.5)
        left, right = max(0, x - half), min(width, x + half)
        if left < right:
            rows[line][left:right] = bytes([colour]) * (right - left)


def _palette(key: bytes) -> list[Colour]:
    top, low, land = _colour(key[8], 90, 60), _colour(key[9], 210, 40), _colour(key[10], 60, 70)
    colours = [_between(top, low, step / (_SKY - 1)) for step in range(_SKY)]
    colours.append((255, 236, 170))
    colours += [_between(land, (20, 30, 40), step / 5) for step in range(5)]
    return colours


def _colour(hue: int, level: int, spread: int) -> Colour:
    """A colour around a grey level, its red, green and blue moved apart by the hue."""
    red, green, blue = (spread * ((hue >> shift) % 4 - 1) // 2 for shift in (0, 2, 4))
    return min(255, max(0, level + red)), min(255, max(0, level + green)), min(255, max(0, level + blue))


def _between(first: Colour, second: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue
