"""Answers that the caller made up, for tests: nothing is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from indoxrouter.errors import ValidationError
from indoxrouter.wire.messages import Request, Result


def answer(given: Any, request: Request, client_request_id: str) -> Result:
    """The answer that `mock_response` stands for: a text, a whole body, or an exception to raise."""
    if isinstance(given, Exception):
        raise given
    return Result(_body(given, request), request, "mock_response", {}, client_request_id)


def _body(given: Any, request: Request) -> Any:
    if isinstance(given, Mapping) and all(isinstance(name, str) for name in given):
        return dict(given)
    if request.kind in ("chat", "completion") and isinstance(given, str):
        message = {"role": "assistant", "content": given}
        choices = [{"index": n, "message": message, "finish_reason": "stop"} for n in range(request.choices)]
        return {"model": request.model, "choices": choices, "usage": {"cost": 0.0}, "message": "mock_response"}
    if request.kind == "embeddings" and isinstance(given, list):
        return {"model": request.model, "data": given, "usage": {"cost": 0.0}, "message": "mock_response"}
    raise ValidationError("mock_response must be a text, a list of vectors, a whole body or an exception")
