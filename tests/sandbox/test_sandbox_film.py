"""The sandbox's videos, read by a real decoder."""

import io
import random
import struct
from collections.abc import Iterator

import av
import pytest

from indoxrouter.sandbox import film, h264, mp4
from indoxrouter.sandbox.h264 import Frame

PROMPT = "A red boat"


def decoded(content: bytes) -> list[Frame]:
    """The frames that FFmpeg's decoder makes of the file."""
    with av.open(io.BytesIO(content), "r") as container:
        return [planes(frame) for frame in container.decode(video=0)]


def decoded_bare(frame: Frame, width: int, height: int) -> list[Frame]:
    """The same picture twice, without a container that would tell its measures."""
    units = [h264.sequence_parameters(width, height), h264.picture_parameters()]
    units += [h264.picture(frame, number) for number in range(2)]
    with av.open(io.BytesIO(b"".join(b"\0\0\0\1" + unit for unit in units)), "r", format="h264") as container:
        return [planes(shown) for shown in container.decode(video=0)]


def planes(frame: av.VideoFrame) -> Frame:
    assert frame.format.name == "yuv420p"
    found = []
    for plane in frame.planes:
        content, line = bytes(plane), plane.line_size
        found.append([content[start : start + plane.width] for start in range(0, plane.height * line, line)])
    return Frame(*found)


def boxes(content: bytes, start: int = 0) -> Iterator[tuple[str, bytes]]:
    while start < len(content):
        size, kind = struct.unpack(">I4s", content[start : start + 8])
        assert size >= 8
        yield kind.decode(), content[start + 8 : start + size]
        start += size
    assert start == len(content)


@pytest.mark.parametrize("measures", [(128, 72), (72, 128), (96, 96), (128, 54), (16, 128)])
def test_a_film_is_decoded_to_the_samples_it_was_made_of(measures: tuple[int, int]) -> None:
    frames = decoded(film.shoot(PROMPT, None, 0, *measures, 8))
    days = [(number + 0.5) / film.FRAMES for number in range(film.FRAMES)]
    assert frames == [film.frame(PROMPT, None, 0, *measures, day) for day in days]
    assert len({b"".join(frame.luma) for frame in frames}) == film.FRAMES


@pytest.mark.parametrize("seconds", [1, 7, 60])
def test_a_player_is_told_what_the_film_is(seconds: int) -> None:
    with av.open(io.BytesIO(film.shoot(PROMPT, None, 0, 128, 72, seconds)), "r") as container:
        [video] = container.streams
        assert isinstance(video, av.VideoStream)
        assert (video.codec_context.name, video.profile) == ("h264", "Constrained Baseline")
        assert (video.width, video.height, video.frames) == (128, 72, film.FRAMES)
        assert video.metadata["handler_name"] == "indoxrouter sandbox"
        assert container.duration == seconds * 1_000_000
        shown = list(container.decode(video))
    assert all(frame.key_frame for frame in shown)
    assert [frame.time for frame in shown] == pytest.approx([seconds * n / film.FRAMES for n in range(film.FRAMES)])


@pytest.mark.parametrize("samples", [bytes(1), b"\0\1", b"\0\0\3", b"\0\0\0\3\1\2"])
@pytest.mark.parametrize("measures", [(32, 16), (18, 34)])
def test_samples_that_look_like_start_codes_survive(samples: bytes, measures: tuple[int, int]) -> None:
    width, height = measures
    pattern = samples * (width * height)

    def rows(width: int, height: int) -> list[bytes]:
        return [pattern[row * width : (row + 1) * width] for row in range(height)]

    frame = Frame(rows(width, height), rows(width // 2, height // 2), rows(width // 2, height // 2))
    assert decoded(mp4.movie([frame, frame], width, height, 1)) == [frame, frame]
    assert decoded_bare(frame, width, height) == [frame, frame]


def test_pictures_in_succession_are_told_apart() -> None:
    """Two IDR pictures in succession differ in idr_pic_id (7.4.3), or they would be one."""
    frame = film.frame(PROMPT, None, 0, 32, 16, 0.5)
    pictures = [h264.picture(frame, number) for number in range(3)]
    assert pictures[0] != pictures[1] != pictures[2]


def test_noise_is_decoded_as_it_is() -> None:
    noise = random.Random(5)
    frames = [
        Frame(*([noise.randbytes(width) for _ in range(height)] for width, height in ((48, 32), (24, 16), (24, 16))))
        for _ in range(4)
    ]
    assert decoded(mp4.movie(frames, 48, 32, 2)) == frames


def test_a_film_depends_on_what_it_was_asked_for_and_is_small() -> None:
    first = film.shoot(PROMPT, None, 0, 128, 72, 8)
    assert first == film.shoot.__wrapped__(PROMPT, None, 0, 128, 72, 8)
    others = [("Another", None, 0), (PROMPT, 5, 0), (PROMPT, None, 1)]
    assert len({first, *(film.shoot(*other, 128, 72, 8) for other in others)}) == 4
    assert len(first) < 200_000


def test_the_index_stands_before_the_samples() -> None:
    """A player can begin before it has the whole file."""
    found = dict(boxes(film.shoot(PROMPT, None, 0, 128, 72, 8)))
    assert list(found) == ["ftyp", "moov", "mdat"]
    assert [kind for kind, _ in boxes(found["moov"])] == ["mvhd", "trak"]


@pytest.mark.parametrize(
    ("asked", "small"),
    [((1280, 720), (128, 72)), ((9, 16), (72, 128)), ((1, 1), (128, 128)), ((4, 3), (128, 96)), ((99, 1), (128, 16))],
)
def test_films_keep_the_shape_that_was_asked(asked: tuple[int, int], small: tuple[int, int]) -> None:
    assert film.measures(*asked) == small
