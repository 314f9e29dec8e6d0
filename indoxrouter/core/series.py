"""Calls that are several requests, one after the other under one deadline: days, pages, waiting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from indoxrouter.core.plan import Call
from indoxrouter.core.policy import Clock
from indoxrouter.core.shared import Shared
from indoxrouter.core.steps import Plan, sleep
from indoxrouter.errors import DeadlineExceededError
from indoxrouter.media import VideoJob
from indoxrouter.options import CallOptions

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Series(Generic[T, R]):
    """Some calls, whose answers are joined to one."""

    calls: Sequence[Call[T]]
    join: Callable[[list[T]], R]
    options: CallOptions

    def plan(self, shared: Shared, clock: Clock) -> Plan[R]:
        until = _end(self.options, shared, clock)
        found: list[T] = []
        for call in self.calls:
            answer = yield from _until(call, until, clock).plan(shared, clock)
            found.append(answer)
        return self.join(found)


@dataclass(frozen=True, slots=True)
class Pages(Generic[T]):
    """All pages of a list, whatever their sizes; an item that comes twice counts once."""

    ask: Callable[[int], Call[tuple[list[T], int | None]]]
    """The page that begins at this offset, and how many items there are in all."""
    name: Callable[[T], object]
    """What tells an item from the others; None: it has no name, and counts each time."""
    limit: int | None
    options: CallOptions

    def plan(self, shared: Shared, clock: Clock) -> Plan[list[T]]:
        until = _end(self.options, shared, clock)
        found: list[T] = []
        names: set[object] = set()
        previous: list[T] = []
        offset = 0
        while self.limit is None or len(found) < self.limit:
            page, total = yield from _until(self.ask(offset), until, clock).plan(shared, clock)
            fresh = [] if page == previous else [item for item in page if self.name(item) not in names]
            names.update(self.name(item) for item in fresh if self.name(item) is not None)
            found += fresh
            offset += len(page)
            previous = page
            if not fresh or (total is not None and offset >= total):
                break  # the end, or a server that answers every offset with the same page
        return found[: self.limit]


@dataclass(frozen=True, slots=True)
class UntilEnded:
    """A video job, asked for until it has ended in one of its three ways."""

    ask: Call[VideoJob]
    poll: float
    """Seconds between two looks."""
    on_update: Callable[[VideoJob], object] | None

    def plan(self, shared: Shared, clock: Clock) -> Plan[VideoJob]:
        until = _end(self.ask.options, shared, clock)
        shown: tuple[object, object] | None = None
        while True:
            job = yield from _until(self.ask, until, clock).plan(shared, clock)
            if self.on_update is not None and (job.status, job.progress) != shown:
                shown = job.status, job.progress
                self.on_update(job)
            if job.done:
                return job
            if until is not None and clock.now() + self.poll >= until:
                raise DeadlineExceededError(
                    f"the video job is not ended ({job.status}) and goes on at the server: ask for it again later",
                    code="timeout",
                    outcome="done",
                    request_id=job.job_id,
                )
            yield from sleep(self.poll)


def _end(options: CallOptions, shared: Shared, clock: Clock) -> float | None:
    seconds = options.deadline if options.deadline is not None else shared.settings.deadline
    return None if seconds is None else clock.now() + seconds


def _until(call: Call[T], until: float | None, clock: Clock) -> Call[T]:
    if until is None:
        return call
    return replace(call, options=replace(call.options, deadline=max(until - clock.now(), 0.0)))
