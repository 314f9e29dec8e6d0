"""The catalogue, usage and billing, keys and payments: every method, on both clients."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from clients import Client
from raw_server import Action, RawServer, Seen, answer, ok

from indoxrouter import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    DeadlineExceededError,
    NetworkError,
    ProviderNotFoundError,
    RateLimitError,
    RequestError,
    ValidationError,
)

KEY = "key-of-the-tests"
KINDS = ("sync", "async")


def asked(seen: Seen) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(seen.path).query).items()}


def path(seen: Seen) -> str:
    return urlsplit(seen.path).path.removeprefix("/v1/")


class Payments:
    """A list of payments, served as a page of the caller's choosing."""

    def __init__(self, count: int, page: Callable[[list[Any], int, int], Any]) -> None:
        self.rows = [{"id": n, "amount": 0.1, "currency": "USD"} for n in range(count)]
        self._page = page
        self.offsets: list[int] = []

    def __call__(self, seen: Seen) -> Iterable[Action]:
        query = asked(seen)
        limit, offset = int(query["limit"]), int(query["offset"])
        self.offsets.append(offset)
        return [ok(self._page(self.rows, limit, offset))]


def counted(rows: list[Any], limit: int, offset: int) -> Any:
    return {"transactions": rows[offset : offset + limit], "total_count": len(rows)}


def uncounted(rows: list[Any], limit: int, offset: int) -> Any:
    return rows[offset : offset + limit]


def short(rows: list[Any], limit: int, offset: int) -> Any:
    """Never more than 7 at once."""
    return {"transactions": rows[offset : offset + min(limit, 7)], "total_count": len(rows)}


def short_and_uncounted(rows: list[Any], limit: int, offset: int) -> Any:
    return {"transactions": rows[offset : offset + min(limit, 7)]}


def repeated(rows: list[Any], limit: int, offset: int) -> Any:
    """The first page, whatever is asked for."""
    del offset
    return {"transactions": rows[:limit], "total_count": 10**6}


def overlapping(rows: list[Any], limit: int, offset: int) -> Any:
    """As when payments are made between two pages."""
    begin = max(0, offset - 3)
    return {"transactions": rows[begin : begin + limit], "total_count": len(rows)}


def overcounted(rows: list[Any], limit: int, offset: int) -> Any:
    return {"transactions": rows[offset : offset + limit], "total_count": len(rows) + 5}


