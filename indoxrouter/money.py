"""Amounts of money: read exactly, added exactly.

What passes `exact` has at most 60 digits and a size between 1e-60 and 1e60, so that a sum of any
number of them has far fewer digits than the sum's context keeps: no addition ever rounds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow, Subnormal, localcontext
from typing import NamedTuple

_AMOUNT = Context(prec=60, Emin=-60, Emax=60, traps=[Inexact, InvalidOperation, Overflow, Subnormal])
_SUM = Context(prec=1000, traps=[Inexact, InvalidOperation, Overflow, Subnormal])
"""Whatever has to be rounded is an error here, never a wrong sum."""

_WRITTEN = re.compile(r"[+-]?(?:[0-9]{1,120}(?:\.[0-9]{0,120})?|\.[0-9]{1,120})(?:[eE][+-]?[0-9]{1,9})?")


class Total(NamedTuple):
    """What is known of some amounts."""

    sum: Decimal
    unpriced: int
    """How many amounts are unknown: the sum says nothing of them."""


def total(amounts: Iterable[Decimal | None]) -> Total:
    """The exact sum of the known amounts; ArithmeticError where there is none."""
    given = list(amounts)
    known = [amount for amount in given if amount is not None]
    with localcontext(_SUM):
        added = sum(known, Decimal(0))
    if not added.is_finite():
        raise InvalidOperation("infinite amounts have no sum")
    return Total(added, len(given) - len(known))


def scaled(amount: Decimal, power: int) -> Decimal:
    """The amount times ten to that power, exactly, without idle zeros: 0.075, not 0.075000."""
    found = _SUM.normalize(_SUM.scaleb(amount, power))
    return _SUM.quantize(found, Decimal(1)) if found == _SUM.to_integral_value(found) else found


def exact(value: object) -> Decimal | None:
    """An amount as the wire gives it, in a number or as text; None where it gives none.

    What is there and is no amount is a ValueError, since as unknown it would hide money: booleans, NaN,
    Infinity, other text, more than 60 digits, sizes beyond 1e60 and 1e-60.
    """
    if type(value) is Decimal:
        found = value
    elif value is None:
        return None
    elif isinstance(value, str):
        if not (written := value.strip()):
            return None
        if not _WRITTEN.fullmatch(written):
            raise ValueError("not an amount")
        found = Decimal(written)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found = Decimal(value if isinstance(value, int) else repr(value))
    else:
        raise ValueError("not an amount")
    try:
        found = _AMOUNT.plus(found)
    except ArithmeticError:
        raise ValueError("an amount of an impossible size") from None
    if not found.is_finite():
        raise ValueError("not an amount")
    return found
