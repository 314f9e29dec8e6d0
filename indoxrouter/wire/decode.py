"""From a parsed answer to a dataclass. Shapes are told apart by their keys, never by the path.

Everything here takes any JSON: what is missing or of the wrong type becomes None, and an answer
that holds no answer at all is an APIError.
"""

from __future__ import annotations

import array
import base64
import re
import sys
from collections.abc import Mapping
from typing import Any, TypeGuard, TypeVar

from indoxrouter.errors import APIError
from indoxrouter.media import ImageResponse, SpeechResponse
from indoxrouter.medium import decoded
from indoxrouter.responses import ChatResponse, CompletionResponse, EmbeddingResponse, TranscriptionResponse, Usage
from indoxrouter.wire.fields import (
    cost_header,
    few,
    fraction,
    mapping,
    moment,
    number,
    objects,
    rate_limit,
    text,
    usage,
    whole,
)
from indoxrouter.wire.images import image_in, images_in, is_url
from indoxrouter.wire.masking import clean
from indoxrouter.wire.messages import Result, request_id_in

_Text = TypeVar("_Text", bound=ChatResponse)


def chat(result: Result) -> ChatResponse:
    return _text_answer(ChatResponse, result)


def completion(result: Result) -> CompletionResponse:
    return _text_answer(CompletionResponse, result)


def embeddings(result: Result) -> EmbeddingResponse:
    body = unwrapped(result)
    rows = body.get("data", body.get("embeddings"))
    if not isinstance(rows, list):
        raise not_understood(result)
    bare = bool(rows) and set(map(type, rows)) <= {int, float}  # of millions, told in a moment
    rows = [rows] if bare else rows
    asked = result.request.body or {}
    if len(rows) != len(asked.get("text", asked.get("input", rows))):
        raise not_understood(result)
    found = [row.get("embedding") if isinstance(row, dict) else row for row in _by_index(rows)]
    read = [_floats(vector) if isinstance(vector, str) else vector for vector in found]
    vectors = [vector for vector in read if _is_vector(vector)]
    if len(vectors) < len(found) or (bare and any(number(item) is None for item in vectors[0])):
        raise not_understood(result)
    if len(set(map(len, vectors))) > 1:
        raise not_understood(result)  # they can't be of one model
    size = whole(body.get("dimensions")) or (len(vectors[0] or ()) if vectors else None)
    return EmbeddingResponse(data=vectors, dimensions=size, **shared(result, body))


def image(result: Result) -> ImageResponse:
    body = unwrapped(result)
    rows = body.get("data", body.get("images"))
    if isinstance(rows, dict | str):
        rows = [rows]
    if not isinstance(rows, list):
        raise not_understood(result)
    return ImageResponse(data=[image_in(row) for row in few(rows)], **shared(result, body))


def speech(result: Result) -> SpeechResponse:
    """The audio itself from one kind of server, its URL or base64 from the other."""
    if isinstance(result.body, bytes):
        kind = result.headers.get("content-type")
        return SpeechResponse(content=result.body, content_type=kind, **shared(result, {}))
    body = unwrapped(result)
    found = body.get("data")
    url, packed = text(mapping(found).get("url")), text(mapping(found).get("b64_json"))
    if isinstance(found, str):
        url, packed = (found, None) if is_url(found) else (None, found)
    try:
        content = decoded(packed, "speech") if packed else None
    except APIError:
        url, content = packed if (packed or "").startswith("/") else url, None  # a path of the server's own
    if not url and not content:
        raise not_understood(result)
    return SpeechResponse(data=found, content=content, url=url, **shared(result, body))


def transcription(result: Result) -> TranscriptionResponse:
    if isinstance(result.body, bytes):
        written = result.body.decode("utf-8", "replace")
        return TranscriptionResponse(data=written, **shared(result, {}))
    if isinstance(result.body, str):  # a plain format, in JSON all the same
        return TranscriptionResponse(data=result.body, **shared(result, {}))
    body = unwrapped(result)
    inner = {**mapping(body.get("data")), **body}
    written_text = text(inner.get("text"))  # of silence, an empty one
    written_text = text(inner.get("data")) if written_text is None else written_text
    if written_text is None:
        raise not_understood(result)
    used = mapping(body.get("usage"))
    return TranscriptionResponse(
        data=written_text,
        language=text(inner.get("language")),
        duration=_first_fraction(inner.get("duration"), used.get("duration_seconds"), used.get("seconds")),
        segments=objects(inner.get("segments")) or None,
        words=objects(inner.get("words")) or None,
        **shared(result, body),
    )


def body(result: Result) -> Any:
    """The answer as it is."""
    return result.body


def content(result: Result) -> bytes:
    if not isinstance(result.body, bytes):  # of a mock
        raise not_understood(result)
    return result.body


def not_understood(result: Result) -> APIError:
    """The error for JSON that is no answer to the call."""
    body = result.body if isinstance(result.body, dict) else {}
    keys = ", ".join(sorted(key for key in body if re.fullmatch(r"[A-Za-z_]{1,30}", key))[:8])  # others may be secrets
    shown = clean(keys, result.secrets(), 150) or "none"
    return APIError(
        f"{result.target} answered in none of the documented shapes (keys: {shown})",
        code="not_understood",
        request_id=clean(server_request_id(result) or "", result.secrets(), 100) or result.client_request_id,
        client_request_id=result.client_request_id,
        details=result.body,
        outcome="done",
        attempts=result.attempts,
    )