class TestTransactions:
    @pytest.mark.parametrize("page", [counted, uncounted, short, short_and_uncounted, overlapping, overcounted])
    @pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
    def test_all_pages_each_payment_once(self, page: Callable[..., Any], count: int) -> None:
        server = Payments(count, page)
        with RawServer(server) as raw, Client(KEY, raw.url) as client:
            found = client.transactions()
        assert [payment.id for payment in found] == list(range(count))
        assert all(payment.amount == Decimal("0.1") for payment in found)
        assert len(server.offsets) == len(set(server.offsets))

    @pytest.mark.parametrize("total", [None, 100, 3, 0])
    def test_a_server_that_repeats_its_first_page_is_asked_twice(self, total: int | None) -> None:
        def page(rows: list[Any], limit: int, offset: int) -> Any:
            return {**repeated(rows, limit, offset), "total_count": total}

        server = Payments(250, page)
        with RawServer(server) as raw, Client(KEY, raw.url) as client:
            assert [payment.id for payment in client.transactions()] == list(range(100))
        assert server.offsets == ([0] if total == 100 else [0, 100])

    def test_a_list_that_is_cut_by_its_own_count_is_no_answer(self) -> None:
        with RawServer(Payments(250, repeated)) as raw, Client(KEY, raw.url) as client:
            with pytest.raises(NetworkError, match="counts 1000000 items"):
                client.transactions()

    @pytest.mark.parametrize("count", [0, 3, 100])
    def test_a_count_of_the_page_alone_ends_nothing(self, count: int) -> None:
        def page(rows: list[Any], limit: int, offset: int) -> Any:
            return {"transactions": rows[offset : offset + limit], "total_count": count}

        with RawServer(Payments(250, page)) as raw, Client(KEY, raw.url) as client:
            assert len(client.transactions()) == (100 if count == 100 else 250)

    def test_a_refund_may_bear_the_id_of_its_payment(self) -> None:
        rows = [{"transaction_id": f"t{n}", "amount": 10} for n in range(100)]
        rows.append({"transaction_id": "t7", "amount": -10})
        server = Payments(0, counted)
        server.rows = rows
        with RawServer(server) as raw, Client(KEY, raw.url) as client:
            assert sum(payment.amount or 0 for payment in client.transactions()) == 990

    def test_a_hundred_payments_made_between_two_pages_end_nothing(self) -> None:
        def page(rows: list[Any], limit: int, offset: int) -> Any:
            made = [] if offset == 0 else [{"id": -n, "amount": 1} for n in range(1, 101)]
            listed = made + rows
            return {"transactions": listed[offset : offset + limit], "total_count": len(listed)}

        server = Payments(350, page)
        with RawServer(server) as raw, Client(KEY, raw.url) as client:
            found = [payment.id for payment in client.transactions()]
        assert sorted(found) == list(range(350))

    def test_payments_without_names_are_not_taken_for_one(self) -> None:
        row = {"amount": "5", "currency": "USD"}
        rows: list[list[dict[str, Any]]] = [[row, row], [row], []]
        with RawServer(lambda seen: [ok(rows[seen.number])]) as raw, Client(KEY, raw.url) as client:
            assert len(client.transactions()) == 3

    def test_a_limit_asks_for_no_more_than_it_needs(self) -> None:
        server = Payments(250, counted)
        with RawServer(server) as raw, Client(KEY, raw.url) as client:
            assert len(client.transactions(limit=30)) == 30
            assert len(client.transactions(limit=130)) == 130
        assert server.offsets == [0, 0, 100]

    @pytest.mark.parametrize("limit", [0, -1, True, 1.5, "3"])
    def test_a_bad_limit_is_refused_before_anything_is_sent(self, limit: Any) -> None:
        with RawServer(lambda _: []) as raw, Client(KEY, raw.url) as client:
            with pytest.raises(ValidationError, match="limit"):
                client.transactions(limit=limit)
            assert not raw.requests
            assert not raw.logins

    def test_one_deadline_covers_all_pages(self) -> None:
        def slowly(seen: Seen) -> Iterable[Action]:
            return [0.15, ok([{"id": seen.number, "amount": 1}])]

        with RawServer(slowly) as raw, Client(KEY, raw.url) as client, pytest.raises(DeadlineExceededError):
            client.transactions(deadline=0.5)

    def test_a_page_that_fails_fails_the_list(self) -> None:
        pages: list[Action] = [ok([{"id": 1, "amount": 1}]), answer(400, {"detail": "no"})]
        with RawServer(lambda seen: [pages[seen.number]]) as raw, Client(KEY, raw.url) as client:
            with pytest.raises(APIError) as caught:
                client.transactions()
        assert caught.value.status_code == 400


