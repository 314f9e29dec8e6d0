"""Which format a file is in, by how it begins: what its name may say of it, and how it is shown."""

from __future__ import annotations

ENOUGH = 64
"""So many of its first bytes tell a file's format."""

_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"fLaC", "flac"),
    (b"ID3", "mp3"),
)
_RIFF = {b"WEBP": "webp", b"WAVE": "wav", b"AVI ": "avi"}
_BRANDS = {b"avif": "avif", b"M4A ": "m4a", b"qt  ": "mov"}
_BY_TYPE = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "audio/aac": "aac",
    "audio/mp4": "m4a",
    "audio/pcm": "pcm",
    "audio/l16": "pcm",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/quicktime": "mov",
    "video/x-msvideo": "avi",
}
_SHOWN = {"png": "image/png", "jpg": "image/jpeg", "gif": "image/gif", "webp": "image/webp", "avif": "image/avif"}
"""Images that browsers show."""

KNOWN = frozenset({*_BY_TYPE.values(), "jpeg", "mkv"})


def extension(content: bytes, content_type: str | None = None) -> str:
    """Of our own short list, without its dot, from the first bytes or else from the type; else "bin"."""
    told = _BY_TYPE.get((content_type or "").partition(";")[0].strip().lower())
    # Samples without a header may begin with any two bytes, those of MP3 and AAC among them.
    weak = None if told == "pcm" else _by_frame(content)
    return _by_beginning(content[:ENOUGH]) or weak or told or "bin"


def image_type(content: bytes) -> str | None:
    """The MIME type of an image that a browser shows."""
    return _SHOWN.get(_by_beginning(content[:ENOUGH]) or "")


def _by_beginning(head: bytes) -> str | None:
    for beginning, found in _BEGINNINGS:
        if head.startswith(beginning):
            return found
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12])
    if head.startswith(b"OggS"):
        return "opus" if b"OpusHead" in head else "ogg"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "mp4")
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "webm" if b"webm" in head else "mkv"
    return None


def _by_frame(head: bytes) -> str | None:
    """MPEG audio without a tag begins with its first frame: eleven set bits, then version and layer."""
    if len(head) < 2 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0x06:
        return "mp3"
    return "aac" if head[1] & 0xF0 == 0xF0 else None
