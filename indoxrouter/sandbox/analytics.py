"""The analytics endpoints: usage by one field, by session and by model.

A request's session is what its `additional_params.session_id` says, else its X-Session-Id header. Its
content is never kept, so the field that holds it is empty.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from indoxrouter.sandbox import queries, shapes
from indoxrouter.sandbox.call import Call
from indoxrouter.sandbox.encoding import exact_json
from indoxrouter.sandbox.reports import GROUPS, Filters, Reports
from indoxrouter.sandbox.settings import Settings


class Analytics:
    """Rows of the reports, in the configured envelope."""

    def __init__(self, settings: Settings, reports: Reports) -> None:
        self._answers = settings.answers
        self._envelope = settings.analytics_envelope
        self._reports = reports

    async def usage(self, request: Request) -> Response:
        group = queries.choice(request, "group_by", "date", GROUPS)
        filters = _filters(request, "provider", "model", "endpoint", "session_id")
        content = queries.flag(request, "include_content")
        rows = self._reports.rows(group, filters)
        return self._answer(request, [row | {"content": []} for row in rows] if content else rows)

    async def sessions(self, request: Request) -> Response:
        return self._answer(request, self._reports.sessions(_filters(request, "session_id")))

    async def models(self, request: Request) -> Response:
        return self._answer(request, self._reports.models(_filters(request, "provider")))

    def _answer(self, request: Request, rows: list[dict[str, Any]]) -> Response:
        value = rows if self._envelope == "list" else {self._envelope: rows}
        answer = shapes.wrapped(self._answers, value, Call.of(request).request_id)
        return Response(exact_json(answer), media_type="application/json")


def _filters(request: Request, *names: str) -> Filters:
    start, end = queries.period(request)
    return Filters(start=start, end=end, **{name: request.query_params.get(name) or None for name in names})