class TestUsageRows:
    def test_one_field_is_one_request(self) -> None:
        body = {"data": [{"model": "a/b", "requests": 2, "cost": 0.1}, {"model": "c", "requests": 1, "cost": 2e-7}]}
        with RawServer(lambda _: [ok(body)]) as raw, Client(KEY, raw.url) as client:
            rows = client.usage_rows("2026-11-01", datetime.date(2026, 11, 3), "model", provider="a", endpoint="chat")
        (seen,) = raw.requests
        assert path(seen) == "analytics/usage"
        assert asked(seen) == {
            "start_date": "2026-11-01",
            "end_date": "2026-11-03",
            "group_by": "model",
            "provider": "a",
            "endpoint": "chat",
        }
        assert [(row.model, row.requests, row.cost) for row in rows] == [
            ("a/b", 2, Decimal("0.1")),
            ("c", 1, Decimal("2e-7")),
        ]
        assert rows.totals.cost == Decimal("0.1000002")
        assert (rows.group_by, rows.tz) == (("model",), "UTC")

    def test_sums_by_one_of_the_fields(self) -> None:
        days = {
            "2026-11-01": [{"model": "a", "cost": 1, "requests": 1}, {"model": "b", "cost": 5, "requests": 2}],
            "2026-11-02": [{"model": "a", "cost": 0.5, "requests": 3}, {"model": "c", "requests": 4}],
        }
        with RawServer(lambda seen: [ok(days[asked(seen)["start_date"]])]) as raw, Client(KEY, raw.url) as client:
            rows = client.usage_rows("2026-11-01", "2026-11-02", ("date", "model"))
        assert [(name, sums.cost, sums.requests) for name, sums in rows.totals_by("model").items()] == [
            ("b", Decimal(5), 2),
            ("a", Decimal("1.5"), 4),
            ("c", None, 4),
        ]
        assert [sums.cost for sums in rows.totals_by("date").values()] == [Decimal(6), Decimal("0.5")]
        with pytest.raises(ValidationError, match="provider"):
            rows.totals_by("provider")

    def test_every_digit_of_a_cost_arrives(self) -> None:
        body = b'[{"date": "2026-11-01", "cost": 0.12345678901234567890123456789}]'
        with RawServer(lambda _: [answer(200, body)]) as raw, Client(KEY, raw.url) as client:
            (row,) = client.usage_rows("2026-11-01", "2026-11-01")
        assert row.cost == Decimal("0.12345678901234567890123456789")

    @pytest.mark.parametrize("pair", [("date", "model"), ["model", "date"]])
    def test_two_fields_are_one_request_a_day_grouped_by_the_other(self, pair: Any) -> None:
        def one_day(seen: Seen) -> Iterable[Action]:
            return [ok([{"model": "m", "cost": int(asked(seen)["start_date"][-2:])}])]

        with RawServer(one_day) as raw, Client(KEY, raw.url) as client:
            rows = client.usage_rows("2026-02-27", "2026-03-02", pair)
        days = ["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"]
        assert [asked(seen) for seen in raw.requests] == [
            {"start_date": day, "end_date": day, "group_by": "model"} for day in days
        ]
        assert [(str(row.date), row.model, row.cost) for row in rows] == [(day, "m", Decimal(day[-2:])) for day in days]

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"tz": "Europe/Berlin"}, "UTC"),
            ({"tz": datetime.timezone(datetime.timedelta(hours=1))}, "UTC"),
            ({"group_by": "colour"}, "group_by"),
            ({"group_by": ("model", "provider")}, "date"),
            ({"group_by": ("date", "model", "provider")}, "group_by"),
            ({"group_by": ()}, "group_by"),
            ({"start": "2026-11-05"}, "after"),
            ({"start": "yesterday"}, "YYYY-MM-DD"),
            ({"colour": "red"}, "unknown parameter"),
        ],
    )
    def test_bad_input_is_explained_before_anything_is_sent(self, wrong: dict[str, Any], said: str) -> None:
        arguments = {"start": "2026-11-01", "end": "2026-11-02", **wrong}
        with RawServer(lambda _: []) as raw, Client(KEY, raw.url) as client:
            with pytest.raises(ValidationError, match=said):
                client.usage_rows(**arguments)
            assert not raw.requests
            assert not raw.logins

    @pytest.mark.parametrize("body", [{}, None, 3, "text", {"rows": []}, {"data": {}}, [1], [{}, None]])
    def test_anything_but_rows_is_a_typed_error(self, body: Any) -> None:
        with RawServer(lambda _: [ok(body)]) as raw, Client(KEY, raw.url) as client, pytest.raises(APIError) as caught:
            client.usage_rows("2026-11-01", "2026-11-02")
        assert caught.value.request_id

    def test_a_day_that_fails_fails_the_rows(self) -> None:
        pages = [ok([{"model": "m", "cost": 1}]), answer(403, {"detail": "not yours"})]
        with RawServer(lambda seen: [pages[seen.number]]) as raw, Client(KEY, raw.url) as client:
            with pytest.raises(APIError, match="not yours"):
                client.usage_rows("2026-11-01", "2026-11-02", ("date", "model"))


