"""The styles in which an OpenAI-compatible server is asked, behind one set of names.

Each has a twin for asyncio, which runs on an event loop that it closes.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from indoxrouter import (
    AsyncClient,
    AsyncOpenAI,
    Client,
    OpenAI,
    acompletion,
    aembedding,
    aimage_generation,
    completion,
    embedding,
    image_generation,
)

MESSAGES = [{"role": "user", "content": "What is a router?"}]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """An answer, whatever its style."""

    texts: list[str | None]
    finish_reason: str | None
    tool_calls: list[dict[str, Any]]
    prompt_tokens: int | None
    completion_tokens: int | None
    cost: float | None
    request_id: str | None
    pieces: int = 0
    """Chunks with text, of a stream."""


class Style:
    """What all of them share: an asynchronous one waits here."""

    def __init__(self, key: str, url: str) -> None:
        self._key = key
        self._url = url
        self._runner: asyncio.Runner | None = None

    def wait(self, value: Any) -> Any:
        if not inspect.isawaitable(value):
            return value

        async def waited() -> Any:
            return await value

        self._runner = self._runner or asyncio.Runner(debug=True)
        return self._runner.run(waited())

    def all(self, stream: Any) -> list[Any]:
        stream = self.wait(stream)
        if isinstance(stream, Iterator):
            return list(stream)

        async def chunks() -> list[Any]:
            return [chunk async for chunk in stream]

        found: list[Any] = self.wait(chunks())
        return found

    def close(self) -> None:
        if self._runner is not None:
            self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def chat(self, model: str, **options: Any) -> Seen:
        raise NotImplementedError

    def stream(self, model: str, **options: Any) -> Seen:
        raise NotImplementedError

    def embed(self, text: str | list[str], model: str, **options: Any) -> list[list[float]]:
        raise NotImplementedError

    def draw(self, prompt: str, model: str, **options: Any) -> list[str | None]:
        """The URLs of the images."""
        raise NotImplementedError


class OfClient(Style):
    """`Client`."""

    kind: type[Client] | type[AsyncClient] = Client

    def __init__(self, key: str, url: str) -> None:
        super().__init__(key, url)
        self.client: Any = self.kind(key, url, dialect="openai")

    def close(self) -> None:
        self.wait(self.client.close())
        super().close()

    def chat(self, model: str, **options: Any) -> Seen:
        return self._seen(self.wait(self.client.chat(MESSAGES, model, **options)))

    def stream(self, model: str, **options: Any) -> Seen:
        stream = self.wait(self.client.chat(MESSAGES, model, stream=True, **options))
        pieces = [chunk.data for chunk in self.all(stream) if chunk.data]
        answer = self.wait(stream.response())
        assert answer.data == "".join(pieces)
        assert stream.state == "complete"
        return self._seen(answer, len(pieces))

    def embed(self, text: str | list[str], model: str, **options: Any) -> list[list[float]]:
        vectors: list[list[float]] = self.wait(self.client.embeddings(text, model, **options)).data
        return vectors

    def draw(self, prompt: str, model: str, **options: Any) -> list[str | None]:
        return [image.url for image in self.wait(self.client.images(prompt, model, **options)).data]

    def _seen(self, answer: Any, pieces: int = 0) -> Seen:
        choices = answer.raw["choices"]
        texts = [choice["message"]["content"] for choice in choices]
        assert answer.data == texts[0]
        return Seen(
            texts=texts,
            finish_reason=answer.finish_reason,
            tool_calls=answer.tool_calls or [],
            prompt_tokens=answer.usage.tokens_prompt,
            completion_tokens=answer.usage.tokens_completion,
            cost=answer.usage.cost,
            request_id=answer.request_id,
            pieces=pieces,
        )


class OfAsyncClient(OfClient):
    """`AsyncClient`."""

    kind = AsyncClient


class _OpenAIShaped(Style):
    """Answers in OpenAI's shape."""

    def ask(self, model: str, **options: Any) -> Any:
        raise NotImplementedError

    def chat(self, model: str, **options: Any) -> Seen:
        return self._seen(self.wait(self.ask(model, **options)))

    def stream(self, model: str, **options: Any) -> Seen:
        stream = self.wait(self.ask(model, stream=True, stream_options={"include_usage": True}, **options))
        chunks = self.all(stream)
        *chunks, last = chunks
        assert (last.choices, last.usage is not None) == ([], True)
        pieces = [text for chunk in chunks if (text := chunk.choices[0].delta.content)]
        response = self.wait(stream.response())
        assert response.choices[0].message.content == "".join(pieces)
        assert last.usage == response.usage
        return self._seen(response, len(pieces))

    def _seen(self, response: Any, pieces: int = 0) -> Seen:
        first = response.choices[0]
        return Seen(
            texts=[choice.message.content for choice in response.choices],
            finish_reason=first.finish_reason,
            tool_calls=[call.to_dict() for call in first.message.tool_calls or []],
            prompt_tokens=response.usage.prompt_tokens,
            completion_tokens=response.usage.completion_tokens,
            cost=response.usage.cost,
            request_id=response.request_id,
            pieces=pieces,
        )


class OfOpenAI(_OpenAIShaped):
    """`OpenAI`."""

    kind: type[OpenAI] | type[AsyncOpenAI] = OpenAI

    def __init__(self, key: str, url: str) -> None:
        super().__init__(key, url)
        self.client: Any = self.kind(key, url)

    def close(self) -> None:
        self.wait(self.client.close())
        super().close()

    def ask(self, model: str, **options: Any) -> Any:
        return self.client.chat.completions.create(MESSAGES, model, **options)

    def embed(self, text: str | list[str], model: str, **options: Any) -> list[list[float]]:
        answer = self.wait(self.client.embeddings.create(text, model, **options))
        return [row.embedding for row in answer.data]

    def draw(self, prompt: str, model: str, **options: Any) -> list[str | None]:
        return [image.url for image in self.wait(self.client.images.generate(prompt, model, **options)).data]


class OfAsyncOpenAI(OfOpenAI):
    """`AsyncOpenAI`."""

    kind = AsyncOpenAI


class OfFunctions(_OpenAIShaped):
    """`completion` and its kin, with LiteLLM's names of the options."""

    functions: tuple[Callable[..., Any], ...] = (completion, embedding, image_generation)

    def _options(self, options: dict[str, Any]) -> dict[str, Any]:
        names = {"max_retries": "num_retries", "fallback_models": "fallbacks"}
        given = {names.get(name, name): value for name, value in options.items()}
        return {**given, "api_key": self._key, "api_base": self._url}

    def ask(self, model: str, **options: Any) -> Any:
        return self.functions[0](model=model, messages=MESSAGES, **self._options(options))

    def embed(self, text: str | list[str], model: str, **options: Any) -> list[list[float]]:
        answer = self.wait(self.functions[1](model=model, input=text, **self._options(options)))
        return [row.embedding for row in answer.data]

    def draw(self, prompt: str, model: str, **options: Any) -> list[str | None]:
        answer = self.wait(self.functions[2](prompt=prompt, model=model, **self._options(options)))
        return [image.url for image in answer.data]


class OfAsyncFunctions(OfFunctions):
    """`acompletion` and its kin."""

    functions = (acompletion, aembedding, aimage_generation)


STYLES: dict[str, type[Style]] = {
    "Client": OfClient,
    "AsyncClient": OfAsyncClient,
    "OpenAI": OfOpenAI,
    "AsyncOpenAI": OfAsyncOpenAI,
    "completion": OfFunctions,
    "acompletion": OfAsyncFunctions,
}
