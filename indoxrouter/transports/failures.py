"""What is said of a connection that failed, and what that means for the request: the same for both libraries."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from indoxrouter.errors import NetworkError, RequestTimeoutError

_NOT_NOW = frozenset({9, 10})
"""OpenSSL's numbers of not yet valid and expired."""
_ANOTHER_NAME = frozenset({62, 64})
"""OpenSSL's numbers of another host's name and of another address."""
NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"})
"""OpenSSL's reasons where what comes is no TLS, but perhaps an answer in plain http."""
_CLOCK = "the server needs a valid one, unless the clock of this machine is wrong"
_NAME = "is the host in base_url right?"
_AUTHORITY = (
    "if you trust the authority that issued it, pass verify= the path of that authority's PEM file, "
    "or name it in SSL_CERT_FILE"
)


@dataclass(frozen=True, slots=True)
class Route:
    """Which way the connections of a transport go."""

    through: str = ""
    """The proxy's scheme, host and port; empty: there is none."""

    @classmethod
    def by(cls, proxy: str | None) -> Route:
        parts = urlsplit(proxy or "")
        return cls(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if proxy else "")

    def late(self, sent: bool) -> RequestTimeoutError:
        what = "no answer in time" if sent else f"no connection{self._by_proxy} in time"
        return RequestTimeoutError(what, code="timeout", outcome="unknown" if sent else "not_sent")

    def broken(self, sent: bool, reason: str) -> NetworkError:
        what = "the connection broke before the answer was complete" if sent else f"no connection{self._by_proxy}"
        return NetworkError(f"{what} ({reason})", outcome="unknown" if sent else "not_sent")

    def refused_by_proxy(self, status: int) -> NetworkError:
        """The proxy's own words may repeat what it was sent."""
        if status == 407:
            return NetworkError(
                f"the proxy {self.through} answered 407: is there a right user:password@ in its URL?",
                code="proxy_authentication",
                outcome="not_sent",
            )
        return NetworkError(
            f"the proxy {self.through} answered {status}, so there is no connection", outcome="not_sent"
        )

    def no_tls(self) -> NetworkError:
        return NetworkError(
            f"no connection{self._by_proxy} (what answers there speaks no TLS): is it plain http? is base_url right?",
            code="no_tls",
            outcome="not_sent",
        )

    def refused_certificate(self, error: ssl.SSLCertVerificationError) -> NetworkError:
        reason = getattr(error, "verify_message", "") or "it could not be verified"
        number = getattr(error, "verify_code", 0)
        advice = _CLOCK if number in _NOT_NOW else _NAME if number in _ANOTHER_NAME else _AUTHORITY
        whose = (
            f"the server's certificate, or that of the proxy {self.through},"
            if self._tls
            else "the server's certificate"
        )
        return NetworkError(
            f"{whose} was refused ({reason.rstrip('.')}): {advice}", code="certificate", outcome="not_sent"
        )

    @property
    def _by_proxy(self) -> str:
        return f" by the proxy {self.through}" if self.through else ""

    @property
    def _tls(self) -> bool:
        return self.through.startswith("https:")
