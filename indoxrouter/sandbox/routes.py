"""Which endpoint answers which method and path, and what it asks of its caller."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from indoxrouter.sandbox import control
from indoxrouter.sandbox.account import Account, Logins
from indoxrouter.sandbox.auth import Tokens
from indoxrouter.sandbox.call import Call
from indoxrouter.sandbox.control import Control
from indoxrouter.sandbox.generations import Generations
from indoxrouter.sandbox.openai_api.door import OpenAIDoor
from indoxrouter.sandbox.settings import OPENAI_PREFIX, Settings

Endpoint = Callable[[Request], Awaitable[ASGIApp]]
Row = tuple[str, str, Endpoint]


def hosted(
    settings: Settings, tokens: Tokens, logins: Logins, account: Account, generations: Generations
) -> list[BaseRoute]:
    """The hosted API under each of its prefixes."""
    known: list[Row] = [
        *(("POST", path, endpoint) for path, endpoint in generations.endpoints.items()),
        ("POST", "chat/stop-stream/{stream_id}", generations.stop_stream),
        ("POST", "completions/stop-stream/{stream_id}", generations.stop_stream),
        ("GET", "models", account.models),
        ("GET", "models/{provider}", account.provider),
        ("GET", "models/{provider}/{model:path}", account.model),
        ("GET", "providers", account.providers),
        ("GET", "usage", account.usage),
        ("GET", "user/me", account.me),
    ]
    if settings.answers != "seed":
        known += [("GET", "models/", account.models), ("GET", "user/usage", account.usage)]
    by_login: dict[str, Endpoint] = {"api-key": logins.by_header, "token": logins.by_body}
    unknown: list[Row] = [
        *(("POST", f"auth/{name}", by_login[name]) for name in settings.logins),
        ("GET", "user/health", account.health),
    ]
    if settings.refresh_tokens:
        unknown.append(("POST", "auth/refresh", logins.refresh))
    table = [(method, path, _answered(endpoint)) for method, path, endpoint in unknown]
    table += [(method, path, _checked(endpoint, tokens.check)) for method, path, endpoint in known]
    return [
        Route(f"{prefix}/{path}", endpoint, methods=[method])
        for prefix in settings.prefixes
        for method, path, endpoint in table
    ]


def openai(door: OpenAIDoor) -> list[BaseRoute]:
    return [
        Route(f"{OPENAI_PREFIX}/{path}", _checked(endpoint, door.check), methods=[method])
        for method, path, endpoint in door.endpoints
    ]


def controls(endpoints: Control) -> list[BaseRoute]:
    return [Route(control.PREFIX + path, endpoint, methods=methods) for methods, path, endpoint in endpoints.endpoints]


def _checked(endpoint: Endpoint, check: Callable[[str | None], None]) -> Endpoint:
    """The endpoint for callers whose Authorization header passes a check."""
    answered = _answered(endpoint)

    async def checked(request: Request) -> ASGIApp:
        check(request.headers.get("authorization"))
        return await answered(request)

    return checked


def _answered(endpoint: Endpoint) -> Endpoint:
    async def answered(request: Request) -> ASGIApp:
        answer = await endpoint(request)
        await Call.of(request).pause()
        return answer

    return answered
