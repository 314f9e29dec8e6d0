"""What every dialect checks before anything is sent. No message repeats what the caller wrote."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from indoxrouter import inputs
from indoxrouter.errors import ValidationError
from indoxrouter.responses import ChatMessage


class DefaultSize(str):
    """An image size that nobody asked for: sent only to models that take it."""

    __slots__ = ()


IMAGE_SIZE = DefaultSize("512x512")
Messages = Sequence[Mapping[str, Any] | ChatMessage]
Date = str | datetime.date


def plain_messages(messages: Messages) -> list[Mapping[str, Any]]:
    """The messages as they are sent, or what is wrong with the first bad one."""
    if problems := message_problems(messages):
        raise ValidationError(problems[0])
    return [_plain_message(message) for message in messages]


def checked_texts(text: str | Sequence[str]) -> list[str]:
    texts = [text] if isinstance(text, str) else list(text) if isinstance(text, Sequence) else None
    if not texts or not all(isinstance(item, str) for item in texts):
        kind = type(text).__name__ if texts is None else "list that is empty or holds something else"
        raise ValidationError(f"text must be a string or a list of strings, not a {kind}")
    return texts


def count_choices(params: Mapping[str, Any]) -> int:
    """How many answers `n` asks for."""
    n = params.get("n")
    return n if type(n) is int and n > 1 else 1


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


def diagnose(endpoint: str, data: Any) -> dict[str, Any]:
    """What would be wrong with a body for an endpoint; nothing is sent."""
    check_text("endpoint", endpoint)
    if not isinstance(data, Mapping):
        issues = [f"the body must be a mapping, not {type(data).__name__}"]
        return {"endpoint": endpoint, "issues": issues, "warnings": [], "is_valid": False, "data": data}
    issues = []
    warnings: list[str] = []
    path = endpoint.strip("/").removeprefix("api/").removeprefix("v1/")
    if path in _DIAGNOSED:
        model = data.get("model")
        if model is None:
            warnings.append("no model given: the default model will be used")
        elif not isinstance(model, str) or not model:
            issues.append(f"model must be a string, not {type(model).__name__}")
        elif "/" not in model:
            warnings.append("the model has no provider prefix, as in 'openai/gpt-4o-mini': it is sent as it is")
        elif not all(model.split("/", 1)):
            issues.append("the model must have the form 'provider/model'")
    if path not in _DIAGNOSED:
        warnings.append(f"this endpoint is not looked into: only {', '.join(_DIAGNOSED)} are")
    if path == "chat/completions":
        issues += message_problems(data["messages"]) if "messages" in data else ["no messages given"]
    elif path in ("completions", "images/generations", "videos/generations") and not isinstance(
        data.get("prompt"), str
    ):
        issues.append(f"prompt must be a string, not {type(data.get('prompt')).__name__}")
    elif path == "audio/tts/generations" and not isinstance(data.get("input"), str):
        issues.append(f"input must be a string, not {type(data.get('input')).__name__}")
    elif path == "embeddings" and not isinstance(data.get("text", data.get("input")), str | list):
        issues.append("text must be a string or a list of strings")
    return {
        "endpoint": endpoint,
        "issues": issues,
        "warnings": warnings,
        "is_valid": not issues,
        "data": data,
    }


_DIAGNOSED = (
    *("chat/completions", "completions", "embeddings", "images/generations"),
    *("videos/generations", "audio/tts/generations"),
)


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


def count(name: str, value: Any, *, least: int) -> int | None:
    """A whole number that is not below `least`; None is left to the server."""
    return None if value is None else inputs.count(name, value, least=least, error=ValidationError)


def _plain_message(message: Mapping[str, Any] | ChatMessage) -> Mapping[str, Any]:
    if not isinstance(message, ChatMessage):
        return message if isinstance(message, dict) else dict(message)
    return {name: value for name, value in message.items() if value is not None or name == "content"}


def check_text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise ValidationError(f"{name} must be a string, not {type(value).__name__}")


def check_days(start: Date | None, end: Date | None, names: Sequence[str] = ("start", "end")) -> dict[str, str | None]:
    """The query of a span of days, both included; `names` are those of the parameters."""
    first, last = day(names[0], start), day(names[1], end)
    if first and last and first > last:
        raise ValidationError(f"{names[0]} is after {names[1]}")
    return {"start_date": first, "end_date": last}


def day(name: str, value: Date | None) -> str | None:
    """A date as YYYY-MM-DD, in UTC where it has a time zone."""
    if value is None:
        return None
    try:
        if isinstance(value, datetime.datetime):
            value = (value.astimezone(datetime.UTC) if value.tzinfo else value).date()
        written = value.isoformat() if isinstance(value, datetime.date) else value
        return datetime.datetime.strptime(written, "%Y-%m-%d").date().isoformat()  # pandas.NaT is a datetime too
    except (TypeError, ValueError, OverflowError):
        raise ValidationError(f"{name} must be a date, or the text of one as YYYY-MM-DD, not {value!r}"[:200]) from None
