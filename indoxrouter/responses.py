"""The answers of the generating calls, and the messages that chats are made of."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indoxrouter.errors import Attempt, public
from indoxrouter.generation import Answer, Generation, RateLimit, Usage
from indoxrouter.media import GeneratedImage
from indoxrouter.medium import save_all
from indoxrouter.saving import StrPath

if TYPE_CHECKING:
    import numpy

__all__ = [
    "Attempt",
    "ChatChunk",
    "ChatMessage",
    "ChatResponse",
    "CompletionResponse",
    "EmbeddingResponse",
    "RateLimit",
    "TranscriptionResponse",
    "Usage",
]


@dataclass(slots=True)
class ChatMessage(Answer):
    """A message, where a dict won't do; fields that are None are not sent."""

    role: str
    content: str | list[dict[str, Any]] | None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


@dataclass(slots=True, kw_only=True)
class ChatResponse(Generation):
    """The answer of a chat; `data` is the text."""

    data: str | None = None
    finish_reason: str | None = None
    images: list[GeneratedImage] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    reasoning: str | None = None

    @public
    def save_images(self, folder: StrPath = ".", overwrite: bool = False) -> list[Path]:
        """Save all images in the folder, which is made if it is missing, as `image-1.png` and so on."""
        return save_all(self.images or [], folder, overwrite)

    def _repr_html_(self) -> str | None:
        """The text and the images; without any, it is shown as it prints."""
        text = html.escape((self.data or "").encode("utf-8", "replace").decode())
        shown = [image._repr_html_() for image in self.images or ()]
        return "\n".join([f'<p style="white-space: pre-wrap">{text}</p>', *shown]) if shown else None


@dataclass(slots=True, kw_only=True)
class CompletionResponse(ChatResponse):
    """The answer of a text completion; `data` is the text."""


@dataclass(slots=True, kw_only=True)
class EmbeddingResponse(Generation):
    """One vector for each text, in the order of the texts."""

    data: list[list[float]] = field(default_factory=list, repr=False)
    dimensions: int | None = None

    def to_numpy(self) -> numpy.ndarray[Any, Any]:
        """The vectors as a float32 array of shape (texts, dimensions)."""
        try:
            import numpy as np
        except ImportError:
            raise ImportError("to_numpy() needs numpy: pip install numpy") from None
        return np.asarray(self.data, dtype=np.float32)


@dataclass(slots=True, kw_only=True)
class TranscriptionResponse(Generation):
    """Written speech; `data` and `text` are the transcript, in the format that was asked for."""

    data: str | None = None
    language: str | None = None
    duration: float | None = None
    """Seconds of audio."""
    segments: list[dict[str, Any]] | None = None
    words: list[dict[str, Any]] | None = None
    text: str | None = field(default=None, repr=False)
    """The same as `data`."""

    def __post_init__(self) -> None:
        self.text = self.data


@dataclass(slots=True)
class ChatChunk(Answer):
    """A piece of a streamed answer; `data` and `str()` are its text, often empty."""

    data: str = ""
    index: int = 0
    """Which of several choices the piece belongs to."""
    role: str | None = None
    finish_reason: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    reasoning: str | None = None
    images: list[GeneratedImage] | None = None
    partial_images: list[GeneratedImage] | None = None
    """Images as far as they have been drawn; the finished ones come in `images`."""
    usage: Usage | None = None
    raw: Any = field(default=None, repr=False)

    def __str__(self) -> str:
        return self.data
