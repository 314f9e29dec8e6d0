"""How long this machine kept the tests waiting: on a busy one, a late end proves nothing about the client."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Self

_BEAT = 0.02
_USUAL = 0.005
_ELSEWHERE = f"""
import time
while True:
    due = time.monotonic() + {_BEAT}
    time.sleep({_BEAT})
    now = time.monotonic()
    print(now, now - due, flush=True)
"""


class _Beats:
    def __init__(self) -> None:
        self._came: deque[tuple[float, float]] = deque([(time.monotonic(), 0.0)], maxlen=6000)

    def add(self, now: float, late: float) -> None:
        self._came.append((now, late))

    def late(self, begun: float, ended: float) -> float:
        """By how much in all, between these moments; what is late now, too."""
        came = list(self._came)
        overdue = ended - came[-1][0] - _BEAT
        return sum(late for at, late in [*came, (ended, overdue)] if begun <= at <= ended + late and late > _USUAL)

    def wait_for(self, moment: float) -> None:
        end = time.monotonic() + 10
        while self._came[-1][0] < moment:
            assert time.monotonic() < end, "the pulse has stopped"
            time.sleep(_BEAT / 4)


class Stall:
    """What there was no time for, from one moment to another."""

    def __init__(self, elsewhere: _Beats) -> None:
        self._elsewhere = elsewhere
        self._begun = self._ended = time.monotonic()
        self.process = 0.0
        """Seconds that another thread was kept waiting, too: the rest of the test may be the cause, or the client."""

    def end(self, here: _Beats) -> None:
        self._ended = time.monotonic()
        self.process = here.late(self._begun, self._ended)

    def excuses(self, seconds: float) -> bool:
        """Whether another process was kept waiting for so long, too: the client can't be the cause of that."""
        if seconds > 0:
            self._elsewhere.wait_for(self._ended)
        return seconds <= 0 or seconds <= self._elsewhere.late(self._begun, self._ended)


class Pulse:
    """Two that want to run every 20 ms, and note by how much they came too late: a thread, and a process."""

    def __init__(self) -> None:
        self._here, self._there = _Beats(), _Beats()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._beat, self._listen)]

    def __enter__(self) -> Self:
        command = [sys.executable, "-I", "-S", "-c", _ELSEWHERE]
        self.elsewhere = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self.elsewhere.kill()
        self.elsewhere.wait()
        for thread in self._threads:
            thread.join()
        assert self.elsewhere.stdout is not None
        self.elsewhere.stdout.close()

    @contextlib.contextmanager
    def watching(self) -> Iterator[Stall]:
        """The stall is known at the end."""
        stall = Stall(self._there)
        yield stall
        stall.end(self._here)

    def _beat(self) -> None:
        while not self._stop.is_set():
            due = time.monotonic() + _BEAT
            time.sleep(_BEAT)
            now = time.monotonic()
            self._here.add(now, now - due)

    def _listen(self) -> None:
        assert self.elsewhere.stdout is not None
        for line in self.elsewhere.stdout:
            now, late = line.split()
            self._there.add(float(now), float(late))
