"""Chunks become a growing answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from indoxrouter.errors import Attempt
from indoxrouter.media import Fetch, attach
from indoxrouter.responses import ChatChunk, Usage
from indoxrouter.wire.fields import mapping, objects
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
        self._facts: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}
        self._images: list[Any] = []

    def opened(self, answer: Result, reply: Reply | None) -> None:
        """The first event has come."""
        self.reply = reply
        self.client_request_id = answer.client_request_id
        self.cached = answer.cached
        self.attempts = answer.attempts
        self._server_request_id = clean(request_id_in(answer.headers) or "", (), 100) or None

    def add(self, chunk: ChatChunk) -> None:
        if chunk.images and self._fetch is not None:
            attach(chunk, self._fetch)
        choice = self._choices.setdefault(chunk.index, _Choice())
        choice.add(chunk)
        if chunk.usage is not None:
            self.usage = chunk.usage
            self.wire_usage = _usage_in(chunk.raw)
        self._images += _images_in(chunk)

    def note(self, facts: Mapping[str, Any]) -> None:
        """Names of the answer that events carry beside its text; the first one counts."""
        for name in ("id", "model", "provider", "created", "created_at", *_MORE_FACTS):
            if facts.get(name) is not None:
                self._facts.setdefault(name, facts[name])

    @property
    def request_id(self) -> str | None:
        """The server's, else ours."""
        named = self._facts.get("request_id") or self._facts.get("id")
        named = clean(named, (), 100) if isinstance(named, str) else None
        return self._server_request_id or named or self.client_request_id

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
        return len(self._choices) >= choices and all(choice.finish_reason for choice in self._choices.values())

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


def _images_in(chunk: ChatChunk) -> list[Any]:
    """As the server wrote them, where it did so in OpenAI's shape."""
    if not chunk.images:
        return []
    for choice in objects(mapping(chunk.raw).get("choices")):
        written = mapping(choice.get("delta", choice.get("message"))).get("images")
        if written and isinstance(written, list) and choice.get("index", chunk.index) == chunk.index:
            return written
    return image_rows(chunk.images) or []


class _Choice:
    """One of several answers to the same request."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._logprobs: dict[str, Any] = {}
        self._rest: dict[str, Any] = {}
        self._role = "assistant"
        self.finish_reason: str | None = None

    def add(self, chunk: ChatChunk) -> None:
        if chunk.data:
            self._texts.append(chunk.data)
        if chunk.reasoning:
            self._reasoning.append(chunk.reasoning)
        for choice in objects(mapping(chunk.raw).get("choices")):
            if choice.get("index", chunk.index) == chunk.index:
                _extend(self._logprobs, mapping(choice.get("logprobs")))
                said = mapping(choice.get("delta", choice.get("message")))
                _extend(self._rest, {name: said[name] for name in said if name not in _SAID})
        self._role = chunk.role or self._role
        self.finish_reason = chunk.finish_reason or self.finish_reason
        for delta in chunk.tool_calls or ():
            _merge(self._calls.setdefault(self._place(delta), {}), delta)

    @property
    def text(self) -> str:
        if len(self._texts) > 1:  # joined once per look, not once per chunk
            self._texts = ["".join(self._texts)]
        return self._texts[0] if self._texts else ""

    @property
    def tool_calls(self) -> list[dict[str, Any]] | None:
        return [call for _, call in sorted(self._calls.items())] or None

    def _place(self, delta: Mapping[str, Any]) -> int:
        """Which call a delta belongs to; without an index, another id begins another call."""
        index, last = delta.get("index"), max(self._calls, default=-1)
        if isinstance(index, int):
            return index
        begins = last < 0 or delta.get("id") not in (None, self._calls[last].get("id"))
        return last + 1 if begins else last

    def whole(self, index: int) -> dict[str, Any]:
        more = {"logprobs": self._logprobs} if self._logprobs else {}
        return {"index": index, "message": self._message(), "finish_reason": self.finish_reason, **more}

    def _message(self) -> dict[str, Any]:
        content = self.text or (None if self._calls or self._rest else "")
        found: dict[str, Any] = {"role": self._role, "content": content, **self._rest}
        if self._reasoning:
            found["reasoning_content"] = "".join(self._reasoning)
        if self.tool_calls:
            found["tool_calls"] = self.tool_calls
        return found


_SAID = frozenset({"role", "content", "tool_calls", "reasoning", "reasoning_content", "images"})
"""What of a delta has a place of its own; the rest grows as `_extend` does it."""


def _extend(found: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Fold in a piece of something streamed: text and lists grow, objects are folded in turn."""
    for name, value in more.items():
        there = found.get(name)
        if isinstance(value, list):
            if isinstance(there, list):
                there.extend(value)
            else:
                found[name] = list(value)
        elif isinstance(value, dict):
            if not isinstance(there, dict):
                there = found[name] = {}
            _extend(there, value)
        elif isinstance(value, str) and isinstance(there, str):
            found[name] = there + value
        elif value is not None:
            found[name] = value


def _merge(call: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Fold a delta of a tool call into it: its arguments come in pieces, the rest whole."""
    for name, value in delta.items():
        if name == "function" and isinstance(value, dict):
            function = call.get("function")
            if not isinstance(function, dict):
                function = call["function"] = {}
            for part, piece in value.items():
                if part == "arguments" and isinstance(piece, str) and isinstance(function.get(part), str):
                    function[part] += piece
                elif piece is not None:
                    function[part] = piece
        elif name != "index" and value is not None:
            call[name] = value
