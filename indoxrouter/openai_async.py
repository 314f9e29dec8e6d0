"""The asyncio half of the OpenAI style: the same text as `openai_facade`, awaited, and described there."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, overload

from indoxrouter import openai_asks as asks
from indoxrouter import openai_shapes as shapes
from indoxrouter.async_client import AsyncClient
from indoxrouter.config import ApiKey
from indoxrouter.errors import public
from indoxrouter.files import File
from indoxrouter.openai_asks import AnswerT, Ask, ChunkT
from indoxrouter.openai_shapes import FileContent, Speech
from indoxrouter.openai_streams import AsyncPage, AsyncStream
from indoxrouter.openai_types import (
    ChatCompletionChunk,
    ChatCompletionResponse,
    EmbeddingList,
    FileObject,
    ImageList,
    ModelObject,
    Page,
    TextCompletion,
    Transcription,
)
from indoxrouter.responses import ChatResponse
from indoxrouter.streams import AsyncChatStream
from indoxrouter.wire.checks import Messages


def _carried_out(
    ask: Ask[ChunkT, AnswerT], answer: ChatResponse | AsyncChatStream
) -> AnswerT | AsyncStream[ChunkT, AnswerT]:
    return AsyncStream(answer, ask) if isinstance(answer, AsyncChatStream) else ask.finish(answer)


class _Resource:
    def __init__(self, client: AsyncClient, hosted: bool) -> None:
        self._client = client
        self._hosted = hosted


class AsyncChatCompletions(_Resource):
    """`chat.completions`."""

    @overload
    async def create(
        self, messages: Messages, model: str | None = None, *, stream: Literal[False] | None = None, **params: Any
    ) -> ChatCompletionResponse: ...
    @overload
    async def create(
        self, messages: Messages, model: str | None = None, *, stream: Literal[True], **params: Any
    ) -> AsyncStream[ChatCompletionChunk, ChatCompletionResponse]: ...
    @overload
    async def create(
        self, messages: Messages, model: str | None = None, *, stream: bool | None = None, **params: Any
    ) -> ChatCompletionResponse | AsyncStream[ChatCompletionChunk, ChatCompletionResponse]: ...
    @public
    async def create(
        self, messages: Messages, model: str | None = None, *, stream: bool | None = None, **params: Any
    ) -> ChatCompletionResponse | AsyncStream[ChatCompletionChunk, ChatCompletionResponse]:
        ask = asks.chat_ask(asks.given(locals()), self._hosted)
        return _carried_out(ask, await self._client.chat(stream=ask.stream, **ask.params))

    acreate = create
    parse = create


class AsyncChat:
    """`chat`."""

    def __init__(self, client: AsyncClient, hosted: bool) -> None:
        self.completions = AsyncChatCompletions(client, hosted)


class AsyncCompletions(_Resource):
    """`completions`: a prompt goes on."""

    @overload
    async def create(
        self, prompt: str, model: str | None = None, *, stream: Literal[False] | None = None, **params: Any
    ) -> TextCompletion: ...
    @overload
    async def create(
        self, prompt: str, model: str | None = None, *, stream: Literal[True], **params: Any
    ) -> AsyncStream[TextCompletion, TextCompletion]: ...
    @overload
    async def create(
        self, prompt: str, model: str | None = None, *, stream: bool | None = None, **params: Any
    ) -> TextCompletion | AsyncStream[TextCompletion, TextCompletion]: ...
    @public
    async def create(
        self, prompt: str, model: str | None = None, *, stream: bool | None = None, **params: Any
    ) -> TextCompletion | AsyncStream[TextCompletion, TextCompletion]:
        ask = asks.text_ask(asks.given(locals()), self._hosted)
        return _carried_out(ask, await self._client.completion(stream=ask.stream, **ask.params))

    acreate = create


class AsyncEmbeddings(_Resource):
    """`embeddings`."""

    @public
    async def create(self, input: str | Sequence[str], model: str | None = None, **params: Any) -> EmbeddingList:  # noqa: A002
        return shapes.embeddings(await self._client.embeddings(input, model, **asks.present(params)), self._hosted)

    acreate = create


class AsyncImages(_Resource):
    """`images`; no size is sent unless it is given."""

    @public
    async def generate(self, prompt: str, model: str | None = None, **params: Any) -> ImageList:
        return shapes.images(await self._client.images(prompt, model, **asks.present(params)), self._hosted)

    create = generate
    acreate = generate


class AsyncSpeechMaker(_Resource):
    """`audio.speech`."""

    @public
    async def create(self, input: str, model: str | None = None, voice: str | None = None, **params: Any) -> Speech:  # noqa: A002
        return shapes.speech(await self._client.speech(input, model, voice, **asks.present(params)))

    acreate = create


class AsyncTranscriptions(_Resource):
    """`audio.transcriptions`."""

    @public
    async def create(self, file: File | tuple[Any, ...], model: str | None = None, **params: Any) -> Transcription:
        answer = await self._client.transcribe(**asks.upload(asks.given(locals())))
        return shapes.transcription(answer, self._hosted)

    acreate = create


class AsyncTranslations(_Resource):
    """`audio.translations`."""

    @public
    async def create(self, file: File | tuple[Any, ...], model: str | None = None, **params: Any) -> Transcription:
        answer = await self._client.translate_audio(**asks.upload(asks.given(locals())))
        return shapes.transcription(answer, self._hosted)

    acreate = create


class AsyncAudio:
    """`audio`."""

    def __init__(self, client: AsyncClient, hosted: bool) -> None:
        self.speech = AsyncSpeechMaker(client, hosted)
        self.transcriptions = AsyncTranscriptions(client, hosted)
        self.translations = AsyncTranslations(client, hosted)


class AsyncFiles(_Resource):
    """`files`, on OpenAI-compatible servers."""

    @public
    async def create(self, file: File | tuple[Any, ...], purpose: str, **params: Any) -> FileObject:
        return FileObject(
            await self._client._run(self._client._calls.create_file(**asks.file_ask(file, purpose, params)))
        )

    def list(self, **options: Any) -> AsyncPage[FileObject]:
        return AsyncPage(functools.partial(self._list, options))

    @public
    async def retrieve(self, file_id: str, **options: Any) -> FileObject:
        return FileObject(await self._client._run(self._client._calls.retrieve_file(file_id, options)))

    @public
    async def content(self, file_id: str, **options: Any) -> FileContent:
        return FileContent(await self._client._run(self._client._calls.file_content(file_id, options)))

    @public
    async def delete(self, file_id: str, **options: Any) -> FileObject:
        return FileObject(await self._client._run(self._client._calls.delete_file(file_id, options)))

    @public
    async def _list(self, options: dict[str, Any]) -> Page[FileObject]:
        return shapes.files(await self._client._run(self._client._calls.list_files(options)))

    acreate = create


class AsyncModels(_Resource):
    """`models`; each has an `id` to ask for it by."""

    def list(self, **options: Any) -> AsyncPage[ModelObject]:
        return AsyncPage(functools.partial(self._list, options))

    @public
    async def retrieve(self, model: str, **options: Any) -> ModelObject:
        """One entry of the list; many servers have no other way to it."""
        return shapes.model(await self._list(options), model)

    @public
    async def _list(self, options: dict[str, Any]) -> Page[ModelObject]:
        return shapes.models(await self._client.models(**options), self._hosted)


class AsyncOpenAI:
    """A client in the style of OpenAI's, for the hosted router and for OpenAI-compatible servers.

    With a `base_url` or OPENAI_BASE_URL it talks to that server, else to the hosted router; `dialect=`
    overrules this. The other `client_options` are those of `Client`.
    """

    @public
    def __init__(
        self,
        api_key: ApiKey | None = None,
        base_url: str | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        default_headers: Mapping[str, str] | None = None,
        organization: str | None = None,
        project: str | None = None,
        **client_options: Any,
    ) -> None:
        headers = asks.with_account(default_headers, organization, project)
        settings = asks.client_settings(base_url, {**client_options, "default_headers": headers})
        self._client = client = AsyncClient(api_key, base_url, timeout, max_retries=max_retries, **settings)
        hosted = settings["dialect"] == "indox"
        self.chat = AsyncChat(client, hosted)
        self.completions = AsyncCompletions(client, hosted)
        self.embeddings = AsyncEmbeddings(client, hosted)
        self.images = AsyncImages(client, hosted)
        self.audio = AsyncAudio(client, hosted)
        self.files = AsyncFiles(client, hosted)
        self.models = AsyncModels(client, hosted)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def base_url(self) -> str:
        return self._client.base_url

    async def close(self) -> None:
        """Close the idle connections."""
        await self._client.close()
