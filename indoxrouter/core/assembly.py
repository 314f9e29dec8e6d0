"""Chunks become a growing answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

from indoxrouter.core.growing import Object, Text, joined
from indoxrouter.errors import Attempt
from indoxrouter.media import Fetch, attach
from indoxrouter.responses import ChatChunk, Usage
from indoxrouter.wire.chunks import choices_in, index_of
from indoxrouter.wire.fields import mapping
from indoxrouter.wire.images import image_rows
from indoxrouter.wire.masking import clean
from indoxrouter.wire.messages import Reply, Result, request_id_in

State = Literal["open", "complete", "truncated", "failed", "cancelled"]


class Assembly:
    """What of a streamed answer has been handed to the caller so far."""

    def __init__(self, fetch: Fetch | None = None) -> None:
        self._fetch = fetch
        self.state: State = "open"
        self.usage: Usage | None = None
        self.wire_usage: Mapping[str, Any] = {}
        """The same as the server wrote it, with its details."""
        self.client_request_id: str | None = None
        self.attempts: tuple[Attempt, ...] = ()
        self.cached = False
        self.reply: Reply | None = None
        """What a stream that is being read can be aborted by."""
        self._server_request_id: str | None = None
        self._secrets: Callable[[], Iterable[str]] = tuple
        self._facts: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}
        self._ended: set[int] = set()
        """The choices that have their finish reason."""
        self._event: Any = None
        self._written: dict[int, list[Mapping[str, Any]]] = {}
        """The choices of this event as the server wrote them."""
        self._images: list[Any] = []

    def opened(self, answer: Result, reply: Reply | None) -> None:
        """The first event has come."""
        self.reply = reply
        self.client_request_id = answer.client_request_id
        self.cached = answer.cached
        self.attempts = answer.attempts
        self._secrets = answer.secrets
        self._server_request_id = self._masked(request_id_in(answer.headers))

    def add(self, chunk: ChatChunk) -> None:
        if chunk.images and self._fetch is not None:
            attach(chunk, self._fetch)
        written = self._written_as(chunk)
        choice = self._choices.setdefault(chunk.index, _Choice())
        choice.add(chunk, written)
        if choice.finish_reason:
            self._ended.add(chunk.index)
        if chunk.usage is not None:
            self.usage = chunk.usage
            self.wire_usage = _usage_in(chunk.raw)
        self._images += _images_in(chunk, written)

    def _written_as(self, chunk: ChatChunk) -> list[Mapping[str, Any]]:
        """What the server wrote for the chunk: each choice of an event belongs to one, and is folded in once."""
        if chunk.raw is not self._event:
            self._event, self._written = chunk.raw, {}
            for position, choice in enumerate(choices_in(chunk.raw)):
                self._written.setdefault(index_of(choice, position), []).append(choice)
        return self._written.pop(chunk.index, [])

    def note(self, facts: Mapping[str, Any]) -> None:
        """Names of the answer that events carry beside its text; the first one counts."""
        for name in ("id", "model", "provider", "created", "created_at", *_MORE_FACTS):
            if facts.get(name) is not None:
                self._facts.setdefault(name, facts[name])

    @property
    def request_id(self) -> str | None:
        """The server's, else ours."""
        named = self._facts.get("request_id") or self._facts.get("id")
        return self._server_request_id or self._masked(named) or self.client_request_id

    def _masked(self, named: Any) -> str | None:
        """A name that the server gave, as far as it may be shown."""
        return clean(named, self._secrets(), 100) or None if named and isinstance(named, str) else None

    @property
    def text(self) -> str:
        return self._first.text

    @property
    def finish_reason(self) -> str | None:
        return self._first.finish_reason

    @property
    def tool_calls(self) -> list[dict[str, Any]] | None:
        return self._first.tool_calls

    def finished(self, choices: int) -> bool:
        """Whether each of so many choices has its finish reason."""
        return len(self._choices) >= choices and len(self._ended) == len(self._choices)

    def result(self, answer: Result) -> Result:
        """The whole answer as one body in the OpenAI shape, as a call without streaming brings it."""
        body = {
            **self._facts,
            "model": self._facts.get("model") or answer.request.model,
            "request_id": self.request_id,
            "choices": [choice.whole(index) for index, choice in sorted(self._choices.items() or [(0, _Choice())])],
            "usage": self.wire_usage or None,
        }
        if self._images:
            body["choices"][0]["message"]["images"] = self._images
        return replace(answer, body=body)

    @property
    def _first(self) -> _Choice:
        return self._choices.get(0) or (self._choices[min(self._choices)] if self._choices else _Choice())


