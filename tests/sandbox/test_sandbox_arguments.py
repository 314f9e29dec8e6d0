"""Arguments that cannot be: what is said of them, and where it is raised."""

import datetime
from collections.abc import Callable
from typing import Any

import pytest
import requests

from indoxrouter.sandbox import Sandbox, server
from indoxrouter.sandbox.entries import PastUsage, Payment, names
from indoxrouter.sandbox.faults import NAMES

DAY = "2025-11-20"


def raised(error: type[Exception], call: Callable[..., Any], *args: Any, **fields: Any) -> str:
    """The message of an error that is raised by the very function that was called, with nothing behind it."""
    with pytest.raises(error) as caught:
        call(*args, **fields)
    assert type(caught.value) is error
    assert str(caught.traceback[-1].path) == server.__file__
    assert len(caught.traceback) == 2  # this function, and the one that was called
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"credit": 1}, "Sandbox() has no setting 'credit'; did you mean 'credits'?"),
        ({"key": "x"}, "Sandbox() has no setting 'key'; did you mean 'api_key'?"),
        ({"video_second": 1}, "Sandbox() has no setting 'video_second'; did you mean 'video_seconds' or 'videos'?"),
    ],
)
def test_an_unknown_setting(settings: dict[str, Any], message: str) -> None:
    assert raised(TypeError, Sandbox, **settings) == message


def test_a_setting_that_is_near_none_gets_the_list() -> None:
    message = raised(TypeError, Sandbox, colour="red")
    assert message.startswith("Sandbox() has no setting 'colour'; it has port, api_key, ")
    assert message.endswith("ignore_base64")


@pytest.mark.parametrize("port", ["80", -1, 65_536, 1.5, True, None])
def test_a_port_that_cannot_be_is_refused_before_the_start(port: Any) -> None:
    assert raised(ValueError, Sandbox, port=port) == f"port must be a whole number from 0 to 65535, not {port!r}"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"tier": "gold"}, "tier must be one of unlimited, free, standard, enterprise, not 'gold'"),
        ({"logins": ["token", "password"]}, "logins must each be one of api-key, token, not 'password'"),
        ({"credits": "much"}, "credits must be an amount, 0 or more, not 'much'"),
    ],
)
def test_a_value_that_cannot_be(setting: dict[str, Any], message: str) -> None:
    assert raised(ValueError, Sandbox, **setting) == message


@pytest.mark.parametrize(
    ("method", "fields", "message"),
    [
        ("add_usage", {"date": DAY, "tokens": 5}, "'tokens'; did you mean 'input_tokens' or 'output_tokens'?"),
        ("add_usage", {"date": DAY, "session": "s"}, "'session'; did you mean 'session_id'?"),
        ("add_usage", {"date": DAY, "colour": "red"}, "'colour'; it has date, model, endpoint, provider, requests, "),
        ("add_credits", {"amount": 5, "method": "card"}, "'method'; did you mean 'payment_method'?"),
        ("add_credits", {"amount": 5, "colour": 1}, "'colour'; it has amount, description, payment_method, date"),
        ("fault", {"status_code": 500}, "'status_code'; did you mean 'status'?"),
        ("fault", {"colour": "red"}, "'colour'; it has path, method, times, after, delay, status, "),
    ],
)
def test_a_field_that_is_not_known(sandbox: Sandbox, method: str, fields: dict[str, Any], message: str) -> None:
    found = raised(TypeError, getattr(sandbox, method), **fields)
    assert found.startswith(f"Sandbox.{method}() has no field {message}")


@pytest.mark.parametrize(
    ("method", "fields", "message"),
    [
        ("add_usage", {"date": "yesterday"}, "date must be a date, or text like 2025-11-20, not 'yesterday'"),
        ("add_usage", {"date": DAY, "requests": "5"}, "requests must be a whole number from 1, not '5'"),
        ("add_usage", {"date": DAY, "model": 5}, "model must be text, not 5"),
        ("add_credits", {"amount": "ten"}, "amount must be an amount from 0 to 1000000, not 'ten'"),
        ("add_credits", {"amount": 0}, "amount must be above 0"),
        ("fault", {"status": "500"}, "status must be a whole number from 200 to 599, not '500'"),
        ("fault", {"delay": "long"}, "delay must be a number from 0 to 1000000000, not 'long'"),
        ("fault", {"path": 5}, "path must be text, not 5"),
        ("fault", {"method": ["GET"]}, "method must be text, not ['GET']"),
        ("fault", {"times": 0}, "times must be a whole number from 1 to 1000000000, not 0"),
        ("fault", {"expire": "yes"}, "expire must be true or false, not 'yes'"),
        ("fault", {"charge": 1}, "charge must be true or false, not 1"),
        ("fault", {"body": b"<html>"}, "body must be text, or what can be written as JSON"),
        ("fault", {"headers": ["A"]}, "headers must be an object of names and values, not ['A']"),
        ("fault", {"headers": {"A B": "x"}}, "headers cannot have 'A B': it cannot be sent"),
        ("fault", {"after": None}, "after cannot be None"),
        ("fault", {"hang_after": None, "hang": 1}, "hang_after cannot be None"),
        ("fault", {"job_error": 5}, "job_error must be text, not 5"),
    ],
)
def test_a_fact_that_cannot_be(sandbox: Sandbox, method: str, fields: dict[str, Any], message: str) -> None:
    assert raised(ValueError, getattr(sandbox, method), **fields) == message
    assert requests.get(sandbox.url + "/user/health", timeout=5).status_code == 200


@pytest.mark.parametrize("method", ["add_usage", "add_credits"])
def test_a_fact_that_is_missing(sandbox: Sandbox, method: str) -> None:
    with pytest.raises(TypeError, match=rf"^Sandbox\.{method}\(\) missing 1 required positional argument"):
        getattr(sandbox, method)()


@pytest.mark.parametrize(
    ("path", "order", "message"),
    [
        ("usage", {}, "an entry needs date"),
        ("usage", [5], "an entry is an object"),
        ("usage", {"date": DAY, "tokens": 5}, "an entry has no field 'tokens'; did you mean 'input_tokens' or "),
        ("credits", {"description": "x"}, "an entry needs amount"),
        ("credits", {"amount": 1, "colour": 1}, "an entry has no field 'colour'; it has amount, "),
        ("faults", {"status_code": 500}, "a fault has no field 'status_code'; did you mean 'status'?"),
        ("faults", {"expire": None}, "expire cannot be None"),
        ("faults", [], "a fault is an object"),
    ],
)
def test_the_same_over_http(shared: Sandbox, path: str, order: Any, message: str) -> None:
    answer = requests.post(f"{shared.origin}/sandbox/{path}", json=order, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(message)


@pytest.mark.parametrize(
    ("method", "known"),
    [(Sandbox.fault, NAMES), (Sandbox.add_credits, names(Payment)), (Sandbox.add_usage, names(PastUsage))],
)
def test_a_docstring_names_every_field(method: Callable[..., Any], known: tuple[str, ...]) -> None:
    text = method.__doc__ or ""
    parameters = {"amount", "date"}  # the signature names them
    assert [name for name in known if f"`{name}`" not in text and name not in parameters] == []


def test_a_day_may_be_text_a_date_or_a_moment(sandbox: Sandbox) -> None:
    for day in (DAY, datetime.date(2025, 11, 20), datetime.datetime(2025, 11, 20, 5, tzinfo=datetime.UTC)):
        sandbox.add_usage(day, cost=1)
        assert sandbox.add_credits(1, date=day)["created_at"] == "2025-11-20T12:00:00+00:00"
