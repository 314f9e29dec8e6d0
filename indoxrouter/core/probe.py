"""The plan behind `test_connection`: is there a server at the base URL at all?"""

from __future__ import annotations

from typing import Any

from indoxrouter.config import Settings
from indoxrouter.core import policy
from indoxrouter.core.exchange import Limits, begin, read, target_of
from indoxrouter.core.policy import Clock
from indoxrouter.core.steps import Plan
from indoxrouter.wire.messages import COMMON_HEADERS, HttpRequest
from indoxrouter.wire.parsing import loads


def probe(settings: Settings, clock: Clock) -> Plan[dict[str, Any]]:
    """Ask without a key; any answer means connected."""
    request = HttpRequest("GET", settings.base_url, {**COMMON_HEADERS, **settings.default_headers})
    seconds = settings.timeout or policy.CONNECT
    now = clock.now()
    limits = Limits.of(now, seconds, seconds, None if settings.deadline is None else now + settings.deadline)
    reply = yield from begin(request, limits)
    content = yield from read(reply, limits, target_of(request))
    try:
        info = loads(content)
    except (ValueError, RecursionError):
        info = {}
    return {
        "status": "connected",
        "url": settings.base_url,
        "status_code": reply.status,
        "server_info": info,
        "headers": {name: value for name, value in reply.headers.items() if name != "set-cookie"},
    }
