"""Events of a stream, in all three generations, told apart by their keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from indoxrouter.errors import StreamError
from indoxrouter.responses import ChatChunk
from indoxrouter.wire.decode import chat, unfinished
from indoxrouter.wire.failures import Origin, from_body, is_error
from indoxrouter.wire.fields import few, mapping, number, objects, text, usage
from indoxrouter.wire.images import images_in
from indoxrouter.wire.messages import Result
from indoxrouter.wire.parsing import TooLargeError, loads
from indoxrouter.wire.sse import MAX_EVENT_BYTES


@dataclass(slots=True)
class StreamEvent:
    """What one event says."""

    chunks: list[ChatChunk] = field(default_factory=list)
    done: bool = False
    """[DONE] or `response.done`: nothing that matters follows."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """`id`, `model`, `provider`, `created`, where the event names them."""
    stream_id: str | None = None
    """What the server calls the stream, so that it can be told to stop it."""


class EventReader:
    """Reads the events of one stream; text that is not JSON is an answer in the bare generation only."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._bare: bool | None = None
        self._held: list[ChatChunk] = []
        """Events such as `42`: text of a bare stream, nothing in the others; held until it is known which."""

    def read(self, data: str) -> StreamEvent:
        """Raises the mapped error for an error event, and StreamError for what can't be decoded."""
        if data.strip() == "[DONE]":
            return StreamEvent(self._release(), done=True)
        try:
            body = loads(data, MAX_EVENT_BYTES, _MOST_VALUES)
        except TooLargeError as error:
            raise StreamError(f"an event is {error}", code="event_too_large", outcome="unknown") from None
        except (ValueError, RecursionError):
            if self._bare is False or (self._bare is None and data.startswith(('{"', "[{"))):
                raise StreamError("an event is not JSON", code="undecodable", outcome="unknown") from None
            self._bare = True
            return StreamEvent([*self._release(), ChatChunk(data, raw=data)])
        if isinstance(body, dict):
            return self._read_object(body)
        if self._bare is None:
            self._held.append(ChatChunk(data, raw=data))
        return StreamEvent([ChatChunk(data, raw=data)] if self._bare else [])

    def _release(self) -> list[ChatChunk]:
        held, self._held = self._held, []
        return held if self._bare is not False else []

    def _read_object(self, body: dict[str, Any]) -> StreamEvent:
        kind = text(body.get("type")) or ""
        _check(body)
        if is_error(body):
            raise from_body(self._origin, None, {}, body)
        if kind.startswith("response."):
            self._bare = False
            return _typed(kind, body, self._origin)
        if "choices" in body:
            self._bare = False
            return _openai(body)
        if self._bare is None and ("data" in body or "images" in body):
            self._bare = True
        chunk = ChatChunk(
            text(body.get("data")) or "",
            finish_reason=text(body.get("finish_reason")),
            images=images_in(body.get("images")),
            usage=usage(body.get("usage")),
            raw=body,
        )
        return StreamEvent([*self._release(), *([chunk] if _says_something(chunk) else [])], facts=body)


def choices_in(body: Any) -> list[dict[str, Any]]:
    """The choices as the server wrote them: its own, or those of the provider's answer that it enclosed."""
    body = mapping(body)
    return objects(body.get("choices")) or objects(mapping(body.get("raw_response")).get("choices"))


def index_of(choice: Mapping[str, Any], position: int) -> int:
    """Which of an answer's choices it is: where it doesn't say, by its position in the event."""
    index = number(choice.get("index"))
    return position if index is None else int(index)


_MOST_VALUES = 2**19
"""Values of one event, which may be a whole answer."""
_MOST = 2**17
"""Choices, tool calls and images that one event may bring: each is a chunk, or a piece of one."""


def _check(body: dict[str, Any]) -> None:
    """Raise StreamError where an event lists more than that; a choice takes as long as two of the others."""
    choices = body.get("choices")
    left = _MOST - (2 * len(choices) if isinstance(choices, list) else 0)
    for holder in _holders(body, choices) if left >= 0 else ():
        for name in ("tool_calls", "images"):
            left -= len(found) if isinstance(found := holder.get(name), list) else 0
    if left < 0:
        raise StreamError("an event lists more than the client accepts", code="event_too_large", outcome="unknown")


