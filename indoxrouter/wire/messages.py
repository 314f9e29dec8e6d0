"""What travels through the house: a request in a dialect's words, its bytes, and the reply."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import IO, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from indoxrouter.errors import Attempt
from indoxrouter.wire.encoding import ACCEPTED
from indoxrouter.wire.parsing import MAX_BYTES, MOST_NUMBERS, TooLargeError, first_of, loads

Kind = Literal[
    "chat",
    "completion",
    "embeddings",
    "image",
    "speech",
    "transcription",
    "video",
    "file",
    "catalogue",
    "account",
    "login",
]


@dataclass(slots=True)
class Source:
    """Where the bytes of a file come from; a transport opens it for each attempt."""

    origin: str | bytes | IO[bytes] = field(repr=False)
    """A path, the bytes themselves, or what is open for reading them."""
    name: str = "the file"
    """For messages."""
    start: int = 0
    """Where reading begins in what is open already."""
    once: bool = False
    """Whether it can't be read a second time, as a pipe."""
    spent: bool = False
    """Whether it has been read and can't be again; the transport sets it."""


class FilePart(NamedTuple):
    """The file of a multipart request."""

    name: str
    source: Source
    boundary: str
    """Of all attempts: the same idempotency key goes with the same bytes."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A body that is sent without being held in memory: a file between two texts."""

    head: bytes = field(repr=False)
    source: Source
    tail: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """One call, before a server, a token and a time limit are chosen for it."""

    kind: Kind
    method: Literal["GET", "POST", "DELETE"]
    paths: tuple[str, ...]
    """Relative to the versioned base. The later ones are asked only after a 404."""
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    file: FilePart | None = field(default=None, repr=False)
    """Makes it a multipart request, whose fields are the body."""
    model: str | None = None
    stream: bool = False
    choices: int = 1
    """How many answers were asked for: a stream is not complete before each has ended."""
    names: Literal["model", "provider"] | None = None
    """What a 404 says does not exist."""
    optional: frozenset[str] = frozenset()
    """Fields of the body that only we asked for: a server that refuses them is asked without."""
    content: bool = False
    """Whether the answer may be other than JSON: audio, text, a file."""
    exact: bool = False
    """Whether fractions are read as Decimals: sums of money are made of them."""
    job: bool = False
    """Whether the answer is a job: its `status` and `error` are facts about that, not about this call."""
    stop: str | None = None
    """The path, before a stream's id, under which a stream that nobody reads any more is stopped."""

    def without(self, names: frozenset[str]) -> Request:
        if not names:
            return self
        body = {name: value for name, value in (self.body or {}).items() if name not in names}
        return replace(self, body=body, optional=self.optional - names)

    def has_content(self, content_type: str, content: bytes) -> bool:
        """Whether an answer is other than JSON, as this request's may be; an error may be called anything."""
        if not self.content or self.kind == "file":  # a file may well be JSON: its bytes are what was asked for
            return self.content
        return not content or not ("json" in content_type or _is_object(content))

    def may_be(self, content_type: str, content: bytes) -> bool:
        """Whether content that is not JSON may be the answer: a gateway's page, or nothing, is not."""
        if self.kind == "speech":
            return bool(content) and not content_type.startswith("text/")
        if self.kind == "transcription":
            asked = (self.body or {}).get("response_format")
            return asked in ("text", "srt", "vtt") and "html" not in content_type
        return self.kind != "account" or not content.strip()

    @property
    def values(self) -> int:
        """How many values its answer may have."""
        if self.exact:
            return _EXACT
        if self.kind != "embeddings":
            return _SAID if self.kind in ("chat", "completion", "transcription", "file") else _LISTED
        asked = (self.body or {}).get("text", (self.body or {}).get("input"))
        return min(MOST_NUMBERS, max(_QUICK, _DIMENSIONS * len(asked) if isinstance(asked, list) else 0))

    def private_texts(self) -> list[str]:
        """The caller's own words, which no error message may repeat."""
        return texts_in(self.body or {})


_QUICK = 2**19
"""Values that are read in a moment."""
_EXACT = 2**20
"""Values of which each may be a Decimal, which costs three times as much as a float."""
_SAID = MAX_BYTES // 24
"""Values of a text with the twenty likeliest tokens at each of 16,000 places, and some more."""
_LISTED = 2**18
"""Values of a catalogue, or of what an account holds: each row of them takes longer than its parsing."""
_DIMENSIONS = 2**14
"""No text's embedding has more numbers."""


def _is_object(content: bytes) -> bool:
    """Whether it is a JSON object, which no sound and no transcript is."""
    if first_of(content) != b"{":
        return False
    try:
        loads(content, values=_QUICK)
    except TooLargeError:
        return True  # which whoever reads it will find, too
    except (ValueError, RecursionError):
        return False
    return True


def texts_in(value: Any) -> list[str]:
    """Every text but names and settings, of which an error may speak."""
    found, left = [], [value]
    while left:  # no recursion: JSON may be nested deeper than that can go
        match left.pop():
            case str() as text:
                found.append(text)
            case Mapping() as names:
                left.extend(item for name, item in names.items() if name not in _NOT_WORDS)
            case list() | tuple() as items:
                left.extend(items)
    return found


_NOT_WORDS = frozenset({
    "model", "role", "type", "detail", "name", "size", "quality", "style", "response_format", "voice", "language",
    "aspect_ratio", "resolution", "output_format", "encoding_format", "background", "moderation", "purpose",
    "reasoning_effort", "tool_choice", "modalities", "timestamp_granularities", "required", "enum", "format",
})  # fmt: skip


COMMON_HEADERS: Mapping[str, str] = {
    "Accept": "application/json, text/event-stream",
    "Accept-Encoding": ACCEPTED,
    "User-Agent": "indoxrouter-python",
}
"""Of every request, logins included; some gateways turn away libraries that don't name themselves."""


@dataclass(slots=True)
class HttpRequest:
    """Bytes to be sent. Headers and body stay out of its repr: they hold the key and the prompt."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | Upload | None = field(default=None, repr=False)
    ending: str = field(default="", repr=False)
    """What the URL goes on with, where a server made it up: it may be anything, and so is in no log."""

    @property
    def path(self) -> str:
        return urlsplit(self.url).path


@dataclass(slots=True)
class Reply:
    """The head of an answer; `source` is the transport's own handle for its body."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case."""
    set_cookies: tuple[str, ...] = field(default=(), repr=False)
    source: Any = field(default=None, repr=False)


def request_id_in(headers: Mapping[str, str]) -> str | None:
    """The server's id of a request, from the headers that name it."""
    return headers.get("x-request-id") or headers.get("x-litellm-call-id")


@dataclass(slots=True)
class Result:
    """What a plan returns: the parsed answer and how it was come by."""

    body: Any = field(repr=False)
    request: Request
    target: str
    """The method, host and path that answered, for messages."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    client_request_id: str | None = None
    attempts: tuple[Attempt, ...] = ()
    cached: bool = False
    secrets: Callable[[], Iterable[str]] = field(default=tuple, repr=False)
    """What of its words no error message may repeat."""
