"""What all answers are: dataclasses that are also mappings over their fields.

An unknown number is None, never 0. Costs are US dollars, as floats, just as the wire gave them;
durations are milliseconds or seconds as their names say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from indoxrouter.errors import Attempt


class Answer(Mapping[str, Any]):
    """A dataclass whose fields are read as attributes or as keys."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __getitem__(self, name: str) -> Any:
        if name in self.__dataclass_fields__:
            return getattr(self, name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dataclass_fields__)

    def __len__(self) -> int:
        return len(self.__dataclass_fields__)

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and lists all the way down."""
        return {name: _plain(getattr(self, name)) for name in self}


def _plain(value: Any) -> Any:
    match value:
        case Answer():
            return value.to_dict()
        case Attempt():
            return {item.name: getattr(value, item.name) for item in fields(value)}
        case [Answer() | Attempt(), *_]:
            return [_plain(item) for item in value]
        case tuple():
            return list(value)
        case _:
            return value  # a server's own lists and dicts are plain, and perhaps nested deeper than a recursion can go


@dataclass(slots=True)
class Usage(Answer):
    """What one call used, and what it cost in US dollars."""

    tokens_prompt: int | None = None
    tokens_completion: int | None = None
    tokens_total: int | None = None
    cost: float | None = None
    latency: float | None = None
    """Seconds, as the server measured them."""
    timestamp: str | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    web_search_count: int | None = None
    request_count: int | None = None
    cost_breakdown: dict[str, Any] | None = None


@dataclass(slots=True)
class RateLimit(Answer):
    """What the server said is left, as of this answer. Resets are seconds from then."""

    limit_requests: int | None = None
    remaining_requests: int | None = None
    reset_requests: float | None = None
    limit_tokens: int | None = None
    remaining_tokens: int | None = None
    reset_tokens: float | None = None


@dataclass(slots=True, kw_only=True)
class Generation(Answer):
    """What the answers of all generating calls share."""

    data: Any = None
    model: str | None = None
    provider: str | None = None
    success: bool = True
    message: str | None = None
    usage: Usage | None = None
    raw_response: Any = field(default=None, repr=False)
    """What the provider itself answered, where the router passes it on; else the same as `raw`."""
    request_id: str | None = None
    """The server's id of the request, else ours."""
    client_request_id: str | None = None
    created_at: str | None = None
    """ISO 8601."""
    duration_ms: float | None = None
    attempts: tuple[Attempt, ...] = field(default=(), repr=False)
    rate_limit: RateLimit | None = None
    cached: bool = False
    """Whether it came from the client's cache: then nothing was sent, and its cost is 0."""
    raw: Any = field(default=None, repr=False)
    """The whole body, as the server sent it."""

    @property
    def cost(self) -> float | None:
        """US dollars, where the server told: `usage.cost`."""
        return None if self.usage is None else self.usage.cost
