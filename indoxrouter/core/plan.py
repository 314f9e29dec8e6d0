"""What happens in a call, from its options to its answer.

One plan per call. It is a generator that yields steps (see `steps`) and returns the answer; the
driver in a client carries the steps out. Nothing here reads a clock or a socket.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from indoxrouter.core import cache
from indoxrouter.core.assembly import Assembly
from indoxrouter.core.attempts import Attempts
from indoxrouter.core.policy import Clock
from indoxrouter.core.shared import Shared
from indoxrouter.core.steps import Plan, emit, recall, remember
from indoxrouter.core.streaming import Feed
from indoxrouter.core.telling import told
from indoxrouter.errors import IndoxRouterError, ValidationError
from indoxrouter.options import CallOptions
from indoxrouter.wire import mock
from indoxrouter.wire.bodies import encoded
from indoxrouter.wire.chunks import whole_answer
from indoxrouter.wire.messages import Request, Result

T = TypeVar("T")
R = TypeVar("R", covariant=True)


@dataclass(frozen=True, slots=True)
class Call(Generic[R]):
    """A call that is ready to be carried out."""

    requests: Sequence[Request]
    """One for each model that may be asked, in turn."""
    options: CallOptions
    read: Callable[[Result], R]

    @property
    def stream(self) -> bool:
        return self.requests[0].stream

    def plan(self, shared: Shared, clock: Clock, assembly: Assembly | None = None) -> Plan[R]:
        return call(self.requests, self.options, self.read, shared, clock, assembly)


def call(
    requests: Sequence[Request],
    options: CallOptions,
    read: Callable[[Result], T],
    shared: Shared,
    clock: Clock,
    assembly: Assembly | None = None,
) -> Plan[T]:
    """Ask the first request's model, then the others in turn where falling back is allowed.

    A streaming request fills `assembly` and emits its chunks on the way to its answer.
    """
    attempts = Attempts(options, shared, clock)
    for request in requests:
        encoded(request, options.extra_body)  # bad input is found before anything is sent
    if not requests:
        raise ValidationError("no model to ask")
    plan = _answered(requests, options, read, shared, attempts, assembly)
    if shared.settings.on_event is None:
        return (yield from plan)
    return (yield from told(plan, requests[0], attempts, assembly, shared.settings.base_url, clock))


def _answered(
    requests: Sequence[Request],
    options: CallOptions,
    read: Callable[[Result], T],
    shared: Shared,
    attempts: Attempts,
    assembly: Assembly | None,
) -> Plan[T]:
    """The answer from the server, from the cache, or from a mock."""
    try:
        if options.mock_response is not None:
            result = mock.answer(options.mock_response, requests[0], attempts.id)
            return read((yield from _replayed(result, assembly)))
        keeps = cache.wanted(shared.settings, options) and cache.keepable(requests[0])
        if keeps:
            kept = yield from recall(cache.key(shared.settings, requests[0], options))
            if (hit := cache.unpacked(kept, requests[0], attempts.id)) is not None:
                return read((yield from _replayed(hit, assembly)))
        result = yield from _fetched(attempts, requests, assembly)
        answer = read(result)
        if keeps:
            yield from remember(cache.key(shared.settings, result.request, options), cache.packed(result))
    except IndoxRouterError as error:
        raise attempts.signed(error) from None
    return answer


def _fetched(attempts: Attempts, requests: Sequence[Request], assembly: Assembly | None) -> Plan[Result]:
    """The server's answer; a stream is followed to its end."""
    result = yield from attempts.first_answer(requests)
    if assembly is None or not isinstance(result.body, Feed):
        return result
    assembly.opened(result, result.body.reply)
    try:
        yield from result.body.follow(assembly, result.request.choices)
    except IndoxRouterError as error:
        attempts.broke_midway(error, assembly)
        raise
    return assembly.result(replace(result, body=None))


def _replayed(result: Result, assembly: Assembly | None) -> Plan[Result]:
    """An answer that needs no server; where a stream was asked for, as one of a single chunk."""
    if assembly is None:
        return result
    assembly.opened(result, None)
    event = whole_answer(result)
    assembly.note(event.facts)
    yield from emit(None)
    for chunk in event.chunks:
        assembly.add(chunk)
        yield from emit(chunk)
    assembly.state = "complete"
    return result
