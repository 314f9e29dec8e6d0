"""What each generating method asks: its requests, one for each model, and how their answer is read.

Both clients build their calls here, so that no method decides anything twice.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from indoxrouter import inputs, options
from indoxrouter.account_calls import AccountCalls
from indoxrouter.config import Settings
from indoxrouter.core.plan import Call
from indoxrouter.core.series import UntilEnded
from indoxrouter.errors import ConfigurationError, ValidationError
from indoxrouter.files import File, file_part
from indoxrouter.media import ImageResponse, SpeechResponse, VideoJob, VideoResponse, attach
from indoxrouter.medium import Fetch
from indoxrouter.responses import ChatResponse, CompletionResponse, EmbeddingResponse, TranscriptionResponse
from indoxrouter.wire import decode, hosted, video
from indoxrouter.wire.checks import Messages
from indoxrouter.wire.messages import Kind, Request, Result

T = TypeVar("T")
Job = str | VideoJob | VideoResponse
"""A video job, by its id or as an answer named it."""


class Calls(AccountCalls):
    """Builds the calls of a client with these settings: here those that generate."""

    def __init__(self, settings: Settings, fetch: Fetch) -> None:
        super().__init__(settings)
        self.fetch = fetch
        """Gets what answers name URLs of, once somebody wants it."""

    def _fetching(self, read: Callable[[Result], T]) -> Callable[[Result], T]:
        return lambda result: attach(read(result), self.fetch)

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
        return self._text("chat", build, self._fetching(decode.chat), model, params)

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
        return self._text("completion", build, self._fetching(decode.completion), model, params)

    def embeddings(
        self, text: str | Sequence[str], model: str | None, params: dict[str, Any]
    ) -> Call[EmbeddingResponse]:
        build = partial(self._dialect.embeddings, text, params=params)
        return self._other("embeddings", build, decode.embeddings, model, params)

    def image(self, prompt: str, model: str | None, size: str | None, params: dict[str, Any]) -> Call[ImageResponse]:
        build = partial(self._dialect.image, prompt, size=size, params=params)
        return self._other("image", build, self._fetching(decode.image), model, params)

    def speech(self, text: str, model: str | None, voice: str | None, params: dict[str, Any]) -> Call[SpeechResponse]:
        build = partial(self._dialect.speech, text, voice=voice, params=params)
        return self._other("speech", build, self._fetching(decode.speech), model, params)

    def transcribe(self, file: File, model: str | None, params: dict[str, Any]) -> Call[TranscriptionResponse]:
        build = partial(self._dialect.transcribe, file_part(file, params), params=params)
        return self._other("transcription", build, decode.transcription, model, params)

    def translate_audio(self, file: File, model: str | None, params: dict[str, Any]) -> Call[TranscriptionResponse]:
        build = partial(self._dialect.translate_audio, file_part(file, params), params=params)
        return self._other("transcription", build, decode.transcription, model, params)

    def video(self, prompt: str, model: str | None, params: dict[str, Any]) -> Call[VideoResponse]:
        self.needs_router("video")
        build = partial(hosted.video, prompt, params=params)
        return self._other("video", build, self._fetching(video.video), model, params)

    def video_job(self, job_id: Job, params: dict[str, Any]) -> Call[VideoJob]:
        self.needs_router("video_job")
        return self._plain(hosted.video_job(_id_of(job_id)), self._fetching(video.video_job), params)

    def video_jobs(self, limit: int | None, skip: int | None, params: dict[str, Any]) -> Call[list[VideoJob]]:
        self.needs_router("video_jobs")
        return self._plain(hosted.video_jobs(limit, skip), self._fetching(video.video_jobs), params)

    def cancel_video_job(self, job_id: Job, params: dict[str, Any]) -> Call[VideoJob]:
        self.needs_router("cancel_video_job")
        return self._plain(hosted.cancel_video_job(_id_of(job_id)), self._fetching(video.video_job), params)

    def wait_for_video_job(
        self,
        job_id: Job,
        poll: float,
        deadline: float | None,
        on_update: Callable[[VideoJob], object] | None,
        params: dict[str, Any],
    ) -> UntilEnded:
        self.needs_router("wait_for_video_job")
        seconds = inputs.seconds("poll", poll, error=ValidationError) or 5.0
        if on_update is not None and (not callable(on_update) or inspect.iscoroutinefunction(on_update)):
            raise ValidationError("on_update must be a plain function: nothing awaits it")
        return UntilEnded(self.video_job(job_id, {**params, "deadline": deadline}), seconds, on_update)

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

    def _model(self, kind: Kind, model: str | None) -> str:
        found = self._dialect.DEFAULT_MODELS.get(kind) if model is None else model
        if found is None:
            raise ConfigurationError("an OpenAI-compatible server has no default model: pass model=")
        return found


def _id_of(job: Any) -> Any:
    if not isinstance(job, VideoJob | VideoResponse):
        return job
    if not job.job_id:
        raise ValidationError("the answer names no job" + (": its videos are in its data" if job.get("data") else ""))
    return job.job_id
