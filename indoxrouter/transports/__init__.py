"""Bytes out, bytes in."""

IDLE_LIMIT = 30.0
"""Seconds after which an idle connection is not used again: a server may just be closing it."""
