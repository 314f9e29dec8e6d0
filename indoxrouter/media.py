"""The answers that hold media: images, speech, videos."""

from __future__ import annotations

from dataclasses import dataclass, field

from indoxrouter.generation import Answer, Generation


@dataclass(slots=True)
class GeneratedImage(Answer):
    """One image; `str()` is its URL, or its base64 text where there is none."""

    url: str | None = None
    b64_json: str | None = field(default=None, repr=False)
    revised_prompt: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return self.url or self.b64_json or ""


@dataclass(slots=True, kw_only=True)
class ImageResponse(Generation):
    """The generated images."""

    data: list[GeneratedImage] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class SpeechResponse(Generation):
    """Spoken text: the audio itself, or where to fetch it."""

    content: bytes | None = field(default=None, repr=False)
    url: str | None = None
    content_type: str | None = None
