"""An MP4 file of one H.264 track (ISO/IEC 14496-12 and -15), every sample of it a key frame, its index in front."""

import struct

from indoxrouter.sandbox import h264

_SCALE = 1000  # time units of a second
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)  # as it is
_MAKER = b"indoxrouter sandbox"


def movie(frames: list[h264.Frame], width: int, height: int, seconds: int) -> bytes:
    """The frames, shown for equal parts of the time."""
    samples = [_sized(h264.picture(frame, number)) for number, frame in enumerate(frames)]
    duration = seconds * _SCALE
    start = _box(b"ftyp", b"isom", _u32(0x200), b"isomiso2avc1mp41")
    sizes = [len(sample) for sample in samples]
    offset = len(start) + len(_moov(sizes, 0, width, height, duration)) + 8
    return start + _moov(sizes, offset, width, height, duration) + _box(b"mdat", *samples)


def _moov(sizes: list[int], offset: int, width: int, height: int, duration: int) -> bytes:
    head = _full(b"mvhd", 0, _u32(0, 0, _SCALE, duration, 0x10000), b"\1\0", bytes(10), _MATRIX, bytes(24), _u32(2))
    measures = _u32(width << 16, height << 16)
    track_head = _full(b"tkhd", 7, _u32(0, 0, 1, 0, duration), bytes(16), _MATRIX, measures)
    media = _box(
        b"mdia",
        _full(b"mdhd", 0, _u32(0, 0, _SCALE, duration), struct.pack(">HH", 0x55C4, 0)),  # language: und
        _full(b"hdlr", 0, bytes(4), b"vide", bytes(12), _MAKER + b"\0"),
        _media_information(sizes, offset, width, height, duration),
    )
    return _box(b"moov", head, _box(b"trak", track_head, media))


def _media_information(sizes: list[int], offset: int, width: int, height: int, duration: int) -> bytes:
    here = _full(b"url ", 1)  # the media data are in this file
    table = _box(
        b"stbl",
        _full(b"stsd", 0, _u32(1), _description(width, height)),
        _times(len(sizes), duration),
        _full(b"stsc", 0, _u32(1, 1, len(sizes), 1)),  # all samples are in one chunk
        _full(b"stsz", 0, _u32(0, len(sizes), *sizes)),
        _full(b"stco", 0, _u32(1, offset)),
    )
    return _box(b"minf", _full(b"vmhd", 1, bytes(8)), _box(b"dinf", _full(b"dref", 0, _u32(1), here)), table)


def _times(count: int, duration: int) -> bytes:
    """How long the samples last; what is left of the division is the last one's."""
    each = duration // count
    return _full(b"stts", 0, _u32(2, count - 1, each, 1, duration - each * (count - 1)))


def _description(width: int, height: int) -> bytes:
    sps, pps = h264.sequence_parameters(width, height), h264.picture_parameters()
    profile = bytes([1, h264.PROFILE, h264.CONSTRAINTS, h264.LEVEL])
    lengths_of_4_bytes, one_sps, one_pps = b"\xff", b"\xe1", b"\1"
    sets = one_sps + struct.pack(">H", len(sps)) + sps + one_pps + struct.pack(">H", len(pps)) + pps
    return _box(
        b"avc1",
        bytes(6) + struct.pack(">H", 1) + bytes(16),
        struct.pack(">HHIIIH", width, height, 72 << 16, 72 << 16, 0, 1),
        struct.pack(">32pHh", _MAKER, 24, -1),
        _box(b"avcC", profile, lengths_of_4_bytes, sets),
    )


def _sized(nal: bytes) -> bytes:
    return _u32(len(nal)) + nal


def _u32(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def _full(kind: bytes, flags: int, *parts: bytes) -> bytes:
    """A box of version 0 with flags."""
    return _box(kind, _u32(flags), *parts)


def _box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return _u32(len(content) + 8) + kind + content