def server_request_id(result: Result) -> str | None:
    body = mapping(result.body)
    inner = mapping(body.get("result"))
    return (
        text(body.get("request_id"))
        or text(mapping(body.get("metadata")).get("request_id"))
        or text(inner.get("request_id"))
        or request_id_in(result.headers)
        or text(body.get("id"))
    )


def _text_answer(cls: type[_Text], result: Result) -> _Text:
    body = unwrapped(result)
    if "output" in body:
        found = _from_output(body)
    elif objects(body.get("choices")):
        found = _from_choices(body)
    elif "data" in body:
        found = _from_envelope(body)
    else:
        raise not_understood(result)
    return cls(**found, **shared(result, body))


def _from_envelope(body: Mapping[str, Any]) -> dict[str, Any]:
    data, raw = body.get("data"), mapping(body.get("raw_response"))
    behind = _from_choices(raw) if isinstance(raw.get("choices"), list) else {}
    return {
        "data": text(data) if data is not None else None,
        "finish_reason": text(body.get("finish_reason")),
        "images": images_in(body.get("images")),
        "tool_calls": objects(few(body.get("tool_calls"))) or behind.get("tool_calls"),
        "reasoning": text(body.get("reasoning")) or behind.get("reasoning"),
    }


def _from_choices(body: Mapping[str, Any]) -> dict[str, Any]:
    choice = next(iter(objects(few(body.get("choices")))), {})
    message = mapping(choice.get("message"))
    content = message.get("content", choice.get("text"))
    return {
        "data": content if isinstance(content, str) else _joined(content),
        "finish_reason": text(choice.get("finish_reason")),
        "images": images_in(message.get("images")) or images_in(choice.get("images")),
        "tool_calls": objects(few(message.get("tool_calls"))) or None,
        "reasoning": text(message.get("reasoning_content")) or text(message.get("reasoning")),
    }


def _from_output(body: Mapping[str, Any]) -> dict[str, Any]:
    items = objects(few(body.get("output")))
    messages = [item for item in items if item.get("type", "message") == "message"]
    parts = [part for item in messages for part in objects(item.get("content"))]
    return {
        "data": _joined(parts),
        "finish_reason": text(body.get("finish_reason")) or unfinished(body),
        "images": images_in([item for item in items if item.get("type") == "image_generation_call"]),
        "tool_calls": [item for item in items if item.get("type") == "function_call"] or None,
        "reasoning": next((found for item in messages if (found := text(item.get("reasoning")))), None),
    }


def unfinished(body: Mapping[str, Any]) -> str | None:
    """The finish reason of a hub answer that was cut short; None: it was not."""
    status = text(body.get("status"))
    if status != "incomplete":
        return status if status not in ("completed", "in_progress") else None
    reason = text(mapping(body.get("incomplete_details")).get("reason"))
    return "length" if reason in (None, "max_output_tokens", "max_tokens") else reason


def _joined(parts: Any) -> str | None:
    texts = [found for part in objects(parts) if (found := text(part.get("text"))) is not None]
    return "".join(texts) if texts else None


def unwrapped(result: Result) -> Mapping[str, Any]:
    """The answer itself; the seed era wraps it as `{"result": …, "metadata": …}`."""
    body = result.body
    if isinstance(body, dict) and isinstance(inner := body.get("result"), dict):
        return {**mapping(body.get("metadata")), **inner}
    if not isinstance(body, dict):
        raise not_understood(result)
    return body


def shared(result: Result, body: Mapping[str, Any]) -> dict[str, Any]:
    raw = body.get("raw_response")
    used = usage(body.get("usage"))
    if (cost := cost_header(result.headers)) is not None:
        used = used or Usage()
        used.cost = cost if used.cost is None else used.cost
    model = text(body.get("model")) or result.request.model
    named = next((name for name in (model, result.request.model) if name and "/" in name), "")
    success = body.get("success")
    return {
        "model": model,
        "provider": text(body.get("provider")) or named.partition("/")[0] or None,
        "success": success if isinstance(success, bool) else True,
        "message": text(body.get("message")),
        "usage": used,
        "raw_response": raw if raw is not None else result.body,
        "request_id": server_request_id(result) or result.client_request_id,
        "client_request_id": result.client_request_id,
        "created_at": moment(body.get("created_at", body.get("created"))),
        "duration_ms": fraction(body.get("duration_ms")),
        "attempts": result.attempts,
        "rate_limit": rate_limit(result.headers),
        "cached": result.cached,
        "raw": result.body,
    }


def _first_fraction(*values: Any) -> float | None:
    return next((found for value in values if (found := fraction(value)) is not None), None)


def _floats(packed: str) -> list[float] | None:
    """A vector that came as base64 of little-endian float32."""
    try:
        numbers = array.array("f", base64.b64decode(packed, validate=True))
    except ValueError:
        return None
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def _is_vector(value: Any) -> TypeGuard[list[float]]:
    if not isinstance(value, list):
        return False
    try:
        array.array("d", value)
    except (TypeError, OverflowError):
        return False
    return True


def _by_index(rows: list[Any]) -> list[Any]:
    """Rows in the order of their `index`, where each has one."""
    places = [whole(row.get("index")) if isinstance(row, dict) else None for row in rows]
    if any(place is None for place in places):
        return rows
    return [row for _, row in sorted(zip(places, rows, strict=True), key=lambda pair: pair[0] or 0)]
