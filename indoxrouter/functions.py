"""The function style: `completion(model=…, messages=…)` and its kin, over shared `OpenAI` facades.

The server is chosen as `OpenAI` chooses it, anew at each call; calls that mean the same server with
the same key share one client and its connections.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeVar, cast, overload

from indoxrouter.errors import IndoxRouterError, ValidationError
from indoxrouter.files import File
from indoxrouter.function_calls import Call, async_facade, cost_at, disable_cache, enable_cache, facade
from indoxrouter.openai_asks import given
from indoxrouter.openai_shapes import Speech
from indoxrouter.openai_streams import AsyncStream, Stream
from indoxrouter.openai_types import (
    ChatCompletionChunk,
    ChatCompletionResponse,
    EmbeddingList,
    ImageList,
    TextCompletion,
    Transcription,
)
from indoxrouter.wire.checks import Messages

__all__ = [
    "acompletion",
    "aembedding",
    "aimage_generation",
    "batch_completion",
    "completion",
    "completion_cost",
    "disable_cache",
    "embedding",
    "enable_cache",
    "image_generation",
    "speech",
    "text_completion",
    "transcription",
]

F = TypeVar("F", bound=Callable[..., Any])


def _function(function: F) -> F:
    """A public function, whose errors leave without frames: those hold prompts and keys."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except IndoxRouterError as error:
            del args, kwargs
            raise error.with_traceback(None) from None

    @functools.wraps(function)
    async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return await function(*args, **kwargs)
        except IndoxRouterError as error:
            del args, kwargs
            raise error.with_traceback(None) from None

    return cast(F, async_wrapper if inspect.iscoroutinefunction(function) else wrapper)


Chunks = Stream[ChatCompletionChunk, ChatCompletionResponse]
AsyncChunks = AsyncStream[ChatCompletionChunk, ChatCompletionResponse]


@overload
def completion(
    model: str, messages: Messages, *, stream: Literal[False] | None = None, **params: Any
) -> ChatCompletionResponse: ...
@overload
def completion(model: str, messages: Messages, *, stream: Literal[True], **params: Any) -> Chunks: ...
@overload
def completion(
    model: str, messages: Messages, *, stream: bool | None = None, **params: Any
) -> ChatCompletionResponse | Chunks: ...
@_function
def completion(
    model: str,
    messages: Messages,
    *,
    temperature: float | None = None,
    max_tokens: int | None = None,
    stream: bool | None = None,
    tools: Sequence[Mapping[str, Any]] | None = None,
    tool_choice: str | Mapping[str, Any] | None = None,
    timeout: float | None = None,
    api_key: str | None = None,
    base_url: str | None = None,
    api_base: str | None = None,
    fallbacks: Sequence[str] | None = None,
    num_retries: int | None = None,
    max_retries: int | None = None,
    mock_response: str | Exception | None = None,
    mock_timeout: bool | None = None,
    caching: bool | None = None,
    input_cost_per_token: float | None = None,
    output_cost_per_token: float | None = None,
    **params: Any,
) -> ChatCompletionResponse | Chunks:
    """Answer a conversation. Other parameters are those of `OpenAI().chat.completions.create`.

    `api_base` is another name of `base_url`, `fallbacks` of `fallback_models`. `mock_response` is
    answered, or raised, without asking a server; `mock_timeout=True` times out after `timeout`
    seconds. `caching` says whether this call may be answered from the cache. The costs per token
    replace those that the server tells.
    """
    call = Call.of(given(locals()))
    answer: ChatCompletionResponse | Chunks = facade(call).chat.completions.create(**call.params)
    return call.priced(answer)


@overload
async def acompletion(
    model: str, messages: Messages, *, stream: Literal[False] | None = None, **params: Any
) -> ChatCompletionResponse: ...
@overload
async def acompletion(model: str, messages: Messages, *, stream: Literal[True], **params: Any) -> AsyncChunks: ...
@overload
async def acompletion(
    model: str, messages: Messages, *, stream: bool | None = None, **params: Any
) -> ChatCompletionResponse | AsyncChunks: ...
@_function
async def acompletion(
    model: str, messages: Messages, *, stream: bool | None = None, **params: Any
) -> ChatCompletionResponse | AsyncChunks:
    """`completion`, awaited."""
    call = Call.of(given(locals()))
    client = await async_facade(call)
    answer: ChatCompletionResponse | AsyncChunks = await client.chat.completions.create(**call.params)
    return call.priced(answer)


@_function
def text_completion(
    prompt: str, model: str | None = None, **params: Any
) -> TextCompletion | Stream[TextCompletion, TextCompletion]:
    """Go on from a prompt."""
    call = Call.of(given(locals()))
    answer: TextCompletion | Stream[TextCompletion, TextCompletion] = facade(call).completions.create(**call.params)
    return call.priced(answer)


@_function
def embedding(model: str, input: str | Sequence[str], **params: Any) -> EmbeddingList:  # noqa: A002
    """One vector for each text."""
    call = Call.of(given(locals()))
    return call.priced(facade(call).embeddings.create(**call.params))


@_function
async def aembedding(model: str, input: str | Sequence[str], **params: Any) -> EmbeddingList:  # noqa: A002
    """`embedding`, awaited."""
    call = Call.of(given(locals()))
    return call.priced(await (await async_facade(call)).embeddings.create(**call.params))


@_function
def image_generation(prompt: str, model: str | None = None, **params: Any) -> ImageList:
    """Draw images; `n`, `size`, `quality`, `style` and others are sent as they are."""
    call = Call.of(given(locals()))
    return call.priced(facade(call).images.generate(**call.params))


@_function
async def aimage_generation(prompt: str, model: str | None = None, **params: Any) -> ImageList:
    """`image_generation`, awaited."""
    call = Call.of(given(locals()))
    return call.priced(await (await async_facade(call)).images.generate(**call.params))


@_function
def transcription(model: str, file: File | tuple[Any, ...], **params: Any) -> Transcription:
    """Write down what is said in a file."""
    call = Call.of(given(locals()))
    return call.priced(facade(call).audio.transcriptions.create(**call.params))


@_function
def speech(model: str, input: str, voice: str | None = None, **params: Any) -> Speech:  # noqa: A002
    """Speak a text."""
    call = Call.of(given(locals()))
    return facade(call).audio.speech.create(**call.params)


def batch_completion(
    model: str, messages: Sequence[Messages], *, max_workers: int = 64, **params: Any
) -> list[ChatCompletionResponse | IndoxRouterError]:
    """Answer many conversations at once, in their order; a failed one has its error in its place."""

    def answer(conversation: Messages) -> ChatCompletionResponse | IndoxRouterError:
        try:
            found: ChatCompletionResponse = completion(model, conversation, **params)
        except IndoxRouterError as error:
            return error
        return found

    with ThreadPoolExecutor(max_workers) as pool:
        return list(pool.map(answer, messages))


def completion_cost(
    completion_response: Mapping[str, Any],
    input_cost_per_token: float | None = None,
    output_cost_per_token: float | None = None,
) -> float:
    """US dollars: as the server told them, or at the given prices. What is not known is an error."""
    used = completion_response.get("usage") or {}
    if input_cost_per_token is None and output_cost_per_token is None:
        cost = used.get("cost")
    else:
        cost = cost_at(used, input_cost_per_token, output_cost_per_token)
    if cost is None:
        raise ValidationError(
            "the cost is not known: the server told none; pass input_cost_per_token and output_cost_per_token"
        )
    return float(cost)


acompletion.__signature__ = inspect.signature(completion)  # type: ignore[attr-defined] # named once, above
