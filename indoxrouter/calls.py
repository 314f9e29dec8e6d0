"""What each public method asks: its requests, one for each model, and how their answer is read.

Both clients build their calls here, so that no method decides anything twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

from indoxrouter import options
from indoxrouter.config import Settings
from indoxrouter.errors import ConfigurationError, ValidationError
from indoxrouter.options import CallOptions
from indoxrouter.records import CatalogueEntry, ModelInfo, ProviderEntry, UsageReport, UserInfo
from indoxrouter.responses import (
    ChatResponse,
    CompletionResponse,
    EmbeddingResponse,
    ImageResponse,
    SpeechResponse,
    TranscriptionResponse,
)
from indoxrouter.wire import catalogue, decode
from indoxrouter.wire.checks import Date, Messages
from indoxrouter.wire.dialect import DIALECTS, Dialect
from indoxrouter.wire.messages import FilePart, Kind, Request, Result

T = TypeVar("T", covariant=True)
File = str | os.PathLike[str] | bytes | IO[bytes]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A call that is ready to be carried out."""

    requests: Sequence[Request]
    options: CallOptions
    read: Callable[[Result], T]

    @property
    def stream(self) -> bool:
        return self.requests[0].stream


class Calls:
    """Builds the calls of a client with these settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._dialect: Dialect = DIALECTS[settings.dialect]

    def chat(
        self,
        messages: Messages,
        model: str | None,
        temperature: float | None,
        max_tokens: int | None,
        stream: bool,
        params: dict[str, Any],
    ) -> Call[ChatResponse]:
        build = partial(
            self._dialect.chat,
            messages,
            temperature=temperature,
            max_tokens=max_tokens,
            stream=stream,
            params=params,
        )
        return self._text("chat", build, decode.chat, model, params)

    def completion(
        self,
        prompt: str,
        model: str | None,
        temperature: float | None,
        max_tokens: int | None,
        stream: bool,
        params: dict[str, Any],
    ) -> Call[CompletionResponse]:
        build = partial(
            self._dialect.completion,
            prompt,
            temperature=temperature,
            max_tokens=max_tokens,
            stream=stream,
            params=params,
        )
        return self._text("completion", build, decode.completion, model, params)

    def embeddings(
        self, text: str | Sequence[str], model: str | None, params: dict[str, Any]
    ) -> Call[EmbeddingResponse]:
        build = partial(self._dialect.embeddings, text, params=params)
        return self._other("embeddings", build, decode.embeddings, model, params)

    def image(self, prompt: str, model: str | None, size: str | None, params: dict[str, Any]) -> Call[ImageResponse]:
        build = partial(self._dialect.image, prompt, size=size, params=params)
        return self._other("image", build, decode.image, model, params)

    def speech(self, text: str, model: str | None, voice: str | None, params: dict[str, Any]) -> Call[SpeechResponse]:
        build = partial(self._dialect.speech, text, voice=voice, params=params)
        return self._other("speech", build, decode.speech, model, params)

    def transcribe(self, file: File, model: str | None, params: dict[str, Any]) -> Call[TranscriptionResponse]:
        build = partial(self._dialect.transcribe, file_part(file, params), params=params)
        return self._other("transcription", build, decode.transcription, model, params)

    def translate_audio(self, file: File, model: str | None, params: dict[str, Any]) -> Call[TranscriptionResponse]:
        build = partial(self._dialect.translate_audio, file_part(file, params), params=params)
        return self._other("transcription", build, decode.transcription, model, params)

    def providers(self, params: dict[str, Any]) -> Call[list[ProviderEntry]]:
        return self._plain(self._dialect.providers(), catalogue.providers, params)

    def models(self, provider: str | None, params: dict[str, Any]) -> Call[dict[str, list[CatalogueEntry]]]:
        read = partial(catalogue.models, provider=provider)
        return self._plain(self._dialect.models(provider), read, params)

    def model_info(self, provider: str, model: str, params: dict[str, Any]) -> Call[ModelInfo]:
        if isinstance(model, str):
            model = model.removeprefix(f"{provider}/")  # as the catalogue writes it in `name`
        read = partial(catalogue.model_info, provider=provider, model=model)
        return self._plain(self._dialect.model_info(provider, model), read, params)

    def get_usage(self, start_date: Date | None, end_date: Date | None, params: dict[str, Any]) -> Call[UsageReport]:
        return self._plain(self._dialect.usage(start_date, end_date), catalogue.usage_report, params)

    def get_user_info(self, params: dict[str, Any]) -> Call[UserInfo]:
        return self._plain(self._dialect.user_info(), catalogue.user_info, params)

    def create_file(self, file: File, purpose: str, params: dict[str, Any]) -> Call[Any]:
        chosen = options.split(params)
        request = self._dialect.create_file(file_part(file, params), purpose=purpose, params=params)
        return Call([request], chosen, decode.body)

    def list_files(self, params: dict[str, Any]) -> Call[Any]:
        return self._plain(self._dialect.list_files(), decode.body, params)

    def retrieve_file(self, file_id: str, params: dict[str, Any]) -> Call[Any]:
        return self._plain(self._dialect.retrieve_file(file_id), decode.body, params)

    def file_content(self, file_id: str, params: dict[str, Any]) -> Call[bytes]:
        return self._plain(self._dialect.file_content(file_id), decode.content, params)

    def delete_file(self, file_id: str, params: dict[str, Any]) -> Call[Any]:
        return self._plain(self._dialect.delete_file(file_id), decode.body, params)

    def _text(
        self,
        kind: Kind,
        build: Callable[..., Request],
        read: Callable[[Result], T],
        model: str | None,
        params: dict[str, Any],
    ) -> Call[T]:
        """A chat or a completion: the client's own default and fallback models count."""
        chosen = options.split(params)
        fallbacks = self._settings.fallback_models if chosen.fallback_models is None else chosen.fallback_models
        first = self._model(kind, self._settings.default_model if model is None else model)
        return Call([build(model=name) for name in (first, *fallbacks)], chosen, read)

    def _other(
        self,
        kind: Kind,
        build: Callable[..., Request],
        read: Callable[[Result], T],
        model: str | None,
        params: dict[str, Any],
    ) -> Call[T]:
        chosen = options.split(params)
        first = self._model(kind, model)
        return Call([build(model=name) for name in (first, *(chosen.fallback_models or ()))], chosen, read)

    def _plain(self, request: Request, read: Callable[[Result], T], params: dict[str, Any]) -> Call[T]:
        chosen = options.split(params)
        options.refuse_unknown(params)
        return Call([request], chosen, read)

    def _model(self, kind: Kind, model: str | None) -> str:
        found = self._dialect.DEFAULT_MODELS.get(kind) if model is None else model
        if found is None:
            raise ConfigurationError("an OpenAI-compatible server has no default model: pass model=")
        return found


def file_part(file: File, params: dict[str, Any]) -> FilePart:
    """A file from its path, its bytes, or something open for reading; `filename` may name it."""
    name = params.pop("filename", None)
    try:
        if isinstance(file, bytes | bytearray):
            return FilePart(name or "audio_file", bytes(file))
        if isinstance(file, str | os.PathLike):
            path = Path(file)
            return FilePart(name or path.name, path.read_bytes())
        content = file.read()
    except OSError as error:
        shown = f" {os.fspath(file)!r}" if isinstance(file, str | os.PathLike) else ""
        raise ValidationError(f"the file{shown} can't be read: {error.strerror or type(error).__name__}") from None
    except AttributeError:
        raise ValidationError(f"file must be a path, bytes or an open file, not {type(file).__name__}") from None
    if not isinstance(content, bytes):
        raise ValidationError("file must be open in binary mode")
    found = name or getattr(file, "name", None)
    return FilePart(os.path.basename(found) if isinstance(found, str) else "audio_file", content)
