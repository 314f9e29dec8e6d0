"""TLS on loopback, under an authority of the tests' own."""

from __future__ import annotations

import ssl

import trustme


def serving_tls(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context
