"""The client: its public methods, each of which builds a request, runs its plan and reads the answer."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

from indoxrouter import config
from indoxrouter.config import ApiKey, CallOptions
from indoxrouter.core.probe import probe
from indoxrouter.driver import Driver, log
from indoxrouter.errors import IndoxRouterError, public
from indoxrouter.responses import (
    CatalogueEntry,
    ChatResponse,
    CompletionResponse,
    EmbeddingResponse,
    ImageResponse,
    ModelInfo,
    ProviderEntry,
    UsageReport,
    UserInfo,
)
from indoxrouter.streams import ChatStream
from indoxrouter.wire import catalogue, decode, hosted
from indoxrouter.wire.hosted import Date, Messages
from indoxrouter.wire.messages import Request, Result

T = TypeVar("T")
AnswerT = TypeVar("AnswerT", bound=ChatResponse)


class Client:
    """A client of a hosted LLM router; one may serve many threads at once.

    Constructing it does no I/O: the first call logs in, and tokens are renewed ahead of their
    expiry. Unknown keyword parameters of the generating methods go to the provider. Every failure
    is an `IndoxRouterError`. These options of any call are not sent: `timeout`, `deadline`
    (seconds), `max_retries`, `fallback_models`, `extra_headers`, `extra_body`, `idempotency_key`.
    """

    @public
    def __init__(
        self,
        api_key: ApiKey | None = None,
        base_url: str | None = None,
        timeout: float | None = None,
        auto_refresh: bool = True,
        *,
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
    ) -> None:
        """Settings come from the arguments, then the environment, then `env_file`.

        api_key: the key, or a callable that is asked for it at each login; else
            INDOX_ROUTER_API_KEY. Missing: an AuthenticationError that is a ValueError too.
        base_url: else INDOX_ROUTER_BASE_URL, else https://api.indoxrouter.com/v1.
        timeout: seconds for each attempt; on a stream, for the first event and between events.
            Unset: 15 to connect, log in and read the catalogue, 600 to wait for a generation.
        auto_refresh: whether to log in again when a token expires; if not, that is an error.
        auth: "key" sends the API key itself as the bearer token, without a login.
        max_retries: further tries of each model; unset: 2. fallback_models: asked in turn after it.
        deadline: seconds for a whole call: login, retries, waits, fallbacks, streaming.
        proxy: its URL; unset: the environment's, except for loopback. verify: False, or a CA file.
        allow_insecure: permits plain http to another host than this one.
        """
        settings = config.resolve(
            api_key,
            base_url,
            timeout,
            auto_refresh,
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
        )
        self._driver = Driver(settings)

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
        `stream=True` returns a ChatStream, whatever `return_generator` says.
        """
        options = config.options(params)
        build = partial(
            hosted.chat,
            messages,
            temperature=temperature,
            max_tokens=max_tokens,
            stream=stream,
            params=params,
        )
        return self._text(build, decode.chat, model, options, stream)

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
        options = config.options(params)
        build = partial(
            hosted.completion,
            prompt,
            temperature=temperature,
            max_tokens=max_tokens,
            stream=stream,
            params=params,
        )
        return self._text(build, decode.completion, model, options, stream)

    @public
    def embeddings(self, text: str | Sequence[str], model: str | None = None, **params: Any) -> EmbeddingResponse:
        """One vector for each text; for a single text, a list of one.

        `model` unset: openai/text-embedding-3-small. The client's fallback models are not used:
        vectors of different models can't be compared.
        """
        options = config.options(params)
        build = partial(hosted.embeddings, text, params=params)
        return self._any(build, decode.embeddings, model or hosted.EMBEDDING_MODEL, options)

    @public
    def image(
        self, prompt: str, model: str | None = None, size: str | None = hosted.IMAGE_SIZE, **params: Any
    ) -> ImageResponse:
        """Draw images; each item of `data` has a `url` or a `b64_json`.

        `model` unset: openai/dall-e-3. The default size goes only to models that take it; a size
        for a Google model is sent as its aspect ratio. Other fields: `n`, `quality`, `style`,
        `response_format`, `seed`, `negative_prompt`, `aspect_ratio` …
        """
        options = config.options(params)
        build = partial(hosted.image, prompt, size=size, params=params)
        return self._any(build, decode.image, model or hosted.IMAGE_MODEL, options)

    def images(self, prompt: str, model: str | None = None, size: str | None = None, **params: Any) -> ImageResponse:
        """The published package's name for `image`, with no default size."""
        return self.image(prompt, model, size, **params)

    @public
    def providers(self, **options: Any) -> list[ProviderEntry]:
        """The providers, each with its models."""
        return catalogue.providers(self._get(hosted.providers(), options))

    @public
    def models(self, provider: str | None = None, **options: Any) -> dict[str, list[CatalogueEntry]]:
        """Provider → its models with their prices; with `provider`, only that one's."""
        return catalogue.models(self._get(hosted.models(provider), options), provider)

    @public
    def model_info(self, provider: str, model: str, **options: Any) -> ModelInfo:
        """One model's prices and limits."""
        return catalogue.model_info(self._get(hosted.model_info(provider, model), options), provider, model)

    get_model_info = model_info

    @public
    def get_usage(self, start_date: Date | None = None, end_date: Date | None = None, **options: Any) -> UsageReport:
        """Requests, tokens and cost, by endpoint, provider, model and UTC day, both dates included."""
        return catalogue.usage_report(self._get(hosted.usage(start_date, end_date), options))

    @public
    def get_user_info(self, **options: Any) -> UserInfo:
        """The account: its credits, tier and address."""
        return catalogue.user_info(self._get(hosted.user_info(), options))

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
        return hosted.diagnose(endpoint, data)

    def enable_debug(self, level: int = logging.DEBUG) -> None:
        """Show the logger `indoxrouter` on stderr: methods, paths, status codes, never contents."""
        log.setLevel(level)
        if not any(isinstance(handler, logging.StreamHandler) for handler in log.handlers):
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter("%(asctime)s - %(name)s - %(levelname)s - %(message)s"))
            log.addHandler(handler)

    @public
    def set_base_url(self, base_url: str) -> None:
        """Talk to another server from now on; token and cookies of the old one are forgotten."""
        old = self._driver
        self._driver = Driver(old.settings.with_base_url(base_url))
        old.close()

    def close(self) -> None:
        """Close the idle connections. A closed client opens new ones if it is used again."""
        self._driver.close()

    def _text(
        self,
        build: Callable[..., Request],
        read: Callable[[Result], AnswerT],
        model: str | None,
        options: CallOptions,
        stream: bool,
    ) -> AnswerT | ChatStream:
        settings = self._driver.settings
        fallbacks = settings.fallback_models if options.fallback_models is None else options.fallback_models
        requests = [build(model=name) for name in (model or settings.default_model, *fallbacks)]
        if not stream:
            return read(self._driver.call(requests, options))
        return ChatStream(*self._driver.stream(requests, options), read)

    def _any(self, build: Callable[..., Request], read: Callable[[Result], T], model: str, options: CallOptions) -> T:
        requests = [build(model=name) for name in (model, *(options.fallback_models or ()))]
        return read(self._driver.call(requests, options))

    def _get(self, request: Request, params: dict[str, Any]) -> Result:
        options = config.options(params)
        config.refuse_unknown(params)
        return self._driver.call([request], options)


IndoxRouter = Client
