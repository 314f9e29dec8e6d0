"""The endpoints that cost nothing: logins, the catalogue, usage and the account."""

import asyncio
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from indoxrouter.sandbox import catalogue, checks, shapes
from indoxrouter.sandbox.auth import USER, Tokens, cookies
from indoxrouter.sandbox.call import Call
from indoxrouter.sandbox.counters import Counters
from indoxrouter.sandbox.encoding import to_json
from indoxrouter.sandbox.errors import invalid, unauthorized
from indoxrouter.sandbox.ledger import Ledger
from indoxrouter.sandbox.settings import Settings

_CREATED = "2025-01-01T00:00:00+00:00"


class Logins:
    """The login endpoints."""

    def __init__(self, settings: Settings, tokens: Tokens, counters: Counters) -> None:
        self._settings = settings
        self._tokens = tokens
        self._counters = counters

    async def by_header(self, request: Request) -> Response:
        return await self._login(request.headers.get("x-api-key", ""))

    async def by_body(self, request: Request) -> Response:
        """Takes JSON, or the form that the published client falls back to."""
        raw = await request.body()
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            form = parse_qs(raw.decode(errors="replace"))
            if "password" not in form:
                raise invalid([(("body", "password"), "Field required", "missing")])
            return await self._login(form["password"][0])
        return await self._login(checks.body(raw, "auth/token")["api_key"])

    async def _login(self, key: str) -> Response:
        await asyncio.sleep(self._settings.login_delay)
        if not self._tokens.is_key(key):
            self._counters.count("refused_logins")
            raise unauthorized("Invalid API key")
        self._counters.count("logins")
        return self._answer(self._tokens.login())

    async def refresh(self, request: Request) -> Response:
        await asyncio.sleep(self._settings.login_delay)
        answer = self._tokens.refresh(request.cookies.get("refresh_token", ""))
        if answer is None:
            self._counters.count("refused_refreshes")
            raise unauthorized("Invalid refresh token")
        self._counters.count("refreshes")
        return self._answer(answer)

    def _answer(self, answer: dict[str, Any]) -> Response:
        self._counters.count("tokens_issued")
        response = Response(to_json(answer), media_type="application/json")
        response.raw_headers.extend(cookies(answer, self._settings.token_lifetime))
        return response


class Account:
    """The catalogue, usage and account endpoints."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._seed = settings.answers == "seed"
        self._ledger = ledger

    async def models(self, request: Request) -> Response:
        """A list of providers; the seed era's mapping for `?provider=`, and always in that era."""
        provider = request.query_params.get("provider")
        if provider:
            catalogue.check_provider(provider)
        if provider or self._seed:
            return self._answer(request, catalogue.rows(provider or None))
        return self._answer(request, [catalogue.provider_rows(name) for name in catalogue.COMPANIES])

    async def provider(self, request: Request) -> Response:
        return self._answer(request, catalogue.provider_rows(request.path_params["provider"]))

    async def model(self, request: Request) -> Response:
        provider, name = request.path_params["provider"], request.path_params["model"]
        if name in catalogue.KINDS:
            return self._answer(request, catalogue.kind_rows(provider, name))
        return self._answer(request, catalogue.model_row(provider, name))

    async def providers(self, request: Request) -> Response:
        rows = [{"id": provider, "name": name} for provider, name in catalogue.COMPANIES.items()]
        return self._answer(request, rows)

    async def usage(self, request: Request) -> Response:
        start = checks.day(request.query_params.get("start_date"), "start_date")
        end = checks.day(request.query_params.get("end_date"), "end_date")
        if start and end and start > end:
            raise invalid([(("query", "end_date"), "end_date is before start_date", "value_error")])
        return self._answer(request, self._ledger.usage(start, end))

    async def me(self, request: Request) -> Response:
        account = {
            "credits": float(self._ledger.remaining),
            "app_credit": 0.0,
            "account_tier": "enterprise",
            "created_at": _CREATED,
        }
        return self._answer(request, USER | account | {"metadata": {"sandbox": True}, "avatar_url": None})

    async def health(self, _request: Request) -> Response:
        return Response(to_json({"status": "ok", "service": "sandbox"}), media_type="application/json")

    def _answer(self, request: Request, value: Any) -> Response:
        answer = shapes.seed(value, Call.of(request).request_id) if self._seed else value
        return Response(to_json(answer), media_type="application/json")
