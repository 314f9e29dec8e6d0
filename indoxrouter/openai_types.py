"""The answers of the OpenAI style: dicts in OpenAI's shape whose keys are attributes too."""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Generic, TypeVar, get_args, get_type_hints

from indoxrouter.errors import Attempt
from indoxrouter.generation import Generation


class Part(dict[str, Any]):
    """A dict whose keys are attributes too, all the way down; a documented key that is missing reads as None."""

    def __init__(self, content: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        kinds = _kinds(type(self))
        given = {**(content or {}), **more}
        super().__init__({name: _wrapped(kinds.get(name, Part), value) for name, value in given.items()})

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        if name in _kinds(type(self)):
            return None
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_kinds(type(self)), *self})

    def model_dump(self, *, exclude_none: bool = False) -> dict[str, Any]:
        """Plain dicts and lists all the way down."""
        return {
            name: _dumped(value, exclude_none) for name, value in self.items() if not (exclude_none and value is None)
        }

    to_dict = model_dump

    def model_dump_json(self, *, indent: int | None = None, exclude_none: bool = False) -> str:
        return json.dumps(self.model_dump(exclude_none=exclude_none), indent=indent)


PartT = TypeVar("PartT", bound=Part)


@functools.cache
def _kinds(cls: type[Part]) -> dict[str, type[Part]]:
    """The documented keys of a part, and what the dicts under each become."""

    def within(hint: Any) -> Iterator[type[Part]]:
        if isinstance(hint, type) and issubclass(hint, Part):
            yield hint
        for inner in get_args(hint):
            yield from within(inner)

    return {name: next(within(hint), Part) for name, hint in get_type_hints(cls).items()}


def _wrapped(kind: type[Part], value: Any) -> Any:
    match value:
        case dict():
            return value if isinstance(value, kind) else kind(value)
        case [float(), *_]:  # a vector, which may be long
            return value
        case list():
            return [_wrapped(kind, item) for item in value]
        case _:
            return value


def _dumped(value: Any, exclude_none: bool) -> Any:
    match value:
        case Part():
            return value.model_dump(exclude_none=exclude_none)
        case [float(), *_]:
            return list(value)
        case list():
            return [_dumped(item, exclude_none) for item in value]
        case _:
            return value


class CompletionUsage(Part):
    """What a call used; `cost` in US dollars, where it is known."""

    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    prompt_tokens_details: Part | None
    completion_tokens_details: Part | None
    cost: float | None


class Generated(Part):
    """What the answers of all generating calls share besides OpenAI's keys."""

    model: str
    usage: CompletionUsage | None
    _answer: Generation | None

    @property
    def request_id(self) -> str | None:
        """The server's id of the request, else ours."""
        return self._answer.request_id if self._answer else None

    _request_id = request_id

    @property
    def provider(self) -> str | None:
        return self._answer.provider if self._answer else None

    @property
    def cost(self) -> float | None:
        """US dollars; None: not known."""
        return self.usage.cost if self.usage else None

    @property
    def cached(self) -> bool:
        """Whether it came from the client's cache."""
        return bool(self._answer and self._answer.cached)

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        return self._answer.attempts if self._answer else ()


class Function(Part):
    """The function that a tool call calls; its arguments are JSON text."""

    name: str | None
    arguments: str | None


class ToolCall(Part):
    """One call of a tool, or in a stream a piece of one."""

    id: str | None
    type: str | None
    function: Function
    index: int | None


class ChatCompletionMessage(Part):
    """What the model said. It can be put back into `messages` as it is.

    `parsed` is an instance of the class that was given as `response_format`; it is no key.
    """

    role: str
    content: str | None
    refusal: str | None
    tool_calls: list[ToolCall] | None
    function_call: Function | None
    reasoning_content: str | None
    images: list[Any] | None
    audio: Part | None
    annotations: list[Part] | None
    parsed: Any


class Choice(Part):
    """One of the answers that `n` asked for."""

    index: int
    message: ChatCompletionMessage
    finish_reason: str | None
    logprobs: Part | None


class Completed(Generated):
    """What an answer tells of itself in OpenAI's words."""

    id: str | None
    object: str
    created: int
    system_fingerprint: str | None
    service_tier: str | None


class ChatCompletionResponse(Completed):
    """The answer of a chat."""

    choices: list[Choice]


class ChoiceDelta(ChatCompletionMessage):
    """What a chunk adds to a message."""


class ChunkChoice(Part):
    """The choice that a chunk adds to."""

    index: int
    delta: ChoiceDelta
    finish_reason: str | None
    logprobs: Part | None


class ChatCompletionChunk(Completed):
    """A piece of a streamed answer."""

    choices: list[ChunkChoice]


class TextChoice(Part):
    """One of the continuations of a prompt, or in a stream a piece of one."""

    index: int
    text: str
    finish_reason: str | None
    logprobs: Part | None


class TextCompletion(Completed):
    """The continuation of a prompt, or in a stream a piece of it."""

    choices: list[TextChoice]


class Embedding(Part):
    """The vector of one text."""

    object: str
    index: int
    embedding: list[float]


class EmbeddingList(Generated):
    """One vector for each text, in their order."""

    object: str
    data: list[Embedding]


class Image(Part):
    """One image: where it is, or itself in base64."""

    url: str | None
    b64_json: str | None
    revised_prompt: str | None


class ImageList(Generated):
    """The generated images."""

    created: int
    data: list[Image]


class Transcription(Generated):
    """What was said."""

    text: str
    language: str | None
    duration: float | None
    segments: list[Part] | None
    words: list[Part] | None


class ModelObject(Part):
    """A model that can be asked for by its `id`; on the hosted router with its prices."""

    id: str
    object: str
    created: int | None
    owned_by: str | None


class FileObject(Part):
    """A file that the server keeps, or kept until it was deleted."""

    id: str
    object: str
    filename: str | None
    purpose: str | None
    bytes: int | None
    created_at: int | None
    deleted: bool | None


class Page(Part, Generic[PartT]):
    """A list from the server; iterating gives its entries."""

    object: str
    data: list[PartT]

    def __iter__(self) -> Iterator[PartT]:  # type: ignore[override] # as users of OpenAI's client expect
        return iter(self.data)

    async def __aiter__(self) -> AsyncIterator[PartT]:
        for entry in self.data:
            yield entry
