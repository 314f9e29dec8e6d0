"""A forked child drops what belongs to its parent: connections, locks that may be held, threads."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Renewable(Protocol):
    def renew(self) -> object:
        """Replace it all; returns what must neither be used nor closed here: it is the parent's."""


_alive: weakref.WeakSet[Renewable] = weakref.WeakSet()
_parents: list[object] = []


def renew_in_children(what: Renewable) -> None:
    """From now on, as long as it lives."""
    _alive.add(what)


def _renew_all() -> None:
    _parents.extend(what.renew() for what in list(_alive))


if hasattr(os, "register_at_fork"):  # there is no fork elsewhere
    os.register_at_fork(after_in_child=_renew_all)
