"""The router's error answers: raised anywhere below, sent by the application in the caller's form.

The hosted API words its errors in three ways, as it does in the wild; the OpenAI-compatible API words them
all in OpenAI's one, or as older vLLM does.
"""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from indoxrouter.sandbox.encoding import to_json

Location = tuple[str | int, ...]
HOSTED, OPENAI, VLLM = "hosted", "openai", "vllm"

_OPENAI_STATUS = {402: 429, 422: 400}
_OPENAI_CODES = {401: "invalid_api_key", 402: "insufficient_quota", 429: "rate_limit_exceeded"}
_CODES = {"ModelNotFoundError": "model_not_found", "ProviderNotFoundError": "model_not_found"}
_VLLM_TYPES = {400: "BadRequestError", 401: "AuthenticationError", 404: "NotFoundError", 429: "RateLimitError"}


class RouterError(Exception):
    """An error answer; `message`, `param` and `code` are its facts, `body` the hosted API's wording."""

    def __init__(
        self,
        status: int,
        body: Any,
        headers: Mapping[str, str] | None = None,
        *,
        message: str,
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers
        self.message = message
        self.param = param
        self.code = code

    def response(self, request_id: str, form: str = HOSTED) -> Response:
        if form == HOSTED:
            body = self.body
            if isinstance(body, dict) and "request_id" in body:
                body = body | {"request_id": request_id}
            return Response(to_json(body), self.status, self.headers, "application/json")
        status = _OPENAI_STATUS.get(self.status, self.status)
        code = self.code or _OPENAI_CODES.get(self.status)
        body = error_body(form, status, self.message, self.param, code)
        return Response(to_json(body), status, self.headers, "application/json")


def error_body(form: str, status: int, message: str, param: str | None = None, code: str | None = None) -> Any:
    """The body of an error with a status, in a form."""
    if form == HOSTED:
        return {"detail": message}
    if form == VLLM:
        kind = _VLLM_TYPES.get(status, "BadRequestError" if status < 500 else "InternalServerError")
        return {"object": "error", "message": message, "type": kind, "param": param, "code": status}
    code = code or _OPENAI_CODES.get(status)
    kind = "invalid_request_error" if status < 500 else "server_error"
    if status == 429:
        kind = "insufficient_quota" if code == "insufficient_quota" else "requests"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def detail(status: int, text: str, headers: Mapping[str, str] | None = None) -> RouterError:
    return RouterError(status, {"detail": text}, headers, message=text)


def unauthorized(text: str) -> RouterError:
    return detail(401, text, {"WWW-Authenticate": "Bearer"})


def invalid(problems: list[tuple[Location, str, str]]) -> RouterError:
    """A 422 as FastAPI words it: where, what and which kind, for each problem."""
    listed = [{"loc": list(loc), "msg": msg, "type": kind} for loc, msg, kind in problems]
    places = [".".join(map(str, loc[1:])) for loc, _, _ in problems]
    message = "; ".join(
        f"{place}: {msg}" if place else msg for place, (_, msg, _) in zip(places, problems, strict=True)
    )
    return RouterError(422, {"detail": listed}, message=message, param=places[0] or None)


def named(status: int, error: str, message: str, **details: Any) -> RouterError:
    """An error in the router's own form, with one of its published exception names."""
    body = {
        "success": False,
        "error": error,
        "message": message,
        "status_code": status,
        "request_id": None,
        "details": details,
    }
    code = _CODES.get(error)
    return RouterError(status, body, message=message, param=details.get("parameter", code and "model"), code=code)


def refused(message: str, parameter: str, **details: Any) -> RouterError:
    """A parameter that a model, or the sandbox, does not take."""
    return named(400, "InvalidParametersError", message, parameter=parameter, **details)


def context_exceeded(model: str, context: int, asked: int) -> RouterError:
    """The provider's own error, passed through as routers do."""
    message = f"{model} has a context of {context} tokens; prompt and max_tokens ask for {asked}."
    code = "context_length_exceeded"
    body = error_body(OPENAI, 400, message, "max_tokens", code)
    return RouterError(400, body, message=message, param="max_tokens", code=code)
