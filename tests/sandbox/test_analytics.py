"""Usage by one field, by session and by model; what is asked most; usage of past days."""

import datetime
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from indoxrouter.sandbox import Sandbox

from .sandbox_api import MODEL, Api

OPUS = "anthropic/claude-3-opus"
EMBEDDING = "openai/text-embedding-3-small"


def get(api: Api, path: str, **query: Any) -> Any:
    answer = api.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return json.loads(answer.content, parse_float=Decimal)


def rows(api: Api, path: str = "analytics/usage", **query: Any) -> list[dict[str, Any]]:
    body = get(api, path, **query)
    assert set(body) == {"data"}
    found: list[dict[str, Any]] = body["data"]
    return found


@pytest.fixture(scope="module")
def books() -> Iterator[Api]:
    """Three past days; nothing is asked for today."""
    with Sandbox() as sandbox, Api(sandbox) as api:
        usage: list[dict[str, Any]] = [
            {"date": "2025-11-20", "input_tokens": 12, "output_tokens": 40, "cost": "0.0000123", "requests": 3},
            {"date": "2025-11-20", "model": OPUS, "input_tokens": 100, "output_tokens": 200, "session_id": "s1"},
            {"date": "2025-11-21", "model": OPUS, "input_tokens": 10, "output_tokens": 20, "session_id": "s1"},
            {
                "date": datetime.date(2025, 11, 23),
                "model": EMBEDDING,
                "endpoint": "embeddings",
                "input_tokens": 7,
                "cost": Decimal("0.000000000001"),
                "client_ip": "10.0.0.7",
                "session_id": "s2",
            },
        ]
        for entry in usage:
            sandbox.add_usage(**entry)
        yield api


def test_a_row_for_each_day(books: Api) -> None:
    expected = [
        {
            "date": "2025-11-20",
            "requests": 4,
            "input_tokens": 112,
            "output_tokens": 240,
            "total_tokens": 352,
            "cost": Decimal("0.0165123"),
        },
        {
            "date": "2025-11-21",
            "requests": 1,
            "input_tokens": 10,
            "output_tokens": 20,
            "total_tokens": 30,
            "cost": Decimal("0.00165"),
        },
        {
            "date": "2025-11-23",
            "requests": 1,
            "input_tokens": 7,
            "output_tokens": 0,
            "total_tokens": 7,
            "cost": Decimal("0.000000000001"),
        },
    ]
    assert rows(books, group_by="date") == rows(books) == rows(books, group_by="") == expected
    assert b'"cost":0.0165123}' in books.get("analytics/usage").content
    assert b'"cost":0.000000000001}' in books.get("analytics/usage").content


@pytest.mark.parametrize(
    ("group", "values"),
    [
        ("model", {OPUS: 2, MODEL: 3, EMBEDDING: 1}),
        ("provider", {"anthropic": 2, "openai": 4}),
        ("endpoint", {"chat/completions": 5, "embeddings": 1}),
        ("session_id", {"s1": 2, None: 3, "s2": 1}),
        ("client_ip", {None: 5, "10.0.0.7": 1}),
    ],
)
def test_rows_of_another_group_the_costliest_first(books: Api, group: str, values: dict[str | None, int]) -> None:
    found = rows(books, group_by=group)
    assert {row[group]: row["requests"] for row in found} == values
    assert list(found[0]) == [group, "requests", "input_tokens", "output_tokens", "total_tokens", "cost"]
    assert [row["cost"] for row in found] == sorted((row["cost"] for row in found), reverse=True)
    for field in ("requests", "input_tokens", "output_tokens", "total_tokens", "cost"):
        assert sum(row[field] for row in found) == sum(row[field] for row in rows(books))


@pytest.mark.parametrize(
    ("query", "requests_"),
    [
        ({"start_date": "2025-11-21"}, 2),
        ({"end_date": "2025-11-20"}, 4),
        ({"start_date": "2025-11-21", "end_date": "2025-11-22"}, 1),
        ({"provider": "anthropic"}, 2),
        ({"model": OPUS}, 2),
        ({"model": "claude-3-opus"}, 2),
        ({"model": "opus"}, 0),
        ({"endpoint": "embeddings"}, 1),
        ({"session_id": "s1"}, 2),
        ({"session_id": "s1", "end_date": "2025-11-20"}, 1),
        ({"session_id": "' OR 1=1 --"}, 0),
        ({"provider": "nobody"}, 0),
        ({"provider": ""}, 6),
    ],
)
def test_filters(books: Api, query: dict[str, str], requests_: int) -> None:
    assert sum(row["requests"] for row in rows(books, **query)) == requests_


