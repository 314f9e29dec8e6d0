"""Bytes out, bytes in."""

from indoxrouter.errors import NetworkError

IDLE_LIMIT = 30.0
"""Seconds after which an idle connection is not used again: a server may just be closing it."""


def closed(sent: bool) -> NetworkError:
    """What a call ends with whose client was closed, from another thread or task, before its answer came."""
    return NetworkError(
        "the client was closed before the answer came", code="closed", outcome="unknown" if sent else "not_sent"
    )
