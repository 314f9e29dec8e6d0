"""What the rules make of an attempt that met a fault, and of the call it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from raw_server import End

from indoxrouter.core.assembly import State
from indoxrouter.errors import (
    DeadlineExceededError,
    IndoxRouterError,
    NetworkError,
    Outcome,
    RequestTimeoutError,
    StreamError,
)

from .exchange import Script
from .methods import Method


@dataclass(frozen=True)
class Verdict:
    """How one attempt ends."""

    error: type[IndoxRouterError] | None = None
    """Exactly this class; None: the right answer."""
    outcome: Outcome = "done"
    again: bool = False
    """Whether another try may end otherwise."""
    status: int | None = None
    midway: State | None = None
    """The state of a stream that broke after its first event: it is never tried again."""
    empty: bool = False
    """Whether the right answer is one that quotes nothing, because there is nothing in it."""


RIGHT = Verdict()
NO_ANSWER = Verdict(NetworkError, "unknown", again=True)
"""The connection ended, or spoke no HTTP, before there was an answer."""
NOT_SENT = Verdict(NetworkError, "not_sent", again=True)
CUT = Verdict(NetworkError, "unknown", again=True)
CUT_STREAM = Verdict(StreamError, "unknown", again=True)
"""Before its first event."""
CUT_MIDWAY = Verdict(StreamError, "unknown", midway="truncated")
FAILED_MIDWAY = Verdict(StreamError, "unknown", midway="failed")
LATE = Verdict(DeadlineExceededError, "unknown")
LATE_MIDWAY = Verdict(DeadlineExceededError, "unknown", midway="failed")
BROKEN = Verdict(NetworkError, "unknown")
"""What the same request would meet again."""

Judge = Callable[[Method], "Verdict | tuple[Verdict, ...]"]
"""The verdict for a method; several where the rules leave it open, of which a right answer may be one."""


def always(*verdicts: Verdict) -> Judge:
    return lambda _: verdicts


def by_form(whole: Verdict, stream: Verdict) -> Judge:
    return lambda method: stream if method.stream else whole


@dataclass(frozen=True)
class Fault:
    """A way for an exchange to go wrong, or right in an unusual form."""

    name: str
    script: Script
    judge: Judge = field(default_factory=lambda: always(RIGHT))
    hangs: bool = False
    """Whether only a limit ends it."""
    methods: Callable[[Method], bool] = lambda _: True
    between: bool = False
    """Whether it comes after a good answer, and is met by the call after that."""
    refuses: bool = False
    """Whether it is that nobody listens."""
    door: End | None = None
    """What becomes of a connection before anything is read."""

    def verdicts(self, method: Method) -> tuple[Verdict, ...]:
        found = self.judge(method)
        return found if isinstance(found, tuple) else (found,)


@dataclass(frozen=True)
class Course:
    """How a whole call goes."""

    last: Verdict
    outcomes: tuple[Outcome, ...]
    repeats: int
    """Paid requests that go out again although they may have been carried out."""


def courses(method: Method, verdicts: Sequence[Verdict], times: int, retries: int) -> Iterator[Course]:
    """What may become of a call whose first requests meet the fault: one course for each way that these may end."""
    for met in product(verdicts, repeat=min(times, retries + 2)):
        yield course(method, [*met, *[met[-1] if times > len(met) else RIGHT] * (retries + 2)], retries)


def course(method: Method, ahead: Sequence[Verdict], retries: int) -> Course:
    """Retry, go from path to path and log in again as the rules say, through what lies ahead."""
    outcomes: list[Outcome] = []
    repeats, logins, paths = 0, 0, 1
    while True:
        now = ahead[len(outcomes)]
        outcomes.append(now.outcome)
        if now.error is None or now.midway is not None:
            return Course(now, tuple(outcomes), repeats)
        if now.status == 401 and logins < method.fresh_tokens:
            logins += 1
        elif now.status == 404 and paths < method.paths:
            paths += 1
        elif retries and _may_repeat(method, now, repeats):
            retries -= 1
            repeats += now.outcome == "unknown" and method.paid
        else:
            return Course(now, tuple(outcomes), repeats)


def _may_repeat(method: Method, verdict: Verdict, repeats: int) -> bool:
    if verdict.outcome == "not_sent":
        return True
    if not verdict.again:
        return False
    return verdict.outcome == "rejected" or not method.paid or (method.repeatable and repeats == 0)


def with_timeout(verdict: Verdict) -> Verdict:
    """The same where it is not the call's deadline that ends the attempt, but the attempt's own limit."""
    return replace(verdict, error=RequestTimeoutError, again=verdict.midway is None)
