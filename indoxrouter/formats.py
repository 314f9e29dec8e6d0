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
    "audio/aacp": "aac",
    "audio/x-aac": "aac",
    "audio/mp4": "m4a",
    "audio/x-m4a": "m4a",
    "audio/pcm": "pcm",
    "audio/l16": "pcm",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/quicktime": "mov",
    "video/x-msvideo": "avi",
}
_SHOWN = {"png": "image/png", "jpg": "image/jpeg", "gif": "image/gif", "webp": "image/webp", "avif": "image/avif"}
"""Images that browsers show."""
_PLAYED = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "aac": "audio/aac",
    "m4a": "audio/mp4",
    "mp4": "audio/mp4",
    "webm": "audio/webm",
}
"""Sound that browsers play."""

KNOWN = frozenset({*_BY_TYPE.values(), "jpeg", "mkv"})
UNKNOWN = "bin"
ALSO = {"jpg": ("jpeg",), "opus": ("ogg",), "mp4": ("m4a", "mov"), "m4a": ("mp4",), "mov": ("mp4",), "webm": ("mkv",)}
"""Other extensions that such files go by."""


def extension(content: bytes, content_type: str | None = None, url: str | None = None) -> str:
    """Of our own short list, without its dot: by the first bytes, else by the type or what a URL's path ends with."""
    told = _BY_TYPE.get((content_type or "").partition(";")[0].strip().lower()) or _by_path(url or "")
    # Samples without a header may begin with any two bytes, those of MP3 and AAC among them.
    weak = None if told == "pcm" else _by_frame(content)
    return _by_beginning(content[:ENOUGH]) or weak or told or UNKNOWN


def image_type(content: bytes) -> str | None:
    """The MIME type of an image that a browser shows."""
    return _SHOWN.get(_by_beginning(content[:ENOUGH]) or "")


def audio_type(content: bytes, content_type: str | None = None) -> str | None:
    """The MIME type of sound that a browser plays."""
    return _PLAYED.get(extension(content, content_type))


def _by_path(url: str) -> str | None:
    written = url.partition("?")[0].partition("#")[0].rpartition(".")[2].lower()
    found = "jpg" if written == "jpeg" else written
    return found if found in KNOWN else None


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
    """MPEG audio without a tag begins with a frame: eleven set bits, then version and layer, bit rate, sample rate."""
    if len(head) < 2 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0xF6 == 0xF0:
        return "aac"
    layer_3 = head[1] & 0x06 == 0x02 and head[1] & 0x18 != 0x08
    rates = len(head) < 3 or (head[2] & 0xF0 != 0xF0 and head[2] & 0x0C != 0x0C)
    return "mp3" if layer_3 and rates else None
