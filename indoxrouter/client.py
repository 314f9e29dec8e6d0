"""The client: its public methods, each of which builds a request, runs its plan and reads the answer."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

from indoxrouter import config
from indoxrouter.account import Account, Planned
from indoxrouter.calls import Calls, Job
from indoxrouter.config import ApiKey, Dialect, Settings
from indoxrouter.core.assembly import Assembly
from indoxrouter.core.plan import Call
from indoxrouter.core.probe import probe
from indoxrouter.driver import Driver, show_log
from indoxrouter.errors import IndoxRouterError, public
from indoxrouter.events import CallEvent
from indoxrouter.files import File
from indoxrouter.media import ImageResponse, SpeechResponse, VideoJob, VideoResponse
from indoxrouter.portable import Portable
from indoxrouter.responses import ChatResponse, CompletionResponse, EmbeddingResponse, TranscriptionResponse
from indoxrouter.streams import ChatStream
from indoxrouter.wire.checks import IMAGE_SIZE, Messages, diagnose

T = TypeVar("T")
AnswerT = TypeVar("AnswerT", bound=ChatResponse)


class Client(Portable, Account):
    """A client of a hosted LLM router; one may serve many threads at once.

    Constructing it does no I/O: the first call logs in, and tokens are renewed ahead of their
    expiry. Unknown keyword parameters of the generating methods go to the provider. Every failure
    is an `IndoxRouterError`. These options of any call are not sent: `timeout`, `deadline`
    (seconds), `max_retries`, `fallback_models`, `extra_headers`, `extra_body`, `idempotency_key`,
    `caching`, `mock_response`.
    """

    _calls: Calls
    _driver: Driver

    @public
    def __init__(
        self,
        api_key: ApiKey | None = None,
        base_url: str | None = None,
        timeout: float | None = None,
        auto_refresh: bool = True,
        *,
        dialect: Dialect = "indox",
        auth: Literal["login", "key"] | None = None,
        default_model: str | None = None,
        max_retries: int | None = None,
        fallback_models: Sequence[str] = (),
        deadline: float | None = None,
        max_connections: int = 64,
        proxy: str | None = None,
        verify: bool | str | os.PathLike[str] = True,
        default_headers: Mapping[str, str] | None = None,
        env_file: str | os.PathLike[str] | None = ".env",
        allow_insecure: bool = False,
        cache: MutableMapping[str, Any] | None = None,
        on_event: Callable[[CallEvent], object] | None = None,
        token_cache: str | os.PathLike[str] | None = None,
    ) -> None:
        """Settings come from the arguments, then the environment, then `env_file`.

        api_key: the key, or a callable that is asked for it at each login; else
            INDOX_ROUTER_API_KEY. Missing: an AuthenticationError that is a ValueError too.
        base_url: else INDOX_ROUTER_BASE_URL, else https://api.indoxrouter.com/v1.
        timeout: seconds for each attempt; on a stream, for the first event and between events.
            Unset: 15 to connect, log in and read the catalogue, 600 to wait for a generation.
        auto_refresh: whether to log in again when a token expires; if not, that is an error.
        dialect: "openai" for OpenAI-compatible servers (vLLM, LiteLLM's proxy …), which need a base_url
            and perhaps no key; it reads OPENAI_API_KEY and OPENAI_BASE_URL instead, and logs in nowhere.
        auth: "key" sends the API key itself as the bearer token, without a login.
        max_retries: further tries of each model; unset: 2. fallback_models: asked in turn after it.
        default_model: for chat and completion. default_headers: go with every request.
        deadline: seconds for a whole call: login, retries, waits, fallbacks, streaming.
        max_connections: how many are kept open for the next calls; AsyncClient has no more at once.
        proxy: its URL; unset: the environment's, except for loopback. verify: False, or a CA file.
        allow_insecure: permits plain http to another host than this one.
        cache: a dict, a diskcache.Cache …: identical requests are answered from it.
        on_event: called with a CallEvent when a call has ended, in whatever thread or task it ran.
        token_cache: a file in which processes share their login; it holds the token, and no API key.
        """
        settings = config.resolve(
            api_key,
            base_url,
            timeout,
            auto_refresh,
            dialect=dialect,
            auth=auth,
            default_model=default_model,
            max_retries=max_retries,
            fallback_models=fallback_models,
            deadline=deadline,
            max_connections=max_connections,
            proxy=proxy,
            verify=verify,
            default_headers=default_headers,
            env_file=env_file,
            allow_insecure=allow_insecure,
            cache=cache,
            on_event=on_event,
            token_cache=token_cache,
        )
        self._start(settings)

    def _start(self, settings: Settings) -> None:
        self._driver = Driver(settings)
        self._calls = Calls(settings, self._driver.downloads.fetch)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.base_url}>"

    @property
    def base_url(self) -> str:
        return self._driver.settings.base_url

    @property
    def possible_double_charges(self) -> int:
        """How many paid requests were sent again although the first may have been carried out."""
        return self._driver.shared.possible_double_charges

    @overload
    def chat(
        self,
        messages: Messages,
        model: str | None = None,
        temperature: float | None = 0.7,
        max_tokens: int | None = None,
        stream: Literal[False] = False,
        return_generator: bool = False,
        **params: Any,
    ) -> ChatResponse: ...
    @overload
    def chat(
        self,
        messages: Messages,
        model: str | None = None,
        temperature: float | None = 0.7,
        max_tokens: int | None = None,
        *,
        stream: Literal[True],
        return_generator: bool = False,
        **params: Any,
    ) -> ChatStream: ...
    @overload
    def chat(
        self,
        messages: Messages,
        model: str | None = None,
        temperature: float | None = 0.7,
        max_tokens: int | None = None,
        stream: bool = False,
        return_generator: bool = False,
        **params: Any,
    ) -> ChatResponse | ChatStream: ...
    @public
    def chat(
        self,
        messages: Messages,
        model: str | None = None,
        temperature: float | None = 0.7,
        max_tokens: int | None = None,
        stream: bool = False,
        return_generator: bool = False,  # noqa: ARG002 - documented; a stream is one anyway
        **params: Any,
    ) -> ChatResponse | ChatStream:
        """Answer a conversation. `messages`: dicts or ChatMessages with a role and a content.

        `model` has the form provider/model; unset: openai/gpt-4o-mini or the client's default.
        `temperature=None` sends none. `params`: `tools`, `tool_choice`, `response_format`, `seed`,
        `stop`, `byok_api_key` and all else that the provider takes. `stream=True` returns a
        ChatStream (of an AsyncClient, an AsyncChatStream), whatever `return_generator` says.
        """
        return self._stream_or_run(self._calls.chat(messages, model, temperature, max_tokens, stream, params))

    @overload
    def completion(
        self,
        prompt: str,
        model: str | None = None,
        temperature: float | None = 0.7,
        max_tokens: int | None = None,
        stream: Literal[False] = False,
        return_generator: bool = False,
        **params: Any,
    ) -> CompletionResponse: ...
    @overload
    def completion(
        self,
        prompt: str,
        model: str | None = None,
        temperature: float | None = 0.7,
        max_tokens: int | None = None,
        *,
        stream: Literal[True],
        return_generator: bool = False,
        **params: Any,
    ) -> ChatStream: ...
    @overload
    def completion(
        self,
        prompt: str,
        model: str | None = None,
        temperature: float | None = 0.7,
        max_tokens: int | None = None,
        stream: bool = False,
        return_generator: bool = False,
        **params: Any,
    ) -> CompletionResponse | ChatStream: ...
    @public
    def completion(
        self,
        prompt: str,
        model: str | None = None,
        temperature: float | None = 0.7,
        max_tokens: int | None = None,
        stream: bool = False,
        return_generator: bool = False,  # noqa: ARG002 - documented; a stream is one anyway
        **params: Any,
    ) -> CompletionResponse | ChatStream:
        """Go on from a prompt. The parameters are those of `chat`."""
        return self._stream_or_run(self._calls.completion(prompt, model, temperature, max_tokens, stream, params))

    @public
    def embeddings(self, text: str | Sequence[str], model: str | None = None, **params: Any) -> EmbeddingResponse:
        """One vector for each text; for a single text, a list of one.

        `model` unset: openai/text-embedding-3-small. The client's fallback models are not used:
        vectors of different models can't be compared.
        """
        return self._run(self._calls.embeddings(text, model, params))

    @public
    def image(
        self, prompt: str, model: str | None = None, size: str | None = IMAGE_SIZE, **params: Any
    ) -> ImageResponse:
        """Draw images; each item of `data` has a `url` or a `b64_json`.

        `model` unset: openai/dall-e-3. The default size goes only to models that take it; a size
        for a Google model is sent as its aspect ratio. Other fields: `n`, `quality`, `style`,
        `response_format`, `seed`, `negative_prompt`, `aspect_ratio` …
        """
        return self._run(self._calls.image(prompt, model, size, params))

    def images(self, prompt: str, model: str | None = None, size: str | None = None, **params: Any) -> ImageResponse:
        """The published package's name for `image`, with no default size."""
        return self.image(prompt, model, size, **params)

    @public
    def speech(
        self,
        input: str,  # noqa: A002 - the API's name
        model: str | None = None,
        voice: str | None = None,
        **params: Any,
    ) -> SpeechResponse:
        """Speak a text: the answer has the audio as `content`, or a `url` where the server gives one.

        `model` unset: openai/tts-1. Other fields: `response_format`, `speed`, `instructions` …
        """
        return self._run(self._calls.speech(input, model, voice, params))

    @public
    def transcribe(self, file: File, model: str | None = None, **params: Any) -> TranscriptionResponse:
        """Write down what is said in a file: its path, its bytes, or something open for reading.

        `model` unset: openai/whisper-1. Other fields: `language`, `prompt`, `response_format`
        (json, text, srt, vtt, verbose_json), `temperature`, `timestamp_granularities`.
        """
        return self._run(self._calls.transcribe(file, model, params))

    @public
    def translate_audio(self, file: File, model: str | None = None, **params: Any) -> TranscriptionResponse:
        """Write down in English what is said in a file. The parameters are those of `transcribe`."""
        return self._run(self._calls.translate_audio(file, model, params))

    text_to_speech = speech
    speech_to_text = transcribe

    @public
    def video(self, prompt: str, model: str | None = None, **params: Any) -> VideoResponse:
        """Begin a video: the answer names its job, or holds the video where the server makes it at once.

        `model` unset: google/veo-3.0-generate-001. Other fields: `aspect_ratio`, `resolution`,
        `duration` (seconds), `n`, `size`, `input_image`, `generate_audio`, `negative_prompt` …
        """
        return self._run(self._calls.video(prompt, model, params))

    @public
    def video_job(self, job_id: Job, **options: Any) -> VideoJob:
        """How far a video is; by its job's id, or by the answer that began it."""
        return self._run(self._calls.video_job(job_id, options))

    @public
    def video_jobs(self, limit: int | None = None, skip: int | None = None, **options: Any) -> list[VideoJob]:
        """The account's video jobs; `limit` and `skip` choose a page of them."""
        return self._run(self._calls.video_jobs(limit, skip, options))

    @public
    def cancel_video_job(self, job_id: Job, **options: Any) -> VideoJob:
        """End a video job before it is done."""
        return self._run(self._calls.cancel_video_job(job_id, options))

    @public
    def wait_for_video_job(
        self,
        job_id: Job,
        poll: float = 5.0,
        deadline: float | None = None,
        on_update: Callable[[VideoJob], object] | None = None,
        **options: Any,
    ) -> VideoJob:
        """The job once it is completed, failed or cancelled: its `status` says which.

        `poll`: seconds between two looks. `deadline`: seconds for all of it; when it passes, the
        DeadlineExceededError ends the waiting, not the job. `on_update` is called with the job at
        first and whenever its status or progress has changed.
        """
        return self._run(self._calls.wait_for_video_job(job_id, poll, deadline, on_update, options))

    videos = video
    get_video_job_status = video_job
    list_video_jobs = video_jobs

    def test_connection(self) -> dict[str, Any]:
        """Whether a server answers at the base URL; never raises. It sends no key.

        Keys: status ("connected" or "error"), url; status_code, server_info, headers; or error,
        error_type.
        """
        try:
            return self._driver.run(probe(self._driver.settings, self._driver.clock))
        except IndoxRouterError as error:
            return {
                "status": "error",
                "url": self.base_url,
                "error": str(error),
                "error_type": type(error).__name__,
            }

    def diagnose_request(self, endpoint: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """What would be wrong with this body for this endpoint; nothing is sent.

        Keys: endpoint, issues, warnings, is_valid, data.
        """
        return diagnose(endpoint, data)

    def enable_debug(self, level: int = logging.DEBUG) -> None:
        """Show the logger `indoxrouter` on stderr: methods, paths, status codes, never contents."""
        show_log(level)

    @public
    def set_base_url(self, base_url: str) -> None:
        """Talk to another server from now on; token and cookies of the old one are forgotten."""
        old = self._driver
        self._start(old.settings.with_base_url(base_url))
        old.close()

    def close(self) -> None:
        """Close all connections; calls and downloads of other threads end with a NetworkError of the code "closed".

        A closed client opens new connections if it is used again.
        """
        self._driver.close()

    def _run(self, call: Planned[T]) -> T:
        return self._driver.run(call.plan(self._driver.shared, self._driver.clock))

    def _stream_or_run(self, call: Call[AnswerT]) -> AnswerT | ChatStream:
        if not call.stream:
            return self._run(call)
        assembly = Assembly(self._calls.fetch)
        return ChatStream(self._driver, call.plan(self._driver.shared, self._driver.clock, assembly), assembly)


IndoxRouter = Client
