"""Sounds for texts: a tone for each word, as 16-bit mono PCM or as WAV, by the standard library alone.

A WAV says in its INFO chunk what it is of (ICMT) and who made it (ISFT), so that its phrase is known again.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from indoxrouter.sandbox.answers import digest

RATE = 24_000  # samples a second, as OpenAI's pcm has them
MAKER = b"indoxrouter sandbox"
_LOUDNESS = 8_000
_MAGIC = (b"ID3", b"OggS", b"fLaC", b"\x1aE\xdf\xa3", b"ADIF")  # MP3 with tags, Ogg, FLAC, WebM, AAC
_GUESSED_RATE = 16_000  # bytes a second of audio that is not WAV: 128 kbit/s


def is_audio(content: bytes) -> bool:
    """Whether a file begins as one of the known containers does."""
    if content.startswith(_MAGIC) or (content[:4] == b"RIFF" and content[8:12] == b"WAVE"):
        return True
    return content[4:8] == b"ftyp" or _is_frame(content[:3])  # MP4 and M4A


def _is_frame(head: bytes) -> bool:
    """Whether a frame of MP3, or of AAC in ADTS, begins there."""
    if len(head) < 3 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    if layer == 0:
        return head[1] & 0xF0 == 0xF0 and head[2] >> 2 & 15 < 13  # the rates that ADTS has
    return layer < 3 and version != 1 and head[2] >> 4 != 15 and head[2] >> 2 & 3 != 3


def speech(text: str, voice: str, speed: float, form: str) -> bytes:
    """The spoken text in one of the forms wav and pcm."""
    samples = pcm(text, voice, speed)
    return wav(samples, text) if form == "wav" else samples


def pcm(text: str, voice: str, speed: float) -> bytes:
    """The samples, little-endian; another text, voice or speed gives others."""
    gap = bytes(2 * int(RATE * 0.04 / speed))
    return gap.join(_tone(word, voice, speed) for word in text.split() or [text])


def _tone(word: str, voice: str, speed: float) -> bytes:
    key = digest(word, voice)
    period = RATE // (180 + key[0] + key[1])  # samples; 180 to 690 Hz
    wave = [round(_LOUDNESS * math.sin(2 * math.pi * step / period)) for step in range(period)]
    seconds = min(0.06 + 0.04 * len(word), 0.6) / speed
    return struct.pack(f"<{period}h", *wave) * max(1, round(seconds * RATE / period))


def wav(samples: bytes, phrase: str) -> bytes:
    info = b"INFO" + _chunk(b"ICMT", phrase.encode(errors="replace") + b"\0") + _chunk(b"ISFT", MAKER + b"\0")
    form = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
    return _chunk(b"RIFF", b"WAVE" + _chunk(b"fmt ", form) + _chunk(b"LIST", info) + _chunk(b"data", samples))


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


@dataclass(frozen=True)
class Sound:
    """What is known of an audio file: how long it is, and its phrase if the sandbox made it."""

    seconds: float
    phrase: str | None = None

    @classmethod
    def of(cls, content: bytes) -> "Sound":
        if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
            return cls(len(content) / _GUESSED_RATE)
        chunks = dict(_chunks(content[12:]))
        form, samples = chunks.get(b"fmt ", b""), chunks.get(b"data", b"")
        rate = struct.unpack("<I", form[8:12])[0] if len(form) >= 12 else 0
        listed = chunks.get(b"LIST", b"")
        info = dict(_chunks(listed[4:])) if listed[:4] == b"INFO" else {}
        own = info.get(b"ISFT", b"").rstrip(b"\0") == MAKER
        phrase = info.get(b"ICMT", b"").rstrip(b"\0").decode(errors="replace") if own else None
        return cls(len(samples) / (rate or _GUESSED_RATE), phrase)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 0
    while place + 8 <= len(content):
        name, size = content[place : place + 4], struct.unpack("<I", content[place + 4 : place + 8])[0]
        yield name, content[place + 8 : place + 8 + size]
        place += 8 + size + size % 2
