"""The options of one call, which are not sent as parameters."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from indoxrouter import inputs
from indoxrouter.errors import ValidationError

log = logging.getLogger("indoxrouter")


@dataclass(frozen=True, slots=True)
class CallOptions:
    """Per-call options, none of which is sent as a parameter."""

    timeout: float | None = None
    deadline: float | None = None
    max_retries: int | None = None
    fallback_models: tuple[str, ...] | None = None
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    extra_body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    idempotency_key: str | None = None
    caching: bool | None = None
    """False: not from the client's cache, nor into it."""
    mock_response: Any = field(default=None, repr=False)
    """Answered with instead of by a server: a text, a whole body, or an exception to raise."""


def split(params: dict[str, Any]) -> CallOptions:
    """Take the per-call options out of `params`; what is left goes to the provider."""
    for alias, name in _ALIASES.items():
        if alias in params:
            if name in params:
                raise ValidationError(f"{alias} and {name} are the same option: pass one of them")
            params[name] = params.pop(alias)
    params.pop("return_generator", None)  # the published package takes it everywhere, and sends it nowhere
    given = {item.name: params.pop(item.name) for item in fields(CallOptions) if item.name in params}
    for name, value in list(given.items()):
        if value is None:
            del given[name]
        elif check := _CHECKS.get(name):
            given[name] = check(name, value, error=ValidationError)
    if given.get("extra_body", {}).get("stream"):
        raise ValidationError("a stream is asked for by stream=True: in extra_body, nobody would read it as one")
    for name in params:
        if name in _NOT_SENT:
            raise ValidationError(f"{name} is no parameter of a call: {_NOT_SENT[name]}")
        if name not in _KNOWN and (near := difflib.get_close_matches(name, _KNOWN, 1, 0.8)):
            log.warning("the unknown parameter %r goes to the provider: was %r meant?", name, near[0])
    return CallOptions(**given)


def refuse_unknown(params: Mapping[str, Any]) -> None:
    """For calls that pass nothing on: a parameter they don't know is a mistake."""
    if params:
        raise ValidationError(f"unknown parameter: {', '.join(sorted(params))}")


_KNOWN = {item.name for item in fields(CallOptions)} | {
    *("model", "messages", "prompt", "text", "stream", "temperature", "max_tokens", "size", "voice", "top_p"),
    *("byok_api_key", "retries", "fallbacks", "response_format", "input", "speed", "instructions", "language"),
    *("timestamp_granularities", "aspect_ratio", "resolution", "duration", "quality", "style", "seed", "stop"),
    *("tools", "tool_choice", "negative_prompt", "frequency_penalty", "presence_penalty"),
}
"""What a near miss of is worth a word in the log."""
_NOT_SENT = {
    "api_key": "it is a setting of the client, and would go to the provider; for a key of your own there, byok_api_key",
    "base_url": "it is a setting of the client",
    "api_base": "it is a setting of the client, base_url",
    "extra_query": "no query of yours is sent",
}
"""What other clients take at a call, and nobody means to send to a provider; `extra_body` sends anything."""
_ALIASES = {"retries": "max_retries", "fallbacks": "fallback_models"}
_CHECKS: dict[str, Callable[..., Any]] = {
    "timeout": inputs.seconds,
    "deadline": inputs.seconds,
    "max_retries": inputs.count,
    "fallback_models": inputs.names,
    "extra_headers": lambda _, value, error: inputs.check_headers(value, error),
    "extra_body": inputs.mapping,
    "idempotency_key": inputs.line,
    "caching": inputs.flag,
}
