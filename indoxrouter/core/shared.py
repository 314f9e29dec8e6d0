"""What all calls of one client have in common."""

from __future__ import annotations

from collections import Counter

from indoxrouter.config import Settings
from indoxrouter.core.login import Login
from indoxrouter.core.policy import RetryBucket


class Shared:
    """Its settings, its login, and what it has learned of its server."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.login = Login(settings.auto_refresh or settings.auth == "key")
        self.bucket = RetryBucket()
        self.known_keys = (settings.key,) if isinstance(settings.key, str) else ()
        """What is masked as the API key: of a function's, the last two that it returned."""
        self.possible_double_charges = 0
        """Paid requests that were repeated although the first may have been carried out."""
        self.refused_fields: set[str] = set()
        """Fields that only we ask for, and that this server does not take."""
        self.accepted_fields: set[str] = set()
        self.suspected_fields: Counter[str] = Counter()
        """How often a request was answered only without the field."""

    def current_key(self) -> str:
        """The API key; where it is a function, that is asked each time."""
        key = self.settings.current_key()
        if key not in self.known_keys:
            self.known_keys = (key, *self.known_keys[:1])
        return key

    def renew(self) -> None:
        """For a forked child."""
        self.login.renew()
        self.bucket.renew()
