"""Calls that are several requests, one after the other under one deadline: days, pages, waiting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from indoxrouter.core.plan import Call
from indoxrouter.core.policy import FINAL_CODES, Clock
from indoxrouter.core.shared import Shared
from indoxrouter.core.steps import Plan, sleep
from indoxrouter.errors import APIError, DeadlineExceededError, IndoxRouterError, NetworkError
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
        again = offset = 0
        while self.limit is None or len(found) < self.limit:
            page, total = yield from _until(self.ask(offset), until, clock).plan(shared, clock)
            offset += len(page)
            if total is not None and total < offset:
                total = None  # of something else than this list: it is shorter than what has come
            again = again + 1 if page == previous else 0
            if not page or (again and total is None):
                break
            if again == REPEATS and total is not None:
                raise _repeated(len(found), total)
            fresh = [item for item in page if self.name(item) not in names]
            names.update(self.name(item) for item in fresh if self.name(item) is not None)
            found += fresh
            previous = page
            if offset == total or (not fresh and total is None):
                break
        return found[: self.limit]


REPEATS = 3
"""Repeated pages in a row: fewer may come about where items are added meanwhile."""


def _repeated(came: int, total: int) -> NetworkError:
    return NetworkError(
        f"the list is cut: the server counts {total} items, but repeats the first {came} on every page",
        code="truncated",
        outcome="done",
    )


LOOKS = 5
"""How many looks in a row may fail before waiting for a job does."""
LAST_LOOK = 0.5
"""Seconds before the deadline (a tenth of short ones) at which the job is looked at for the last time."""


@dataclass(frozen=True, slots=True)
class UntilEnded:
    """A video job, asked for until it has ended in one of its three ways."""

    ask: Call[VideoJob]
    poll: float
    """Seconds between two looks."""
    on_update: Callable[[VideoJob], object] | None

    def plan(self, shared: Shared, clock: Clock) -> Plan[VideoJob]:
        until = _end(self.ask.options, shared, clock)
        last = None if until is None else until - min(LAST_LOOK, (until - clock.now()) / 10)
        shown: tuple[object, object] | None = None
        failed = 0
        while True:
            try:
                job = yield from _until(self.ask, until, clock).plan(shared, clock)
            except IndoxRouterError as error:
                failed += 1
                final = error.code in FINAL_CODES or isinstance(error, DeadlineExceededError)
                passing = error.retryable or (error.outcome == "not_sent" and isinstance(error, NetworkError))
                if failed == LOOKS or final or not passing or (last is not None and clock.now() >= last):
                    raise
                yield from self._pause(last, clock)
                continue
            failed = 0
            if self.on_update is not None and (job.status, job.progress) != shown:
                shown = job.status, job.progress
                self.on_update(job)
            if job.done:
                return job
            if job.status is None:
                raise APIError("the video job has no status: there is nothing to wait for", outcome="done")
            if last is not None and clock.now() >= last:
                raise DeadlineExceededError(
                    f"the video job is not ended ({job.status}) and goes on at the server: ask for it again later",
                    code="timeout",
                    outcome="done",
                    request_id=job.job_id,
                )
            yield from self._pause(last, clock)

    def _pause(self, last: float | None, clock: Clock) -> Plan[None]:
        seconds = self.poll if last is None else min(self.poll, max(last - clock.now(), 0.0))
        yield from sleep(seconds, "the job has not ended")


def _end(options: CallOptions, shared: Shared, clock: Clock) -> float | None:
    seconds = options.deadline if options.deadline is not None else shared.settings.deadline
    return None if seconds is None else clock.now() + seconds


def _until(call: Call[T], until: float | None, clock: Clock) -> Call[T]:
    if until is None:
        return call
    return replace(call, options=replace(call.options, deadline=max(until - clock.now(), 0.0)))
