"""The steps of plans that both drivers carry out alike: none of them waits for anybody."""

from __future__ import annotations

import logging
import traceback
from typing import Any

from indoxrouter.aside import Aside
from indoxrouter.config import Settings
from indoxrouter.core.steps import Errand, LoadToken, Notify, Recall, Remember, SaveToken, Tell
from indoxrouter.events import CallEvent

log = logging.getLogger("indoxrouter")


class Errands:
    """The surroundings of one client: its cache, its `on_event`, requests on the side."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._aside = Aside(settings)

    def carry_out(self, step: Errand) -> Any:
        match step:
            case Notify():
                return self._aside.send(step.request, step.seconds)
            case Tell():
                return self._tell(step.event)
            case Recall():
                return self._recall(step.key)
            case Remember():
                return self._remember(step.key, step.value)
            case LoadToken():
                return step.tokens.read()
            case SaveToken():
                return step.tokens.write(step.text)

    def _tell(self, event: CallEvent) -> None:
        try:
            if self._settings.on_event is not None:
                self._settings.on_event(event)
        except Exception as error:  # noqa: BLE001 - the caller's own function: its failures cost no answer
            log.warning("on_event failed: %s in %s", type(error).__name__, _place(error))

    def _recall(self, key: str) -> Any:
        try:
            return self._settings.cache.get(key) if self._settings.cache is not None else None
        except Exception as error:  # noqa: BLE001 - a mapping of the caller's: its failures cost no answer
            log.warning("the cache can't be read: %s", type(error).__name__)
            return None

    def _remember(self, key: str, value: str) -> None:
        try:
            if self._settings.cache is not None:
                self._settings.cache[key] = value
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("the cache can't be written: %s", type(error).__name__)


def _place(error: Exception) -> str:
    """The file and line that raised it; its text may hold what is secret."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"
