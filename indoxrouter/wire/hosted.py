"""The hosted router's dialect: each call as a `Request`, refused here where it could not succeed."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from indoxrouter.errors import ValidationError
from indoxrouter.responses import ChatMessage
from indoxrouter.wire.messages import Kind, Request

CHAT, COMPLETIONS, EMBEDDINGS, IMAGES = "chat/completions", "completions", "embeddings", "images/generations"
EMBEDDING_MODEL = "openai/text-embedding-3-small"
IMAGE_MODEL = "openai/dall-e-3"

_TEXT_FIELDS = frozenset({"top_p", "frequency_penalty", "presence_penalty", "byok_api_key"})
_IMAGE_FIELDS = frozenset(
    {
        *(
            "n",
            "quality",
            "style",
            "response_format",
            "user",
            "background",
            "moderation",
            "output_compression",
        ),
        *(
            "output_format",
            "negative_prompt",
            "guidance_scale",
            "seed",
            "safety_filter_level",
            "person_generation",
        ),
        *("include_safety_attributes", "include_rai_reason", "language", "output_mime_type", "add_watermark"),
        *("enhance_prompt", "aspect_ratio", "byok_api_key"),
    }
)
_REFUSE_SMALL = ("dall-e-3", "gpt-image-")
_ASPECTS = {
    **dict.fromkeys(("256x256", "512x512", "1024x1024"), "1:1"),
    "1024x768": "4:3",
    "768x1024": "3:4",
    "1536x1024": "3:2",
    "1024x1536": "2:3",
    "1792x1024": "16:9",
    "1024x1792": "9:16",
}


class DefaultSize(str):
    """An image size that nobody asked for: sent only to models that take it."""

    __slots__ = ()


IMAGE_SIZE = DefaultSize("512x512")

Messages = Sequence[Mapping[str, Any] | ChatMessage]
Date = str | datetime.date


def chat(
    messages: Messages,
    *,
    model: str,
    temperature: float | None,
    max_tokens: int | None,
    stream: bool,
    params: Mapping[str, Any],
) -> Request:
    if problems := message_problems(messages):
        raise ValidationError(problems[0])
    plain = [_plain_message(message) for message in messages]
    return _text_request("chat", CHAT, {"messages": plain}, model, temperature, max_tokens, stream, params)


def completion(
    prompt: str,
    *,
    model: str,
    temperature: float | None,
    max_tokens: int | None,
    stream: bool,
    params: Mapping[str, Any],
) -> Request:
    _check_text("prompt", prompt)
    return _text_request("completion", COMPLETIONS, {"prompt": prompt}, model, temperature, max_tokens, stream, params)


def embeddings(text: str | Sequence[str], *, model: str, params: Mapping[str, Any]) -> Request:
    texts = [text] if isinstance(text, str) else list(text) if isinstance(text, Sequence) else None
    if not texts or not all(isinstance(item, str) for item in texts):
        raise ValidationError("text must be a string or a list of at least one string")
    check_model(model)
    named, rest = _split(params, frozenset({"byok_api_key"}))
    body = {"text": texts, "model": model, **named, "additional_params": rest}
    return Request("embeddings", "POST", (EMBEDDINGS,), body, model, names="model")


def image(prompt: str, *, model: str, size: str | None, params: Mapping[str, Any]) -> Request:
    _check_text("prompt", prompt)
    check_model(model)
    named, rest = _split(params, _IMAGE_FIELDS)
    body = {"prompt": prompt, "model": model, **named}
    body |= _size_for(model, size, "aspect_ratio" in body)
    if rest:
        body["additional_params"] = rest
    return Request("image", "POST", (IMAGES,), body, model, names="model")


def models(provider: str | None = None) -> Request:
    if provider is None:
        return Request("catalogue", "GET", ("models/", "models"))
    part = path_part("provider", provider)
    paths = (f"models/{part}", "models?" + urlencode({"provider": provider}))
    return Request("catalogue", "GET", paths, names="provider")


def providers() -> Request:
    return Request("catalogue", "GET", ("models/", "providers"))


def model_info(provider: str, model: str) -> Request:
    path = f"models/{path_part('provider', provider)}/{path_part('model', model)}"
    return Request("catalogue", "GET", (path,), names="model")


def usage(start_date: Date | None = None, end_date: Date | None = None) -> Request:
    dates = {"start_date": _day("start_date", start_date), "end_date": _day("end_date", end_date)}
    if dates["start_date"] and dates["end_date"] and dates["start_date"] > dates["end_date"]:
        raise ValidationError("start_date is after end_date")
    query = urlencode({name: day for name, day in dates.items() if day})
    suffix = f"?{query}" if query else ""
    return Request("account", "GET", (f"user/usage{suffix}", f"usage{suffix}"))


def user_info() -> Request:
    return Request("account", "GET", ("user/me",))


def message_problems(messages: Any) -> list[str]:
    """What keeps `messages` from being sent, each in one sentence that quotes none of them."""
    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes):
        return [f"messages must be a list, not {type(messages).__name__}"]
    if not messages:
        return ["messages is empty: pass at least one message"]
    problems = []
    for n, message in enumerate(messages):
        if not isinstance(message, Mapping):
            problems.append(f"messages[{n}] must be a dict or a ChatMessage, not {type(message).__name__}")
        elif not isinstance(message.get("role"), str) or not message["role"]:
            problems.append(f"messages[{n}] has no role")
        elif "content" not in message and not (message.get("tool_calls") or message.get("function_call")):
            problems.append(f"messages[{n}] has no content")
        elif not isinstance(message.get("content"), str | Sequence | None) or isinstance(message.get("content"), bytes):
            problems.append(f"messages[{n}].content must be text or a list of parts")
    return problems


def diagnose(endpoint: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """What would be wrong with a body for an endpoint; nothing is sent."""
    issues: list[str] = []
    warnings: list[str] = []
    endpoint_path = endpoint.strip("/").removeprefix("api/").removeprefix("v1/")
    if endpoint_path in (CHAT, COMPLETIONS, EMBEDDINGS, IMAGES):
        model = data.get("model")
        if model is None:
            warnings.append("no model given: the default model will be used")
        elif not isinstance(model, str) or not model:
            issues.append(f"model must be a string, not {type(model).__name__}")
        elif "/" not in model:
            warnings.append("the model has no provider prefix, as in 'openai/gpt-4o-mini': it is sent as it is")
        elif not all(model.split("/", 1)):
            issues.append("the model must have the form 'provider/model'")
    if endpoint_path == CHAT:
        issues += message_problems(data["messages"]) if "messages" in data else ["no messages given"]
    elif endpoint_path in (COMPLETIONS, IMAGES) and not isinstance(data.get("prompt"), str):
        issues.append(f"prompt must be a string, not {type(data.get('prompt')).__name__}")
    elif endpoint_path == EMBEDDINGS and not isinstance(data.get("text"), str | list):
        issues.append("text must be a string or a list of strings")
    return {
        "endpoint": endpoint,
        "issues": issues,
        "warnings": warnings,
        "is_valid": not issues,
        "data": data,
    }


def check_model(model: Any) -> None:
    if not isinstance(model, str) or not model.strip():
        raise ValidationError("model must be a non-empty string, as in 'openai/gpt-4o-mini'")


def path_part(name: str, value: Any) -> str:
    """An id as one path segment."""
    if not isinstance(value, str) or not value or value in (".", ".."):
        raise ValidationError(f"{name} must be a non-empty string")
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise ValidationError(f"{name} is not valid Unicode text") from None


def _text_request(
    kind: Kind,
    path: str,
    asked: Mapping[str, Any],
    model: str,
    temperature: float | None,
    max_tokens: int | None,
    stream: bool,
    params: Mapping[str, Any],
) -> Request:
    check_model(model)
    named, rest = _split(params, _TEXT_FIELDS)
    body = {**asked, "model": model, "stream": stream, **named, "additional_params": rest}
    if temperature is not None:
        body["temperature"] = temperature
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    n = rest.get("n")
    return Request(kind, "POST", (path,), body, model, stream, n if type(n) is int and n > 1 else 1, "model")


def _split(params: Mapping[str, Any], names: frozenset[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The named fields that are set, and `additional_params`: everything else."""
    given = params.get("additional_params")
    if given is not None and not isinstance(given, Mapping):
        raise ValidationError("additional_params must be a mapping")
    named = {name: value for name, value in params.items() if name in names and value is not None}
    rest = {name: value for name, value in params.items() if name not in names and name != "additional_params"}
    return named, {**(given or {}), **rest}


