"""A generated answer on its way out: what the shapes and the streams are told."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import zip_longest
from typing import Any

from indoxrouter.sandbox import logprobs
from indoxrouter.sandbox.answers import tokens
from indoxrouter.sandbox.billing import Bill
from indoxrouter.sandbox.catalogue import Model
from indoxrouter.sandbox.gallery import IMAGE_TOKENS, Illustration
from indoxrouter.sandbox.tooling import ToolCall


@dataclass(frozen=True)
class Delta:
    """What one event of a stream adds to a choice: a piece of its text, or of its tool call, or an image."""

    choice: "Choice"
    text: str | None = None
    call: dict[str, Any] | None = None
    image: Illustration | None = None
    place: int = 0  # among the choice's tokens
    offset: int = 0  # in the choice's text
    tokens: int = 1


@dataclass(frozen=True)
class Choice:
    """One answer of several: the tokens of a text, after an echo that costs nothing, or a tool call.

    Images come after the text.
    """

    index: int
    pieces: list[str]
    finish_reason: str
    echo: str = ""
    call: ToolCall | None = None
    images: tuple[Illustration, ...] = ()
    top: int | None = None  # how many log probabilities are told for each token; None: none, not even its own

    @classmethod
    def of_call(cls, index: int, call: ToolCall, limit: int) -> "Choice":
        """A tool call: a token for its name, and those of its arguments, as far as the limit goes."""
        pieces = tokens(call.arguments)
        if len(pieces) < limit:
            return cls(index, pieces, "tool_calls", call=call)
        pieces = pieces[: limit - 1]
        return cls(index, pieces, "length", call=replace(call, arguments="".join(pieces)))

    def echoing(self, prompt: str) -> "Choice":
        return replace(self, echo=prompt)

    @property
    def size(self) -> int:
        return len(self.pieces) + (self.call is not None) + IMAGE_TOKENS * len(self.images)

    @property
    def text(self) -> str:
        return "" if self.call else self.echo + "".join(self.pieces)

    def deltas(self) -> Iterator[Delta]:
        if self.call is not None:
            start = replace(self.call, arguments="").shape()
            yield Delta(self, call={"index": 0, **start})
            for piece in self.pieces:
                yield Delta(self, call={"index": 0, "function": {"arguments": piece}})
            return
        if self.echo:
            yield Delta(self, self.echo, tokens=0)
        offset = len(self.echo)
        for place, piece in enumerate(self.pieces):
            yield Delta(self, piece, place=place, offset=offset)
            offset += len(piece)
        for image in self.images:
            yield Delta(self, image=image, tokens=IMAGE_TOKENS)

    def logprobs(self, chat: bool, delta: Delta | None = None) -> dict[str, Any] | None:
        """Those of the whole text, or of one piece of it."""
        if self.top is None or self.call is not None or (delta and (delta.image or not delta.tokens)):
            return None
        pieces = self.pieces if delta is None else [delta.text or ""]
        place, offset = (0, len(self.echo)) if delta is None else (delta.place, delta.offset)
        if chat:
            return logprobs.of_chat(pieces, place, self.top)
        return logprobs.of_completion(pieces, place, offset, self.top)


@dataclass(frozen=True)
class TextReply:
    """A chat or completion answer."""

    request_id: str
    chat: bool
    model: Model
    shown: str  # the model's name in the answer
    choices: list[Choice]
    tokens_prompt: int
    byok: bool
    started: float  # time.perf_counter
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def text(self) -> str:
        return self.choices[0].text

    @property
    def finish_reason(self) -> str:
        return self.choices[0].finish_reason

    @property
    def created_seconds(self) -> int:
        return int(self.created.timestamp())

    @cached_property
    def deltas(self) -> list[Delta]:
        """The pieces of a stream; several choices take turns."""
        if len(self.choices) == 1:
            return list(self.choices[0].deltas())
        turns = zip_longest(*(choice.deltas() for choice in self.choices))
        return [delta for turn in turns for delta in turn if delta is not None]

    def bill(self, count: int | None = None) -> Bill:
        """The bill for the whole answer, or for its first deltas."""
        if count is None:
            generated = sum(choice.size for choice in self.choices)
        else:
            generated = sum(delta.tokens for delta in self.deltas[:count])
        return Bill(self.model, self.tokens_prompt, generated, byok=self.byok)
