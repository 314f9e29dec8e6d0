"""What excuses a late end: that the machine had no time, and never that this process took all of it."""

from __future__ import annotations

import signal
import time

from .pulse import Pulse


def test_a_process_that_is_busy_excuses_nothing(pulse: Pulse) -> None:
    with pulse.watching() as stall:
        sum(range(50_000_000))  # lets no other thread run
    assert stall.process > 0.2
    assert not stall.excuses(stall.process)


def test_a_machine_that_is_busy_excuses_what_it_took(pulse: Pulse) -> None:
    with pulse.watching() as stall:
        pulse.elsewhere.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        pulse.elsewhere.send_signal(signal.SIGCONT)
    assert stall.excuses(0.3)
    assert not stall.excuses(10)
    assert stall.excuses(-1)
