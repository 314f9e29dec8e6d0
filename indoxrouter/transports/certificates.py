"""What is said of a certificate that was refused: such a server is not asked again."""

from __future__ import annotations

import ssl

from indoxrouter.errors import NetworkError

_NOT_NOW = frozenset({9, 10})
"""OpenSSL's numbers of not yet valid and expired."""
_ANOTHER_NAME = frozenset({62, 64})
"""OpenSSL's numbers of another host's name and of another address."""
_CLOCK = "the server needs a valid one, unless the clock of this machine is wrong"
_NAME = "is the host in base_url right?"
_AUTHORITY = (
    "if you trust the authority that issued it, pass verify= the path of that authority's PEM file, "
    "or name it in SSL_CERT_FILE"
)


def refused(error: ssl.SSLCertVerificationError) -> NetworkError:
    reason = getattr(error, "verify_message", "") or "it could not be verified"
    number = getattr(error, "verify_code", 0)
    advice = _CLOCK if number in _NOT_NOW else _NAME if number in _ANOTHER_NAME else _AUTHORITY
    return NetworkError(
        f"the server's certificate was refused ({reason.rstrip('.')}): {advice}", code="certificate", outcome="not_sent"
    )