def _plain_message(message: Mapping[str, Any] | ChatMessage) -> Mapping[str, Any]:
    if not isinstance(message, ChatMessage):
        return message if isinstance(message, dict) else dict(message)
    return {name: value for name, value in message.items() if value is not None or name == "content"}


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise ValidationError(f"{name} must be a string, not {type(value).__name__}")


def _size_for(model: str, size: str | None, has_aspect: bool) -> dict[str, str]:
    """The size in the form that the model takes; the default one only where it will be accepted."""
    if size is None:
        return {}
    _check_text("size", size)
    if isinstance(size, DefaultSize):
        refused = model.startswith(("google/", "xai/")) or model.partition("/")[2].startswith(_REFUSE_SMALL)
        return {} if refused or model.startswith(_REFUSE_SMALL) else {"size": str(size)}
    if model.startswith("google/") and (":" in size or size in _ASPECTS):
        return {} if has_aspect else {"aspect_ratio": _ASPECTS.get(size, size)}
    return {"size": size}


def _day(name: str, value: Date | None) -> str | None:
    """A date as YYYY-MM-DD, in UTC where it has a time zone."""
    if value is None:
        return None
    if isinstance(value, datetime.datetime):
        return (value.astimezone(datetime.UTC) if value.tzinfo else value).date().isoformat()
    if isinstance(value, datetime.date):
        return value.isoformat()
    try:
        return datetime.datetime.strptime(value, "%Y-%m-%d").date().isoformat()
    except (TypeError, ValueError):
        raise ValidationError(f"{name} must be a date or text as YYYY-MM-DD") from None
