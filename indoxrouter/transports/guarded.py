"""Connections to public addresses alone, and to servers that prove their names, for URLs that come from a server."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import urlsplit

import requests
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.util.ssl_ import create_urllib3_context

from indoxrouter.config import Settings
from indoxrouter.errors import NetworkError, ValidationError
from indoxrouter.transports.failures import Route
from indoxrouter.transports.timed import HttpsPool, Timed, TimedAdapter
from indoxrouter.transports.with_requests import Transport

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


class _TrustingAdapter(TimedAdapter):
    """Trusts the public authorities; and beside them, those that the client's `verify` names."""

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        super().cert_verify(conn, url, verify, cert)
        if isinstance(verify, str) and conn.scheme == "https":
            context = create_urllib3_context()
            context.load_verify_locations(requests.utils.DEFAULT_CA_BUNDLE_PATH)
            conn.conn_kw["ssl_context"] = context  # to which urllib3 adds what `verify` names


class _GuardedAdapter(_TrustingAdapter):
    pools: ClassVar[dict[str, type[HTTPConnectionPool]]] = {"http": _HttpPool, "https": _HttpsPool}


class _Route(Route):
    """To a host that a server named: what the caller can do is something else than for base_url's."""

    def refused_certificate(self, error: ssl.SSLCertVerificationError) -> NetworkError:
        reason = getattr(error, "verify_message", "") or "it could not be verified"
        return NetworkError(
            f"the certificate of the host that the answer names was refused ({reason.rstrip('.')}), so the file is not "
            "fetched: trusted are the public authorities and one that verify= or SSL_CERT_FILE names the PEM file of, "
            "and verify=False holds for base_url alone",
            code="certificate",
            outcome="not_sent",
        )


class Elsewhere(Transport):
    """Leads to where a server's URL points, if that is public and proves its name, whatever `verify` says."""

    def __init__(self, settings: Settings, url: str) -> None:
        proxy = settings.proxy_for(url)
        if proxy:
            check_host(url)
        adapter = _TrustingAdapter if proxy else _GuardedAdapter
        super().__init__(replace(settings, verify=settings.verify or True), url, adapter)
        self._route = _Route.by(proxy)
