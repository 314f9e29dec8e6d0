"""What a model of the catalogue costs: for tokens, or for an image, a minute, a second …"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from indoxrouter import money
from indoxrouter.wire.fields import mapping


class Prices(NamedTuple):
    """US dollars."""

    input_per_1k: Decimal | None
    output_per_1k: Decimal | None
    unit_price: Decimal | None
    unit: str | None


def prices(facts: Mapping[str, Any], *, media: bool) -> Prices:
    """The prices in an entry; `media`: it makes or hears images, speech or films.

    What is sold by the image or by the minute has 0 in its fields for tokens, which is no price. A `pricing`
    whose unit is missing or not known says nothing: it may be for one token or for a million of them.
    """
    pricing = mapping(facts.get("pricing"))
    power = _power(pricing.get("unit"))
    into = _per_1k(facts.get("inputPricePer1KTokens"), pricing.get("prompt"), power)
    out = _per_1k(facts.get("outputPricePer1KTokens"), pricing.get("completion"), power)
    price, unit = _of_a_unit(facts)
    if not into and not out and (media or price):
        into = out = None
    if not price and (into, out) != (None, None):
        price = unit = None  # a field that this model does not use
    return Prices(into, out, price, unit)


def _per_1k(per_1k: Any, price: Any, power: int | None) -> Decimal | None:
    if (found := _amount(per_1k)) is not None:
        return money.scaled(found, 0)
    found = _amount(price)
    return None if found is None or power is None else money.scaled(found, 3 - power)


def _amount(value: Any) -> Decimal | None:
    """0 or more; some catalogues write -1 for a price that changes."""
    try:
        found = money.exact(value)
    except ValueError:
        return None
    return None if found is None or found < 0 else found


def _power(unit: Any) -> int | None:
    """For how many tokens a price is, as a power of ten."""
    if type(unit) is int:
        unit = str(unit) if unit in (1, 1000, 1_000_000) else ""
    if not isinstance(unit, str) or len(unit) > _LONGEST:
        return None
    plain = re.sub(r"[\s_/,$-]+", "", unit.lower())
    return _POWERS.get(plain.removeprefix("usd").removeprefix("per"))


_LONGEST = 60
_POWERS: Mapping[str, int] = {
    "1": 0,
    "token": 0,
    "1token": 0,
    **{
        size + what: power
        for power, sizes in (
            (3, ("1k", "k", "1000", "thousand", "1thousand")),
            (6, ("1m", "m", "1000000", "million", "1million")),
        )
        for size in sizes
        for what in ("", "token", "tokens")
    },
}


def _of_a_unit(facts: Mapping[str, Any]) -> tuple[Decimal | None, str | None]:
    """The first `pricePer…` that is more than 0, else the first of them."""
    found = [
        (money.scaled(price, 0), unit)
        for name, value in facts.items()
        if (price := _amount(value)) is not None and (unit := _unit(name)) is not None
    ]
    return next((pair for pair in found if pair[0]), found[0] if found else (None, None))


def _unit(field: str) -> str | None:
    """`pricePer1KCharacters` is for "1K characters"."""
    match = re.fullmatch(r"[Pp]rice_?[Pp]er_?([A-Za-z0-9_]{1,40})", field)
    words = re.findall(r"[0-9]+[KkMm]?(?![a-z])|[A-Z]+(?![a-z])|[A-Z]?[a-z]+", match[1]) if match else []
    return " ".join(word.upper() if word[0].isdigit() else word.lower() for word in words) or None
