"""Settings of a client and options of a call, checked before anything is sent."""

from __future__ import annotations

import ipaddress
import math
import os
import re
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values

from indoxrouter.errors import ConfigurationError, IndoxRouterError, MissingKeyError, ValidationError

DEFAULT_BASE_URL = "https://api.indoxrouter.com/v1"

ApiKey = str | Callable[[], str]


@dataclass(frozen=True, slots=True)
class Settings:
    """A client's settings, resolved."""

    key: ApiKey = field(repr=False)
    base_url: str
    timeout: float | None
    auto_refresh: bool
    auth: Literal["login", "key"]
    default_model: str
    max_retries: int
    fallback_models: tuple[str, ...]
    deadline: float | None
    max_connections: int
    proxy: str | None = field(repr=False)
    """May hold a password."""
    verify: bool | str
    default_headers: Mapping[str, str] = field(repr=False)
    allow_insecure: bool

    def current_key(self) -> str:
        """The API key; a callable is asked each time."""
        return self.key if isinstance(self.key, str) else check_key(self.key())

    def with_base_url(self, base_url: str) -> Settings:
        return replace(self, base_url=check_base_url(base_url, self.allow_insecure))


@dataclass(frozen=True, slots=True)
class CallOptions:
    """Per-call options, none of which is sent as a parameter."""

    timeout: float | None = None
    deadline: float | None = None
    max_retries: int | None = None
    fallback_models: tuple[str, ...] | None = None
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    extra_body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    idempotency_key: str | None = None


def resolve(
    api_key: ApiKey | None,
    base_url: str | None,
    timeout: float | None,
    auto_refresh: bool,
    *,
    auth: str | None,
    default_model: str | None,
    max_retries: int | None,
    fallback_models: Sequence[str],
    deadline: float | None,
    max_connections: int,
    proxy: str | None,
    verify: bool | str | os.PathLike[str],
    default_headers: Mapping[str, str] | None,
    env_file: str | os.PathLike[str] | None,
    allow_insecure: bool,
) -> Settings:
    """Settings from arguments, then the environment, then `env_file`; nothing is written to either."""
    from_file = _read(env_file)
    key: ApiKey | None = api_key or os.environ.get("INDOX_ROUTER_API_KEY")
    url = base_url or os.environ.get("INDOX_ROUTER_BASE_URL")
    if key is None:
        # A file in the current directory may redirect only the key that it brings itself.
        key = from_file.get("INDOX_ROUTER_API_KEY")
        url = url or (from_file.get("INDOX_ROUTER_BASE_URL") if key else None)
    if not key:
        raise MissingKeyError(
            "no API key: pass api_key=, or set INDOX_ROUTER_API_KEY in the environment or in a .env file here"
        )
    if auth not in (None, "login", "key"):
        raise ConfigurationError(f"auth must be 'login' or 'key', not {auth!r}")
    return Settings(
        key=key if callable(key) else check_key(key),
        base_url=check_base_url(url or DEFAULT_BASE_URL, allow_insecure),
        timeout=_seconds("timeout", _given(timeout, "INDOX_ROUTER_TIMEOUT", float, from_file)),
        auto_refresh=auto_refresh,
        auth="key" if auth == "key" else "login",
        default_model=_text("default_model", default_model or "openai/gpt-4o-mini"),
        max_retries=_count("max_retries", _given(max_retries, "INDOX_ROUTER_MAX_RETRIES", int, from_file, 2)),
        fallback_models=_names("fallback_models", fallback_models),
        deadline=_seconds("deadline", deadline),
        max_connections=_count("max_connections", max_connections, least=1),
        proxy=proxy,
        verify=_verify(verify),
        default_headers=check_headers(default_headers or {}),
        allow_insecure=allow_insecure,
    )


