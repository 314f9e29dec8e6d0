"""The account's endpoints: usage, payments and API keys."""

import math
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from indoxrouter.sandbox import checks, queries, shapes
from indoxrouter.sandbox.auth import USER, Tokens
from indoxrouter.sandbox.call import Call
from indoxrouter.sandbox.checks import Problem
from indoxrouter.sandbox.encoding import exact_json
from indoxrouter.sandbox.entries import writable
from indoxrouter.sandbox.errors import Location
from indoxrouter.sandbox.keyring import Key, KeyRing
from indoxrouter.sandbox.ledger import Ledger
from indoxrouter.sandbox.reports import Reports
from indoxrouter.sandbox.settings import Settings
from indoxrouter.sandbox.tiers import UNLIMITED

_CREATED = "2025-01-01T00:00:00+00:00"
_PAGE, _LONGEST_PAGE = 50, 1000  # transactions
_LONGEST_NAME = 100
_LONGEST_LIFE = 36_500  # days


class Account:
    """Answers from the books of the one account that there is."""

    def __init__(self, settings: Settings, ledger: Ledger, reports: Reports, keys: KeyRing, tokens: Tokens) -> None:
        self._answers = settings.answers
        self._tier = "enterprise" if settings.tier == UNLIMITED else settings.tier
        self._ledger = ledger
        self._reports = reports
        self._keys = keys
        self._tokens = tokens

    async def usage(self, request: Request) -> Response:
        report = self._reports.usage(*queries.period(request))
        return self._answer(request, report | {"remaining_credits": self._ledger.remaining})

    async def me(self, request: Request) -> Response:
        account = {
            "credits": self._ledger.remaining,
            "app_credit": 0,
            "account_tier": self._tier,
            "created_at": _CREATED,
        }
        return self._answer(request, USER | account | {"metadata": {"sandbox": True}, "avatar_url": None})

    async def health(self, _request: Request) -> Response:
        return Response(exact_json({"status": "ok", "service": "sandbox"}), media_type="application/json")

    async def transactions(self, request: Request) -> Response:
        limit = queries.whole(request, "limit", _PAGE, 1, _LONGEST_PAGE)
        offset = queries.whole(request, "offset", 0, 0)
        return self._answer(request, self._ledger.transactions.page(limit, offset))

    async def keys(self, request: Request) -> Response:
        return self._answer(request, {"keys": self._keys.rows()})

    async def create_key(self, request: Request) -> Response:
        body = checks.json_object(await request.body())
        checks.checked(body, {}, {"name": _name, "expiration_time": _lifetime})
        return self._answer(request, self._keys.create(body.get("name") or "API key", body.get("expiration_time")))

    async def delete_key(self, request: Request) -> Response:
        key = self._key(request)
        self._keys.delete(key)
        self._tokens.withdraw(key)
        return self._answer(request, {"success": True, "message": f"API key {key.id} was deleted."})

    async def revoke_key(self, request: Request) -> Response:
        """The tokens that were issued to the key are gone for good, even if it is enabled again."""
        key = self._key(request)
        self._keys.switch(key, active=False)
        self._tokens.withdraw(key)
        return self._answer(request, {"success": True, "message": f"API key {key.id} was revoked."} | key.row())

    async def enable_key(self, request: Request) -> Response:
        key = self._key(request)
        self._keys.switch(key, active=True)
        return self._answer(request, {"success": True, "message": f"API key {key.id} was enabled."} | key.row())

    def _key(self, request: Request) -> Key:
        return self._keys.get(queries.integer(request.path_params["key_id"], ("path", "key_id")))

    def _answer(self, request: Request, value: Any) -> Response:
        answer = shapes.wrapped(self._answers, value, Call.of(request).request_id)
        return Response(exact_json(answer), media_type="application/json")


def _name(value: Any, loc: Location) -> Iterator[Problem]:
    yield from checks.string(value, loc)
    if isinstance(value, str) and not (value.strip() and len(value) <= _LONGEST_NAME and writable(value)):
        yield loc, f"String should have from 1 to {_LONGEST_NAME} characters", "string_length"


def _lifetime(value: Any, loc: Location) -> Iterator[Problem]:
    """Days; a fraction of one makes a key that expires soon."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not 0 < value <= _LONGEST_LIFE:
        yield loc, f"Input should be a number of days above 0 and at most {_LONGEST_LIFE}", "float_type"