class TestKeys:
    def test_the_secret_is_told_once_and_shown_nowhere(self) -> None:
        secret = "indox-0123456789abcdefghij"
        body = {"id": 7, "name": "ci", "api_key": secret, "is_active": True}
        with RawServer(lambda _: [ok(body)]) as raw, Client(KEY, raw.url) as client:
            key = client.create_api_key("ci", expiration_days=30)
        assert (raw.requests[0].method, path(raw.requests[0])) == ("POST", "user/api-keys")
        assert raw.requests[0].json() == {"name": "ci", "expiration_time": 30}
        assert (key.id, key.secret, key.is_active) == (7, secret, True)
        assert secret not in repr(key) + str(key) + str(key.raw)

    @pytest.mark.parametrize(
        ("method", "verb", "suffix"),
        [
            ("revoke_api_key", "POST", "/revoke"),
            ("enable_api_key", "POST", "/enable"),
            ("delete_api_key", "DELETE", ""),
        ],
    )
    @pytest.mark.parametrize(
        "reply",
        [
            ok({"success": True}),
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\nContent-Type: application/json\r\n\r\n",
            answer(200, b""),
        ],
    )
    def test_changes_go_to_the_key(self, method: str, verb: str, suffix: str, reply: bytes) -> None:
        with RawServer(lambda _: [reply]) as raw, Client(KEY, raw.url) as client:
            assert getattr(client, method)(7) is None
            assert getattr(client, method)("a/b") is None
        assert [(seen.method, path(seen)) for seen in raw.requests] == [
            (verb, f"user/api-keys/7{suffix}"),
            (verb, f"user/api-keys/a%2Fb{suffix}"),
        ]

    def test_a_key_that_is_not_told_whole_is_an_error(self) -> None:
        body = {"id": 7, "name": "ci", "api_key": "indox-…ghij"}
        with RawServer(lambda _: [ok(body)]) as raw, Client(KEY, raw.url) as client:
            with pytest.raises(APIError, match="key 7 was created, but not told whole"):
                client.create_api_key("ci")

    def test_a_key_may_be_given_as_it_was_listed(self) -> None:
        listed = {"keys": [{"id": 7, "name": "ci", "api_key": "indox-…ghij"}]}
        with RawServer(lambda _: [ok(listed)]) as raw, Client(KEY, raw.url) as client:
            (key,) = client.api_keys()
            client.revoke_api_key(key)
        assert path(raw.requests[1]) == "user/api-keys/7/revoke"

    @pytest.mark.parametrize("body", [False, {"id": 7, "is_active": True}, {"success": False, "message": "no"}])
    def test_what_says_otherwise_is_no_yes(self, body: Any) -> None:
        with RawServer(lambda _: [ok(body)]) as raw, Client(KEY, raw.url) as client, pytest.raises(APIError):
            client.revoke_api_key(7)

    def test_a_key_of_the_callers_own_goes_along(self) -> None:
        body = {"id": 7, "api_key": "indox-0123456789abcdefghij"}
        with RawServer(lambda _: [ok(body)]) as raw, Client(KEY, raw.url) as client:
            client.create_api_key("ci", idempotency_key="mine")
            client.create_api_key("ci")
        assert [seen.headers.get("idempotency-key") for seen in raw.requests] == ["mine", None]

    def test_a_gateways_page_is_no_yes(self) -> None:
        page = answer(200, b"<html><title>Log in</title></html>", Content_Type="text/html")
        with RawServer(lambda _: [page]) as raw, Client(KEY, raw.url) as client, pytest.raises(APIError):
            client.revoke_api_key(7)

    @pytest.mark.parametrize("key_id", [None, "", "..", True, 1.5])
    def test_a_bad_id_is_refused(self, key_id: Any) -> None:
        with RawServer(lambda _: []) as raw, Client(KEY, raw.url) as client:
            for method in ("revoke_api_key", "enable_api_key", "delete_api_key"):
                with pytest.raises(ValidationError, match="key_id"):
                    getattr(client, method)(key_id)
            for name in ("", " ", None, 3):
                with pytest.raises(ValidationError, match="name"):
                    client.create_api_key(name)
            with pytest.raises(ValidationError, match="expiration_days"):
                client.create_api_key("ci", expiration_days=0)
            assert not raw.requests

    def test_a_key_whose_creation_is_uncertain_is_not_created_twice(self) -> None:
        """Nothing but a GET is repeated where the first may have been carried out."""
        with RawServer(lambda _: [answer(500, {"detail": "lost"})]) as raw, Client(KEY, raw.url) as client:
            with pytest.raises(RequestError):
                client.create_api_key("ci")
            assert len(raw.requests) == 1
            with pytest.raises(RequestError):
                client.api_keys()
            assert len(raw.requests) == 4

    def test_deleting_the_account_is_not_wrapped(self) -> None:
        with Client(KEY, "http://127.0.0.1:9") as client:
            assert not [name for name in dir(client) if "delete" in name and name != "delete_api_key"]


