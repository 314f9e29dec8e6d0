"""The OpenAI style: `OpenAI` and `AsyncOpenAI`, thin doors to `Client` and `AsyncClient`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, overload

from indoxrouter import openai_asks as asks
from indoxrouter import openai_shapes as shapes
from indoxrouter.client import Client
from indoxrouter.config import ApiKey
from indoxrouter.errors import public
from indoxrouter.files import File
from indoxrouter.openai_asks import AnswerT, Ask, ChunkT, Message
from indoxrouter.openai_async import AsyncChatCompletions, AsyncOpenAI
from indoxrouter.openai_shapes import FileContent, Speech
from indoxrouter.openai_streams import Stream, threaded
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
from indoxrouter.streams import ChatStream
from indoxrouter.wire.checks import Messages

__all__ = ["AsyncOpenAI", "ChatCompletionChunk", "ChatCompletionResponse", "Message", "OpenAI", "Stream"]


def _carried_out(ask: Ask[ChunkT, AnswerT], answer: ChatResponse | ChatStream) -> AnswerT | Stream[ChunkT, AnswerT]:
    return Stream(answer, ask) if isinstance(answer, ChatStream) else ask.finish(answer)


class _Resource:
    def __init__(self, client: Client, hosted: bool) -> None:
        self._client = client
        self._hosted = hosted


class ChatCompletions(_Resource):
    """`chat.completions`."""

    @overload
    def create(
        self, messages: Messages, model: str | None = None, *, stream: Literal[False] | None = None, **params: Any
    ) -> ChatCompletionResponse: ...
    @overload
    def create(
        self, messages: Messages, model: str | None = None, *, stream: Literal[True], **params: Any
    ) -> Stream[ChatCompletionChunk, ChatCompletionResponse]: ...
    @overload
    def create(
        self, messages: Messages, model: str | None = None, *, stream: bool | None = None, **params: Any
    ) -> ChatCompletionResponse | Stream[ChatCompletionChunk, ChatCompletionResponse]: ...
    @public
    def create(
        self,
        messages: Messages,
        model: str | None = None,
        *,
        audio: Mapping[str, Any] | None = None,
        frequency_penalty: float | None = None,
        function_call: str | Mapping[str, Any] | None = None,
        functions: Sequence[Mapping[str, Any]] | None = None,
        logit_bias: Mapping[str, float] | None = None,
        logprobs: bool | None = None,
        max_completion_tokens: int | None = None,
        max_tokens: int | None = None,
        metadata: Mapping[str, str] | None = None,
        modalities: Sequence[str] | None = None,
        n: int | None = None,
        parallel_tool_calls: bool | None = None,
        prediction: Mapping[str, Any] | None = None,
        presence_penalty: float | None = None,
        reasoning_effort: str | None = None,
        response_format: Mapping[str, Any] | type[Any] | None = None,
        seed: int | None = None,
        service_tier: str | None = None,
        stop: str | Sequence[str] | None = None,
        store: bool | None = None,
        stream: bool | None = None,
        stream_options: Mapping[str, Any] | None = None,
        temperature: float | None = None,
        tool_choice: str | Mapping[str, Any] | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        top_logprobs: int | None = None,
        top_p: float | None = None,
        user: str | None = None,
        verbosity: str | None = None,
        web_search_options: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        extra_headers: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        fallback_models: Sequence[str] | None = None,
        retries: int | None = None,
        max_retries: int | None = None,
        **params: Any,
    ) -> ChatCompletionResponse | Stream[ChatCompletionChunk, ChatCompletionResponse]:
        """Answer a conversation; only what is given is sent, unknown parameters too.

        `response_format` may be a pydantic model class: then each message has its `parsed`.
        `fallback_models` are asked in turn after the first model and its `retries`.
        """
        ask = asks.chat_ask(asks.given(locals()), self._hosted)
        return _carried_out(ask, self._client.chat(stream=ask.stream, **ask.params))

    acreate: Callable[..., Coroutine[Any, Any, Any]] = threaded(create)
    parse = create


class Chat:
    """`chat`."""

    def __init__(self, client: Client, hosted: bool) -> None:
        self.completions = ChatCompletions(client, hosted)


class Completions(_Resource):
    """`completions`: a prompt goes on."""

    @overload
    def create(
        self, prompt: str, model: str | None = None, *, stream: Literal[False] | None = None, **params: Any
    ) -> TextCompletion: ...
    @overload
    def create(
        self, prompt: str, model: str | None = None, *, stream: Literal[True], **params: Any
    ) -> Stream[TextCompletion, TextCompletion]: ...
    @overload
    def create(
        self, prompt: str, model: str | None = None, *, stream: bool | None = None, **params: Any
    ) -> TextCompletion | Stream[TextCompletion, TextCompletion]: ...
    @public
    def create(
        self, prompt: str, model: str | None = None, *, stream: bool | None = None, **params: Any
    ) -> TextCompletion | Stream[TextCompletion, TextCompletion]:
        ask = asks.text_ask(asks.given(locals()), self._hosted)
        return _carried_out(ask, self._client.completion(stream=ask.stream, **ask.params))

    acreate: Callable[..., Coroutine[Any, Any, Any]] = threaded(create)


class Embeddings(_Resource):
    """`embeddings`."""

    @public
    def create(self, input: str | Sequence[str], model: str | None = None, **params: Any) -> EmbeddingList:  # noqa: A002
        return shapes.embeddings(self._client.embeddings(input, model, **asks.present(params)), self._hosted)

    acreate = threaded(create)


class Images(_Resource):
    """`images`; no size is sent unless it is given."""

    @public
    def generate(self, prompt: str, model: str | None = None, **params: Any) -> ImageList:
        return shapes.images(self._client.images(prompt, model, **asks.present(params)), self._hosted)

    create = generate
    acreate = threaded(generate)


class SpeechMaker(_Resource):
    """`audio.speech`."""

    @public
    def create(self, input: str, model: str | None = None, voice: str | None = None, **params: Any) -> Speech:  # noqa: A002
        return shapes.speech(self._client.speech(input, model, voice, **asks.present(params)))

    acreate = threaded(create)


class Transcriptions(_Resource):
    """`audio.transcriptions`."""

    @public
    def create(self, file: File | tuple[Any, ...], model: str | None = None, **params: Any) -> Transcription:
        answer = self._client.transcribe(**asks.upload(asks.given(locals())))
        return shapes.transcription(answer, self._hosted)

    acreate = threaded(create)


class Translations(_Resource):
    """`audio.translations`."""

    @public
    def create(self, file: File | tuple[Any, ...], model: str | None = None, **params: Any) -> Transcription:
        answer = self._client.translate_audio(**asks.upload(asks.given(locals())))
        return shapes.transcription(answer, self._hosted)

    acreate = threaded(create)


class Audio:
    """`audio`."""

    def __init__(self, client: Client, hosted: bool) -> None:
        self.speech = SpeechMaker(client, hosted)
        self.transcriptions = Transcriptions(client, hosted)
        self.translations = Translations(client, hosted)


class Files(_Resource):
    """`files`, on OpenAI-compatible servers."""

    @public
    def create(self, file: File | tuple[Any, ...], purpose: str, **params: Any) -> FileObject:
        return FileObject(self._client._run(self._client._calls.create_file(**asks.file_ask(file, purpose, params))))

    @public
    def list(self, **options: Any) -> Page[FileObject]:
        return shapes.files(self._client._run(self._client._calls.list_files(options)))

    @public
    def retrieve(self, file_id: str, **options: Any) -> FileObject:
        return FileObject(self._client._run(self._client._calls.retrieve_file(file_id, options)))

    @public
    def content(self, file_id: str, **options: Any) -> FileContent:
        return FileContent(self._client._run(self._client._calls.file_content(file_id, options)))

    @public
    def delete(self, file_id: str, **options: Any) -> FileObject:
        return FileObject(self._client._run(self._client._calls.delete_file(file_id, options)))

    acreate = threaded(create)


class Models(_Resource):
    """`models`; each has an `id` to ask for it by."""

    @public
    def list(self, **options: Any) -> Page[ModelObject]:
        return shapes.models(self._client.models(**options), self._hosted)

    @public
    def retrieve(self, model: str, **options: Any) -> ModelObject:
        """One entry of the list; many servers have no other way to it."""
        return shapes.model(self.list(**options), model)


class OpenAI:
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
        self._client = client = Client(api_key, base_url, timeout, max_retries=max_retries, **settings)
        hosted = settings["dialect"] == "indox"
        self.chat = Chat(client, hosted)
        self.completions = Completions(client, hosted)
        self.embeddings = Embeddings(client, hosted)
        self.images = Images(client, hosted)
        self.audio = Audio(client, hosted)
        self.files = Files(client, hosted)
        self.models = Models(client, hosted)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def base_url(self) -> str:
        return self._client.base_url

    def close(self) -> None:
        self._client.close()


# What is sent is named once, above.
AsyncChatCompletions.create.__signature__ = inspect.signature(ChatCompletions.create)  # type: ignore[attr-defined]
