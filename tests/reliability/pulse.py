"""How long this machine kept the tests waiting: on a busy one, a late end proves nothing about the client."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_BEAT = 0.02


@dataclass
class Stall:
    seconds: float = 0.0


class Pulse:
    """A thread that wants to run every 20 ms, and notes by how much it came too late."""

    def __init__(self) -> None:
        self._late: deque[tuple[float, float]] = deque(maxlen=3000)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    @contextlib.contextmanager
    def watching(self) -> Iterator[Stall]:
        """How long this thread was kept waiting in all while in here, known at the end."""
        begun, stall = time.monotonic(), Stall()
        yield stall
        stall.seconds = sum(late for at, late in list(self._late) if at >= begun and late > 0.005)

    def _beat(self) -> None:
        while not self._stop.is_set():
            due = time.monotonic() + _BEAT
            time.sleep(_BEAT)
            now = time.monotonic()
            self._late.append((now, now - due))