@pytest.mark.parametrize(
    ("path", "query", "name"),
    [
        ("analytics/usage", {"group_by": "colour"}, "group_by"),
        ("analytics/usage", {"group_by": "date,model"}, "group_by"),
        ("analytics/usage", {"include_content": "maybe"}, "include_content"),
        *((f"analytics/{name}", {"start_date": "yesterday"}, "start_date") for name in ("usage", "sessions", "models")),
        ("analytics/usage", {"start_date": "2025-02-02", "end_date": "2025-02-01"}, "end_date"),
        *(("models/trending", {"days": value}, "days") for value in ("0", "366", "week")),
        *(("models/trending", {"limit": value}, "limit") for value in ("0", "101", "")),
    ],
)
def test_a_query_that_cannot_be_answered(api: Api, path: str, query: dict[str, str], name: str) -> None:
    answer = api.get(path, params=query)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", name]


def test_the_contents_of_requests_are_not_kept(own: Api) -> None:
    own.chat("A secret of mine")
    assert [row["content"] for row in rows(own, include_content="true")] == [[]]
    assert "content" not in rows(own, include_content="false")[0]
    dump = "\n".join(own.sandbox._running_app().ledger._db.iterdump())
    assert "secret of mine" not in dump


def test_sessions(books: Api) -> None:
    latest, first = rows(books, "analytics/sessions")
    assert (latest["session_id"], latest["requests"]) == ("s2", 1)
    assert first == {
        "session_id": "s1",
        "requests": 2,
        "input_tokens": 110,
        "output_tokens": 220,
        "total_tokens": 330,
        "cost": Decimal("0.01815"),
        "first_request_at": "2025-11-20T12:00:00+00:00",
        "last_request_at": "2025-11-21T12:00:00+00:00",
    }
    assert rows(books, "analytics/sessions", session_id="s1") == [first]
    [day] = rows(books, "analytics/sessions", session_id="s1", start_date="2025-11-21")
    assert day["requests"] == 1
    assert rows(books, "analytics/sessions", session_id="none") == []


def test_models(books: Api) -> None:
    found = rows(books, "analytics/models")
    assert [(row["model"], row["provider"], row["requests"]) for row in found] == [
        (MODEL, "openai", 3),
        (OPUS, "anthropic", 2),
        (EMBEDDING, "openai", 1),
    ]
    assert rows(books, "analytics/models", provider="anthropic") == [found[1]]
    assert rows(books, "analytics/models", end_date="2025-01-01") == []


@pytest.mark.parametrize("envelope", ["list", "data", "results", "usage"])
def test_the_envelope_can_be_chosen(envelope: str) -> None:
    with Sandbox(analytics_envelope=envelope) as sandbox, Api(sandbox) as api:
        sandbox.add_usage("2025-11-20", session_id="s")
        for path in ("usage", "sessions", "models"):
            body = get(api, f"analytics/{path}")
            [row] = body if envelope == "list" else body.pop(envelope)
            assert row["requests"] == 1
            assert envelope == "list" or body == {}


def test_the_seed_era_wraps_them() -> None:
    with Sandbox(answers="seed") as sandbox, Api(sandbox) as api:
        sandbox.add_usage("2025-11-20")
        assert get(api, "analytics/usage")["result"]["data"][0]["requests"] == 1
        assert get(api, "models/trending", days=365)["result"] == []
        assert get(api, "user/api-keys")["result"]["keys"][0]["id"] == 1


def test_requests_are_counted_by_who_asked(own: Api) -> None:
    cost = Decimal(str(own.chat(additional_params={"session_id": "of the body"}).json()["usage"]["cost"]))
    own.chat(headers={"X-Session-Id": "of the header"})
    both = own.chat(headers={"X-Session-Id": "of the header"}, additional_params={"session_id": "of the body"})
    own.chat(additional_params={"session_id": ""})
    assert both.status_code == 200
    found = {row["session_id"]: row for row in rows(own, group_by="session_id")}
    assert {name: row["requests"] for name, row in found.items()} == {"of the body": 2, "of the header": 1, None: 1}
    assert found["of the body"]["cost"] == 2 * cost
    assert [(row["client_ip"], row["requests"]) for row in rows(own, group_by="client_ip")] == [("127.0.0.1", 4)]
    assert [row["date"] for row in rows(own)] == [datetime.datetime.now(datetime.UTC).date().isoformat()]
    assert [row["requests"] for row in rows(own, endpoint="chat/completions", model="gpt-4o-mini")] == [4]


