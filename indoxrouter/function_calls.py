"""What a call of the function style means: its server, its cache, its prices, and the facade that it shares."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, TypeVar

from indoxrouter import config, inputs
from indoxrouter.errors import RequestTimeoutError, ValidationError
from indoxrouter.forking import renew_in_children
from indoxrouter.openai_asks import client_settings
from indoxrouter.openai_facade import AsyncOpenAI, OpenAI
from indoxrouter.openai_streams import AsyncStream, Stream
from indoxrouter.openai_types import Generated

log = logging.getLogger("indoxrouter")

FacadeT = TypeVar("FacadeT", OpenAI, AsyncOpenAI)
AnswerT = TypeVar("AnswerT")
Cache = MutableMapping[str, Any]


class _Bounded(OrderedDict[str, Any]):
    """The cache for those who bring none: the oldest answers make room."""

    ROOM = 1000

    def __init__(self) -> None:
        super().__init__()
        self._turn = threading.Lock()

    def __setitem__(self, key: str, value: Any) -> None:
        with self._turn:
            super().__setitem__(key, value)
            while len(self) > self.ROOM:
                self.popitem(last=False)


_own_cache: Cache = _Bounded()
_enabled: list[Cache] = []
"""The cache that all calls use, while there is one."""


def enable_cache(cache: Cache | None = None) -> None:
    """From now on, identical requests are answered from `cache`, or from one in memory."""
    _enabled[:] = [_own_cache if cache is None else cache]


def disable_cache() -> None:
    """From now on, every request is sent, except those with `caching=True`."""
    _enabled.clear()


class Shared(Generic[FacadeT]):
    """One facade for each server, key and setting that the environment decides; the least used make room."""

    ROOM = 32

    def __init__(self, make: type[FacadeT]) -> None:
        self._make: type[FacadeT] = make
        self._made: OrderedDict[tuple[Any, ...], FacadeT] = OrderedDict()
        self._turn = threading.Lock()
        renew_in_children(self)

    def renew(self) -> object:
        """For a forked child; its facades are kept apart by their process."""
        self._turn = threading.Lock()
        return None

    def of(self, server: Mapping[str, Any]) -> FacadeT:
        key = _meant(**server)
        with self._turn:
            if (found := self._made.get(key)) is None:
                found = self._made[key] = self._make(**server)
            self._made.move_to_end(key)
            if len(self._made) > self.ROOM:
                self._made.popitem(last=False)  # closes when the last call that holds it is over
        return found


def _meant(api_key: config.ApiKey | None, base_url: str | None, dialect: str, cache: Cache | None) -> tuple[Any, ...]:
    """What sets one client apart from another, resolved; a forked process shares no connections."""
    settings = config.resolve(
        api_key,
        base_url,
        None,
        True,
        dialect=dialect,
        auth=None,
        default_model=None,
        max_retries=None,
        fallback_models=(),
        deadline=None,
        max_connections=1,
        proxy=None,
        verify=True,
        default_headers=None,
        env_file=".env",
        allow_insecure=False,
        cache=cache,
    )
    told = (settings.dialect, settings.key, settings.base_url, settings.timeout, settings.max_retries, settings.verify)
    return (*told, *map(os.environ.get, _PROXIES), id(cache), os.getpid())


_PROXIES = [name for kind in ("http", "https", "all", "no") for name in (f"{kind}_proxy", f"{kind.upper()}_PROXY")]


_facades = Shared[OpenAI](OpenAI)
_async_facades = Shared[AsyncOpenAI](AsyncOpenAI)


@dataclass(frozen=True)
class Call:
    """What one call of a function means."""

    params: dict[str, Any]
    server: dict[str, Any]
    prices: tuple[float | None, float | None]
    mock_timeout: bool

    @classmethod
    def of(cls, given: dict[str, Any]) -> Call:
        take = functools.partial(_taken, given)
        for name in _OF_LITELLM_ALONE & given.keys():
            log.warning("%s says something to LiteLLM itself: it is not sent, and does nothing here", name)
            take(name)
        for name, ours in _ALIASES.items():
            if name in given:
                if ours in given:
                    raise ValidationError(f"{name} and {ours} are the same option: pass one of them")
                given[ours] = given.pop(name)
        api_key, base_url, caching = take("api_key"), take("base_url"), given.get("caching")
        if given.get("mock_response") is not None:
            api_key = api_key or "mock"  # nothing is sent, so none is needed
        settings = client_settings(base_url, {"dialect": given.pop("dialect")} if "dialect" in given else {})
        cache = _enabled[0] if _enabled else _own_cache if caching else None
        server = {"api_key": api_key, "base_url": base_url, "cache": cache, **settings}
        prices = take("input_cost_per_token"), take("output_cost_per_token")
        return cls(given, server, prices, bool(take("mock_timeout")))

    def priced(self, answer: AnswerT) -> AnswerT:
        """The answer, or what a stream ends with, with its cost at the caller's own prices."""
        if self.prices == (None, None):
            return answer
        if isinstance(answer, Stream | AsyncStream):
            finish = answer._finish
            answer._finish = lambda held: self.priced(finish(held))
        elif (
            isinstance(answer, Generated) and answer.usage and (cost := cost_at(answer.usage, *self.prices)) is not None
        ):
            answer.usage["cost"] = cost
        return answer

    def too_late(self) -> RequestTimeoutError:
        return RequestTimeoutError("mock_timeout: no answer in time", code="timeout", outcome="not_sent")

    @property
    def seconds(self) -> float:
        return inputs.seconds("timeout", self.params.get("timeout"), error=ValidationError) or 0.0


_ALIASES = {
    "api_base": "base_url",
    "num_retries": "retries",
    "fallbacks": "fallback_models",
    "request_timeout": "timeout",
}
_OF_LITELLM_ALONE = {
    *("drop_params", "additional_drop_params", "allowed_openai_params", "custom_llm_provider"),
    *("api_type", "api_version", "force_timeout", "verbose", "logger_fn"),
}


def _taken(given: dict[str, Any], name: str) -> Any:
    return given.pop(name, None)


def facade(call: Call) -> OpenAI:
    if call.mock_timeout:
        time.sleep(call.seconds)
        raise call.too_late()
    return _facades.of(call.server)


async def async_facade(call: Call) -> AsyncOpenAI:
    if call.mock_timeout:
        await asyncio.sleep(call.seconds)
        raise call.too_late()
    return _async_facades.of(call.server)


def cost_at(used: Mapping[str, Any], per_input: float | None, per_output: float | None) -> float | None:
    """US dollars at these prices per token; None: a count or a price that matters is not known."""
    into, out = used.get("prompt_tokens"), used.get("completion_tokens") or 0
    if into is None or (into and per_input is None) or (out and per_output is None):
        return None
    return float(into * Decimal(str(per_input or 0)) + out * Decimal(str(per_output or 0)))
