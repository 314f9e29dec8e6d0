"""How answers look in the OpenAI style: pure functions from the clients' own answers to OpenAI's shapes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from indoxrouter.errors import APIError, Attempt, ModelNotFoundError
from indoxrouter.generation import Generation
from indoxrouter.media import ImageResponse, SpeechResponse, attach
from indoxrouter.openai_types import (
    ChatCompletionResponse,
    CompletionUsage,
    EmbeddingList,
    FileObject,
    Generated,
    ImageList,
    ModelObject,
    Page,
    Part,
    TextCompletion,
    Transcription,
)
from indoxrouter.records import CatalogueEntry
from indoxrouter.responses import ChatResponse, EmbeddingResponse, TranscriptionResponse, Usage
from indoxrouter.wire import fields
from indoxrouter.wire.fields import mapping, objects, text, whole
from indoxrouter.wire.images import image_rows

AnswerT = TypeVar("AnswerT", bound=Generated)


class Content:
    """Bytes that came as a whole."""

    __slots__ = ()

    def read(self) -> bytes:
        raise NotImplementedError

    def write_to_file(self, path: str | PathLike[str]) -> None:
        Path(path).write_bytes(self.read())

    stream_to_file = write_to_file


class Speech(Content, SpeechResponse):
    """Spoken text. Where the server named a URL, reading fetches it, and blocks meanwhile."""

    __slots__ = ()

    def read(self) -> bytes:
        return self.audio


class FileContent(Content):
    """What a file holds."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self) -> bytes:
        return self.content

    @property
    def text(self) -> str:
        return self.read().decode()


def chat(answer: ChatResponse, *, hosted: bool, parse_as: Any = None) -> ChatCompletionResponse:
    body = _provider_body(answer)
    found = objects(body.get("choices")) or [{}]
    choices = []
    for n, choice in enumerate(found):
        message = {"role": "assistant", "content": None, **mapping(choice.get("message"))}
        choices.append({"index": n, **choice, "message": message, "finish_reason": choice.get("finish_reason")})
    # The router's own fields fill in for what the provider's answer lacks.
    first = choices[0]
    first["finish_reason"] = first["finish_reason"] or answer.finish_reason
    own = {"content": answer.data, "reasoning_content": answer.reasoning, "images": image_rows(answer.images)}
    own["tool_calls"] = [_tool_call(call) for call in answer.tool_calls or ()]
    first["message"] |= {name: value for name, value in own.items() if value and not first["message"].get(name)}
    response = _shared(ChatCompletionResponse, answer, hosted, body, "chat.completion", choices)
    return response if parse_as is None else _parsed(response, parse_as)


def text_completion(answer: ChatResponse, *, hosted: bool) -> TextCompletion:
    body = _provider_body(answer)
    found = objects(body.get("choices")) or [{"finish_reason": answer.finish_reason}]
    choices = []
    for n, choice in enumerate(found):
        written = text(choice.get("text")) or text(mapping(choice.get("message")).get("content"))
        rest = {name: value for name, value in choice.items() if name != "message"}
        written = written if written is not None else (answer.data or "") if n == 0 else ""
        choices.append({"index": n, "finish_reason": None, **rest, "text": written})
    return _shared(TextCompletion, answer, hosted, body, "text_completion", choices)


def _provider_body(answer: ChatResponse) -> Mapping[str, Any]:
    """The answer in OpenAI's shape, where the server passed one on."""
    body = mapping(answer.raw_response)
    return body if isinstance(body.get("choices"), list) else {}


def _tool_call(call: dict[str, Any]) -> dict[str, Any]:
    """A tool call in OpenAI's shape, from that or from the hub's."""
    if "function" in call:
        return call
    function = {"name": call.get("name"), "arguments": call.get("arguments")}
    return {"id": call.get("call_id", call.get("id")), "type": "function", "function": function}


def _parsed(response: ChatCompletionResponse, parse_as: Any) -> ChatCompletionResponse:
    """The response, each message with its `parsed`; what does not fit is an error that keeps it all."""
    for choice in response.choices:
        content = choice.message.content
        if not isinstance(content, str) or not content or choice.message.tool_calls:
            continue
        try:
            vars(choice.message)["parsed"] = parse_as.model_validate_json(content)
        except ValueError as error:
            problem = str(error)
            break
    else:
        return response
    raise APIError(
        f"the answer is no {parse_as.__name__} (it ended with finish_reason {choice.finish_reason!r})",
        code="response_mismatch",
        request_id=response.request_id,
        details={"problem": problem, "response": response.to_dict()},
        partial=content,
        outcome="done",
        attempts=response.attempts,
    )


def embeddings(answer: EmbeddingResponse, hosted: bool) -> EmbeddingList:
    rows = [{"object": "embedding", "index": n, "embedding": vector} for n, vector in enumerate(answer.data)]
    return _generated(EmbeddingList, answer, hosted, {"object": "list", "data": rows})


