"""The OpenAI-compatible dialect: what vLLM, LiteLLM's proxy, Ollama and others speak.

It has the functions of `hosted`, and files. Parameters stand flat at the top of the body. What such
servers can't do is refused here, before anything is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from indoxrouter.errors import ConfigurationError, ValidationError
from indoxrouter.wire.checks import (
    DefaultSize,
    Messages,
    check_model,
    check_text,
    checked_texts,
    count_choices,
    path_part,
    plain_messages,
)
from indoxrouter.wire.messages import FilePart, Kind, Request

DEFAULT_MODELS: Mapping[Kind, str] = {}
"""None: such a server has its own, and no two the same."""


def chat(
    messages: Messages,
    *,
    model: str,
    temperature: float | None,
    max_tokens: int | None,
    stream: bool,
    params: Mapping[str, Any],
) -> Request:
    asked = {"messages": plain_messages(messages)}
    return _text_request("chat", "chat/completions", asked, model, temperature, max_tokens, stream, params)


def completion(
    prompt: str,
    *,
    model: str,
    temperature: float | None,
    max_tokens: int | None,
    stream: bool,
    params: Mapping[str, Any],
) -> Request:
    check_text("prompt", prompt)
    asked = {"prompt": prompt}
    return _text_request("completion", "completions", asked, model, temperature, max_tokens, stream, params)


def embeddings(text: str | Sequence[str], *, model: str, params: Mapping[str, Any]) -> Request:
    """Asks for base64, which is a quarter of the size of JSON numbers and quicker to read."""
    check_model(model)
    rest = _flat(params)
    body = {"input": checked_texts(text), "model": model, "encoding_format": "base64", **rest}
    optional = frozenset() if "encoding_format" in rest else frozenset({"encoding_format"})
    return Request("embeddings", "POST", ("embeddings",), body, model=model, names="model", optional=optional)


def image(prompt: str, *, model: str, size: str | None, params: Mapping[str, Any]) -> Request:
    check_text("prompt", prompt)
    check_model(model)
    body = {"prompt": prompt, "model": model, **_flat(params)}
    if size is not None and not isinstance(size, DefaultSize):
        check_text("size", size)
        body["size"] = size
    return Request("image", "POST", ("images/generations",), body, model=model, names="model")


def speech(text: str, *, model: str, voice: str | None, params: Mapping[str, Any]) -> Request:
    check_text("input", text)
    check_model(model)
    body = {"input": text, "model": model, **({"voice": voice} if voice is not None else {}), **_flat(params)}
    return Request("speech", "POST", ("audio/speech",), body, model=model, names="model", content=True)


def transcribe(file: FilePart, *, model: str, params: Mapping[str, Any]) -> Request:
    return _listening("audio/transcriptions", file, model, params)


def translate_audio(file: FilePart, *, model: str, params: Mapping[str, Any]) -> Request:
    return _listening("audio/translations", file, model, params)


def models(provider: str | None = None, kind: str | None = None) -> Request:  # noqa: ARG001 - lists all; callers pick
    if kind is not None:
        raise ConfigurationError("an OpenAI-compatible server does not say what kind its models are")
    return Request("catalogue", "GET", ("models",))


def providers() -> Request:
    return models()


def model_info(provider: str, model: str) -> Request:
    """Such a server's ids may or may not hold the provider."""
    name = path_part("model", model)
    paths = f"models/{path_part('provider', provider)}%2F{name}", f"models/{name}"
    return Request("catalogue", "GET", paths, names="model")


def create_file(file: FilePart, *, purpose: str, params: Mapping[str, Any]) -> Request:
    check_text("purpose", purpose)
    return Request("file", "POST", ("files",), {"purpose": purpose, **_flat(params)}, file)


def list_files() -> Request:
    return Request("file", "GET", ("files",))


def retrieve_file(file_id: str) -> Request:
    return Request("file", "GET", (f"files/{path_part('file_id', file_id)}",))


def file_content(file_id: str) -> Request:
    return Request("file", "GET", (f"files/{path_part('file_id', file_id)}/content",), content=True)


def delete_file(file_id: str) -> Request:
    return Request("file", "DELETE", (f"files/{path_part('file_id', file_id)}",))


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
    rest = _flat(params)
    body = {**asked, "model": model, **rest}
    if temperature is not None:
        body["temperature"] = temperature
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    optional: frozenset[str] = frozenset()
    if stream:
        body["stream"] = True
        if "stream_options" not in rest:
            body["stream_options"] = {"include_usage": True}
            optional = frozenset({"stream_options"})
    n = count_choices(rest)
    return Request(kind, "POST", (path,), body, model=model, stream=stream, choices=n, names="model", optional=optional)


def _listening(path: str, file: FilePart, model: str, params: Mapping[str, Any]) -> Request:
    check_model(model)
    body = {"model": model, **_flat(params)}
    if isinstance(one := body.get("timestamp_granularities"), str):
        body["timestamp_granularities"] = [one]
    return Request("transcription", "POST", (path,), body, file, model=model, names="model", content=True)


def _flat(params: Mapping[str, Any]) -> dict[str, Any]:
    given = params.get("additional_params") or {}
    if not isinstance(given, Mapping):
        raise ValidationError("additional_params must be a mapping")
    if params.get("byok_api_key") is not None:
        raise ValidationError("byok_api_key is for the hosted router: an OpenAI-compatible server would not know it")
    rest = {name: value for name, value in params.items() if name not in ("additional_params", "byok_api_key")}
    return {name: value for name, value in {**given, **rest}.items() if value is not None}
