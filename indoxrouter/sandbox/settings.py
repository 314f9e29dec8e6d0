"""What a sandbox can be told: the arguments of ``Sandbox`` and the command's flags both come from here."""

# ruff: noqa: RUF009 - _setting makes a field

import argparse
import math
import secrets
import ssl
from collections.abc import Collection
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from os import PathLike
from typing import Any

OPENAI_PREFIX = "/openai/v1"
RESERVED = ("/sandbox", "/openai")


def _setting(default: Any, help_text: str, choices: tuple[str, ...] | None = None) -> Any:
    return field(default=default, metadata={"help": help_text, "choices": choices})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting with its default."""

    api_key: str | None = _setting(None, "the key to accept (default: a new one, sandbox-...)")
    answers: str = _setting("envelope", "the generation of the answers", choices=("envelope", "seed", "hub", "openai"))
    streams: str = _setting("chunks", "the generation of the streams", choices=("chunks", "typed", "bare"))
    credits: Decimal = _setting(Decimal(1000), "US dollars on the account")
    database: str | PathLike[str] | None = _setting(None, "the ledger's file (default: in memory)")
    certificate: str | PathLike[str] | None = _setting(
        None, "the file of a certificate chain (PEM) to serve https with (default: plain http)"
    )
    private_key: str | PathLike[str] | None = _setting(
        None, "the file of the certificate's private key (default: it is in the certificate's file)"
    )
    token_lifetime: float = _setting(3600.0, "seconds until an access token expires")
    jwt: bool = _setting(True, "whether access tokens are JWTs; else they are opaque")
    expires_in: bool = _setting(True, "whether a login says how long its token lives")
    refresh_tokens: bool = _setting(True, "whether a login gives a refresh token")
    accept_key: bool = _setting(True, "whether the API key itself works as bearer")
    logins: tuple[str, ...] = _setting(
        ("api-key", "token"), "the login endpoints that exist", choices=("api-key", "token")
    )
    prefixes: tuple[str, ...] = _setting(("/v1", "/api/v1"), "the paths the API is served under")
    tier: str = _setting(
        "unlimited",
        "the account's tier: how many paid requests and tokens it may have in a window",
        choices=("unlimited", "free", "standard", "enterprise"),
    )
    request_window: float = _setting(60.0, "seconds of the tier's window for requests")
    token_window: float = _setting(3600.0, "seconds of the tier's window for tokens")
    analytics_envelope: str = _setting(
        "data", "what analytics rows stand under; list: nothing", choices=("list", "data", "results", "usage")
    )
    stop_grace: float = _setting(5.0, "seconds in which a stream that has ended can still be stopped")
    chat_images: str = _setting("url", "the form of the images in chat answers", choices=("url", "b64_json"))
    speech: str = _setting("url", "whether speech is answered as a URL or as its bytes", choices=("url", "bytes"))
    videos: str = _setting(
        "job",
        "videos are made by jobs, whose result is a video_url or data, or at once",
        choices=("job", "data", "sync"),
    )
    video_seconds: float = _setting(1.0, "seconds that a video job takes")
    login_delay: float = _setting(0.0, "seconds before a login is answered")
    stream_delay: float = _setting(0.0, "seconds between the events of a stream")
    openai_key_required: bool = _setting(True, "whether the OpenAI-compatible API wants the key; else it takes any")
    openai_errors: str = _setting(
        "openai", "the form of the OpenAI-compatible API's errors", choices=("openai", "vllm")
    )
    litellm_headers: bool = _setting(False, "whether the OpenAI-compatible API adds LiteLLM's x-litellm- headers")
    ratelimit_headers: bool = _setting(False, "whether the OpenAI-compatible API adds x-ratelimit- headers")
    refuse_stream_options: bool = _setting(False, "whether the OpenAI-compatible API refuses stream_options")
    refuse_base64: bool = _setting(False, "whether the OpenAI-compatible API refuses encoding_format base64")
    ignore_base64: bool = _setting(False, "whether the OpenAI-compatible API answers base64 with floats")

    def __post_init__(self) -> None:
        self._fix("api_key", "sandbox-" + secrets.token_hex(16) if self.api_key is None else self.api_key)
        self._fix("credits", _amount(self.credits))
        for name in ("logins", "prefixes"):
            self._fix(name, _names(name, getattr(self, name)))
        for setting in fields(self):
            self._check(setting.name, setting.default, setting.metadata["choices"])
        for name in ("request_window", "token_window"):
            if not getattr(self, name):
                raise ValueError(f"{name} must be above 0")
        self._check_texts()

    def _fix(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check(self, name: str, default: Any, choices: Collection[str] | None) -> None:
        value = getattr(self, name)
        if choices is not None:
            unknown = [v for v in (value if isinstance(default, tuple) else [value]) if v not in choices]
            if unknown:
                each = "each " if isinstance(default, tuple) else ""
                raise ValueError(f"{name} must {each}be one of {', '.join(choices)}, not {unknown[0]!r}")
        elif isinstance(default, bool):
            if not isinstance(value, bool):
                raise ValueError(f"{name} must be True or False, not {value!r}")
        elif isinstance(default, float):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value < 0:
                raise ValueError(f"{name} must be a number of seconds, 0 or more, not {value!r}")

    def _check_texts(self) -> None:
        key = self.api_key
        if not isinstance(key, str) or not key or not key.isascii() or any(not "!" <= c <= "~" for c in key):
            raise ValueError("api_key must be printable ASCII without spaces")
        for prefix in self.prefixes:
            if not prefix.startswith("/") or prefix.endswith("/") or prefix.startswith(RESERVED) or "{" in prefix:
                raise ValueError(f"a prefix starts with a slash and does not end with one, not {prefix!r}")
        for name in ("database", "certificate", "private_key"):
            path = getattr(self, name)
            if path is not None and not isinstance(path, str | PathLike):
                raise ValueError(f"{name} must be a path, not {path!r}")
        self._check_certificate()

    def _check_certificate(self) -> None:
        if self.certificate is None:
            if self.private_key is not None:
                raise ValueError("private_key needs a certificate")
            return
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
                self.certificate, self.private_key, password=_no_password
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ValueError(f"certificate and private_key can't be used: {reason}") from None


def _no_password() -> str:
    """Instead of asking for one at the terminal."""
    raise ValueError("the key is encrypted")


def _amount(value: Any) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"credits must be an amount, 0 or more, not {value!r}")
    return amount


def _names(setting: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Collection) or not value:
        raise ValueError(f"{setting} must be a list of names, not {value!r}")
    if not all(isinstance(name, str) for name in value):
        raise ValueError(f"{setting} must be a list of names, not {value!r}")
    return tuple(value)


def checked_port(port: Any) -> int:
    """The port, or a refusal; 0 is a free one."""
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65_535:
        raise ValueError(f"port must be a whole number from 0 to 65535, not {port!r}")
    return port


NAMES = ("port", *(setting.name for setting in fields(Settings)))
"""What a sandbox can be told."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """One flag for each setting; those not given are absent from the result."""
    for setting in fields(Settings):
        flag = "--" + setting.name.replace("_", "-")
        options: dict[str, Any] = {"help": setting.metadata["help"], "default": argparse.SUPPRESS}
        if isinstance(setting.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, **options)
            continue
        if isinstance(setting.default, tuple):
            options["nargs"] = "+"
        elif isinstance(setting.default, float):
            options["type"] = float
        options["choices"] = setting.metadata["choices"]
        parser.add_argument(flag, **options)