def options(params: dict[str, Any]) -> CallOptions:
    """Take the per-call options out of `params`; what is left goes to the provider."""
    for alias, name in _ALIASES.items():
        if alias in params:
            if name in params:
                raise ValidationError(f"{alias} and {name} are the same option: pass one of them")
            params[name] = params.pop(alias)
    params.pop("return_generator", None)  # the published package takes it everywhere, and sends it nowhere
    given = {item.name: params.pop(item.name) for item in fields(CallOptions) if item.name in params}
    for name, value in list(given.items()):
        if value is None:
            del given[name]
        elif check := _CHECKS.get(name):
            given[name] = check(name, value, error=ValidationError)
    return CallOptions(**given)


def refuse_unknown(params: Mapping[str, Any]) -> None:
    """For calls that pass nothing on: a parameter they don't know is a mistake."""
    if params:
        raise ValidationError(f"unknown parameter: {', '.join(sorted(params))}")


_ALIASES = {"retries": "max_retries", "fallbacks": "fallback_models"}


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
    except ValueError as error:
        raise ConfigurationError(f"base_url is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError(f"base_url needs a scheme and a host, as in {DEFAULT_BASE_URL!r}")
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


_OURS = frozenset({"authorization", "cookie", "host", "content-length", "transfer-encoding", "connection"})


def environment_proxy(base_url: str) -> str | None:
    """The proxy that the environment names for this server; loopback is always direct."""
    parts = urlsplit(base_url)
    proxies = urllib.request.getproxies()
    if is_loopback(parts.hostname or "") or urllib.request.proxy_bypass(parts.netloc):
        return None
    return proxies.get(parts.scheme) or proxies.get("all")


def _verify(verify: bool | str | os.PathLike[str]) -> bool | str:
    """Whether to check certificates, or against which file; the environment's only for plain True."""
    if verify is True:
        verify = os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE") or True
    if isinstance(verify, bool):
        return verify
    if not os.path.exists(verify):
        raise ConfigurationError(f"verify names a CA file that does not exist: {os.fspath(verify)!r}")
    return os.fspath(verify)


def _read(env_file: str | os.PathLike[str] | None) -> dict[str, str | None]:
    return dict(dotenv_values(env_file)) if env_file is not None and os.path.isfile(env_file) else {}


def _given(
    argument: Any,
    name: str,
    parse: Callable[[str], Any],
    from_file: Mapping[str, str | None],
    unset: Any = None,
) -> Any:
    if argument is not None:
        return argument
    text = os.environ.get(name) or from_file.get(name)
    try:
        return parse(text) if text else unset
    except ValueError:
        raise ConfigurationError(f"{name} is not a number: {text!r}") from None


def _seconds(name: str, value: Any, *, error: type[IndoxRouterError] = ConfigurationError) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise error(f"{name} must be a positive number of seconds, not {value!r}")
    return float(value)


def _count(name: str, value: Any, *, least: int = 0, error: type[IndoxRouterError] = ConfigurationError) -> int:
    if type(value) is not int or value < least:
        raise error(f"{name} must be a whole number of at least {least}, not {value!r}")
    return value


def _text(name: str, value: Any, *, error: type[IndoxRouterError] = ConfigurationError) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[ -~]+", value):
        raise error(f"{name} must be one line of ASCII text, not {value!r}")
    return value


def _names(name: str, value: Any, *, error: type[IndoxRouterError] = ConfigurationError) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise error(f"{name} must be a list of model names, not {value!r}")
    return tuple(_text(name, item, error=error) for item in value)


def _mapping(name: str, value: Any, *, error: type[IndoxRouterError]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise error(f"{name} must be a mapping, not {type(value).__name__}")
    return dict(value)


_CHECKS: dict[str, Callable[..., Any]] = {
    "timeout": _seconds,
    "deadline": _seconds,
    "max_retries": _count,
    "fallback_models": _names,
    "extra_headers": lambda _, value, error: check_headers(value, error),
    "extra_body": _mapping,
    "idempotency_key": _text,
}
