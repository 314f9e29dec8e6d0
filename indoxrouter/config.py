"""Settings of a client: from its arguments, the environment and a file; checked at construction."""

from __future__ import annotations

import functools
import logging
import os
import re
import ssl
import urllib.request
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values

from indoxrouter import inputs
from indoxrouter.errors import AuthenticationError, ConfigurationError, IndoxRouterError, MissingKeyError
from indoxrouter.events import CallEvent

log = logging.getLogger("indoxrouter")
DEFAULT_BASE_URL = "https://api.indoxrouter.com/v1"
Dialect = Literal["indox", "openai"]
VARIABLES: Mapping[str, tuple[str, str]] = {
    "indox": ("INDOX_ROUTER_API_KEY", "INDOX_ROUTER_BASE_URL"),
    "openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
}
"""Where each dialect finds its key and its server; neither key is ever sent to the other's server."""
NO_KEY = "EMPTY"
"""What users of servers without keys pass for one."""

ApiKey = str | Callable[[], str]


@dataclass(frozen=True, slots=True)
class Settings:
    """A client's settings, resolved."""

    dialect: Dialect
    key: ApiKey = field(repr=False)
    """"": there is none."""
    base_url: str
    timeout: float | None
    auto_refresh: bool
    auth: Literal["login", "key"]
    default_model: str | None
    max_retries: int
    fallback_models: tuple[str, ...]
    deadline: float | None
    max_connections: int
    proxy: str | None = field(repr=False)
    """May hold a password."""
    verify: bool | str
    default_headers: Mapping[str, str] = field(repr=False)
    allow_insecure: bool
    cache: MutableMapping[str, Any] | None = field(default=None, repr=False)
    on_event: Callable[[CallEvent], object] | None = field(default=None, repr=False)
    token_cache: str | None = None
    environment_proxy: str | None = field(default=None, repr=False)
    """What the environment said at construction, where no proxy was given."""

    def proxy_for(self, url: str | None) -> str | None:
        """The proxy to another URL than the base URL's, or to that (None)."""
        return self.proxy or (self.environment_proxy if url is None else environment_proxy(url))

    def here(self) -> Settings:
        """With what this process's environment says of the way to the server; it is read this once."""
        return replace(self, environment_proxy=None if self.proxy else environment_proxy(self.base_url))

    def current_key(self) -> str:
        """The API key; a callable is asked each time. What it raises may hold secrets: its class alone is told."""
        if isinstance(self.key, str):
            return self.key
        try:
            return inputs.check_key(self.key())
        except IndoxRouterError:
            raise
        except Exception as error:  # noqa: BLE001 - the caller's own function
            name = type(error).__name__
        raise AuthenticationError(
            f"no API key: the function given as api_key raised {name}", code="api_key_function", outcome="not_sent"
        )

    def without_secrets(self) -> Settings:
        """What may be written down: the key is found again in the environment, at the next login."""
        password = self.proxy is not None and "@" in urlsplit(self.proxy).netloc
        headers = {name: value for name, value in self.default_headers.items() if not _SECRETIVE.search(name)}
        return replace(
            self,
            key=self.key and KeyOfEnvironment(VARIABLES[self.dialect][0]),
            proxy=None if password else self.proxy,
            default_headers=headers,
            cache=None,
            on_event=None,
            environment_proxy=None,
        )

    def with_base_url(self, base_url: str) -> Settings:
        return replace(self, base_url=inputs.check_base_url(base_url, self.allow_insecure or not self.key)).here()


@dataclass(frozen=True, slots=True)
class KeyOfEnvironment:
    """The key of a client that came out of a pickle."""

    variable: str

    def __call__(self) -> str:
        if found := os.environ.get(self.variable):
            return found
        raise MissingKeyError(
            f"no API key: a pickled client leaves its key behind; set {self.variable} in the environment "
            "of the process that uses it"
        )


_SECRETIVE = re.compile(r"auth|cookie|key|token|secret|pass|pwd|session|sign|cred|jwt|bearer|\bsid\b", re.IGNORECASE)
"""Names of headers that speak of secrets: they are not written down."""


