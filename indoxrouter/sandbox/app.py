"""The application: what every request passes on its way to its endpoint."""

import re

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Router
from starlette.types import Message, Receive, Scope, Send

from indoxrouter.sandbox import control, database, faults, routes
from indoxrouter.sandbox.account import Account
from indoxrouter.sandbox.analytics import Analytics
from indoxrouter.sandbox.auth import Tokens
from indoxrouter.sandbox.call import Call
from indoxrouter.sandbox.control import Control
from indoxrouter.sandbox.counters import Counters
from indoxrouter.sandbox.desk import Desk
from indoxrouter.sandbox.errors import HOSTED, RouterError, detail
from indoxrouter.sandbox.eventstream import EVENT_STREAM
from indoxrouter.sandbox.faults import NO_FAULT, Fault, Orders, SeveredError, Transit
from indoxrouter.sandbox.gallery import Gallery
from indoxrouter.sandbox.generations import Generations
from indoxrouter.sandbox.hosted_audio import HostedAudio
from indoxrouter.sandbox.keyring import KeyRing
from indoxrouter.sandbox.ledger import Ledger
from indoxrouter.sandbox.logins import Logins
from indoxrouter.sandbox.models import Models
from indoxrouter.sandbox.openai_api.door import OpenAIDoor
from indoxrouter.sandbox.reports import Reports
from indoxrouter.sandbox.settings import OPENAI_PREFIX, Settings
from indoxrouter.sandbox.settling import Bookkeeper
from indoxrouter.sandbox.shelf import Shelf
from indoxrouter.sandbox.tiers import Limits
from indoxrouter.sandbox.videos import Videos

_COUNTED = {401: "unauthorized", 429: "rate_limited"}
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


class App:
    """The sandbox as an ASGI application."""

    def __init__(self, settings: Settings) -> None:
        self.counters = Counters()
        self.orders = Orders()
        self._db = database.opened(settings.database)
        self.ledger = Ledger(self._db, settings.credits)
        self._keys = KeyRing(self._db, str(settings.api_key))
        self._tokens = Tokens(settings, self._keys)
        self._limits = Limits(settings)
        shelf = Shelf()
        gallery = Gallery(shelf)
        self._prefixes = settings.prefixes
        self._openai_errors = settings.openai_errors
        desk = Desk(settings, Bookkeeper(self.ledger, self.counters, self._limits))
        self._openai = OpenAIDoor(settings, self._keys, desk, gallery)
        reports = Reports(self._db)
        table = [
            *routes.hosted(
                settings,
                self._tokens,
                routes.Hosted(
                    Logins(settings, self._tokens, self.counters),
                    Generations(settings, desk, gallery),
                    Models(settings, reports),
                    Account(settings, self.ledger, reports, self._keys, self._tokens),
                    Analytics(settings, reports),
                    [*HostedAudio(settings, desk, shelf).endpoints, *Videos(settings, desk, shelf).endpoints],
                ),
            ),
            *routes.openai(self._openai),
            *routes.controls(Control(self.counters, self.orders, self.ledger, shelf)),
        ]
        self._router = Router(table, redirect_slashes=False, default=_not_found)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host, port = scope["server"]
        call = self._call(scope["path"], f"{scope['scheme']}://{host}:{port}")
        scope["call"], scope["app"] = call, self
        controls = scope["path"].startswith(control.PREFIX)
        if not controls:
            self.counters.enter(call.path or "/")
            call.on_end = self.counters.leave
        try:
            await self._serve(call, controls, scope, receive, send)
        except (SeveredError, ClientDisconnect):
            return  # the server closes the connection of an answer that was not finished
        finally:
            call.end()

    def close(self) -> None:
        self._openai.close()
        self._keys.save()
        self._db.close()

    async def _serve(self, call: Call, controls: bool, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {bytes(name): bytes(value).decode("latin-1") for name, value in scope["headers"]}
        send = self._labelled(call, controls, send)
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
            if refusal.status in _COUNTED:
                self.counters.count(_COUNTED[refusal.status])
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
        if f"{path}/".startswith(OPENAI_PREFIX + "/"):
            return Call(path[len(OPENAI_PREFIX) :].strip("/"), origin, self._openai_errors)
        for prefix in self._prefixes:
            if f"{path}/".startswith(prefix + "/"):
                return Call(path[len(prefix) :].strip("/"), origin)
        return Call(path.strip("/"), origin)

    def _labelled(self, call: Call, controls: bool, send: Send) -> Send:
        """Sends every answer with its request id, and ends the call before the client can know of the end."""
        name = b"x-request-id"

        async def labelled(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                if all(header != name for header, _ in headers):
                    headers.append((name, call.request_id.encode()))
                if not controls:
                    headers += self._limits.headers()
                if call.form != HOSTED:
                    stream = (b"content-type", EVENT_STREAM.encode()) in headers
                    headers += self._openai.headers(call, stream=stream)
                message = {**message, "headers": headers}
            elif not message.get("more_body", False):
                call.end()
            await send(message)

        return labelled


def _check_host(host: str) -> None:
    """Only loopback names: a page in a browser must not reach the sandbox by a name of its own."""
    name = re.sub(r":\d+$", "", host).lower()
    if name not in LOOPBACK:
        raise detail(421, "The sandbox answers only to 127.0.0.1, localhost and [::1].")


async def _nowhere(_message: Message) -> None:
    """Takes the answer of a request that was carried out but is answered with a fault."""


async def _not_found(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise detail(404, "Not Found")