ROWS: list[dict[str, Any]] = [
    {"modelName": "small", "name": "a/small", "type": "chat", "inputPricePer1KTokens": 0.00015,
     "outputPricePer1KTokens": 0.0006, "contextWindows": "128k Tokens", "output": "8192 Tokens",
     "capabilities": ["tools", "Vision"]},
    {"modelName": "large", "type": "text_completions", "inputPricePer1KTokens": 0.01,
     "outputPricePer1KTokens": 0.03, "contextWindows": "1,000,000 Tokens", "capabilities": {"tools": True}},
    {"modelName": "vectors", "type": "Embedding", "inputPricePer1KTokens": 0.00002, "contextWindows": 8191},
    {"modelName": "secretive", "type": "chat"},
    {"modelName": "odd", "type": "something new"},
]  # fmt: skip
CATALOGUE = [{"id": "a", "name": "A", "models": ROWS}, {"id": "b", "name": "B", "models": [ROWS[2]]}]


class TestCatalogue:
    @pytest.mark.parametrize(
        ("kind", "name"),
        [
            ("chat", "text_completions"),
            ("Text-Completions", "text_completions"),
            ("embeddings", "embeddings"),
            ("image", "image_generation"),
            ("text to speech", "text_to_speech"),
            ("transcription", "speech_to_text"),
            ("video", "video_generation"),
        ],
    )
    def test_a_providers_models_of_a_kind_are_the_servers_to_choose(self, kind: str, name: str) -> None:
        rows = [{"modelName": "x", "type": name}, {"modelName": "y"}]
        with RawServer(lambda _: [ok(rows)]) as raw, Client(KEY, raw.url) as client:
            found = client.models("a", kind=kind)
        assert path(raw.requests[0]) == f"models/a/{name}"
        assert [entry.modelName for entry in found["a"]] == ["x", "y"]

    def test_without_a_provider_the_kind_is_chosen_here(self) -> None:
        with RawServer(lambda _: [ok(CATALOGUE)]) as raw, Client(KEY, raw.url) as client:
            assert {k: [m.modelName for m in v] for k, v in client.models(kind="chat").items()} == {
                "a": ["small", "large", "secretive"]
            }
            assert set(client.models(kind="embeddings")) == {"a", "b"}
            assert client.models(kind="video") == {}
        assert {path(seen) for seen in raw.requests} == {"models/"}

    def test_an_empty_kind_of_a_provider_is_an_empty_list(self) -> None:
        with RawServer(lambda _: [ok([])]) as raw, Client(KEY, raw.url) as client:
            assert client.models("a", kind="video") == {"a": []}

    def test_an_unknown_kind_is_refused(self) -> None:
        with RawServer(lambda _: []) as raw, Client(KEY, raw.url) as client:
            for kind in ("poems", "", 3):
                with pytest.raises(ValidationError, match="image_generation"):
                    client.models(kind=kind)
            assert not raw.requests

    def test_model_info_has_whole_limits_and_exact_prices(self) -> None:
        with RawServer(lambda _: [ok(ROWS[0])]) as raw, Client(KEY, raw.url) as client:
            model = client.model_info("a", "small")
        assert (model.id, model.context_window, model.max_output_tokens) == ("a/small", 128_000, 8192)
        assert (model.input_price_per_1k, model.input_price_per_1m) == (Decimal("0.00015"), Decimal("0.15"))
        assert (model.output_price_per_1k, model["output_price_per_1m"]) == (Decimal("0.0006"), Decimal("0.6"))
        assert model.capabilities == ["tools", "Vision"]

    @pytest.mark.parametrize(
        ("wishes", "expected"),
        [
            ({}, ["a/vectors", "b/vectors", "a/small", "a/large", "a/odd", "a/secretive"]),
            ({"kind": "chat"}, ["a/small", "a/large", "a/secretive"]),
            ({"kind": "embeddings", "provider": None}, ["a/vectors", "b/vectors"]),
            ({"capability": "tools"}, ["a/small", "a/large"]),
            ({"capability": "vision", "kind": "chat"}, ["a/small"]),
            ({"capability": "flight"}, []),
            ({"max_input_price": 10, "kind": "chat"}, ["a/small", "a/large"]),
            ({"max_input_price": "9.99", "kind": "chat"}, ["a/small"]),
            ({"max_output_price": Decimal("0.6")}, ["a/small"]),
            ({"max_input_price": 0.15, "min_context": 100_000}, ["a/small"]),
            ({"min_context": 128_001}, ["a/large"]),
        ],
    )
    def test_finding_models(self, wishes: dict[str, Any], expected: list[str]) -> None:
        """The cheapest first; what the catalogue does not say never meets a wish."""
        with RawServer(lambda _: [ok(CATALOGUE)]) as raw, Client(KEY, raw.url) as client:
            assert [model.id for model in client.find_models(**wishes)] == expected

    def test_what_is_not_sold_by_tokens_comes_after_what_is(self) -> None:
        free = {"inputPricePer1KTokens": 0.0, "outputPricePer1KTokens": 0.0}
        rows = [
            {"modelName": "film", "type": "video_generation", **free, "pricePerSecond": 0.1},
            {"modelName": "dear-picture", "type": "image_generation", **free, "pricePerImage": 0.07},
            {"modelName": "unknown", "type": "image_generation", **free},
            {"modelName": "picture", "type": "image_generation", **free, "pricePerImage": 0.03},
            *({**row, **free} if row["modelName"] == "odd" else row for row in ROWS),
        ]
        with RawServer(lambda _: [ok([{"id": "a", "models": rows}])]) as raw, Client(KEY, raw.url) as client:
            found = client.find_models()
            assert [model.name for model in client.find_models("image")] == ["picture", "dear-picture", "unknown"]
            assert [model.name for model in client.find_models(max_input_price=0)] == ["odd"]
        assert [model.name for model in found] == [
            *("odd", "vectors", "small", "large", "picture", "dear-picture", "film", "secretive", "unknown"),
        ]
        assert [(model.unit_price, model.price_unit) for model in found[4:7]] == [
            (Decimal("0.03"), "image"),
            (Decimal("0.07"), "image"),
            (Decimal("0.1"), "second"),
        ]

    def test_a_model_of_a_kind_that_was_asked_for_need_not_say_so(self) -> None:
        rows = [{"modelName": "x", "inputPricePer1KTokens": 0.0}]
        with RawServer(lambda _: [ok(rows)]) as raw, Client(KEY, raw.url) as client:
            (picture,) = client.find_models("image", provider="a")
            (text,) = client.find_models("chat", provider="a")
        assert (picture.input_price_per_1m, text.input_price_per_1m) == (None, 0)

    @pytest.mark.parametrize("wish", [{"max_input_price": -1}, {"max_output_price": "cheap"}, {"min_context": 0}])
    def test_a_wish_that_makes_no_sense_is_refused(self, wish: dict[str, Any]) -> None:
        with RawServer(lambda _: []) as raw, Client(KEY, raw.url) as client:
            with pytest.raises(ValidationError, match=next(iter(wish))):
                client.find_models(**wish)
            assert not raw.requests

    def test_an_unknown_provider_has_no_models_to_find(self) -> None:
        with RawServer(lambda _: [ok(CATALOGUE)]) as raw, Client(KEY, raw.url) as client:
            with pytest.raises(ProviderNotFoundError):
                client.find_models(provider="c")

    def test_trending(self) -> None:
        body = [{"model": "a/small", "count": 12}]
        with RawServer(lambda _: [ok(body)]) as raw, Client(KEY, raw.url) as client:
            (found,) = client.trending_models(days=7, limit=1)
        assert (path(raw.requests[0]), asked(raw.requests[0])) == ("models/trending", {"days": "7", "limit": "1"})
        assert found["count"] == 12


