"""Which endpoint answers which method and path, and what it asks of its caller."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from indoxrouter.sandbox import control
from indoxrouter.sandbox.account import Account
from indoxrouter.sandbox.analytics import Analytics
from indoxrouter.sandbox.auth import Tokens
from indoxrouter.sandbox.call import Call
from indoxrouter.sandbox.control import Control
from indoxrouter.sandbox.generations import Generations
from indoxrouter.sandbox.greeting import greet
from indoxrouter.sandbox.keyring import Key
from indoxrouter.sandbox.logins import Logins
from indoxrouter.sandbox.models import Models
from indoxrouter.sandbox.openai_api.door import OpenAIDoor
from indoxrouter.sandbox.settings import OPENAI_PREFIX, Settings

Endpoint = Callable[[Request], Awaitable[ASGIApp]]
Row = tuple[str, str, Endpoint]


@dataclass(frozen=True)
class Hosted:
    """The endpoints of the hosted API, by what they are about."""

    logins: Logins
    generations: Generations
    models: Models
    account: Account
    analytics: Analytics
    media: list[Row]


def hosted(settings: Settings, tokens: Tokens, endpoints: Hosted) -> list[BaseRoute]:
    """The hosted API under each of its prefixes."""
    logins, account, models = endpoints.logins, endpoints.account, endpoints.models
    generations, analytics = endpoints.generations, endpoints.analytics
    known: list[Row] = [
        *(("POST", path, endpoint) for path, endpoint in generations.endpoints.items()),
        *endpoints.media,
        ("POST", "chat/stop-stream/{stream_id}", generations.stop_stream),
        ("POST", "completions/stop-stream/{stream_id}", generations.stop_stream),
        ("GET", "models", models.models),
        ("GET", "models/{provider}", models.provider),
        ("GET", "models/{provider}/{model:path}", models.model),
        ("GET", "providers", models.providers),
        ("GET", "usage", account.usage),
        ("GET", "user/me", account.me),
        ("GET", "user/transactions", account.transactions),
        ("GET", "user/api-keys", account.keys),
        ("POST", "user/api-keys", account.create_key),
        ("DELETE", "user/api-keys/{key_id}", account.delete_key),
        ("POST", "user/api-keys/{key_id}/revoke", account.revoke_key),
        ("POST", "user/api-keys/{key_id}/enable", account.enable_key),
        ("GET", "analytics/usage", analytics.usage),
        ("GET", "analytics/sessions", analytics.sessions),
        ("GET", "analytics/models", analytics.models),
    ]
    if settings.answers != "seed":
        known += [("GET", "models/", models.models), ("GET", "user/usage", account.usage)]
    by_login: dict[str, Endpoint] = {"api-key": logins.by_header, "token": logins.by_body}
    unknown: list[Row] = [
        *(("POST", f"auth/{name}", by_login[name]) for name in settings.logins),
        ("GET", "user/health", account.health),
        ("GET", "models/trending", models.trending),
    ]
    if settings.refresh_tokens:
        unknown.append(("POST", "auth/refresh", logins.refresh))
    table = [(method, path, _answered(endpoint)) for method, path, endpoint in unknown]
    table += [(method, path, _checked(endpoint, tokens.check)) for method, path, endpoint in known]
    return [route for prefix in settings.prefixes for route in _below(prefix, table)]


def openai(door: OpenAIDoor) -> list[BaseRoute]:
    return _below(
        OPENAI_PREFIX,
        [(method, path, _checked(endpoint, door.check)) for method, path, endpoint in door.endpoints],
    )


def controls(endpoints: Control) -> list[BaseRoute]:
    return [Route(control.PREFIX + path, endpoint, methods=methods) for methods, path, endpoint in endpoints.endpoints]


def _below(prefix: str, table: list[Row]) -> list[BaseRoute]:
    """The endpoints below a prefix, and the greeting at the prefix itself."""
    routes = [Route(f"{prefix}/{path}", endpoint, methods=[method]) for method, path, endpoint in table]
    return [*(Route(base, _answered(greet), methods=["GET"]) for base in (prefix, prefix + "/")), *routes]


def _checked(endpoint: Endpoint, check: Callable[[str | None], Key | None]) -> Endpoint:
    """The endpoint for callers whose Authorization header passes a check."""
    answered = _answered(endpoint)

    async def checked(request: Request) -> ASGIApp:
        Call.of(request).key = check(request.headers.get("authorization"))
        return await answered(request)

    return checked


def _answered(endpoint: Endpoint) -> Endpoint:
    async def answered(request: Request) -> ASGIApp:
        answer = await endpoint(request)
        await Call.of(request).pause()
        return answer

    return answered
