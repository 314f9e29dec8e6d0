"""The catalogue's endpoints."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from indoxrouter.sandbox import catalogue, queries, shapes
from indoxrouter.sandbox.call import Call
from indoxrouter.sandbox.encoding import to_json
from indoxrouter.sandbox.reports import Reports
from indoxrouter.sandbox.settings import Settings

_TREND_DAYS, _MOST_DAYS = 7, 365
_TRENDS, _MOST_TRENDS = 10, 100


class Models:
    """The models on offer, and which of them are asked most."""

    def __init__(self, settings: Settings, reports: Reports) -> None:
        self._answers = settings.answers
        self._reports = reports

    async def models(self, request: Request) -> Response:
        """A list of providers; the seed era's mapping for `?provider=`, and always in that era."""
        provider = request.query_params.get("provider")
        if provider:
            catalogue.check_provider(provider)
        if provider or self._answers == "seed":
            return self._answer(request, catalogue.rows(provider or None))
        return self._answer(request, [catalogue.provider_rows(name) for name in catalogue.COMPANIES])

    async def provider(self, request: Request) -> Response:
        return self._answer(request, catalogue.provider_rows(request.path_params["provider"]))

    async def model(self, request: Request) -> Response:
        provider, name = request.path_params["provider"], request.path_params["model"]
        if name in catalogue.ENDPOINTS:
            return self._answer(request, catalogue.kind_rows(provider, name))
        return self._answer(request, catalogue.model_row(provider, name))

    async def providers(self, request: Request) -> Response:
        rows = [{"id": provider, "name": name} for provider, name in catalogue.COMPANIES.items()]
        return self._answer(request, rows)

    async def trending(self, request: Request) -> Response:
        days = queries.whole(request, "days", _TREND_DAYS, 1, _MOST_DAYS)
        limit = queries.whole(request, "limit", _TRENDS, 1, _MOST_TRENDS)
        return self._answer(request, self._reports.trending(days, limit))

    def _answer(self, request: Request, value: Any) -> Response:
        answer = shapes.wrapped(self._answers, value, Call.of(request).request_id)
        return Response(to_json(answer), media_type="application/json")