class TestAnalytics:
    def test_sessions_and_models(self) -> None:
        body = {"data": [{"session_id": "s", "model": "m", "cost": 0.5}]}
        with RawServer(lambda _: [ok(body)]) as raw, Client(KEY, raw.url) as client:
            (session,) = client.analytics_sessions("2026-11-01", "2026-11-02", session_id="s")
            (model,) = client.analytics_models("2026-11-01", provider="a")
        assert (session.session_id, model.cost) == ("s", 0.5)
        assert [(path(seen), asked(seen)) for seen in raw.requests] == [
            ("analytics/sessions", {"start_date": "2026-11-01", "end_date": "2026-11-02", "session_id": "s"}),
            ("analytics/models", {"start_date": "2026-11-01", "provider": "a"}),
        ]


class TestRateLimits:
    BODY: ClassVar = {
        "success": False,
        "error": "RateLimitError",
        "message": "slow down",
        "status_code": 429,
        "details": {"limit_type": "tokens_per_hour", "limit": 10000, "retry_after": 7},
    }

    def test_from_the_body(self) -> None:
        with RawServer(lambda _: [answer(429, self.BODY)]) as raw, Client(KEY, raw.url, max_retries=0) as client:
            with pytest.raises(RateLimitError) as caught:
                client.chat([{"role": "user", "content": "x"}])
        limit = caught.value.rate_limit
        assert limit is not None
        assert (limit.limit_tokens, limit.remaining_tokens, limit.reset_tokens, caught.value.retry_after) == (
            *(10000, None, 7.0, 7.0),
        )

    def test_what_the_body_says_is_left(self) -> None:
        body = {**self.BODY, "details": {"limit_type": "requests", "limit": 100, "remaining": 40}}
        with RawServer(lambda _: [answer(429, body)]) as raw, Client(KEY, raw.url, max_retries=0) as client:
            with pytest.raises(RateLimitError) as caught:
                client.chat([{"role": "user", "content": "x"}])
        limit = caught.value.rate_limit
        assert limit is not None
        assert (limit.limit_requests, limit.remaining_requests, limit.reset_requests) == (100, 40, None)

    def test_from_plain_headers(self) -> None:
        headers = {"X_RateLimit_Limit": "60", "X_RateLimit_Remaining": "3", "X_RateLimit_Reset": "1799999999"}
        with RawServer(lambda _: [answer(200, {"data": "a"}, **headers)]) as raw, Client(KEY, raw.url) as client:
            limit = client.completion("x").rate_limit
        assert limit is not None
        assert (limit.limit_requests, limit.remaining_requests, limit.reset_requests) == (60, 3, None)

    def test_from_headers(self) -> None:
        headers = {"X_RateLimit_Limit_Requests": "60", "X_RateLimit_Remaining_Requests": "0"}
        reply = answer(429, {"detail": "slow down"}, **headers)
        with RawServer(lambda _: [reply]) as raw, Client(KEY, raw.url, max_retries=0) as client:
            with pytest.raises(RateLimitError) as caught:
                client.embeddings("x")
        assert caught.value.rate_limit is not None
        assert (caught.value.rate_limit.limit_requests, caught.value.rate_limit.remaining_requests) == (60, 0)


