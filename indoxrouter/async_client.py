"""The client for asyncio: the methods of `Client`, awaited."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, overload

from indoxrouter import config
from indoxrouter.account import Planned
from indoxrouter.async_account import AsyncAccount
from indoxrouter.calls import Calls, Job
from indoxrouter.client import Client
from indoxrouter.config import ApiKey, Dialect, Settings
from indoxrouter.core.assembly import Assembly
from indoxrouter.core.plan import Call
from indoxrouter.core.probe import probe
from indoxrouter.driver import show_log
from indoxrouter.errors import IndoxRouterError, public
from indoxrouter.events import CallEvent
from indoxrouter.files import File
from indoxrouter.media import ImageResponse, SpeechResponse, VideoJob, VideoResponse
from indoxrouter.portable import Portable
from indoxrouter.responses import ChatResponse, CompletionResponse, EmbeddingResponse, TranscriptionResponse
from indoxrouter.streams import AsyncChatStream
from indoxrouter.wire.checks import IMAGE_SIZE, Messages, diagnose

if TYPE_CHECKING:
    from indoxrouter.async_driver import AsyncDriver

T = TypeVar("T")
AnswerT = TypeVar("AnswerT", bound=ChatResponse)


class AsyncClient(Portable, AsyncAccount):
    """`Client` for asyncio, on aiohttp; each method is described there.

    One client may serve many tasks at once, in several event loops one after the other. A cancelled
    call closes its connection; a login that it was making is taken over by the next who waits.
    """

    _calls: Calls
    _driver: AsyncDriver

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
        try:
            from indoxrouter.async_driver import AsyncDriver
        except ModuleNotFoundError:
            raise ImportError("AsyncClient needs aiohttp: pip install aiohttp") from None
        self._driver = AsyncDriver(settings)
        self._calls = Calls(settings, self._driver.downloads.fetch)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.base_url}>"

    @property
    def base_url(self) -> str:
        return self._driver.settings.base_url

    @property
    def possible_double_charges(self) -> int:
        return self._driver.shared.possible_double_charges

    @overload
    async def chat(
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
    async def chat(
        self,
        messages: Messages,
        model: str | None = None,
        temperature: float | None = 0.7,
        max_tokens: int | None = None,
        *,
        stream: Literal[True],
        return_generator: bool = False,
        **params: Any,
    ) -> AsyncChatStream: ...
    @overload
    async def chat(
        self,
        messages: Messages,
        model: str | None = None,
        temperature: float | None = 0.7,
        max_tokens: int | None = None,
        stream: bool = False,
        return_generator: bool = False,
        **params: Any,
    ) -> ChatResponse | AsyncChatStream: ...
    @public
    async def chat(
        self,
        messages: Messages,
        model: str | None = None,
        temperature: float | None = 0.7,
        max_tokens: int | None = None,
        stream: bool = False,
        return_generator: bool = False,  # noqa: ARG002 - documented; a stream is one anyway
        **params: Any,
    ) -> ChatResponse | AsyncChatStream:
        return await self._stream_or_run(self._calls.chat(messages, model, temperature, max_tokens, stream, params))

    @overload
    async def completion(
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
    async def completion(
        self,
        prompt: str,
        model: str | None = None,
        temperature: float | None = 0.7,
        max_tokens: int | None = None,
        *,
        stream: Literal[True],
        return_generator: bool = False,
        **params: Any,
    ) -> AsyncChatStream: ...
    @overload
    async def completion(
        self,
        prompt: str,
        model: str | None = None,
        temperature: float | None = 0.7,
        max_tokens: int | None = None,
        stream: bool = False,
        return_generator: bool = False,
        **params: Any,
    ) -> CompletionResponse | AsyncChatStream: ...
    @public
    async def completion(
        self,
        prompt: str,
        model: str | None = None,
        temperature: float | None = 0.7,
        max_tokens: int | None = None,
        stream: bool = False,
        return_generator: bool = False,  # noqa: ARG002 - documented; a stream is one anyway
        **params: Any,
    ) -> CompletionResponse | AsyncChatStream:
        return await self._stream_or_run(self._calls.completion(prompt, model, temperature, max_tokens, stream, params))

    @public
    async def embeddings(self, text: str | Sequence[str], model: str | None = None, **params: Any) -> EmbeddingResponse:
        return await self._run(self._calls.embeddings(text, model, params))

    @public
    async def image(
        self, prompt: str, model: str | None = None, size: str | None = IMAGE_SIZE, **params: Any
    ) -> ImageResponse:
        return await self._run(self._calls.image(prompt, model, size, params))

    async def images(
        self, prompt: str, model: str | None = None, size: str | None = None, **params: Any
    ) -> ImageResponse:
        return await self.image(prompt, model, size, **params)

    @public
    async def speech(
        self,
        input: str,  # noqa: A002 - the API's name
        model: str | None = None,
        voice: str | None = None,
        **params: Any,
    ) -> SpeechResponse:
        return await self._run(self._calls.speech(input, model, voice, params))

    @public
    async def transcribe(self, file: File, model: str | None = None, **params: Any) -> TranscriptionResponse:
        return await self._run(self._calls.transcribe(file, model, params))

    @public
    async def translate_audio(self, file: File, model: str | None = None, **params: Any) -> TranscriptionResponse:
        return await self._run(self._calls.translate_audio(file, model, params))

    text_to_speech = speech
    speech_to_text = transcribe

    @public
    async def video(self, prompt: str, model: str | None = None, **params: Any) -> VideoResponse:
        return await self._run(self._calls.video(prompt, model, params))

    @public
    async def video_job(self, job_id: Job, **options: Any) -> VideoJob:
        return await self._run(self._calls.video_job(job_id, options))

    @public
    async def video_jobs(self, limit: int | None = None, skip: int | None = None, **options: Any) -> list[VideoJob]:
        return await self._run(self._calls.video_jobs(limit, skip, options))

    @public
    async def cancel_video_job(self, job_id: Job, **options: Any) -> VideoJob:
        return await self._run(self._calls.cancel_video_job(job_id, options))

    @public
    async def wait_for_video_job(
        self,
        job_id: Job,
        poll: float = 5.0,
        deadline: float | None = None,
        on_update: Callable[[VideoJob], object] | None = None,
        **options: Any,
    ) -> VideoJob:
        return await self._run(self._calls.wait_for_video_job(job_id, poll, deadline, on_update, options))

    videos = video
    get_video_job_status = video_job
    list_video_jobs = video_jobs

    async def test_connection(self) -> dict[str, Any]:
        try:
            return await self._driver.run(probe(self._driver.settings, self._driver.clock))
        except IndoxRouterError as error:
            return {
                "status": "error",
                "url": self.base_url,
                "error": str(error),
                "error_type": type(error).__name__,
            }

    def diagnose_request(self, endpoint: str, data: Mapping[str, Any]) -> dict[str, Any]:
        return diagnose(endpoint, data)

    def enable_debug(self, level: int = logging.DEBUG) -> None:
        show_log(level)

    @public
    async def set_base_url(self, base_url: str) -> None:
        old = self._driver
        self._start(old.settings.with_base_url(base_url))
        await old.close()

    async def close(self) -> None:
        await self._driver.close()

    async def _run(self, call: Planned[T]) -> T:
        return await self._driver.run(call.plan(self._driver.shared, self._driver.clock))

    async def _stream_or_run(self, call: Call[AnswerT]) -> AnswerT | AsyncChatStream:
        if not call.stream:
            return await self._run(call)
        assembly = Assembly(self._calls.fetch)
        stream = AsyncChatStream(self._driver, call.plan(self._driver.shared, self._driver.clock, assembly), assembly)
        return await stream.open()


for _name in dir(AsyncClient):
    if not _name.startswith("_") and (_told := getattr(Client, _name).__doc__):
        getattr(AsyncClient, _name).__doc__ = _told
