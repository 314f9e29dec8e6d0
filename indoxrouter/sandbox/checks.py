"""What a request's body must look like, checked and refused as FastAPI does."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

from indoxrouter.sandbox.errors import Location, invalid

Problem = tuple[Location, str, str]
Check = Callable[[Any, Location], Iterator[Problem]]
Checks = Mapping[str, Check]


def _of(kind: str, what: str, test: Callable[[Any], bool]) -> Check:
    def check(value: Any, loc: Location) -> Iterator[Problem]:
        if not test(value):
            yield loc, f"Input should be a valid {what}", kind

    return check


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


string = _of("string_type", "string", lambda value: isinstance(value, str))
boolean = _of("bool_type", "boolean", lambda value: isinstance(value, bool))
number = _of("float_type", "number", _is_number)
integer = _of("int_type", "integer", _is_integer)
mapping = _of("dict_type", "dictionary", lambda value: isinstance(value, dict))
array = _of("list_type", "list", lambda value: isinstance(value, list))


def between(low: float, high: float) -> Check:
    def check(value: Any, loc: Location) -> Iterator[Problem]:
        yield from number(value, loc)
        if _is_number(value) and value < low:
            yield loc, f"Input should be greater than or equal to {low}", "greater_than_equal"
        if _is_number(value) and value > high:
            yield loc, f"Input should be less than or equal to {high}", "less_than_equal"

    return check


temperature, top_p, penalty = between(0, 2), between(0, 1), between(-2, 2)


def role(value: Any, loc: Location) -> Iterator[Problem]:
    yield from string(value, loc)
    if isinstance(value, str) and value not in _ROLES:
        yield loc, f"Input should be {', '.join(map(repr, _ROLES[:-1]))} or {_ROLES[-1]!r}", "literal_error"


_ROLES = ("system", "developer", "user", "assistant", "tool", "function")


def positive(value: Any, loc: Location) -> Iterator[Problem]:
    yield from integer(value, loc)
    if _is_integer(value) and value < 1:
        yield loc, "Input should be greater than or equal to 1", "greater_than_equal"


def filled(value: Any, loc: Location) -> Iterator[Problem]:
    yield from string(value, loc)
    if isinstance(value, str) and not value.strip():
        yield loc, "String should have at least 1 character", "string_too_short"


def some(value: Any, loc: Location) -> Iterator[Problem]:
    yield from array(value, loc)
    if value == []:
        yield loc, "List should have at least 1 item after validation, not 0", "too_short"


def strings(value: Any, loc: Location) -> Iterator[Problem]:
    yield from some(value, loc)
    for index, item in enumerate(value if isinstance(value, list) else ()):
        yield from string(item, (*loc, index))


def messages(value: Any, loc: Location) -> Iterator[Problem]:
    yield from some(value, loc)
    for index, item in enumerate(value if isinstance(value, list) else ()):
        place = (*loc, index)
        yield from mapping(item, place)
        if isinstance(item, dict):
            yield from fields(item, {"role": role}, {}, place)
            yield from _content(item, (*place, "content"))


def _content(message: dict[str, Any], loc: Location) -> Iterator[Problem]:
    content = message.get("content")
    if isinstance(content, list):
        for index, part in enumerate(content):
            yield from mapping(part, (*loc, index))
    elif content is not None:
        yield from string(content, loc)
    elif not message.get("tool_calls"):
        yield loc, "Field required", "missing"


def fields(body: dict[str, Any], required: Checks, optional: Checks, loc: Location) -> Iterator[Problem]:
    for name, check in required.items():
        if name in body:
            yield from check(body[name], (*loc, name))
        else:
            yield (*loc, name), "Field required", "missing"
    for name, check in optional.items():
        if body.get(name) is not None:
            yield from check(body[name], (*loc, name))


_COMMON = {"byok_api_key": string, "additional_params": mapping}
_SAMPLING = _COMMON | {
    "temperature": temperature,
    "max_tokens": positive,
    "top_p": top_p,
    "frequency_penalty": penalty,
    "presence_penalty": penalty,
    "stream": boolean,
}
_IMAGE_TEXTS = """size quality style response_format aspect_ratio negative_prompt user background moderation
    output_format output_mime_type safety_filter_level person_generation language"""
_IMAGE_SWITCHES = ("include_safety_attributes", "include_rai_reason", "add_watermark", "enhance_prompt")
_IMAGE = _COMMON | dict.fromkeys(_IMAGE_TEXTS.split(), string) | dict.fromkeys(_IMAGE_SWITCHES, boolean)
_IMAGE |= {"n": positive, "seed": integer, "guidance_scale": number, "output_compression": integer}
_VIDEO_TEXTS = """aspect_ratio resolution size negative_prompt person_generation response_format input_image
    reference_image last_frame video"""
_VIDEO = _COMMON | dict.fromkeys(_VIDEO_TEXTS.split(), string)
_VIDEO |= {"n": positive, "duration": positive, "reference_images": strings, "generate_audio": boolean}
SPEECH: dict[str, Check] = {"model": string, "input": string}
MANNER: dict[str, Check] = {"voice": string, "instructions": string, "response_format": string, "speed": number}
FIELDS: dict[str, tuple[dict[str, Check], dict[str, Check]]] = {
    "chat/completions": ({"model": string, "messages": messages}, _SAMPLING),
    "completions": ({"model": string, "prompt": string}, _SAMPLING),
    "embeddings": ({"model": string, "text": strings}, _COMMON),
    "images/generations": ({"model": string, "prompt": filled}, _IMAGE),
    "videos/generations": ({"model": string, "prompt": filled}, _VIDEO),
    "audio/tts/generations": (SPEECH, _COMMON | MANNER),
    "auth/token": ({"api_key": string}, {}),
}
PARAMS: dict[str, Check] = {
    "seed": integer,
    "n": positive,
    "max_tokens": positive,
    "max_completion_tokens": positive,
    "tools": array,
    "response_format": mapping,
    "top_logprobs": integer,
    "echo": boolean,
    "modalities": strings,
    "dimensions": positive,
}


def json_object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        raise invalid([(("body", 0), "JSON decode error", "json_invalid")]) from None
    if not isinstance(value, dict):
        raise invalid([(("body",), "Input should be a valid dictionary", "dict_type")])
    return value


def checked(value: dict[str, Any], required: Checks, optional: Checks) -> dict[str, Any]:
    """The body, or a refusal that lists everything wrong with it."""
    problems = list(fields(value, required, optional, ("body",)))
    params = value.get("additional_params")
    if isinstance(params, dict):
        problems += fields(params, {}, PARAMS, ("body", "additional_params"))
    if problems:
        raise invalid(problems)
    return value


def body(raw: bytes, endpoint: str) -> dict[str, Any]:
    """The body of a request to an endpoint of the hosted API."""
    return checked(json_object(raw), *FIELDS[endpoint])


def day(value: str | None, name: str) -> str | None:
    """A date of a query, YYYY-MM-DD."""
    if not value:
        return None
    try:
        parsed = date.fromisoformat(value).isoformat()
    except ValueError:
        parsed = ""
    if parsed != value:
        message = "Input should be a valid date in the format YYYY-MM-DD"
        raise invalid([(("query", name), message, "date_from_datetime_parsing")])
    return parsed
