from indoxrouter import *  # noqa: F403 - the same names