def resolve(
    api_key: ApiKey | None,
    base_url: str | None,
    timeout: float | None,
    auto_refresh: bool,
    *,
    dialect: str,
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
    cache: MutableMapping[str, Any] | None = None,
    on_event: Callable[[CallEvent], object] | None = None,
    token_cache: str | os.PathLike[str] | None = None,
) -> Settings:
    """Settings from arguments, then the environment, then `env_file`; nothing is written to either."""
    if not isinstance(dialect, str) or dialect not in VARIABLES:
        raise ConfigurationError(f"dialect must be 'indox' or 'openai', not {dialect!r}")
    if auth not in (None, "login", "key") or (auth == "login" and dialect == "openai"):
        raise ConfigurationError(f"auth must be 'login' (of the hosted router alone) or 'key', not {auth!r}")
    from_file = _read(env_file)
    key, url = _key_and_url(dialect, api_key, base_url, from_file, env_file)
    return Settings(
        dialect="openai" if dialect == "openai" else "indox",
        key=key,
        base_url=inputs.check_base_url(url, allow_insecure or not key),
        timeout=inputs.seconds("timeout", _given(timeout, "INDOX_ROUTER_TIMEOUT", float, from_file)),
        auto_refresh=auto_refresh,
        auth="key" if auth == "key" or dialect == "openai" else "login",
        default_model=None if default_model is None else inputs.line("default_model", default_model),
        max_retries=inputs.count("max_retries", _given(max_retries, "INDOX_ROUTER_MAX_RETRIES", int, from_file, 2)),
        fallback_models=inputs.names("fallback_models", fallback_models),
        deadline=inputs.seconds("deadline", deadline),
        max_connections=inputs.count("max_connections", max_connections, least=1),
        proxy=None if proxy is None else inputs.proxy_url(proxy),
        verify=_verify(verify),
        default_headers=inputs.check_headers(default_headers or {}),
        allow_insecure=allow_insecure,
        cache=None if cache is None else inputs.cache(cache),
        on_event=None if on_event is None else inputs.function("on_event", on_event),
        token_cache=None if token_cache is None else inputs.file_in_folder("token_cache", token_cache),
    ).here()


def _key_and_url(
    dialect: str,
    api_key: ApiKey | None,
    base_url: str | None,
    from_file: Mapping[str, str | None],
    env_file: str | os.PathLike[str] | None,
) -> tuple[ApiKey, str]:
    key_variable, url_variable = VARIABLES[dialect]
    if base_url is not None and not base_url:
        raise ConfigurationError("base_url is empty: leave it out to use the environment's, or the default")
    key: ApiKey | None = api_key or os.environ.get(key_variable)
    url = base_url or os.environ.get(url_variable)
    if not key and (key := from_file.get(key_variable)):
        # A file in the current directory may redirect only the key that it brings itself.
        url = url or from_file.get(url_variable)
    elif not url and from_file.get(url_variable):
        log.warning("%s in %s is not used: there it counts only beside the key", url_variable, env_file)
    if dialect == "openai":
        if not url:
            raise ConfigurationError(f'dialect="openai" needs base_url=, or {url_variable} in the environment')
        key = "" if key is None or (isinstance(key, str) and key.strip() in ("", NO_KEY)) else key
    elif isinstance(api_key, str) and not api_key.strip():
        raise MissingKeyError("the API key is empty: leave api_key out to use the environment's")
    elif not key:
        raise MissingKeyError(
            f"no API key: pass api_key=, or set {key_variable} in the environment{_or_in(env_file)}"
            + (" (OPENAI_API_KEY goes to no hosted router)" if os.environ.get("OPENAI_API_KEY") else "")
            + "; to try this without a key, run python -m indoxrouter.sandbox"
        )
    return key if callable(key) or not key else inputs.check_key(key), url or DEFAULT_BASE_URL


def _or_in(env_file: str | os.PathLike[str] | None) -> str:
    if env_file is None:
        return ""
    name = os.fspath(env_file)
    return (
        " or in a .env file here"
        if name == ".env"
        else f" or in {name!r}" + " (no such file)" * (not os.path.isfile(name))
    )


def environment_proxy(base_url: str) -> str | None:
    """The proxy that the environment names for this server; loopback is always direct."""
    parts = urlsplit(base_url)
    proxies = urllib.request.getproxies()
    if inputs.is_loopback(parts.hostname or "") or urllib.request.proxy_bypass(parts.netloc):
        return None
    for kind in (parts.scheme, "all"):
        if found := proxies.get(kind):
            name = f"{kind.upper()}_PROXY in the environment"
            return inputs.proxy_url(found if "://" in found else f"http://{found}", name)
    return None


def _verify(verify: bool | str | os.PathLike[str]) -> bool | str:
    """Whether to check certificates, or against which file; the environment's only for plain True."""
    who = "verify"
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        if verify is True and os.environ.get(name):
            who, verify = f"{name} in the environment", os.environ[name]
    if isinstance(verify, bool):
        return verify
    if not isinstance(verify, str | os.PathLike):
        raise ConfigurationError(f"verify must be True, False or the path of a CA file, not {verify!r}")
    path = os.fspath(verify)
    if not os.path.exists(path):
        raise ConfigurationError(f"{who} names a CA file that does not exist: {path!r}")
    if os.path.isfile(path) and not _holds_certificates(path, os.stat(path).st_mtime_ns):
        raise ConfigurationError(f"{who} names a file without certificates: {path!r}")
    return path


@functools.lru_cache(maxsize=8)
def _holds_certificates(path: str, modified: int) -> bool:  # noqa: ARG001 - a changed file is read again
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (ssl.SSLError, OSError):
        return False
    return True


def _read(env_file: str | os.PathLike[str] | None) -> dict[str, str | None]:
    if env_file is None:
        return {}
    if not isinstance(env_file, str | os.PathLike):
        raise ConfigurationError(f"env_file must be a path, or None, not {env_file!r}")
    if not os.path.isfile(env_file):
        return {}
    try:
        return dict(dotenv_values(env_file))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{os.fspath(env_file)!r} can't be read: {type(error).__name__}") from None


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
