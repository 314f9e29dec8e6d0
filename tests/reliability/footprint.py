"""What a process holds: descriptors, threads, memory; and what goes wrong where nobody looks."""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

_PAGE = os.sysconf("SC_PAGESIZE")


class Footprint(NamedTuple):
    descriptors: int
    threads: int
    memory: int
    """Resident bytes."""

    @classmethod
    def now(cls) -> Footprint:
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[1])
        return cls(len(os.listdir("/proc/self/fd")), threading.active_count(), pages * _PAGE)

    def like(self, other: Footprint) -> bool:
        """Whether neither descriptors nor threads have come to more, or fewer, by over two."""
        return abs(self.descriptors - other.descriptors) <= 2 and abs(self.threads - other.threads) <= 2


def settled_footprint(like: Footprint | None = None, seconds: float = 10.0) -> Footprint:
    """Once what is ending has ended: threads of stops, connections that the collector closes."""
    end = time.monotonic() + seconds
    gc.collect()
    found, before = Footprint.now(), None
    while time.monotonic() < end and not (found.like(like) if like else found[:2] == before):
        before = found[:2]
        time.sleep(0.3)
        gc.collect()
        found = Footprint.now()
    return found


@dataclass
class Silent:
    """What is told to nobody in particular."""

    unraisable: list[str] = field(default_factory=list)
    """Exceptions in finalizers, in threads, in callbacks of event loops."""
    warnings: list[str] = field(default_factory=list)
    """Records of any logger, from WARNING on."""

    @property
    def all(self) -> list[str]:
        return self.unraisable + self.warnings

    def of_loop(self, _: Any, context: dict[str, Any]) -> None:
        self.unraisable.append(f"event loop: {context.get('message')} {context.get('exception')!r}")


@contextmanager
def listening() -> Iterator[Silent]:
    found = Silent()

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.warnings.append(f"{record.name}: {record.getMessage()}")

    ear, old = Ear(logging.WARNING), (sys.unraisablehook, threading.excepthook)
    sys.unraisablehook = lambda args: found.unraisable.append(f"{args.exc_value!r} in {args.object!r}")
    threading.excepthook = lambda args: found.unraisable.append(f"{args.exc_value!r} in {args.thread!r}")
    logging.getLogger().addHandler(ear)
    try:
        yield found
        gc.collect()
    finally:
        sys.unraisablehook, threading.excepthook = old
        logging.getLogger().removeHandler(ear)
