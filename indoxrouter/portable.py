"""Clients that are copied, or pickled for another process: a new client with the same settings."""

from __future__ import annotations

from typing import Any, Protocol, Self, TypeVar

from indoxrouter.config import Settings


class _HasSettings(Protocol):
    settings: Settings


class Portable:
    """This part of both clients. Logins and connections stay with the client that made them.

    A pickle holds no secret: not the API key, which the other process takes from its environment at the first
    login; not a proxy with a password, nor default headers whose names speak of secrets (those with auth, cookie, key,
    token, secret, pass, pwd, session, sign, cred, jwt or bearer in them, or the word sid); nor the cache and
    `on_event`. What the environment says of a proxy is read anew, there.
    """

    _driver: _HasSettings

    def _start(self, settings: Settings) -> None:
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, (type(self), self._driver.settings.without_secrets())

    def __copy__(self) -> Self:
        return _made(type(self), self._driver.settings)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return _made(type(self), self._driver.settings)


PortableT = TypeVar("PortableT", bound=Portable)


def _arrived(cls: type[PortableT], settings: Settings) -> PortableT:
    return _made(cls, settings.here())


def _made(cls: type[PortableT], settings: Settings) -> PortableT:
    client = cls.__new__(cls)
    client._start(settings)
    return client
