"""Numbers within a JSON schema's bounds."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

_GREATEST = 10**300  # beyond this no float holds the number


class RangeError(ValueError):
    """The bounds leave no number, or are none."""


@dataclass(frozen=True)
class Range:
    """A range whose ends may be open or missing, and the step that its numbers are multiples of."""

    low: Fraction | None
    high: Fraction | None
    low_open: bool
    high_open: bool
    step: Fraction | None

    @classmethod
    def of(cls, schema: dict[str, Any], *, whole: bool) -> "Range":
        low, low_open = _end(schema, "minimum", "exclusiveMinimum", max)
        high, high_open = _end(schema, "maximum", "exclusiveMaximum", min)
        step = _fraction(schema["multipleOf"]) if "multipleOf" in schema else None
        if step is not None and step <= 0:
            raise RangeError(f"multipleOf {float(step)} is not above 0")
        if whole:
            step = Fraction(1 if step is None else step.numerator)
        return cls(low, high, low_open, high_open, step)

    def number(self, index: int) -> int | float:
        """A number of the range; another index gives another one, as far as there are more."""
        found = self._multiple(self.step or Fraction(1), index, wrap=self.step is not None)
        if found is None and self.step is None and self.low is not None and self.high is not None:
            found = self._between(self.low, self.high, index)
        if found is None:
            raise RangeError("its bounds leave no number")
        return int(found) if found.denominator == 1 else float(found)

    def _multiple(self, step: Fraction, index: int, *, wrap: bool) -> Fraction | None:
        first = last = None
        if self.low is not None:
            first = math.ceil(self.low / step)
            first += self.low_open and first * step == self.low
        if self.high is not None:
            last = math.floor(self.high / step)
            last -= self.high_open and last * step == self.high
        if first is None:
            return (1 + index if last is None else min(1, last) - index) * step
        if last is None or first + index <= last:
            return (first + index) * step
        return (first + index % (last - first + 1)) * step if wrap and first <= last else None

    def _between(self, low: Fraction, high: Fraction, index: int) -> Fraction | None:
        if low < high:
            return low + (high - low) * (index + 1) / (index + 2)
        return low if low == high and not (self.low_open or self.high_open) else None


def _end(schema: dict[str, Any], inclusive: str, exclusive: str, narrower: Any) -> tuple[Fraction | None, bool]:
    """The narrower of two ends, and whether it is open; older drafts say so with a boolean."""
    end, other = schema.get(inclusive), schema.get(exclusive)
    if isinstance(other, bool):
        return (None if end is None else _fraction(end)), other
    ends = [(_fraction(value), is_open) for value, is_open in ((end, False), (other, True)) if value is not None]
    if not ends:
        return None, False
    narrowest = narrower(value for value, _ in ends)
    return narrowest, (narrowest, True) in ends


def _fraction(value: Any) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_GREATEST < value < _GREATEST:
        raise RangeError(f"{value!r} is no bound")
    return Fraction(str(value))
