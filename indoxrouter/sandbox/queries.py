"""What a query may say, checked and refused as FastAPI does."""

import re
from collections.abc import Collection

from starlette.requests import Request

from indoxrouter.sandbox import checks
from indoxrouter.sandbox.errors import Location, invalid

_FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def whole(request: Request, name: str, default: int, least: int, most: int | None = None) -> int:
    written = request.query_params.get(name)
    if written is None:
        return default
    loc = ("query", name)
    number = integer(written, loc)
    if number < least:
        raise invalid([(loc, f"Input should be greater than or equal to {least}", "greater_than_equal")])
    if most is not None and number > most:
        raise invalid([(loc, f"Input should be less than or equal to {most}", "less_than_equal")])
    return number


def integer(written: str, loc: Location) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", written):
        message = "Input should be a valid integer, unable to parse string as an integer"
        raise invalid([(loc, message, "int_parsing")])
    return int(written)


def choice(request: Request, name: str, default: str, choices: Collection[str]) -> str:
    written = request.query_params.get(name) or default
    if written not in choices:
        raise invalid([(("query", name), f"Input should be one of {', '.join(choices)}", "enum")])
    return written


def flag(request: Request, name: str) -> bool:
    written = request.query_params.get(name)
    if written is None:
        return False
    if written.lower() not in _FLAGS:
        raise invalid([(("query", name), "Input should be a valid boolean", "bool_parsing")])
    return _FLAGS[written.lower()]


def period(request: Request) -> tuple[str | None, str | None]:
    """The days of `start_date` and `end_date`, in their order."""
    start = checks.day(request.query_params.get("start_date"), "start_date")
    end = checks.day(request.query_params.get("end_date"), "end_date")
    if start and end and start > end:
        raise invalid([(("query", "end_date"), "end_date is before start_date", "value_error")])
    return start, end
