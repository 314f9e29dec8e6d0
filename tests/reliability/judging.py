"""How a cell went, and what is wrong with that."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from indoxrouter import APIError, IndoxRouterError

from .canaries import Secrets, leaks_of, leaks_of_objects
from .faultserver import Case, FaultServer
from .methods import Method
from .pulse import Stall
from .verdicts import Course, Fault, Verdict

DEADLINE = 0.8
"""Seconds for a call that only a limit ends."""
TIMEOUT = 0.5
"""Seconds for an attempt that only a limit ends, where the call has time for another."""
AMPLE = 60.0
"""Seconds for a call that ends by itself."""
MARGIN = 0.5
BUSY = 0.1
"""Seconds that a cell is kept waiting by the machine, from which on it is worth another try."""


@dataclass(frozen=True)
class Cell:
    fault: Fault
    method: Method
    verdicts: tuple[Verdict, ...]
    reused: bool
    asynchronous: bool
    once: bool
    """Whether only the first request meets the fault."""

    @property
    def retries(self) -> int:
        """Two where the rules allow but one: a paid call that may have been carried out."""
        return 2 if self.method.paid and any(one.outcome == "unknown" for one in self.verdicts) else 1

    @property
    def sampled(self) -> bool:
        """One half of all: from method to method, the clients change their places with the connections."""
        fault = self.fault
        if fault.between or fault.refuses or fault.door:
            return True
        return (zlib.crc32(f"{fault.name} {self.method.name}".encode()) + self.reused + self.asynchronous) % 2 == 0

    def __str__(self) -> str:
        parts = (self.fault.name, self.method.name, "reused" if self.reused else "new")
        return "/".join((*parts, "async" if self.asynchronous else "sync", "once" if self.once else "always"))


@dataclass
class Run:
    """How a cell went."""

    cell: Cell
    client: Any
    case: Case
    secrets: Secrets
    problems: list[str] = field(default_factory=list)
    untimely: list[str] = field(default_factory=list)
    """Problems that a machine too busy to keep limits of less than a second may have made."""
    answer: Any = None
    error: BaseException | None = None
    stream: Any = None
    seconds: float = 0.0
    stall: Stall | None = None

    def expect(self, true: object, problem: str, *, in_time: bool = False) -> None:
        """Whether limits kept `in_time` decide it."""
        if not true:
            busy = self.stall is not None and self.stall.process > BUSY
            kept = self.untimely if in_time and self.cell.fault.hangs and busy else self.problems
            kept.append(f"{self.cell}: {problem}")

    def expect_end_within(self, limit: float) -> None:
        assert self.stall is not None
        in_time = self.stall.excuses(self.seconds - limit - MARGIN)
        self.expect(in_time, f"took {self.seconds:.2f} s with a deadline of {limit} s", in_time=True)


def judge(one: Run, nonce: str, seen: list[Any], dues: list[Course], server: FaultServer) -> None:
    cell, error = one.cell, one.error
    limit = DEADLINE if cell.fault.hangs and not cell.once else AMPLE
    one.expect_end_within(limit)
    if isinstance(error, IndoxRouterError):
        one.problems += [f"{cell}: leaked in {leak}" for leak in leaks_of(error)]
    if one.stream is not None:
        one.problems += [f"{cell}: leaked in {leak}" for leak in leaks_of_objects(one.stream)]
    got = _as_course(one)
    known = got[2] is not None
    expected = [_told(due, known) for due in dues]
    one.expect(got in expected, f"went {got} ({error}), but due was {expected[0]}", in_time=True)
    if error is None:
        due = cell.method.due(one.secrets, nonce)
        if not any(due.last.empty for due in dues):
            one.expect(cell.method.quoted(one.answer) == due, f"got the wrong answer {one.answer!r:.100}")
        ids = {getattr(item, "request_id", None) for item in (one.answer, one.stream)} - {None}
        one.expect(ids == ({f"req-{nonce}"} if cell.method.paid else set()), f"the answer's request_id: {ids}")
    elif isinstance(error, IndoxRouterError):
        _judge_error(one, error, nonce, {item.headers.get("x-client-request-id") for item in seen})
    attempts = {len(got[2])} if known else {len(due.outcomes) for due in dues}
    if not (cell.fault.refuses or cell.fault.door):
        one.expect(len(seen) in attempts, f"{len(seen)} requests arrived for {attempts} attempts", in_time=True)
    one.problems += [f"{cell}: {problem}" for problem in _charges(one, seen, server)]


def _told(due: Course, known: bool) -> tuple[Any, ...]:
    """What can be seen of a course from outside; some answers don't tell their attempts."""
    last = due.last
    outcomes = due.outcomes if known else None
    certainty = ("not_sent", "rejected", "unknown")
    outcome = last.outcome if last.outcome == "done" else max(due.outcomes, key=certainty.index)
    return (last.error and last.error.__name__, outcome, outcomes, due.repeats, last.midway, last.status)


def _as_course(one: Run) -> tuple[Any, ...]:
    """The same of what happened."""
    error, answer, stream = one.error, one.answer, one.stream
    repeats, state = one.client.possible_double_charges, None if stream is None else stream.state
    if error is None:
        attempts = getattr(answer if stream is None else stream, "attempts", None)
        outcomes = None if attempts is None else tuple(attempt.outcome for attempt in attempts)
        return (None, "done", outcomes, repeats, None if state == "complete" else state, None)
    if not isinstance(error, IndoxRouterError):
        return (type(error).__name__, None, (), repeats, state, None)
    status = error.status_code if isinstance(error, APIError) else None
    return (
        type(error).__name__,
        error.outcome,
        tuple(attempt.outcome for attempt in error.attempts),
        repeats,
        state,
        status,
    )


def _judge_error(one: Run, error: IndoxRouterError, nonce: str, sent_ids: set[Any]) -> None:
    answered = isinstance(error, APIError) or one.stream is not None
    ids = {f"req-{nonce}", *([] if answered else [error.client_request_id])}
    one.expect(error.request_id in ids, f"the error's request_id: {error.request_id}")
    one.expect(error.client_request_id, "no client_request_id")
    one.expect(sent_ids <= {error.client_request_id}, "another client_request_id was sent")
    waits = [attempt.wait for attempt in error.attempts]
    one.expect(not waits or waits[-1] is None, f"a wait after the last attempt: {waits}")
    if one.stream is not None:
        one.expect(error.partial == one.stream.text, "the error's partial text is not the stream's")
        one.expect(one.stream.attempts == error.attempts, "the stream's attempts are not the error's")
        one.expect(not error.retryable, "a stream that had begun can't be repeated")


def _charges(one: Run, seen: list[Any], server: FaultServer) -> Iterator[str]:
    """Nothing is sent again that must not be, nor under another key."""
    method = one.cell.method
    if not method.paid:
        return
    keys = {item.headers.get("idempotency-key") for item in seen}
    if len(keys) > 1 or (seen and None in keys):
        yield f"{len(keys)} idempotency keys for one call"
    done = server.ledger.carried_out(one.case.name)
    most = max((count for key, count in done.items() if key in keys), default=0)
    if most > (2 if method.repeatable else 1):
        yield f"one request was carried out {most} times"
