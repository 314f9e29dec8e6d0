"""The published package's name for `indoxrouter.errors`."""

from indoxrouter.errors import *  # noqa: F403 - one tree under two names
