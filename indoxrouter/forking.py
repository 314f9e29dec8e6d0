"""A forked child drops what belongs to its parent: connections, locks that may be held, threads."""

from __future__ import annotations

import logging
import os
import weakref
from typing import Protocol

log = logging.getLogger("indoxrouter")


class Renewable(Protocol):
    def renew(self) -> object:
        """Replace it all; returns what must neither be used nor closed here: it is the parent's."""


_alive: weakref.WeakSet[Renewable] = weakref.WeakSet()
_parents: list[object] = []


def renew_in_children(what: Renewable) -> None:
    """From now on, as long as it lives."""
    _alive.add(what)


def _renew_all() -> None:
    for what in list(_alive):
        try:
            _parents.append(what.renew())
        except Exception as error:  # noqa: BLE001 - one that fails keeps no other from its renewal
            log.warning("a client can't be used in this forked process: %s", type(error).__name__)


if hasattr(os, "register_at_fork"):  # there is no fork elsewhere
    os.register_at_fork(after_in_child=_renew_all)
