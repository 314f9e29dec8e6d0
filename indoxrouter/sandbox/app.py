"""The application: what every request passes, and the table of routes."""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from indoxrouter.sandbox import faults
from indoxrouter.sandbox.account import Account, Logins
from indoxrouter.sandbox.auth import Tokens
from indoxrouter.sandbox.call import Call
from indoxrouter.sandbox.counters import Counters
from indoxrouter.sandbox.desk import Desk
from indoxrouter.sandbox.encoding import to_json
from indoxrouter.sandbox.errors import HOSTED, RouterError, detail
from indoxrouter.sandbox.eventstream import EVENT_STREAM
from indoxrouter.sandbox.faults import NO_FAULT, Fault, Orders, SeveredError, Transit
from indoxrouter.sandbox.gallery import Gallery
from indoxrouter.sandbox.generations import Generations
from indoxrouter.sandbox.ledger import Ledger
from indoxrouter.sandbox.openai_api.door import OpenAIDoor
from indoxrouter.sandbox.settings import OPENAI_PREFIX, Settings
from indoxrouter.sandbox.settling import Bookkeeper

Endpoint = Callable[[Request], Awaitable[ASGIApp]]
CONTROL = "/sandbox/"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


class App:
    """The sandbox as an ASGI application."""

    def __init__(self, settings: Settings) -> None:
        self.counters = Counters()
        self.orders = Orders()
        self.ledger = Ledger(settings.database, settings.credits)
        self._tokens = Tokens(settings)
        self._gallery = Gallery()
        self._prefixes = settings.prefixes
        self._openai_errors = settings.openai_errors
        desk = Desk(settings, Bookkeeper(self.ledger, self.counters))
        self._generations = Generations(settings, desk, self._gallery)
        self._openai = OpenAIDoor(settings, desk, self._gallery)
        self._router = Router(self._routes(settings), redirect_slashes=False, default=_not_found)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host, port = scope["server"]
        call = self._call(scope["path"], f"http://{host}:{port}")
        scope["call"], scope["app"] = call, self
        controls = scope["path"].startswith(CONTROL)
        if not controls:
            self.counters.enter(call.path)
            call.on_end = self.counters.leave
        try:
            await self._serve(call, controls, scope, receive, send)
        except (SeveredError, ClientDisconnect):
            return  # the server closes the connection of an answer that was not finished
        finally:
            call.end()

    def close(self) -> None:
        self._openai.close()
        self.ledger.close()

    async def _serve(self, call: Call, controls: bool, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {bytes(name): bytes(value).decode("latin-1") for name, value in scope["headers"]}
        send = self._labelled(call, send)
        try:
            _check_host(headers.get(b"host", ""))
            if not controls:
                call.fault = self._fault(scope["method"], call.path, headers.get(b"x-sandbox-fault"))
        except RouterError as refusal:
            await refusal.response(call.request_id, call.form)(scope, receive, send)
            return
        fault = call.fault
        if fault.expire:
            self._tokens.expire_all()
        if fault.in_transit:
            send = Transit(fault, receive, send)
        if fault.status is None:
            await self._route(call, scope, receive, send)
            return
        if fault.charged:
            await self._route(call, scope, receive, _nowhere)
        await call.pause()
        await fault.answer(call.form)(scope, receive, send)

    async def _route(self, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._router(scope, receive, send)
        except RouterError as refusal:
            if refusal.status == 401:
                self.counters.count("unauthorized")
            await call.pause()
            await refusal.response(call.request_id, call.form)(scope, receive, send)
        except HTTPException as error:
            await call.pause()
            answer = detail(error.status_code, error.detail, error.headers)
            await answer.response(call.request_id, call.form)(scope, receive, send)

    def _fault(self, method: str, path: str, header: str | None) -> Fault:
        try:
            fault = self.orders.take(method, path) if header is None else faults.from_header(header)
        except ValueError as error:
            raise detail(400, f"X-Sandbox-Fault: {error}") from None
        if fault is None:
            return NO_FAULT
        self.counters.count("faults")
        return fault

    def _call(self, path: str, origin: str) -> Call:
        if path.startswith(OPENAI_PREFIX + "/"):
            return Call(path[len(OPENAI_PREFIX) :].strip("/"), origin, self._openai_errors)
        for prefix in self._prefixes:
            if path.startswith(prefix + "/"):
                return Call(path[len(prefix) :].strip("/"), origin)
        return Call(path.strip("/"), origin)

    def _labelled(self, call: Call, send: Send) -> Send:
        """Sends every answer with its request id, and ends the call before the client can know of the end."""
        name = b"x-request-id"

        async def labelled(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                if all(header != name for header, _ in headers):
                    headers.append((name, call.request_id.encode()))
                if call.form != HOSTED:
                    stream = (b"content-type", EVENT_STREAM.encode()) in headers
                    headers += self._openai.headers(call, stream=stream)
                message = {**message, "headers": headers}
            elif not message.get("more_body", False):
                call.end()
            await send(message)

        return labelled

    def _routes(self, settings: Settings) -> list[BaseRoute]:
        generations = self._generations
        logins = Logins(settings, self._tokens, self.counters)
        account = Account(settings, self.ledger)
        paid: list[tuple[str, str, Endpoint]] = [
            ("POST", path, endpoint) for path, endpoint in generations.endpoints.items()
        ]
        known: list[tuple[str, str, Endpoint]] = [
            *paid,
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
        unknown: list[tuple[str, str, Endpoint]] = [
            *(("POST", f"auth/{name}", by_login[name]) for name in settings.logins),
            ("GET", "user/health", account.health),
        ]
        if settings.refresh_tokens:
            unknown.append(("POST", "auth/refresh", logins.refresh))
        table = [(method, path, self._checked(endpoint, self._tokens.check)) for method, path, endpoint in known] + [
            (method, path, self._answered(endpoint)) for method, path, endpoint in unknown
        ]
        return (
            [
                Route(f"{prefix}/{path}", endpoint, methods=[method])
                for prefix in settings.prefixes
                for method, path, endpoint in table
            ]
            + self._openai_routes()
            + self._control_routes()
        )

    def _openai_routes(self) -> list[BaseRoute]:
        return [
            Route(f"{OPENAI_PREFIX}/{path}", self._checked(endpoint, self._openai.check), methods=[method])
            for method, path, endpoint in self._openai.endpoints
        ]

    def _control_routes(self) -> list[BaseRoute]:
        return [
            Route(CONTROL + "stats", self._stats, methods=["GET", "DELETE"]),
            Route(CONTROL + "faults", self._faults, methods=["POST", "DELETE"]),
            Route(CONTROL + "images/{name}.png", self._gallery.fetch, methods=["GET"]),
        ]

    def _checked(self, endpoint: Endpoint, check: Callable[[str | None], None]) -> Callable[[Request], Awaitable[Any]]:
        """The endpoint for callers whose Authorization header passes a check."""

        async def checked(request: Request) -> ASGIApp:
            check(request.headers.get("authorization"))
            answer = await endpoint(request)
            await Call.of(request).pause()
            return answer

        return checked

    def _answered(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Any]]:
        async def answered(request: Request) -> ASGIApp:
            answer = await endpoint(request)
            await Call.of(request).pause()
            return answer

        return answered

    async def _stats(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.counters.reset()
        return Response(to_json(self.counters.report()), media_type="application/json")

    async def _faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.orders.clear()
            return Response(to_json({"faults": 0}), media_type="application/json")
        try:
            self.orders.add(json.loads(await request.body()))
        except (ValueError, RecursionError) as error:
            raise detail(400, str(error)) from None
        return Response(to_json({"success": True}), 201, media_type="application/json")


def _check_host(host: str) -> None:
    """Only loopback names: a page in a browser must not reach the sandbox by a name of its own."""
    name = re.sub(r":\d+$", "", host).lower()
    if name not in LOOPBACK:
        raise detail(421, "The sandbox answers only to 127.0.0.1, localhost and [::1].")


async def _nowhere(_message: Message) -> None:
    """Takes the answer of a request that was carried out but is answered with a fault."""


async def _not_found(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise detail(404, "Not Found")