def _holders(body: dict[str, Any], choices: Any) -> Iterator[Mapping[str, Any]]:
    yield body
    for choice in objects(choices):
        yield from (choice, mapping(choice.get("delta")))


def _openai(body: dict[str, Any]) -> StreamEvent:
    chunks = []
    for position, choice in enumerate(objects(body.get("choices"))):
        delta = mapping(choice.get("delta"))
        chunks.append(
            ChatChunk(
                text(delta.get("content")) or text(choice.get("text")) or "",
                index=index_of(choice, position),
                role=text(delta.get("role")),
                finish_reason=text(choice.get("finish_reason")),
                tool_calls=objects(delta.get("tool_calls")) or None,
                reasoning=text(delta.get("reasoning_content")) or text(delta.get("reasoning")),
                images=images_in(delta.get("images")) or images_in(choice.get("images")),
                raw=body,
            )
        )
    if (used := usage(body.get("usage"))) is not None:
        if not chunks:
            chunks.append(ChatChunk(raw=body))
        chunks[-1].usage = used
    return StreamEvent(chunks, facts=body)


def _typed(kind: str, body: dict[str, Any], origin: Origin) -> StreamEvent:
    response = mapping(body.get("response"))
    if kind == "response.failed" or response.get("status") == "failed":
        raise from_body(origin, None, {}, {"error": response.get("error") or body.get("message") or "failed"})
    chunk = ChatChunk(raw=body)
    match kind.removeprefix("response."):
        case "content_part.delta" | "output_text.delta":
            chunk.data = text(body.get("delta")) or ""
        case "reasoning.delta":
            chunk.reasoning = text(body.get("delta"))
        case "image_generation_call.partial_image":
            chunk.partial_images = images_in(body.get("partial_image_b64"))
        case "image_generation_call.completed":
            chunk.images = images_in(body.get("image_generation_call")) or images_in(body.get("data"))
        case "done" | "completed":
            chunk.usage = usage(response.get("usage"))
            chunk.finish_reason = text(response.get("finish_reason")) or unfinished(response)
    done = kind in ("response.done", "response.completed")
    facts = response if response else body
    stream_id = text(response.get("id")) if kind == "response.created" else None
    return StreamEvent([chunk] if _says_something(chunk) else [], done, facts, stream_id)


def _says_something(chunk: ChatChunk) -> bool:
    shown = chunk.images or chunk.partial_images
    return bool(chunk.data or chunk.finish_reason or chunk.reasoning or shown or chunk.usage)


def whole_answer(result: Result) -> StreamEvent:
    """The one event of an answer that came at once, from a server that does not stream or from a cache."""
    answer = chat(result)
    body = mapping(result.body)
    choices = few(choices_in(body))
    chunks = [_whole_choice(choice, n) for n, choice in enumerate(choices)]
    if len(chunks) < 2:
        first = ChatChunk(
            answer.data or "",
            index=index_of(choices[0], 0) if choices else 0,
            finish_reason=answer.finish_reason,
            tool_calls=_with_index(answer.tool_calls),
            reasoning=answer.reasoning,
            images=answer.images,
        )
        chunks = [first]
    for chunk in chunks:
        chunk.raw = result.body
    chunks[-1].usage = answer.usage
    return StreamEvent(chunks, done=True, facts=body)


def _whole_choice(choice: Mapping[str, Any], n: int) -> ChatChunk:
    message = mapping(choice.get("message"))
    return ChatChunk(
        text(message.get("content")) or text(choice.get("text")) or "",
        index=index_of(choice, n),
        role=text(message.get("role")),
        finish_reason=text(choice.get("finish_reason")),
        tool_calls=_with_index(objects(message.get("tool_calls"))),
        reasoning=text(message.get("reasoning_content")),
        images=images_in(message.get("images")),
    )


def _with_index(calls: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    """Whole tool calls as the deltas of a stream, which are numbered."""
    return [{"index": n, **call} for n, call in enumerate(calls)] if calls else None
