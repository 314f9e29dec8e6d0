"""Jobs that take their time: they wait, are processed, and end by themselves or are cancelled."""

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

_MOST = 10_000  # jobs that are known; the oldest are forgotten first
_WAITING = 0.2  # the part of its time that a job waits
_FAILING = 0.5  # the part of it after which one fails that is to fail


@dataclass(eq=False)
class Job:
    """One job; `finish` makes its result, when it is completed and not before; `on_end` learns that it has ended."""

    seconds: float
    failure: str | None
    finish: Callable[[], dict[str, Any]] | None
    on_end: Callable[[], None]
    id: str = field(default_factory=lambda: "job_" + uuid.uuid4().hex)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    _started: float = field(default_factory=time.monotonic)
    _ended: str | None = None
    _progress: int = 0
    _result: dict[str, Any] | None = None

    def run(self) -> None:
        """Lets the job end when its time has come; what is shown of it meanwhile is told by the clock."""
        lasts = self.seconds * (1 if self.failure is None else _FAILING)
        asyncio.get_running_loop().call_later(lasts, self._end)

    def _end(self) -> None:
        if self.finish is None:
            return
        if self.failure is None:
            self._result = self.finish()
        self._close("completed" if self.failure is None else "failed")

    def cancel(self) -> bool:
        """Whether the job is cancelled now; one that has ended otherwise cannot be."""
        if self._ended is None:
            self._close("cancelled")
        return self._ended == "cancelled"

    def _close(self, status: str) -> None:
        self._progress = 100 if status == "completed" else self.progress
        self._ended = status
        self.finish = None  # with it goes what the result was made from
        self.on_end()

    @property
    def status(self) -> str:
        return self._ended or ("pending" if self._share < _WAITING else "processing")

    @property
    def progress(self) -> int:
        """Per cent; all of it only when there is a result."""
        if self._ended is not None:
            return self._progress
        return min(99, int(100 * (self._share - _WAITING) / (1 - _WAITING))) if self._share >= _WAITING else 0

    @property
    def _share(self) -> float:
        passed = time.monotonic() - self._started
        return min(1.0, passed / self.seconds) if self.seconds else 1.0

    def shape(self) -> dict[str, Any]:
        status = self.status
        return {
            "job_id": self.id,
            "status": status,
            "progress": self.progress,
            "result": self._result,
            "error": self.failure if status == "failed" else None,
            "created_at": self.created.isoformat(),
        }


class Jobs:
    """The jobs by their ids, the oldest first."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    def start(self, job: Job) -> None:
        self._jobs[job.id] = job
        if len(self._jobs) > _MOST:
            del self._jobs[next(iter(self._jobs))]
        job.run()

    def find(self, name: str) -> Job | None:
        return self._jobs.get(name)

    def page(self, skip: int, limit: int) -> list[Job]:
        """Some of the jobs, the newest first."""
        return list(reversed(self._jobs.values()))[skip : skip + limit]

    def __len__(self) -> int:
        return len(self._jobs)
