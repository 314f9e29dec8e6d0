"""Films of prompts: the prompt's picture through a day, as an MP4 that plays."""

from functools import lru_cache
from typing import Any

from indoxrouter.sandbox import images, mp4
from indoxrouter.sandbox.h264 import Frame

FRAMES = 10
LONGEST_SIDE = 128  # samples


@lru_cache(maxsize=8)
def shoot(prompt: str, seed: Any, index: int, width: int, height: int, seconds: int) -> bytes:
    """The film, as long as was asked; another seed or index gives another one."""
    frames = [frame(prompt, seed, index, width, height, (number + 0.5) / FRAMES) for number in range(FRAMES)]
    return mp4.movie(frames, width, height, seconds)


def frame(prompt: str, seed: Any, index: int, width: int, height: int, day: float) -> Frame:
    rows, palette = images.scene(prompt, seed, index, width, height, day)
    luma, cb, cr = (bytes(levels).ljust(256) for levels in zip(*map(_levels, palette), strict=True))
    halved = [row[::2] for row in rows[::2]]
    return Frame(_looked_up(rows, luma), _looked_up(halved, cb), _looked_up(halved, cr))


def _looked_up(rows: list[bytearray], table: bytes) -> list[bytes]:
    return [bytes(row.translate(table)) for row in rows]


def _levels(colour: images.Colour) -> tuple[int, int, int]:
    """Y, Cb and Cr of a colour (BT.601, video range)."""
    red, green, blue = (part / 255 for part in colour)
    return (
        round(16 + 65.481 * red + 128.553 * green + 24.966 * blue),
        round(128 - 37.797 * red - 74.203 * green + 112 * blue),
        round(128 + 112 * red - 93.786 * green - 18.214 * blue),
    )


def measures(width: int, height: int) -> tuple[int, int]:
    """The same shape, as small as the sandbox films: even numbers of samples."""
    longest = max(width, height)
    small = [max(16, round(LONGEST_SIDE * side / longest / 2) * 2) for side in (width, height)]
    return small[0], small[1]
