"""Credits: payments into the account, and what cannot be paid."""

import datetime
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from starlette.routing import Route

from indoxrouter.sandbox import Sandbox

from .sandbox_api import MODEL, Api, chat_body

WAV = ("speech.wav", b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00" + bytes(20), "audio/wav")
PAID: list[tuple[str, dict[str, Any]]] = [
    ("chat/completions", {"json": chat_body()}),
    ("chat/completions", {"json": chat_body(stream=True)}),
    ("completions", {"json": {"model": MODEL, "prompt": "x"}}),
    ("completions", {"json": {"model": MODEL, "prompt": "x", "stream": True}}),
    ("embeddings", {"json": {"model": "openai/text-embedding-3-small", "text": ["x"]}}),
    ("images/generations", {"json": {"model": "openai/dall-e-3", "prompt": "x"}}),
    ("videos/generations", {"json": {"model": "google/veo-3.0-generate-001", "prompt": "x"}}),
    ("audio/tts/generations", {"json": {"model": "openai/tts-1", "input": "x"}}),
    ("audio/stt/transcriptions", {"data": {"model": "openai/whisper-1"}, "files": {"file": WAV}}),
    ("audio/stt/translations", {"data": {"model": "openai/whisper-1"}, "files": {"file": WAV}}),
]


def page(api: Api, **query: Any) -> dict[str, Any]:
    answer = api.get("user/transactions", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = json.loads(answer.content, parse_float=Decimal)
    return found


def control(sandbox: Sandbox, path: str, body: Any) -> requests.Response:
    return requests.post(f"{sandbox.origin}/sandbox/{path}", json=body, timeout=10)


def test_the_opening_credit_is_a_transaction() -> None:
    with Sandbox(credits="12.5") as sandbox, Api(sandbox) as api:
        found = page(api)
        assert found["total_count"] == 1
        [opening] = found["transactions"]
        assert opening["amount"] == Decimal("12.5")
        assert set(opening) == {
            *("id", "transaction_id", "amount", "currency", "transaction_type"),
            *("status", "payment_method", "description", "created_at"),
        }
        assert (opening["id"], opening["currency"], opening["status"]) == (1, "USD", "completed")
        assert datetime.datetime.fromisoformat(opening["created_at"]).tzinfo is not None


def test_credits_are_added_and_listed_newest_first(own: Api) -> None:
    first = own.sandbox.add_credits("25.000000000001", description="Top-up", payment_method="card")
    answer = control(own.sandbox, "credits", {"amount": 0.1})
    assert answer.status_code == 201
    found = page(own)
    assert found["total_count"] == 3
    assert [entry["id"] for entry in found["transactions"]] == [3, 2, 1]
    assert found["transactions"][0] == json.loads(answer.content, parse_float=Decimal)
    assert found["transactions"][1] == first
    assert (first["amount"], first["description"], first["payment_method"], first["transaction_type"]) == (
        *(Decimal("25.000000000001"), "Top-up", "card", "top_up"),
    )
    assert len({entry["transaction_id"] for entry in found["transactions"]}) == 3
    assert b'"credits":1025.100000000001,' in own.get("user/me").content


def test_a_payment_of_another_day_stands_at_its_day(own: Api) -> None:
    for day in ("2025-03-01", datetime.date(2025, 4, 1)):
        own.sandbox.add_credits(5, date=day)
    dates = [entry["created_at"][:10] for entry in page(own)["transactions"]]
    assert dates[1:] == ["2025-04-01", "2025-03-01"]
    assert dates[0] > "2025-04-01"


def test_pages(own: Api) -> None:
    for amount in range(1, 8):
        own.sandbox.add_credits(amount)
    amounts = [entry["amount"] for offset in (0, 3, 6) for entry in page(own, limit=3, offset=offset)["transactions"]]
    assert amounts == [7, 6, 5, 4, 3, 2, 1, 1000]
    assert page(own, offset=8) == {"transactions": [], "total_count": 8}
    assert len(page(own, limit=1000)["transactions"]) == 8


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("limit", value) for value in ("0", "-1", "1001", "ten", "1.5", "", "9" * 30)),
        *(("offset", value) for value in ("-1", "x", "9" * 30)),
    ],
)
def test_a_page_that_cannot_be(api: Api, name: str, value: str) -> None:
    answer = api.get("user/transactions", params={name: value})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", name]


