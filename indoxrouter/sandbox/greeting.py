"""What answers at a base URL itself, where a caller asks whether anybody is there."""

from functools import cache
from importlib import metadata

from starlette.requests import Request
from starlette.responses import Response

from indoxrouter.sandbox.call import Call
from indoxrouter.sandbox.encoding import to_json
from indoxrouter.sandbox.errors import HOSTED


async def greet(request: Request) -> Response:
    """Needs no login."""
    api = "indoxrouter" if Call.of(request).form == HOSTED else "openai"
    told = {"name": "indoxrouter sandbox", "version": _version(), "status": "ok", "api": api}
    return Response(to_json(told), media_type="application/json")


@cache
def _version() -> str | None:
    try:
        return metadata.version("indoxrouter")
    except metadata.PackageNotFoundError:  # a source tree that was not installed
        return None
