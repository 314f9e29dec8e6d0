"""The router's error answers: raised anywhere below, sent by the application."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from indoxrouter.sandbox.encoding import to_json

Location = tuple[str | int, ...]


class RouterError(Exception):
    """An error answer."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers

    def response(self, request_id: str) -> Response:
        body = self.body
        if isinstance(body, dict) and "request_id" in body:
            body = body | {"request_id": request_id}
        return Response(to_json(body), self.status, self.headers, "application/json")


def detail(status: int, text: str, headers: Mapping[str, str] | None = None) -> RouterError:
    return RouterError(status, {"detail": text}, headers)


def unauthorized(text: str) -> RouterError:
    return detail(401, text, {"WWW-Authenticate": "Bearer"})


def invalid(problems: list[tuple[Location, str, str]]) -> RouterError:
    """A 422 as FastAPI words it: where, what and which kind, for each problem."""
    return RouterError(422, {"detail": [{"loc": list(loc), "msg": msg, "type": kind} for loc, msg, kind in problems]})


def named(status: int, error: str, message: str, **details: Any) -> RouterError:
    """An error in the router's own form, with one of its published exception names."""
    return RouterError(
        status,
        {
            "success": False,
            "error": error,
            "message": message,
            "status_code": status,
            "request_id": None,
            "details": details,
        },
    )


def context_exceeded(model: str, context: int, asked: int) -> RouterError:
    """The provider's own error, passed through as routers do."""
    message = f"{model} has a context of {context} tokens; prompt and max_tokens ask for {asked}."
    error = {
        "message": message,
        "type": "invalid_request_error",
        "param": "max_tokens",
        "code": "context_length_exceeded",
    }
    return RouterError(400, {"error": error})