AMOUNTS: list[Any] = [0, -1, "much", "NaN", True, None, [], 10**7, "1e-13"]
FACTS: list[tuple[str, Any]] = [("description", ""), ("payment_method", 5), ("date", "today")]


@pytest.mark.parametrize(
    "order", [{"amount": amount} for amount in AMOUNTS] + [{"amount": 1, name: value} for name, value in FACTS]
)
def test_a_payment_that_cannot_be(own: Api, order: dict[str, Any]) -> None:
    *_, name = order
    with pytest.raises(ValueError, match=name):
        own.sandbox.add_credits(**order)
    answer = control(own.sandbox, "credits", order)
    assert answer.status_code == 400
    assert name in answer.json()["detail"]
    assert page(own)["total_count"] == 1


@pytest.mark.parametrize("order", [[], 5, {}, {"amount": 1, "colour": "red"}, {"amount": 1, 5: 6}])
def test_an_order_that_is_none(own: Api, order: Any) -> None:
    assert control(own.sandbox, "credits", order).status_code == 400
    with pytest.raises(TypeError):
        own.sandbox.add_credits(1, colour="red")


def test_a_sandbox_that_does_not_run_books_nothing() -> None:
    sandbox = Sandbox()
    with pytest.raises(RuntimeError, match="not started"):
        sandbox.add_credits(1)
    with sandbox:
        sandbox.add_credits(1)
    with pytest.raises(RuntimeError, match="not running"):
        sandbox.add_credits(1)


def test_payments_outlive_the_server_and_the_opening_is_the_settings(tmp_path: Path) -> None:
    with Sandbox(database=tmp_path / "ledger", credits=10) as sandbox, Api(sandbox) as api:
        sandbox.add_credits("2.5")
        before = page(api)
    with Sandbox(database=tmp_path / "ledger", credits=10) as sandbox, Api(sandbox) as api:
        assert page(api) == before
        assert api.get("user/me").json()["credits"] == 12.5
    with Sandbox(database=tmp_path / "ledger", credits=20) as sandbox, Api(sandbox) as api:
        assert [entry["amount"] for entry in page(api)["transactions"]] == [Decimal("2.5"), 20]
        assert api.get("user/me").json()["credits"] == 22.5


@pytest.mark.parametrize(("path", "request_parts"), PAID)
def test_what_cannot_be_paid_is_refused_before_it_starts(path: str, request_parts: dict[str, Any]) -> None:
    with Sandbox(credits=0) as sandbox, Api(sandbox) as api:
        answer = api.session.post(f"{sandbox.url}/{path}", timeout=10, **request_parts)
        assert (answer.status_code, answer.headers["content-type"]) == (402, "application/json")
        body = answer.json()
        assert body == {
            "success": False,
            "error": "InsufficientCreditsError",
            "message": "The account has no credits left.",
            "status_code": 402,
            "request_id": answer.headers["x-request-id"],
            "details": {"remaining_credits": 0},
        }
        assert (sandbox.stats()["charges"], sandbox.stats()["open_streams"]) == (0, 0)
        sandbox.add_credits(10)
        assert api.session.post(f"{sandbox.url}/{path}", timeout=10, **request_parts).status_code == 200


def test_every_paid_endpoint_is_tried_without_credits() -> None:
    with Sandbox() as sandbox:
        routes = [route for route in sandbox._running_app()._router.routes if isinstance(route, Route)]
        posts = [route.path for route in routes if "POST" in (route.methods or ())]
    paths = {path.removeprefix("/v1/") for path in posts if path.startswith("/v1/")}
    free = {path for path in paths if path.startswith(("auth/", "user/")) or "{" in path}
    assert paths - free == {path for path, _ in PAID}
