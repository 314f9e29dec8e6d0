"""What comes in pieces: each costs its own size, and only a look at the whole costs that whole.

One thread adds; any may look meanwhile. Those never touch the pieces, and what they remember is put in
place as one object, so that of two looks at once it is no matter whose is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Text:
    """A text in pieces."""

    __slots__ = ("_joined", "_pieces")

    def __init__(self, first: str = "") -> None:
        self._pieces = [first]
        self._joined = (0, "")
        """How many of the pieces, and their text."""

    def add(self, piece: str) -> None:
        self._pieces.append(piece)

    @property
    def whole(self) -> str:
        count, text = self._joined
        if fresh := self._pieces[count:]:
            count, text = count + len(fresh), text + "".join(fresh)
            self._joined = count, text
        return text


class Object:
    """A JSON object in pieces: texts and lists in it grow, objects are folded in turn, the rest is replaced."""

    __slots__ = ("_fields", "_levels")

    def __init__(self, levels: int = 8) -> None:
        """`levels`: how deep objects come in pieces; deeper ones come whole."""
        self._fields: dict[str, Any] = {}
        self._levels = levels

    def __bool__(self) -> bool:
        return bool(self._fields)

    def add(self, piece: Mapping[str, Any]) -> None:
        for name, value in piece.items():
            there = self._fields.get(name)
            if isinstance(value, list) and isinstance(there, list):
                there.extend(value)
            elif isinstance(value, list):
                self._fields[name] = list(value)
            elif isinstance(value, dict) and self._levels:
                if not isinstance(there, Object):
                    there = self._fields[name] = Object(self._levels - 1)
                there.add(value)
            elif isinstance(value, str) and isinstance(there, Text):
                there.add(value)
            elif isinstance(value, str):
                self._fields[name] = Text(value)
            elif value is not None:
                self._fields[name] = value

    @property
    def whole(self) -> dict[str, Any]:
        return {name: joined(value) for name, value in self._fields.copy().items()}


def joined(value: Any) -> Any:
    return value.whole if isinstance(value, Text | Object) else value