def images(answer: ImageResponse, hosted: bool) -> ImageList:
    rows = [image.to_dict() for image in answer.data]
    return _generated(ImageList, answer, hosted, {"created": _created(answer, {}), "data": rows})


def transcription(answer: TranscriptionResponse, hosted: bool) -> Transcription:
    """What a server says in OpenAI's shape is kept as it is."""
    own = {} if hosted else mapping(answer.raw)
    names = ("language", "duration", "segments", "words")
    told = {name: getattr(answer, name) for name in names} if hosted else {}
    shaped = _generated(Transcription, answer, hosted, {"text": answer.text, **told, **own})
    if used := mapping(own.get("usage")):
        shaped["usage"] = Part(used)
    return shaped


def speech(answer: SpeechResponse) -> Speech:
    found = Speech(**answer)
    source = answer._fetcher()
    return found if source is None else attach(found, source.fetch)


def models(catalogue: Mapping[str, list[CatalogueEntry]], hosted: bool) -> Page[ModelObject]:
    """On the hosted router ids are provider/name, as models are asked for."""
    rows = [
        {"object": "model", "created": None, "owned_by": provider, **entry, "id": _model_id(provider, entry, hosted)}
        for provider, entries in catalogue.items()
        for entry in entries
    ]
    return Page({"object": "list", "data": [ModelObject(row) for row in rows]})


def model(page: Page[ModelObject], wanted: str) -> ModelObject:
    for entry in page:
        if entry.id == wanted:
            return entry
    raise ModelNotFoundError(
        f"the server has no model {wanted[:100]!r}", code="model_not_found", status_code=404, outcome="done"
    )


def files(body: Any) -> Page[FileObject]:
    return Page({**mapping(body), "data": [FileObject(row) for row in objects(fields.few(mapping(body).get("data")))]})


def _model_id(provider: str, entry: CatalogueEntry, hosted: bool) -> str:
    if not hosted:
        return str(entry.get("id") or entry.get("name"))
    name = str(entry.get("name") or entry.get("id") or entry.get("modelName"))
    return name if name.startswith(f"{provider}/") else f"{provider}/{entry.get('modelName') or name}"


def model_name(name: str | None, provider: str | None, attempts: tuple[Attempt, ...], hosted: bool) -> str:
    """The name as the model is asked for: the hosted router answers with the provider apart."""
    asked = attempts[-1].model if attempts else None
    if not name or not hosted:
        return name or asked or ""
    if asked and (asked == name or asked.endswith(f"/{name}")):
        return asked
    return f"{provider}/{name}" if provider and not name.startswith(f"{provider}/") else name


def _shared(
    cls: type[AnswerT], answer: ChatResponse, hosted: bool, body: Mapping[str, Any], kind: str, choices: list[Any]
) -> AnswerT:
    about = {
        "id": text(body.get("id")) or answer.request_id,
        "object": kind,
        "created": _created(answer, body),
        "choices": choices,
        "system_fingerprint": body.get("system_fingerprint"),
    }
    rest = {name: value for name, value in body.items() if name not in about and name not in _ROUTERS}
    return _generated(cls, answer, hosted, {**about, **rest}, mapping(body.get("usage")))


_ROUTERS = ("request_id", "provider", "created_at", "message", "duration_ms", "model", "usage")
"""Keys that a router adds, or that are written anew."""


def _generated(
    cls: type[AnswerT],
    answer: Generation,
    hosted: bool,
    content: Mapping[str, Any],
    wire_usage: Mapping[str, Any] | None = None,
) -> AnswerT:
    named = {"model": model_name(answer.model, answer.provider, answer.attempts, hosted)}
    shaped = cls({**content, **named, "usage": usage_of(answer.usage, wire_usage or {})})
    vars(shaped)["_answer"] = answer
    return shaped


def _created(answer: Generation, body: Mapping[str, Any]) -> int:
    """Seconds since 1970, by the server's clock or else by ours."""
    if (told := whole(body.get("created"))) is not None:
        return told
    try:
        return int(datetime.fromisoformat(answer.created_at or "").timestamp())
    except ValueError:
        return int(time.time())


def usage_of(used: Usage | None, wire: Mapping[str, Any]) -> CompletionUsage | None:
    """The usage under OpenAI's names, with the details that the provider told; None: not known."""
    used = used or fields.usage(wire)
    if used is None or (used.tokens_prompt is None and used.tokens_total is None and used.cost is None):
        return None
    into, out, total = used.tokens_prompt, used.tokens_completion, used.tokens_total
    found = CompletionUsage(wire if "prompt_tokens" in wire else {}, prompt_tokens=into, completion_tokens=out)
    found["total_tokens"] = into + out if total is None and into is not None and out is not None else total
    if used.cache_read_tokens is not None:
        found.setdefault("prompt_tokens_details", {"cached_tokens": used.cache_read_tokens})
    if used.reasoning_tokens is not None:
        found.setdefault("completion_tokens_details", {"reasoning_tokens": used.reasoning_tokens})
    if used.cost is not None:
        found["cost"] = used.cost
    return CompletionUsage(found)