@pytest.mark.parametrize("session", [5, [], {"a": 1}, "\ud800"])
def test_a_session_that_is_no_text(own: Api, session: Any) -> None:
    answer = own.chat(additional_params={"session_id": session})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "additional_params", "session_id"]
    assert own.usage()["total_requests"] == 0


def test_sums_are_exact_beyond_floats_and_beyond_64_bits(own: Api) -> None:
    for _ in range(30):
        own.sandbox.add_usage("2025-11-20", cost="999999.000000000001")
    [row] = rows(own)
    assert row["cost"] == Decimal("29999970.000000000030")
    assert b'"cost":29999970.00000000003}' in own.get("analytics/usage").content
    report = get(own, "user/usage")
    assert report["total_cost"] == report["daily_usage"][0]["cost"] == row["cost"]
    assert report["remaining_credits"] == 1000 - row["cost"]


def test_past_usage_is_usage_like_any_other(own: Api) -> None:
    own.sandbox.add_usage("2025-11-20", model=MODEL, input_tokens=1000, output_tokens=1000, requests=10)
    own.sandbox.add_usage("2025-11-21", model="new/<img onerror=alert(1)>", cost=1.5)
    report = own.usage(start_date="2025-11-20", end_date="2025-11-21")
    assert [(day["date"], day["requests"], day["cost"]) for day in report["daily_usage"]] == [
        ("2025-11-20", 10, 0.00075),
        ("2025-11-21", 1, 1.5),
    ]
    assert report["models"]["new/<img onerror=alert(1)>"]["cost"] == report["providers"]["new"]["cost"] == 1.5
    assert own.get("user/me").json()["credits"] == 1000 - 1.50075
    assert own.sandbox.stats()["charges"] == 0


def test_past_usage_over_http_is_booked_whole_or_not_at_all(own: Api) -> None:
    url = own.sandbox.origin + "/sandbox/usage"
    good: dict[str, Any] = {"date": "2025-11-20", "cost": 0.25}
    assert requests.post(url, json=good, timeout=10).json() == {"success": True, "added": 1}
    assert requests.post(url, json=[good, good], timeout=10).status_code == 201
    assert requests.post(url, json=[good, good | {"date": "2025-02-30"}], timeout=10).status_code == 400
    assert [row["cost"] for row in rows(own)] == [Decimal("0.75")]


@pytest.mark.parametrize(
    "entry",
    [
        {"date": "20251120"},
        {"date": 5},
        {"date": None},
        {"requests": 0},
        {"requests": "3"},
        {"input_tokens": -1},
        {"output_tokens": 1.5},
        {"input_tokens": True},
        {"cost": -1},
        {"cost": "0.0000000000001"},
        {"cost": 10**7},
        {"cost": []},
        {"model": ""},
        {"model": "\ud800"},
        {"endpoint": ""},
        {"provider": ""},
        {"session_id": 5},
        {"client_ip": 5},
    ],
)
def test_past_usage_that_cannot_be(own: Api, entry: dict[str, Any]) -> None:
    [name] = entry
    whole = {"date": "2025-11-20"} | entry
    with pytest.raises(ValueError, match=name):
        own.sandbox.add_usage(**whole)
    answer = requests.post(own.sandbox.origin + "/sandbox/usage", json=whole, timeout=10)
    assert answer.status_code == 400
    assert name in answer.json()["detail"]
    assert own.usage()["total_requests"] == 0


def test_a_model_without_a_price_needs_a_cost(own: Api) -> None:
    with pytest.raises(ValueError, match="new/model has no price"):
        own.sandbox.add_usage("2025-11-20", model="new/model")
    with pytest.raises(ValueError, match="cost must be an amount from 0 to 1000000"):
        own.sandbox.add_usage("2025-11-20", model="openai/gpt-4", output_tokens=10**12)
    with pytest.raises(TypeError):
        own.sandbox.add_usage("2025-11-20", colour="red")
    for order in ({}, 5, [5], {"date": "2025-11-20", "colour": "red"}, {"cost": 1}):
        assert requests.post(own.sandbox.origin + "/sandbox/usage", json=order, timeout=10).status_code == 400


