"""The documented import name: ``from indoxRouter import Client``. It makes itself the package."""

import sys

import indoxrouter
from indoxrouter import *  # noqa: F403 - so that type checkers see the names too

sys.modules[__name__] = indoxrouter
