"""Every failure is one exception of this tree.

IndoxRouterError = OpenAIError
├─ ConfigurationError (ValueError)        bad settings
├─ NetworkError = APIConnectionError      no complete answer
│  ├─ RequestTimeoutError (TimeoutError) = Timeout = APITimeoutError
│  │  └─ DeadlineExceededError
│  └─ StreamError                         a stream that was cut or could not be decoded
└─ APIError = APIStatusError              any error answer
   ├─ AuthenticationError
   │  └─ MissingKeyError (ValueError)     no API key at all
   ├─ PermissionDeniedError
   ├─ RateLimitError
   ├─ InsufficientCreditsError
   ├─ InvalidParametersError = BadRequestError = InvalidRequestError
   │  ├─ ContextWindowExceededError
   │  └─ ContentPolicyError
   ├─ ValidationError (ValueError) = UnprocessableEntityError
   │                                      422, and bad input found before sending
   ├─ ProviderError
   │  ├─ ProviderNotFoundError
   │  ├─ ModelNotFoundError
   │  └─ ModelNotAvailableError
   └─ RequestError = InternalServerError  5xx
      └─ ServiceUnavailableError
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeVar, cast

Outcome = Literal["not_sent", "rejected", "unknown", "done"]
"""What is known of an attempt: nothing reached the server; it answered with an error; it may or
may not have carried the request out (and charged for it); it answered."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request of a call, as it stands on answers and errors. Times are in seconds."""

    model: str | None
    status: int | None
    outcome: Outcome
    seconds: float
    wait: float | None = None
    """Waited after this attempt, before the next one; None: there was none."""
    why: str | None = None
    """Why the attempt did not answer the call: the error's class or code."""


class IndoxRouterError(Exception):
    """The root of all errors raised by this library.

    `outcome` says whether the request may have been carried out, `attempts` what was tried,
    `retryable` whether trying again later may help, `partial` holds the text of a stream that
    failed, `details` the server's error body. Pickles keep neither `partial` nor `details`:
    both can quote the prompt.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status_code: int | None = None,
        code: str | None = None,
        error_type: str | None = None,
        request_id: str | None = None,
        client_request_id: str | None = None,
        retry_after: float | None = None,
        reset_time: datetime | None = None,
        details: Any = None,
        partial: str | None = None,
        retryable: bool = False,
        outcome: Outcome | None = None,
        attempts: tuple[Attempt, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code
        self.code = code
        self.error_type = error_type
        self.request_id = request_id
        self.client_request_id = client_request_id
        self.retry_after = retry_after
        self.reset_time = reset_time
        self.details = details
        self.partial = partial
        self.retryable = retryable
        self.outcome = outcome
        self.attempts = attempts

    def __str__(self) -> str:
        models = list(dict.fromkeys(attempt.model for attempt in self.attempts if attempt.model))
        tried = f"{len(self.attempts)} attempts" + (f" of {', '.join(models)}" if len(models) > 1 else "")
        known = [tried] * (len(self.attempts) > 1) + [f"request {self.request_id}"] * bool(self.request_id)
        return f"{self.message} [{', '.join(known)}]" if known else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), {**self.__dict__, "details": None, "partial": None})

    def clone(self) -> IndoxRouterError:
        """A copy without a traceback, for another thread that waited for the same login."""
        return _rebuild(type(self), self.__dict__)


def _rebuild(cls: type[IndoxRouterError], state: dict[str, Any]) -> IndoxRouterError:
    error = cls(state["message"])
    error.__dict__.update(state)
    return error


class ConfigurationError(IndoxRouterError, ValueError):
    """A setting that can't work, found before anything is sent."""


class NetworkError(IndoxRouterError):
    """No complete answer came."""


class RequestTimeoutError(NetworkError, TimeoutError):
    """A limit in seconds passed."""


class DeadlineExceededError(RequestTimeoutError):
    """The deadline of the whole call passed."""


class StreamError(NetworkError):
    """A stream was cut or could not be decoded; `partial` holds the text that came."""


class APIError(IndoxRouterError):
    """The server answered with an error, or with something that is no answer."""


class AuthenticationError(APIError):
    """The key or the token was refused, or there is none."""


class MissingKeyError(AuthenticationError, ValueError):
    """No API key was given; a ValueError too, as the published client raised."""


class PermissionDeniedError(APIError):
    """The account may not do this."""


class RateLimitError(APIError):
    """Too many requests; `retry_after` and `reset_time` say when to come back, where known."""

    rate_limit: Any = None
    """A RateLimit: what the server said of its limit, in headers or in the error's body; else None."""


class InsufficientCreditsError(APIError):
    """The account has no credits left."""


class InvalidParametersError(APIError):
    """The server refused a parameter."""


class ContextWindowExceededError(InvalidParametersError):
    """The input and `max_tokens` are longer than the model's context."""


class ContentPolicyError(InvalidParametersError):
    """The provider's content policy refused the request."""


class ValidationError(APIError, ValueError):
    """Bad input, found here before sending or by the server (422)."""


class ProviderError(APIError):
    """The provider failed, or there is no such provider or model."""


class ProviderNotFoundError(ProviderError):
    """The router knows no such provider."""


class ModelNotFoundError(ProviderError):
    """The router knows no such model."""


class ModelNotAvailableError(ProviderError):
    """The model exists but is switched off or unsupported."""


class RequestError(APIError):
    """The router or the provider failed (5xx)."""


class ServiceUnavailableError(RequestError):
    """Overloaded or down for now (503, 529)."""


Timeout = APITimeoutError = RequestTimeoutError
BadRequestError = InvalidRequestError = InvalidParametersError
InternalServerError = RequestError
OpenAIError, APIStatusError, APIConnectionError = IndoxRouterError, APIError, NetworkError
UnprocessableEntityError = ValidationError

_Method = TypeVar("_Method", bound=Callable[..., Any])


def public(method: _Method) -> _Method:
    """Wrap a public method so that its errors leave without the library's own frames and causes.

    Those hold prompts, keys and tokens in their local variables, and crash reporters send local
    variables along. So do what interrupts a call: Ctrl-C, or the end of its task.
    """

    def outward(error: BaseException) -> BaseException:
        error.__context__ = None
        if isinstance(error, IndoxRouterError):
            error.outcome = error.outcome or "not_sent"
        return error.with_traceback(None)

    @functools.wraps(method)
    def wrapper(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except (IndoxRouterError, KeyboardInterrupt) as error:
            del self, args, kwargs
            raise outward(error) from None

    @functools.wraps(method)
    async def async_wrapper(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        try:
            return await method(self, *args, **kwargs)
        except (IndoxRouterError, asyncio.CancelledError) as error:
            del self, args, kwargs
            raise outward(error) from None

    return cast(_Method, async_wrapper if inspect.iscoroutinefunction(method) else wrapper)