UNPRICED = ["openai/dall-e-3", "tts-1", "openai/whisper-1", "google/veo-3.0-generate-001"]


@pytest.mark.parametrize("model", UNPRICED)
def test_a_model_that_is_not_priced_by_tokens_needs_a_cost(own: Api, model: str) -> None:
    with pytest.raises(ValueError, match=f"{model} is not priced by tokens: give its cost"):
        own.sandbox.add_usage("2025-11-20", model=model, requests=2)
    answer = requests.post(
        own.sandbox.origin + "/sandbox/usage", json={"date": "2025-11-20", "model": model}, timeout=10
    )
    assert (answer.status_code, answer.json()["detail"]) == (400, f"{model} is not priced by tokens: give its cost")
    own.sandbox.add_usage("2025-11-20", model=model, requests=2, cost=0)
    own.sandbox.add_usage("2025-11-20", model=model, cost="0.08")
    assert [row["cost"] for row in rows(own)] == [Decimal("0.08")]


@pytest.mark.parametrize(
    ("model", "endpoint"),
    [
        ("openai/gpt-4o", "chat/completions"),
        ("gpt-3.5-turbo-instruct", "completions"),
        (EMBEDDING, "embeddings"),
        ("openai/gpt-image-1", "images/generations"),
        ("openai/tts-1", "audio/tts/generations"),
        ("openai/whisper-1", "audio/stt/transcriptions"),
        ("sora-2", "videos/generations"),
        ("new/model", "chat/completions"),
    ],
)
def test_usage_is_booked_where_models_of_its_kind_are_asked(own: Api, model: str, endpoint: str) -> None:
    own.sandbox.add_usage("2025-11-20", model=model, cost=1)
    own.sandbox.add_usage("2025-11-20", model=model, cost=1, endpoint="elsewhere")
    assert {row["endpoint"] for row in rows(own, group_by="endpoint")} == {endpoint, "elsewhere"}


def test_a_bare_name_is_booked_as_its_model(own: Api) -> None:
    own.sandbox.add_usage("2025-11-20", model="claude-3-opus", input_tokens=1000)
    [row] = rows(own, group_by="model")
    assert (row["model"], row["cost"]) == (OPUS, Decimal("0.015"))
    assert [row["provider"] for row in rows(own, group_by="provider")] == ["anthropic"]


def test_trending_models_need_no_login(own: Api) -> None:
    today = datetime.datetime.now(datetime.UTC).date()
    for days, model, count in ((0, OPUS, 2), (6, MODEL, 5), (6, OPUS, 1), (7, EMBEDDING, 90)):
        own.sandbox.add_usage(today - datetime.timedelta(days), model=model, requests=count, input_tokens=3)
    own.chat(model="anthropic/claude-3-haiku")
    url = own.sandbox.url + "/models/trending"
    found = requests.get(url, timeout=10).json()
    assert [(row["model"], row["count"]) for row in found] == [(MODEL, 5), (OPUS, 3), ("anthropic/claude-3-haiku", 1)]
    assert found[1] == {
        "model": OPUS,
        "provider": "anthropic",
        "modelName": "claude-3-opus",
        "count": 3,
        "total_tokens": 6,
    }
    for query, first in (({"days": 8}, EMBEDDING), ({"days": 1}, OPUS)):
        assert requests.get(url, params=query, timeout=10).json()[0]["model"] == first
    assert len(requests.get(url, params={"limit": 2}, timeout=10).json()) == 2


@pytest.mark.parametrize("path", ["analytics/usage", "analytics/sessions", "analytics/models", "user/transactions"])
@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
def test_they_need_a_login_under_every_prefix(books: Api, path: str, prefix: str) -> None:
    url = f"{books.sandbox.origin}{prefix}/{path}"
    assert requests.get(url, timeout=10).status_code == 401
    assert books.session.get(url, timeout=10).status_code == 200


def test_usage_outlives_the_server(tmp_path: Path) -> None:
    with Sandbox(database=tmp_path / "ledger") as sandbox, Api(sandbox) as api:
        sandbox.add_usage("2025-11-20", session_id="s", client_ip="10.0.0.7", cost="0.000000000001")
        api.chat()
        before = [rows(api, group_by=group) for group in ("date", "session_id", "client_ip")]
    with Sandbox(database=tmp_path / "ledger") as sandbox, Api(sandbox) as api:
        assert [rows(api, group_by=group) for group in ("date", "session_id", "client_ip")] == before
