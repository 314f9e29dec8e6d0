"""What the bodies of the OpenAI-compatible API must look like."""

from collections.abc import Iterator
from typing import Any

from indoxrouter.sandbox import checks
from indoxrouter.sandbox.checks import Check, Problem
from indoxrouter.sandbox.errors import Location, refused


def _prompts(value: Any, loc: Location) -> Iterator[Problem]:
    yield from checks.string(value, loc) if not isinstance(value, list) else checks.strings(value, loc)


_SAMPLING = checks.PARAMS | {
    "temperature": checks.temperature,
    "top_p": checks.top_p,
    "frequency_penalty": checks.penalty,
    "presence_penalty": checks.penalty,
    "stream": checks.boolean,
    "stream_options": checks.mapping,
}
_IMAGE_TEXTS = ("model", "size", "quality", "style", "response_format", "aspect_ratio", "user")
FIELDS: dict[str, tuple[dict[str, Check], dict[str, Check]]] = {
    "chat/completions": (
        {"model": checks.string, "messages": checks.messages},
        _SAMPLING | {"logprobs": checks.boolean},
    ),
    "completions": ({"model": checks.string, "prompt": _prompts}, _SAMPLING | {"logprobs": checks.integer}),
    "embeddings": (
        {"model": checks.string, "input": _prompts},
        {"encoding_format": checks.string, "dimensions": checks.positive},
    ),
    "images/generations": (
        {"prompt": checks.filled},
        dict.fromkeys(_IMAGE_TEXTS, checks.string) | {"n": checks.positive, "seed": checks.integer},
    ),
}


def body(raw: bytes, endpoint: str) -> dict[str, Any]:
    """The body of a request to an endpoint, or a refusal."""
    value = checks.json_object(raw)
    for name in ("prompt", "input"):
        if isinstance(value.get(name), list) and any(isinstance(item, int | list) for item in value[name]):
            raise refused(f"The sandbox takes {name} as text; it has no tokens of a model's.", name)
    value.pop("additional_params", None)  # one of the hosted API
    value.pop("byok_api_key", None)
    return checks.checked(value, *FIELDS[endpoint])
