"""H.264 (ITU-T H.264, constrained baseline) whose pictures are all I_PCM: samples as they are, nothing predicted.

A frame is an IDR picture of one slice; the clauses named are the recommendation's.
"""

import re
from dataclasses import dataclass

PROFILE, CONSTRAINTS, LEVEL = 66, 0xC0, 20  # constrained baseline, level 2: up to 396 macroblocks, 2 Mbit/s
_BLOCK = 16  # luma samples of a macroblock's side; half as many of each chroma
_I_PCM = "000011010"  # mb_type 25 as ue(v)
_ZEROS = re.compile(rb"\0\0(?=[\0-\3])")


@dataclass(frozen=True)
class Frame:
    """Rows of samples, 4:2:0: the rows of Cb and Cr are half as many and half as long as those of luma."""

    luma: list[bytes]
    cb: list[bytes]
    cr: list[bytes]


def sequence_parameters(width: int, height: int) -> bytes:
    """The SPS (7.3.2.1.1); what the macroblocks have beyond the measures, which are even, is cropped."""
    columns, rows = blocks(width), blocks(height)
    bits = f"{PROFILE:08b}{CONSTRAINTS:08b}{LEVEL:08b}"
    bits += _ue(0) + _ue(0) + _ue(2)  # its id, frame_num of 4 bits, output in decoding order
    bits += _ue(1) + "0" + _ue(columns - 1) + _ue(rows - 1)  # one reference frame, no gaps in frame_num
    bits += "11"  # frames, not fields; direct_8x8_inference
    right, bottom = columns * _BLOCK - width, rows * _BLOCK - height
    if right or bottom:
        bits += "1" + _ue(0) + _ue(right // 2) + _ue(0) + _ue(bottom // 2)
    else:
        bits += "0"
    return _nal(0x67, _packed(bits + "0" + "1"))  # no VUI; the stop bit


def picture_parameters() -> bytes:
    """The PPS (7.3.2.2): CAVLC, one slice group, the deblocking filter controlled by the slices."""
    bits = _ue(0) + _ue(0) + "00" + _ue(0) + _ue(0) + _ue(0) + "000"
    bits += _ue(0) + _ue(0) + _ue(0)  # se(v) codes 0 as ue(v) does
    return _nal(0x68, _packed(bits + "100" + "1"))


def picture(frame: Frame, number: int) -> bytes:
    """An IDR picture (7.3.3, 7.3.5); its number tells it from the one before."""
    bits = _ue(0) + _ue(7) + _ue(0) + "0000" + _ue(number % 2)  # all slices are I; frame_num; idr_pic_id
    bits += "00" + _ue(0) + _ue(1)  # no long term reference; slice_qp_delta; no deblocking
    macroblocks = _macroblocks(frame)
    head, rest = macroblocks[0], macroblocks[1:]
    start = _packed(_I_PCM)
    return _nal(0x65, _packed(bits + _I_PCM) + head + b"".join(start + samples for samples in rest) + b"\x80")


def blocks(measure: int) -> int:
    """How many macroblocks cover so many samples."""
    return -(-measure // _BLOCK)


def _macroblocks(frame: Frame) -> list[bytes]:
    planes = [(_filled(frame.luma, _BLOCK), _BLOCK)]
    planes += [(_filled(plane, _BLOCK // 2), _BLOCK // 2) for plane in (frame.cb, frame.cr)]
    rows, columns = len(planes[0][0]) // _BLOCK, len(planes[0][0][0]) // _BLOCK
    return [
        b"".join(
            line[column * side : (column + 1) * side]
            for plane, side in planes
            for line in plane[row * side : (row + 1) * side]
        )
        for row in range(rows)
        for column in range(columns)
    ]


def _filled(plane: list[bytes], side: int) -> list[bytes]:
    """The plane in whole blocks, its last column and row repeated as far as is needed."""
    width, height = len(plane[0]), len(plane)
    lines = [line + line[-1:] * (-width % side) for line in plane]
    return lines + lines[-1:] * (-height % side)


def _ue(value: int) -> str:
    """An unsigned Exp-Golomb code (9.1)."""
    code = f"{value + 1:b}"
    return "0" * (len(code) - 1) + code


def _packed(bits: str) -> bytes:
    """The bits, and zeros up to a whole byte."""
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8)


def _nal(head: int, payload: bytes) -> bytes:
    """A NAL unit; emulation prevention (7.4.1.1) keeps start codes out of it."""
    return bytes([head]) + _ZEROS.sub(b"\0\0\3", payload)
