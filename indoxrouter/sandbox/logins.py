"""The login endpoints."""

import asyncio
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from indoxrouter.sandbox import checks
from indoxrouter.sandbox.auth import Tokens, cookies
from indoxrouter.sandbox.counters import Counters
from indoxrouter.sandbox.encoding import to_json
from indoxrouter.sandbox.errors import RouterError, invalid
from indoxrouter.sandbox.settings import Settings


class Logins:
    """Keys, or refresh tokens, for tokens."""

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
        try:
            answer = self._tokens.login(key)
        except RouterError:
            self._counters.count("refused_logins")
            raise
        self._counters.count("logins")
        return self._answer(answer)

    async def refresh(self, request: Request) -> Response:
        await asyncio.sleep(self._settings.login_delay)
        try:
            answer = self._tokens.refresh(request.cookies.get("refresh_token", ""))
        except RouterError:
            self._counters.count("refused_refreshes")
            raise
        self._counters.count("refreshes")
        return self._answer(answer)

    def _answer(self, answer: dict[str, Any]) -> Response:
        self._counters.count("tokens_issued")
        response = Response(to_json(answer), media_type="application/json")
        response.raw_headers.extend(cookies(answer, self._settings.token_lifetime))
        return response
