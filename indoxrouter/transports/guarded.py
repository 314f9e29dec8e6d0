"""Connections to public addresses alone, for URLs that come from a server."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any, ClassVar
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool

from indoxrouter.errors import ValidationError
from indoxrouter.transports.timed import HttpsPool, Timed, TimedAdapter

_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All that is given out of IPv6 for use on the internet (RFC 4291, 2.4; IANA's registry)."""
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv4 addresses as networks without IPv4 reach them (RFC 6052)."""


def is_public(address: str) -> bool:
    """Whether it is reached over the internet, rather than on this machine, its networks or by a multicast."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if found in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is None:
            return found in _UNICAST and found.is_global
        found = inner
    return found.is_global and not found.is_multicast


def check_host(url: str) -> None:
    """For a proxy that connects in our place: what its host is known as here must be public."""
    parts = urlsplit(url)
    try:
        addresses = socket.getaddrinfo(parts.hostname, parts.port or 443, 0, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return  # only the proxy knows the name
    _check(parts.hostname or "", addresses)


def _check(host: str, addresses: list[Any]) -> None:
    for *_, address in addresses:
        if not is_public(address[0]):
            raise ValidationError(
                f"nothing is fetched from {host}: its address is not a public one",
                code="private_address",
                outcome="not_sent",
            )


class _Guarded(Timed):
    """What its name resolves to is looked at between resolving and connecting: there is no second look-up."""

    def addresses(self: Any) -> list[Any]:
        found: list[Any] = super().addresses()
        _check(self.host, found)
        return found


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = type("GuardedHTTPConnection", (_Guarded, HTTPConnection), {})


class _HttpsPool(HttpsPool):
    ConnectionCls = type("GuardedHTTPSConnection", (_Guarded, HTTPSConnection), {})


class GuardedAdapter(TimedAdapter):
    pools: ClassVar[dict[str, type[HTTPConnectionPool]]] = {"http": _HttpPool, "https": _HttpsPool}
