"""Answers that are lists of objects."""

from __future__ import annotations

from typing import Any

from indoxrouter.errors import APIError
from indoxrouter.wire.decode import not_understood
from indoxrouter.wire.fields import check_few
from indoxrouter.wire.messages import Result


def rows(result: Result, *names: str, most: int | None = 2**14) -> list[dict[str, Any]]:
    """The objects of a list: bare, or under one of these names. The seed era's `result` may be around it.

    `most`: None where what is read of them is read for all at once, and more may come.
    A list that holds anything else is refused whole: what is left out would be missing from its sums.
    """
    body = result.body
    if isinstance(body, dict) and isinstance(body.get("result"), list | dict):
        body = body["result"]
    if isinstance(body, dict):
        body = next((body[name] for name in names if isinstance(body.get(name), list)), None)
    if not isinstance(body, list) or not {type(row) for row in body} <= {dict}:
        raise not_understood(result)
    if most is not None:
        check_few(len(body), most)
    return body


def refused(result: Result, why: str) -> APIError:
    """The error for an answer of a documented shape that says something impossible."""
    error = not_understood(result)
    error.message = f"{result.target}: {why}"
    error.args = (error.message,)
    return error
