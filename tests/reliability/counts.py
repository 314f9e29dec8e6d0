"""What the proof has run, for the line at the end."""

from __future__ import annotations

from collections import Counter

RUN: Counter[str] = Counter()


def line() -> str:
    return "reliability: " + ", ".join(f"{count:,} {what}" for what, count in RUN.items())