_MORE_FACTS = ("request_id", "message", "duration_ms", "system_fingerprint", "service_tier")


def _usage_in(event: Any) -> Mapping[str, Any]:
    event = mapping(event)
    return mapping(event.get("usage")) or mapping(mapping(event.get("response")).get("usage"))


def _images_in(chunk: ChatChunk, written: list[Mapping[str, Any]]) -> list[Any]:
    """As the server wrote them, where it did so in OpenAI's shape."""
    if not chunk.images:
        return []
    for choice in written:
        images = mapping(choice.get("delta", choice.get("message"))).get("images")
        if images and isinstance(images, list):
            return images
    return image_rows(chunk.images) or []


class _Choice:
    """One of several answers to the same request."""

    __slots__ = ("_calls", "_last_call", "_logprobs", "_reasoning", "_rest", "_role", "_text", "finish_reason")

    def __init__(self) -> None:
        self._text = Text()
        self._reasoning = Text()
        self._calls: dict[int, dict[str, Any]] = {}
        self._last_call = -1
        self._logprobs = Object()
        self._rest = Object()
        self._role = "assistant"
        self.finish_reason: str | None = None

    def add(self, chunk: ChatChunk, written: list[Mapping[str, Any]]) -> None:
        if chunk.data:
            self._text.add(chunk.data)
        if chunk.reasoning:
            self._reasoning.add(chunk.reasoning)
        for choice in written:
            self._logprobs.add(mapping(choice.get("logprobs")))
            said = mapping(choice.get("delta", choice.get("message")))
            self._rest.add({name: said[name] for name in said if name not in _SAID})
        self._role = chunk.role or self._role
        self.finish_reason = chunk.finish_reason or self.finish_reason
        for delta in chunk.tool_calls or ():
            place = self._place(delta)
            self._last_call = max(self._last_call, place)
            _merge(self._calls.setdefault(place, {}), delta)

    @property
    def text(self) -> str:
        return self._text.whole

    @property
    def tool_calls(self) -> list[dict[str, Any]] | None:
        return [_so_far(call) for _, call in sorted(self._calls.items())] or None

    def _place(self, delta: Mapping[str, Any]) -> int:
        """Which call a delta belongs to; without an index, another id begins another call."""
        index, last = delta.get("index"), self._last_call
        if isinstance(index, int):
            return index
        begins = last < 0 or delta.get("id") not in (None, self._calls[last].get("id"))
        return last + 1 if begins else last

    def whole(self, index: int) -> dict[str, Any]:
        more = {"logprobs": self._logprobs.whole} if self._logprobs else {}
        return {"index": index, "message": self._message(), "finish_reason": self.finish_reason, **more}

    def _message(self) -> dict[str, Any]:
        content = self.text or (None if self._calls or self._rest else "")
        found: dict[str, Any] = {"role": self._role, "content": content, **self._rest.whole}
        if self._reasoning.whole:
            found["reasoning_content"] = self._reasoning.whole
        if calls := self.tool_calls:
            found["tool_calls"] = calls
        return found


_SAID = frozenset({"role", "content", "tool_calls", "reasoning", "reasoning_content", "images"})
"""What of a delta has a place of its own; the rest grows as any object does."""


def _merge(call: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Fold a delta of a tool call into it: its arguments come in pieces, the rest whole."""
    for name, value in delta.items():
        if name == "function" and isinstance(value, dict):
            function = call.get("function")
            if not isinstance(function, dict):
                function = call["function"] = {}
            for part, piece in value.items():
                if part == "arguments" and isinstance(piece, str):
                    if isinstance(function.get(part), Text):
                        function[part].add(piece)
                    else:
                        function[part] = Text(piece)
                elif piece is not None:
                    function[part] = piece
        elif name != "index" and value is not None:
            call[name] = value


def _so_far(call: dict[str, Any]) -> dict[str, Any]:
    """A copy with its arguments in one text."""
    call = call.copy()
    if isinstance(call.get("function"), dict):
        function = call["function"] = call["function"].copy()
        if "arguments" in function:
            function["arguments"] = joined(function["arguments"])
    return call
