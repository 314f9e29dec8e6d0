"""Certificates as files: good ones, and one for each way of being bad."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import trustme

_NOW = datetime.datetime.now(datetime.UTC)
_DAY = datetime.timedelta(days=1)


class Pair(NamedTuple):
    """What a sandbox is given."""

    certificate: Path
    private_key: Path


class Certificates:
    """An authority of the tests' own, what it issues, and what others issue."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.authority = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(str(self.authority))

    def good(self, *names: str) -> Pair:
        return self._written("good", self._authority.issue_cert(*(names or ("127.0.0.1",))))

    def serving(self, name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(name).configure_cert(context)
        return context

    def self_signed(self) -> Pair:
        own = trustme.CA()
        return self._saved("self-signed", own.cert_pem, own.private_key_pem)

    def of_another_authority(self) -> Pair:
        return self._written("unknown", trustme.CA().issue_cert("127.0.0.1"))

    def of_another_address(self) -> Pair:
        return self._written("address", self._authority.issue_cert("127.0.0.2", "router.example"))

    def expired(self) -> Pair:
        leaf = self._authority.issue_cert("127.0.0.1", not_before=_NOW - 9 * _DAY, not_after=_NOW - _DAY)
        return self._written("expired", leaf)

    def not_yet_valid(self) -> Pair:
        leaf = self._authority.issue_cert("127.0.0.1", not_before=_NOW + _DAY, not_after=_NOW + 9 * _DAY)
        return self._written("early", leaf)

    def _written(self, name: str, leaf: trustme.LeafCert) -> Pair:
        chain = trustme.Blob(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        return self._saved(name, chain, leaf.private_key_pem)

    def _saved(self, name: str, certificate: trustme.Blob, key: trustme.Blob) -> Pair:
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        certificate.write_to_path(str(pair.certificate))
        key.write_to_path(str(pair.private_key))
        return pair


class Bad(NamedTuple):
    """A certificate that must be refused, and what is said of it."""

    make: Callable[[Certificates], Pair]
    reason: str
    advice: str
    """A part of it."""


BAD = {
    "self-signed": Bad(Certificates.self_signed, "self-signed certificate", "pass verify="),
    "unknown authority": Bad(
        Certificates.of_another_authority, "unable to get local issuer certificate", "pass verify="
    ),
    "another address": Bad(Certificates.of_another_address, "not valid for '127.0.0.1'", "the host in base_url"),
    "expired": Bad(Certificates.expired, "certificate has expired", "clock"),
    "not yet valid": Bad(Certificates.not_yet_valid, "certificate is not yet valid", "clock"),
}
