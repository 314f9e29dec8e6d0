"""Checks of what settings and options may be. What is refused is not shown where it may be a secret."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from indoxrouter.errors import ConfigurationError, IndoxRouterError


def check_key(key: Any) -> str:
    """The key without white space around it; what can't stand in a header is refused, unshown."""
    if not isinstance(key, str) or not (stripped := key.strip()):
        raise ConfigurationError("the API key is empty or not a string")
    if not re.fullmatch(r"[!-~]+", stripped):
        raise ConfigurationError(
            "the API key has a space, a line break, a control or a non-ASCII character inside: was it pasted whole?"
        )
    return stripped


def check_base_url(url: Any, allow_insecure: bool = False) -> str:
    """The base URL without its trailing slash."""
    if not isinstance(url, str) or re.search(r"[\s\x00-\x1f\x7f]", url.strip()):
        raise ConfigurationError("base_url must be a string without spaces or control characters")
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
        (host or "").encode("idna")
    except ValueError as error:
        raise ConfigurationError(f"base_url is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError("base_url needs a scheme and a host, as in https://host/v1")
    if "@" in parts.netloc:
        raise ConfigurationError("base_url must not hold a user name or a password")
    if parts.query or parts.fragment:
        raise ConfigurationError("base_url must not have a query or a fragment")
    if parts.scheme == "http" and not is_loopback(host) and not allow_insecure:
        raise ConfigurationError(
            f"base_url is plain http to {host!r}: the key could be read on the way; "
            "use https, or pass allow_insecure=True if you trust that network"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def proxy_url(url: Any, name: str = "proxy") -> str:
    """A proxy's URL; it is not shown, as it may hold a password."""
    try:
        parts = urlsplit(url if isinstance(url, str) and not re.search(r"[\s\x00-\x1f\x7f]", url) else "")
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError(f"{name} must be the URL of an HTTP proxy, such as http://host:3128")
    try:
        unquote(f"{parts.username}{parts.password}").encode("latin-1")
    except UnicodeEncodeError:
        raise ConfigurationError(f"the user and the password in {name} must be Latin-1 text") from None
    return str(url)


def cache(given: Any) -> Any:
    """Anything that works like a dict: not every cache calls itself a MutableMapping."""
    if not all(hasattr(given, name) for name in ("get", "__getitem__", "__setitem__")):
        raise ConfigurationError(f"cache must be a mapping such as a dict, not {type(given).__name__}")
    return given


def function(name: str, given: Any) -> Any:
    if not callable(given):
        raise ConfigurationError(f"{name} must be callable, not {type(given).__name__}")
    return given


def file_in_folder(name: str, path: Any) -> str:
    """A file's path, absolute; its folder exists."""
    if not isinstance(path, str | os.PathLike) or not os.fspath(path) or isinstance(os.fspath(path), bytes):
        raise ConfigurationError(f"{name} must be a path, not {type(path).__name__}")
    found = os.path.abspath(os.fspath(path))
    if os.path.isdir(found):
        raise ConfigurationError(f"{name} must name a file, not a folder: {found!r}")
    if not os.path.isdir(os.path.dirname(found)):
        raise ConfigurationError(f"{name} must name a file in a folder that exists: {found!r}")
    return found


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_headers(headers: Any, error: type[IndoxRouterError] = ConfigurationError) -> dict[str, str]:
    """Headers of the caller's own, none of which can break out of its line or replace the login."""
    if not isinstance(headers, Mapping):
        raise error("headers must be a mapping of names to values")
    for name, value in headers.items():
        if not isinstance(name, str) or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise error(f"not a header name: {name!r}")
        if not isinstance(value, str) or not re.fullmatch(r"[\t\x20-\x7e\x80-\xff]*", value):
            raise error(f"the header {name!r} needs one line of Latin-1 text as its value")
        if name.lower() in _OURS:
            raise error(f"the header {name!r} is the client's own to set")
    return dict(headers)


_OURS = frozenset(
    {"authorization", "cookie", "host", "content-length", "transfer-encoding", "connection", "idempotency-key"}
)


def seconds(name: str, value: Any, *, error: type[IndoxRouterError] = ConfigurationError) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1e6:
        raise error(f"{name} must be a positive number of seconds, of at most a million, not {value!r}")
    return float(value)


def count(name: str, value: Any, *, least: int = 0, error: type[IndoxRouterError] = ConfigurationError) -> int:
    if type(value) is not int or value < least:
        raise error(f"{name} must be a whole number of at least {least}, not {value!r}")
    return value


def line(name: str, value: Any, *, error: type[IndoxRouterError] = ConfigurationError) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[ -~]+", value):
        raise error(f"{name} must be one line of ASCII text, not {value!r}")
    return value


def names(name: str, value: Any, *, error: type[IndoxRouterError] = ConfigurationError) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise error(f"{name} must be a list of model names, not {value!r}")
    return tuple(line(name, item, error=error) for item in value)


def flag(name: str, value: Any, *, error: type[IndoxRouterError]) -> bool:
    if not isinstance(value, bool):
        raise error(f"{name} must be True or False, not {value!r}")
    return value


def mapping(name: str, value: Any, *, error: type[IndoxRouterError]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise error(f"{name} must be a mapping, not {type(value).__name__}")
    return dict(value)
