"""The answers: dataclasses that are also mappings over their fields.

An unknown number is None, never 0. Costs are US dollars, as floats, just as the wire gave them;
durations are milliseconds or seconds as their names say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar

from indoxrouter.errors import Attempt

if TYPE_CHECKING:
    import numpy

__all__ = [
    "Attempt",
    "ChatChunk",
    "ChatMessage",
    "ChatResponse",
    "CompletionResponse",
    "EmbeddingResponse",
    "GeneratedImage",
    "ImageResponse",
    "RateLimit",
    "SpeechResponse",
    "TranscriptionResponse",
    "Usage",
]


class Answer(Mapping[str, Any]):
    """A dataclass whose fields are read as attributes or as keys."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __getitem__(self, name: str) -> Any:
        if name in self.__dataclass_fields__:
            return getattr(self, name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dataclass_fields__)

    def __len__(self) -> int:
        return len(self.__dataclass_fields__)

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and lists all the way down."""
        return {name: _plain(getattr(self, name)) for name in self}


def _plain(value: Any) -> Any:
    match value:
        case Answer():
            return value.to_dict()
        case Attempt():
            return {item.name: getattr(value, item.name) for item in fields(value)}
        case Mapping():
            return {name: _plain(item) for name, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value


@dataclass(slots=True)
class ChatMessage(Answer):
    """A message, where a dict won't do; fields that are None are not sent."""

    role: str
    content: str | list[dict[str, Any]] | None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


@dataclass(slots=True)
class Usage(Answer):
    """What one call used, and what it cost in US dollars."""

    tokens_prompt: int | None = None
    tokens_completion: int | None = None
    tokens_total: int | None = None
    cost: float | None = None
    latency: float | None = None
    """Seconds, as the server measured them."""
    timestamp: str | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    web_search_count: int | None = None
    request_count: int | None = None
    cost_breakdown: dict[str, Any] | None = None


@dataclass(slots=True)
class RateLimit(Answer):
    """What the server said is left, as of this answer. Resets are seconds from then."""

    limit_requests: int | None = None
    remaining_requests: int | None = None
    reset_requests: float | None = None
    limit_tokens: int | None = None
    remaining_tokens: int | None = None
    reset_tokens: float | None = None


@dataclass(slots=True, kw_only=True)
class Generation(Answer):
    """What the answers of all generating calls share."""

    data: Any = None
    model: str | None = None
    provider: str | None = None
    success: bool = True
    message: str | None = None
    usage: Usage | None = None
    raw_response: Any = field(default=None, repr=False)
    """What the provider itself answered, where the router passes it on; else the same as `raw`."""
    request_id: str | None = None
    """The server's id of the request, else ours."""
    client_request_id: str | None = None
    created_at: str | None = None
    """ISO 8601."""
    duration_ms: float | None = None
    attempts: tuple[Attempt, ...] = field(default=(), repr=False)
    rate_limit: RateLimit | None = None
    cached: bool = False
    """Whether it came from the client's cache: then nothing was sent, and its cost is 0."""
    raw: Any = field(default=None, repr=False)
    """The whole body, as the server sent it."""


@dataclass(slots=True, kw_only=True)
class ChatResponse(Generation):
    """The answer of a chat; `data` is the text."""

    data: str | None = None
    finish_reason: str | None = None
    images: list[Any] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    reasoning: str | None = None


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


@dataclass(slots=True, kw_only=True)
class TranscriptionResponse(Generation):
    """Written speech; `data` and `text` are the transcript, in the format that was asked for."""

    data: str | None = None
    language: str | None = None
    duration: float | None = None
    """Seconds of audio."""
    segments: list[dict[str, Any]] | None = None
    words: list[dict[str, Any]] | None = None

    @property
    def text(self) -> str | None:
        return self.data


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
    images: list[Any] | None = None
    usage: Usage | None = None
    raw: Any = field(default=None, repr=False)

    def __str__(self) -> str:
        return self.data
