"""What the OpenAI style asks, decided once for both of its clients: parameters, and the chunks of streams."""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Required, TypedDict, TypeVar
from urllib.parse import urlsplit

from indoxrouter import openai_shapes as shapes
from indoxrouter.config import DEFAULT_BASE_URL
from indoxrouter.errors import Attempt
from indoxrouter.openai_types import ChatCompletionChunk, ChatCompletionResponse, Completed, TextCompletion
from indoxrouter.responses import ChatChunk, ChatResponse, Usage
from indoxrouter.wire.fields import mapping, objects, text, whole
from indoxrouter.wire.images import image_rows

ChunkT = TypeVar("ChunkT", bound=Completed)
AnswerT = TypeVar("AnswerT", bound=Completed)


class Message(TypedDict, total=False):
    """A message as it is sent."""

    role: Required[str]
    content: str | Sequence[Mapping[str, Any]] | None
    name: str
    tool_calls: Sequence[Mapping[str, Any]]
    tool_call_id: str
    function_call: Mapping[str, Any]


def client_settings(base_url: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """A client's other options, with the dialect of the server that is meant."""
    named = base_url or os.environ.get("OPENAI_BASE_URL")
    hosted = not named or urlsplit(named).netloc == urlsplit(DEFAULT_BASE_URL).netloc
    return {"dialect": "indox" if hosted else "openai", **options}


def with_account(headers: Any, organization: str | None, project: str | None) -> Any:
    """The headers, and OpenAI's own for whom a request is billed to."""
    ours = present({"OpenAI-Organization": organization, "OpenAI-Project": project})
    return {**ours, **(headers or {})} if ours else headers


def present(params: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are set: nothing else is sent."""
    return {name: value for name, value in params.items() if value is not None}


def given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a method, from its `locals()`, that its caller set."""
    return present(
        {name: arguments[name] for name in arguments if name not in ("self", "params")} | arguments["params"]
    )


class _Held(Protocol):
    """What is asked of a stream here: it never reads on."""

    @property
    def request_id(self) -> str | None: ...
    @property
    def usage(self) -> Usage | None: ...
    @property
    def wire_usage(self) -> Mapping[str, Any]: ...
    @property
    def attempts(self) -> tuple[Attempt, ...]: ...


@dataclass(frozen=True)
class Ask(Generic[ChunkT, AnswerT]):
    """A call of `chat` or `completion`, and what becomes of its answer."""

    params: dict[str, Any]
    stream: bool
    chunks: Chunks[ChunkT]
    finish: Callable[[ChatResponse], AnswerT]


def chat_ask(params: dict[str, Any], hosted: bool) -> Ask[ChatCompletionChunk, ChatCompletionResponse]:
    model_class = None
    if _describes_itself(wanted := params.get("response_format")):
        model_class = wanted
        # A text that does not fit the class would be kept, and asking again would bring it again.
        params = {"caching": False, **params, "response_format": _json_schema(model_class)}
    finish = functools.partial(shapes.chat, hosted=hosted, parse_as=model_class)
    return _ask(params, ChatCompletionChunk, hosted, finish)


def text_ask(params: dict[str, Any], hosted: bool) -> Ask[TextCompletion, TextCompletion]:
    return _ask(params, TextCompletion, hosted, functools.partial(shapes.text_completion, hosted=hosted))


def _ask(
    params: dict[str, Any], kind: type[ChunkT], hosted: bool, finish: Callable[[ChatResponse], AnswerT]
) -> Ask[ChunkT, AnswerT]:
    sent = {"temperature": None, **params}
    stream = bool(sent.pop("stream", False))
    return Ask(sent, stream, Chunks(kind, hosted, mapping(params.get("stream_options"))), finish)


def _describes_itself(wanted: Any) -> bool:
    """Whether it is a class of pydantic's kind; pydantic itself may not be installed."""
    return isinstance(wanted, type) and hasattr(wanted, "model_json_schema")


def _json_schema(model_class: Any) -> dict[str, Any]:
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", model_class.__name__)[:64]
    schema = _strict(model_class.model_json_schema())
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": True}}


def _strict(node: Any) -> Any:
    """A schema as strict mode wants it: every property required, no other allowed, no defaults."""
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {
        name: {key: _strict(part) for key, part in value.items()} if name in _BY_NAME else _strict(value)
        for name, value in node.items()
        if name != "default"
    }
    if "properties" in found:
        found |= {"additionalProperties": False, "required": list(found["properties"])}
    return found


_BY_NAME = ("properties", "$defs")


class Chunks(Generic[ChunkT]):
    """Turns the chunks of one stream into OpenAI's; the usage comes last, if it was asked for."""

    def __init__(self, kind: type[ChunkT], hosted: bool, options: Mapping[str, Any]) -> None:
        self._kind = kind
        self._hosted = hosted
        self._wants_usage = bool(options.get("include_usage"))
        self._facts: dict[str, Any] = {"id": None, "object": _OBJECTS[kind], "created": int(time.time()), "model": ""}

    def shaped(self, chunk: ChatChunk, stream: _Held) -> ChunkT | None:
        """None: the chunk says nothing of any choice."""
        event = mapping(chunk.raw)
        choices = objects(event.get("choices"))
        choice = next((each for each in choices if each.get("index", chunk.index) == chunk.index), None)
        said = _said(chunk)
        if choice is None and ("choices" in event or not (said or chunk.finish_reason)):
            return None
        self._note(event, stream)
        delta = mapping((choice or {}).get("delta")) or said
        shown = {"text": chunk.data} if self._kind is TextCompletion else {"delta": delta}
        rest = {name: value for name, value in (choice or {}).items() if name not in ("message", "delta", "text")}
        return self._kind(
            {
                **self._facts,
                "choices": [{**rest, "index": chunk.index, **shown, "finish_reason": chunk.finish_reason}],
            }
        )

    def usage(self, stream: _Held) -> ChunkT | None:
        """The chunk without choices that ends a stream, if it was asked for and is known."""
        used, self._wants_usage = shapes.usage_of(stream.usage, stream.wire_usage) if self._wants_usage else None, False
        return self._kind({**self._facts, "choices": [], "usage": used}) if used else None

    def _note(self, event: Mapping[str, Any], stream: _Held) -> None:
        facts = {**event, **mapping(event.get("response"))}
        self._facts |= {name: event[name] for name in ("system_fingerprint", "service_tier") if name in event}
        self._facts["id"] = self._facts["id"] or text(facts.get("id")) or stream.request_id
        self._facts["created"] = whole(facts.get("created", facts.get("created_at"))) or self._facts["created"]
        model, provider = text(facts.get("model")), text(facts.get("provider"))
        self._facts["model"] = shapes.model_name(model, provider, stream.attempts, self._hosted) or self._facts["model"]


_OBJECTS: Mapping[type[Completed], str] = {
    ChatCompletionChunk: "chat.completion.chunk",
    TextCompletion: "text_completion",
}


def _said(chunk: ChatChunk) -> dict[str, Any]:
    """The delta of a chunk that did not come in OpenAI's shape."""
    said = {
        "role": chunk.role,
        "content": chunk.data or None,
        "tool_calls": chunk.tool_calls,
        "reasoning_content": chunk.reasoning,
        "images": image_rows(chunk.images),
        "partial_images": image_rows(chunk.partial_images),
    }
    return {name: value for name, value in said.items() if value is not None}


def file_ask(file: Any, purpose: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that `Calls.create_file` takes."""
    named = upload({**present(params), "file": file})
    return {"file": named.pop("file"), "purpose": purpose, "params": named}


def upload(params: dict[str, Any]) -> dict[str, Any]:
    """The file may be given as OpenAI's client takes it: a name and its content, perhaps a type."""
    match params.get("file"):
        case (str() as name, content, *_):
            return {**params, "file": content, "filename": name}
        case _:
            return {**params}
