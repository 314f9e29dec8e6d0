"""What a plan asks its driver to do, one step at a time.

A plan is a generator: it yields a step, the driver carries it out and sends the result back in,
or throws in the exception that the step raised. The small helpers give each step its type.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from indoxrouter.core.login import AccessToken
from indoxrouter.events import CallEvent
from indoxrouter.responses import ChatChunk
from indoxrouter.wire.messages import HttpRequest, Reply


@dataclass(slots=True)
class Send:
    """Send the request and answer with the head of the reply. Times are on the monotonic clock."""

    request: HttpRequest
    until: float
    connect: float
    """Seconds that connecting may take."""


@dataclass(slots=True)
class Next:
    """Answer with the next bytes of the body, as soon as there are any; b"" at its end."""

    reply: Reply
    until: float


@dataclass(slots=True)
class Close:
    """Drop the rest of the reply; its connection is not used again."""

    reply: Reply


@dataclass(slots=True)
class Sleep:
    """Wait."""

    seconds: float
    why: str
    """For the log."""


@dataclass(slots=True)
class Token:
    """Answer with a Grant: the current token, or a fresh one where `stale` was refused."""

    stale: AccessToken | None
    until: float | None


class Grant(NamedTuple):
    """A token, and whether it was fetched because of the 401 that `stale` was answered with."""

    token: AccessToken
    fetched_after_401: bool


@dataclass(slots=True)
class Emit:
    """Hand a chunk to the caller; the plan goes on when the caller wants the next.

    None comes first, with a stream's first event: from here on there are no retries.
    """

    chunk: ChatChunk | None


@dataclass(slots=True)
class Notify:
    """Send the request off the caller's path, at best effort: nobody waits for it, nor hears of it."""

    request: HttpRequest
    seconds: float


@dataclass(slots=True)
class Tell:
    """Tell the caller's `on_event`; what that raises is the log's."""

    event: CallEvent


@dataclass(slots=True)
class LockTokens:
    """Lock the file in which processes share their login; answers whether that was done in time."""

    tokens: Any
    """The flight's view of it, which belongs to the driver: the lock ends with the flight."""
    until: float


@dataclass(slots=True)
class LoadToken:
    """Answer with what the locked file holds; None: nothing that can be read."""

    tokens: Any


@dataclass(slots=True)
class SaveToken:
    """Write it into the locked file, in place of what it held."""

    tokens: Any
    text: str = field(repr=False)


@dataclass(slots=True)
class Recall:
    """Answer with what the client's cache holds under the key; None: nothing."""

    key: str


@dataclass(slots=True)
class Remember:
    """Put it into the client's cache."""

    key: str
    value: str


class Closed(BaseException):
    """Thrown into a plan whose caller wants no more of it."""


Errand = Notify | Tell | Recall | Remember | LoadToken | SaveToken
"""Steps that never wait, and that both drivers carry out alike."""
AtOnce = Close | Notify | Tell
"""Steps that may follow an interruption."""
GoingOn = Send | Token | Sleep | LockTokens
"""Steps that no call takes whose client was closed."""
Action = Send | Next | Close | Sleep | Token | LockTokens | Errand
Step = Action | Emit
T = TypeVar("T")
Plan = Generator[Step, Any, T]


def send(request: HttpRequest, until: float, connect: float) -> Plan[Reply]:
    reply: Reply = yield Send(request, until, connect)
    return reply


def read_next(reply: Reply, until: float) -> Plan[bytes]:
    data: bytes = yield Next(reply, until)
    return data


def close(reply: Reply) -> Plan[None]:
    yield Close(reply)


def sleep(seconds: float, why: str) -> Plan[None]:
    yield Sleep(seconds, why)


def token(stale: AccessToken | None, until: float | None) -> Plan[Grant]:
    grant: Grant = yield Token(stale, until)
    return grant


def emit(chunk: ChatChunk | None) -> Plan[None]:
    yield Emit(chunk)


def notify(request: HttpRequest, seconds: float) -> Plan[None]:
    yield Notify(request, seconds)


def tell(event: CallEvent) -> Plan[None]:
    yield Tell(event)


def lock_tokens(tokens: Any, until: float) -> Plan[bool]:
    locked: bool = yield LockTokens(tokens, until)
    return locked


def load_token(tokens: Any) -> Plan[str | None]:
    text: str | None = yield LoadToken(tokens)
    return text


def save_token(tokens: Any, text: str) -> Plan[None]:
    yield SaveToken(tokens, text)


def recall(key: str) -> Plan[Any]:
    return (yield Recall(key))


def remember(key: str, value: str) -> Plan[None]:
    yield Remember(key, value)
