"""The hosted router's dialect: each call as a `Request`, refused here where it could not succeed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import urlencode

from indoxrouter.errors import ConfigurationError, ValidationError
from indoxrouter.wire.checks import (
    DefaultSize,
    Messages,
    check_model,
    check_text,
    checked_texts,
    count,
    count_choices,
    path_part,
    plain_messages,
)
from indoxrouter.wire.hosted_account import model_info as model_info
from indoxrouter.wire.hosted_account import models as models
from indoxrouter.wire.hosted_account import providers as providers
from indoxrouter.wire.messages import FilePart, Kind, Request

DEFAULT_MODELS: Mapping[Kind, str] = {
    "chat": "openai/gpt-4o-mini",
    "completion": "openai/gpt-4o-mini",
    "embeddings": "openai/text-embedding-3-small",
    "image": "openai/dall-e-3",
    "speech": "openai/tts-1",
    "transcription": "openai/whisper-1",
    "video": "google/veo-3.0-generate-001",
}

_TEXT_FIELDS = frozenset({"top_p", "frequency_penalty", "presence_penalty", "byok_api_key"})
_IMAGE_FIELDS = frozenset({
    "n", "quality", "style", "response_format", "user", "background", "moderation", "output_compression",
    "output_format", "negative_prompt", "guidance_scale", "seed", "safety_filter_level", "person_generation",
    "include_safety_attributes", "include_rai_reason", "language", "output_mime_type", "add_watermark",
    "enhance_prompt", "aspect_ratio", "byok_api_key",
})  # fmt: skip
_SPEECH_FIELDS = frozenset({"instructions", "response_format", "speed", "byok_api_key"})
_LISTENING_FIELDS = frozenset(
    {"language", "prompt", "response_format", "temperature", "timestamp_granularities", "byok_api_key"}
)
_VIDEO_FIELDS = frozenset({
    "aspect_ratio", "resolution", "duration", "n", "size", "input_image", "reference_image", "reference_images",
    "generate_audio", "negative_prompt", "person_generation", "last_frame", "video", "response_format", "byok_api_key",
})  # fmt: skip
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
    return _text_request(
        "completion", "completions", {"prompt": prompt}, model, temperature, max_tokens, stream, params
    )


def embeddings(text: str | Sequence[str], *, model: str, params: Mapping[str, Any]) -> Request:
    texts = checked_texts(text)
    check_model(model)
    named, rest = _split(params, frozenset({"byok_api_key"}))
    body = {"text": texts, "model": model, **named, "additional_params": rest}
    return Request("embeddings", "POST", ("embeddings",), body, model=model, names="model")


def image(prompt: str, *, model: str, size: str | None, params: Mapping[str, Any]) -> Request:
    check_text("prompt", prompt)
    check_model(model)
    named, rest = _split(params, _IMAGE_FIELDS)
    body = {"prompt": prompt, "model": model, **named}
    body |= _size_for(model, size, "aspect_ratio" in body)
    if rest:
        body["additional_params"] = rest
    return Request("image", "POST", ("images/generations",), body, model=model, names="model")


def speech(text: str, *, model: str, voice: str | None, params: Mapping[str, Any]) -> Request:
    check_text("input", text)
    check_model(model)
    named, rest = _split(params, _SPEECH_FIELDS)
    body = {"input": text, "model": model, **({"voice": voice} if voice is not None else {}), **named}
    if rest:
        body["additional_params"] = rest
    return Request("speech", "POST", ("audio/tts/generations",), body, model=model, names="model", content=True)


def transcribe(file: FilePart, *, model: str, params: Mapping[str, Any]) -> Request:
    return _listening("audio/stt/transcriptions", file, model, params)


def translate_audio(file: FilePart, *, model: str, params: Mapping[str, Any]) -> Request:
    return _listening("audio/stt/translations", file, model, params)


def video(prompt: str, *, model: str, params: Mapping[str, Any]) -> Request:
    check_text("prompt", prompt)
    check_model(model)
    named, rest = _split(params, _VIDEO_FIELDS)
    body = {"prompt": prompt, "model": model, **named}
    if rest:
        body["additional_params"] = rest
    return Request("video", "POST", ("videos/generations",), body, model=model, names="model")


def video_job(job_id: str) -> Request:
    return Request("account", "GET", (f"videos/jobs/{path_part('job_id', job_id)}",), job=True)


def cancel_video_job(job_id: str) -> Request:
    return Request("account", "POST", (f"videos/jobs/{path_part('job_id', job_id)}/cancel",), job=True)


def video_jobs(limit: int | None, skip: int | None) -> Request:
    query = {"limit": count("limit", limit, least=1), "skip": count("skip", skip, least=0)}
    written = urlencode({name: value for name, value in query.items() if value is not None})
    return Request("account", "GET", ("videos/jobs" + (f"?{written}" if written else ""),))


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
    choices, stop = count_choices(rest), f"{path.removesuffix('/completions')}/stop-stream/"
    return Request(kind, "POST", (path,), body, model=model, stream=stream, choices=choices, names="model", stop=stop)


def _listening(path: str, file: FilePart, model: str, params: Mapping[str, Any]) -> Request:
    check_model(model)
    named, rest = _split(params, _LISTENING_FIELDS)
    granularities = named.get("timestamp_granularities")
    if isinstance(granularities, str) and not granularities.startswith("["):
        granularities = [granularities]
    if isinstance(granularities, list | tuple):
        named["timestamp_granularities"] = json.dumps(list(granularities))
    body = {"model": model, **named, **rest}
    return Request("transcription", "POST", (path,), body, file, model=model, names="model", content=True)


def create_file(file: FilePart, *, purpose: str, params: Mapping[str, Any]) -> NoReturn:  # noqa: ARG001 - for all
    raise ConfigurationError(_NO_FILES)


def list_files() -> NoReturn:
    raise ConfigurationError(_NO_FILES)


def retrieve_file(file_id: str) -> NoReturn:  # noqa: ARG001 - for all
    raise ConfigurationError(_NO_FILES)


file_content = delete_file = retrieve_file
_NO_FILES = "the hosted router keeps no files: this needs an OpenAI-compatible server"


def _split(params: Mapping[str, Any], names: frozenset[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The named fields that are set, and `additional_params`: everything else."""
    given = params.get("additional_params")
    if given is not None and not isinstance(given, Mapping):
        raise ValidationError("additional_params must be a mapping")
    named = {name: value for name, value in params.items() if name in names and value is not None}
    rest = {name: value for name, value in params.items() if name not in names and name != "additional_params"}
    return named, {**(given or {}), **rest}


def _size_for(model: str, size: str | None, has_aspect: bool) -> dict[str, str]:
    """The size in the form that the model takes; the default one only where it will be accepted."""
    if size is None:
        return {}
    check_text("size", size)
    if isinstance(size, DefaultSize):
        refused = model.startswith(("google/", "xai/")) or model.partition("/")[2].startswith(_REFUSE_SMALL)
        return {} if refused or model.startswith(_REFUSE_SMALL) else {"size": str(size)}
    if model.startswith("google/") and (":" in size or size in _ASPECTS):
        return {} if has_aspect else {"aspect_ratio": _ASPECTS.get(size, size)}
    return {"size": size}