HOSTED_ONLY: dict[str, tuple[Any, ...]] = {
    "get_usage": (),
    "get_user_info": (),
    "usage_rows": ("2026-11-01", "2026-11-02"),
    "analytics_sessions": (),
    "analytics_models": (),
    "transactions": (),
    "api_keys": (),
    "create_api_key": ("ci",),
    "revoke_api_key": (1,),
    "enable_api_key": (1,),
    "delete_api_key": (1,),
    "trending_models": (),
    "video": ("a cat",),
    "video_job": ("1",),
    "video_jobs": (),
    "cancel_video_job": ("1",),
    "wait_for_video_job": ("1",),
}


@pytest.mark.kinds("sync-openai", "async-openai")
@pytest.mark.parametrize("method", HOSTED_ONLY)
def test_what_only_the_hosted_router_has_is_refused_before_anything_is_sent(method: str) -> None:
    with RawServer(lambda _: []) as raw, Client(KEY, raw.url) as client:
        with pytest.raises(ConfigurationError, match=rf"{method}\(\).*hosted router"):
            getattr(client, method)(*HOSTED_ONLY[method])
        assert not raw.requests


@pytest.mark.parametrize("method", [*HOSTED_ONLY, "models", "providers", "find_models"])
def test_every_method_fails_with_one_typed_exception(method: str) -> None:
    with RawServer(lambda _: [answer(401, {"detail": "no"})]) as raw, Client(KEY, raw.url) as client:
        with pytest.raises(AuthenticationError) as caught:
            getattr(client, method)(*HOSTED_ONLY.get(method, ()))
    assert caught.value.request_id
    assert caught.value.attempts


def test_every_day_of_any_parts_of_a_range_is_asked_once() -> None:
    with RawServer(lambda _: [ok([{"model": "m", "cost": 1}])]) as raw, Client(KEY, raw.url) as client:
        for first, last in itertools.pairwise([1, 4, 5, 11]):
            client.usage_rows(f"2026-11-{first:02}", f"2026-11-{last - 1:02}", ("date", "model"))
    assert [asked(seen)["start_date"] for seen in raw.requests] == [f"2026-11-{day:02}" for day in range(1, 11)]
