"""API keys, payments and the analytics lists: any JSON is read or is a typed error, and no key is shown."""

from __future__ import annotations

import json
import pickle
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indoxrouter import APIError
from indoxrouter.account_records import AnalyticsEntry, ApiKey, Transaction
from indoxrouter.core.exchange import parsed
from indoxrouter.records import CatalogueEntry
from indoxrouter.wire import account, hosted_account
from indoxrouter.wire.failures import Origin
from indoxrouter.wire.messages import Reply, Result

SECRET = "indox-canary0123456789abcdefXYZW"
MASKED = "indo…XYZW"
KEY = {
    "id": 7,
    "api_key": "indox-ca...XYZW",
    "name": "ci",
    "is_active": True,
    "created_at": "2026-01-31T10:00:00Z",
    "expires_at": None,
    "last_used_at": 1700000000,
}
PAYMENT = {
    "id": 3,
    "transaction_id": "txn_1",
    "amount": Decimal("0.30"),
    "currency": "USD",
    "transaction_type": "credit",
    "status": "completed",
    "payment_method": "card",
    "description": "Top up",
    "created_at": "2026-01-31T10:00:00Z",
}


def result(body: Any) -> Result:
    return Result(body, hosted_account.api_keys(), "GET h/v1/user", {}, "ours")


def keys(body: Any) -> list[ApiKey]:
    return account.api_keys(result(body))


def created(body: Any) -> ApiKey:
    return account.api_key(result(body))


def payments(body: Any) -> tuple[list[Transaction], int | None]:
    return account.transactions_page(result(body))


class TestKeys:
    @pytest.mark.parametrize("name", [None, "keys", "api_keys", "data", "results"])
    def test_lists(self, name: str | None) -> None:
        body: Any = [KEY] if name is None else {name: [KEY]}
        for shape in (body, {"result": body}):
            (key,) = keys(shape)
            assert (key.id, key.name, key.key, key.is_active) == (7, "ci", "indox-ca...XYZW", True)
            assert (key.created_at, key.expires_at) == ("2026-01-31T10:00:00Z", None)
            assert key.last_used_at == "2023-11-14T22:13:20+00:00"
            assert key.secret is None
            assert key.raw == KEY
        assert keys({"keys": []}) == []

    @pytest.mark.parametrize(
        "body", [None, 5, "x", {}, {"keys": {}}, {"keys": [KEY, 5]}, [None], [[KEY]], {"key": [KEY]}]
    )
    def test_anything_else_is_a_typed_error(self, body: Any) -> None:
        with pytest.raises(APIError, match="none of the documented shapes"):
            keys(body)

    @pytest.mark.parametrize("field", ["api_key", "key", "secret", "token"])
    def test_a_key_that_a_list_tells_whole_is_masked_here(self, field: str) -> None:
        row = {"id": 1, field: SECRET, "note": f"use {SECRET}", "more": [{"key": SECRET, "x": [SECRET]}]}
        (key,) = keys([row])
        assert (key.key, key.secret) == (MASKED, None)
        assert SECRET not in repr(key) + str(key) + json.dumps(key.to_dict(), ensure_ascii=False)
        assert key.raw == {
            "id": 1,
            field: MASKED,
            "note": f"use {MASKED}",
            "more": [{"key": MASKED, "x": [MASKED]}],
        }
        assert row[field] == SECRET, "the answer itself was changed"

    @pytest.mark.parametrize(
        ("whole", "shown"),
        [("a" * 16 + "bcde", "aaaa…bcde"), ("a" * 8 + "bcde", "…bcde"), ("short", "…"), ("x", "…"),
         ("sk-***abcd", "sk-***abcd"), ("indox…wxyz", "indox…wxyz"), ("••••abcd", "••••abcd")],
    )  # fmt: skip
    def test_masks(self, whole: str, shown: str) -> None:
        (key,) = keys([{"id": 1, "api_key": whole, "name": "a short list of axes"}])
        assert key.key == shown
        assert (key.raw["api_key"], key.name) == (shown, "a short list of axes")

    @pytest.mark.parametrize(
        ("name", "value", "active"),
        [("is_active", False, False), ("active", True, True), ("enabled", False, False), ("is_active", "yes", None),
         ("is_active", 1, None)],
    )  # fmt: skip
    def test_whether_it_is_active(self, name: str, value: Any, active: bool | None) -> None:
        (key,) = keys([{"id": 1, name: value}])
        assert key.is_active is active

    @pytest.mark.parametrize(
        ("given", "found"), [("k-1", "k-1"), (5, 5), (True, None), (None, None), ("", None), (1.5, None)]
    )
    def test_ids(self, given: Any, found: Any) -> None:
        (key,) = keys([{"id": given}])
        assert key.id == found
        assert type(key.id) is type(found)


class TestNewKeys:
    @pytest.mark.parametrize("around", [None, "key", "data", "api_key", "result"])
    @pytest.mark.parametrize("field", ["api_key", "key", "secret", "full_key"])
    def test_the_secret_is_told_once_and_shown_nowhere(self, around: str | None, field: str) -> None:
        row = {"id": 7, "name": "ci", field: SECRET, "hint": f"Bearer {SECRET}"}
        key = created(row if around is None else {around: row})
        assert (key.id, key.name, key.secret, key["secret"]) == (7, "ci", SECRET, SECRET)
        assert key.key == MASKED
        for shown in (repr(key), str(key), f"{key}", repr([key]), repr(key.raw), json.dumps(key.raw)):
            assert "canary" not in shown
        assert key.raw == {"id": 7, "name": "ci", field: MASKED, "hint": f"Bearer {MASKED}"}
        assert pickle.loads(pickle.dumps(key)) == key

    def test_the_whole_one_of_two(self) -> None:
        key = created({"id": 7, "api_key": "indox-ca...XYZW", "key": SECRET})
        assert (key.secret, key.key) == (SECRET, MASKED)

    @pytest.mark.parametrize("given", [None, "", "  ", "indox-ca...XYZW", 5, ["x"], True])
    def test_no_usable_secret(self, given: Any) -> None:
        """A key that nobody knows is of no use, and must not be mistaken for one that is."""
        with pytest.raises(APIError, match="the key 7 was created, but not told whole"):
            created({"id": 7, "api_key": given})

    @pytest.mark.parametrize(
        "body", [None, [], "x", {}, {"data": {}}, {"message": "created"}, {"key": []}, {"id": True}]
    )
    def test_anything_else_is_a_typed_error(self, body: Any) -> None:
        with pytest.raises(APIError, match="none of the documented shapes") as caught:
            created(body)
        assert caught.value.client_request_id == "ours"

    @pytest.mark.parametrize(
        ("body", "key_id"),
        [({"success": True, "key": SECRET, "data": {"id": 2}}, 2),
         ({"data": {"id": 1}, "api_key": SECRET}, 1),
         ({"key": SECRET, "api_key": {"id": 1}}, 1),
         ({"result": {"secret": SECRET, "data": {"id": 3}}}, 3),
         ({"id": 4, "data": {"api_key": SECRET}}, 4),
         ({"id": "of-the-request", "data": {"key_id": 5, "api_key": None}, "api_key": SECRET}, 5),
         ({"api_key": SECRET, "data": {"id": 6, "api_key": "indox-ca...XYZW", "hint": f"Bearer {SECRET}"}}, 6)],
    )  # fmt: skip
    def test_the_key_may_stand_beside_its_object(self, body: Any, key_id: int) -> None:
        key = created(body)
        assert (key.id, key.secret, key.key) == (key_id, SECRET, MASKED)
        assert "canary" not in repr(key) + json.dumps(key.raw, ensure_ascii=False)

    def test_what_the_object_says_counts_more_than_what_stands_beside_it(self) -> None:
        beside = {"name": "beside", "created_at": "2026-01-30", "is_active": False, "api_key": "another-key-0123456789"}
        key = created({**beside, "data": {"id": 1, "name": "ci", "is_active": True, "key": SECRET, "created_at": None}})
        assert (key.secret, key.name, key.is_active, key.created_at) == (SECRET, "ci", True, "2026-01-30")

    @pytest.mark.parametrize("body", [{"id": 7, "x": SECRET}, {"x": SECRET, "data": {"id": 7, "api_key": "in…ZW"}}])
    def test_a_key_that_is_not_found_is_left_in_the_details(self, body: Any) -> None:
        with pytest.raises(APIError, match=r"key 7 was created, .*: it exists, see `details`") as caught:
            created(body)
        assert caught.value.details == body
        assert "canary" not in str(caught.value) + repr(caught.value)

    def test_an_error_about_a_key_does_not_quote_it(self) -> None:
        with pytest.raises(APIError) as caught:
            created({"data": [{"api_key": SECRET}]})
        assert "canary" not in str(caught.value) + repr(caught.value) + repr(caught.value.args)

    def test_a_key_that_stands_deeper_is_not_quoted_elsewhere(self) -> None:
        body = {"id": 1, "key": "whole-key-0123456789-of-its-own", "message": f"Keep {SECRET}"}
        key = created({**body, "more": {"info": [{"api_key": SECRET}]}})
        assert "canary" not in repr(key) + repr(key.raw)
        assert key.raw["message"] == f"Keep {MASKED}"

    def test_a_key_that_begins_with_another(self) -> None:
        for begin in (SECRET[:12], SECRET[:20]):
            key = created({"api_key": SECRET, "token": begin, "message": f"Keep {SECRET} and {begin}"})
            assert not any(part in key.raw["message"] for part in ("canary", SECRET[8:16], SECRET[16:24], begin))

    def test_a_deep_answer(self) -> None:
        deep: Any = SECRET
        for _ in range(50_000):
            deep = [deep]
        assert created({"id": 1, "api_key": SECRET, "more": deep}).secret == SECRET
        while isinstance(deep, list):  # freed level by level: a deep list's own end may exhaust the stack
            deep = deep.pop()


class TestPayments:
    @pytest.mark.parametrize("name", [None, "transactions", "data", "results"])
    def test_pages(self, name: str | None) -> None:
        body: Any = [PAYMENT] if name is None else {name: [PAYMENT], "total_count": 12}
        for shape in (body, {"result": body}):
            (payment,), count = payments(shape)
            assert payment.to_dict() == {**PAYMENT, "raw": PAYMENT}
            assert count == (None if name is None else 12)

    @pytest.mark.parametrize(
        ("count", "found"), [(0, 0), (-1, None), (True, None), ("5", None), (None, None), (1.5, None)]
    )
    def test_counts(self, count: Any, found: int | None) -> None:
        assert payments({"transactions": [], "total_count": count}) == ([], found)

    def test_only_the_count_of_all_is_a_count(self) -> None:
        for name in ("total", "count"):
            assert payments({"transactions": [PAYMENT], name: 12})[1] is None
        assert [payments({"transactions": [PAYMENT] * 2, "total_count": n})[1] for n in (0, 1, 2, 3)] == [
            *(None, None, 2, 3),
        ]

    def test_every_digit_of_an_amount_is_kept(self) -> None:
        content = (
            b'{"transactions": [{"amount": 0.12345678901234567890123}, {"amount": "-5.10"}, {"amount": null}, {}]}'
        )
        body = parsed(Origin("GET h"), Reply(200, {}), content, exact=hosted_account.transactions(1, 0).exact)
        amounts = [payment.amount for payment in payments(body)[0]]
        assert amounts == [Decimal("0.12345678901234567890123"), Decimal("-5.10"), None, None]

    @pytest.mark.parametrize("amount", [True, "five", float("nan"), Decimal("1e999999"), [], {}, 10**400])
    def test_what_is_there_but_no_amount_hides_no_money(self, amount: Any) -> None:
        with pytest.raises(APIError, match="amount is no number") as caught:
            payments([PAYMENT, {**PAYMENT, "amount": amount}])
        assert caught.value.code == "not_understood"

    @pytest.mark.parametrize("body", [None, {}, {"transactions": {}}, {"transactions": [PAYMENT, None]}, "x", [5]])
    def test_anything_else_is_a_typed_error(self, body: Any) -> None:
        with pytest.raises(APIError, match="none of the documented shapes"):
            payments(body)

    @pytest.mark.parametrize("field", PAYMENT)
    def test_d30_null_missing_and_odd_fields(self, field: str) -> None:
        without = {name: value for name, value in PAYMENT.items() if name != field}
        odd = {} if field == "amount" else {**PAYMENT, field: [1]}
        for gap in ({**PAYMENT, field: None}, without, odd):
            (found, whole), _ = payments([gap, PAYMENT])
            assert found[field] is None
            assert whole.to_dict() == {**PAYMENT, "raw": PAYMENT}

    def test_a_time_in_seconds_that_was_read_exactly(self) -> None:
        times = [Decimal("1700000000.5"), Decimal("1e999999"), Decimal("-1e999999"), 1700000000]
        found, _ = payments([{"created_at": time} for time in times])
        assert [payment.created_at for payment in found] == [
            "2023-11-14T22:13:20.500000+00:00", None, None, "2023-11-14T22:13:20+00:00",
        ]  # fmt: skip


class TestLists:
    @pytest.mark.parametrize("name", [None, "data", "results", "usage", "sessions", "models"])
    def test_analytics(self, name: str | None) -> None:
        row = {"session_id": "s", "requests": 3, "cost": 0.5, "unknown": [1]}
        (entry,) = account.analytics_entries(result([row] if name is None else {name: [row]}))
        assert (entry.session_id, entry.requests, entry.cost, entry.model) == ("s", 3, 0.5, None)
        assert isinstance(entry, AnalyticsEntry)
        assert json.loads(json.dumps(entry)) == row

    @pytest.mark.parametrize("name", [None, "models", "data", "results"])
    def test_trending(self, name: str | None) -> None:
        rows = [{"modelName": "b", "count": 9}, {"modelName": "a", "count": 3}]
        found = account.trending(result(rows if name is None else {name: rows}))
        assert [(entry.modelName, entry["count"]) for entry in found] == [("b", 9), ("a", 3)]
        assert all(isinstance(entry, CatalogueEntry) for entry in found)

    @pytest.mark.parametrize("body", [None, {}, {"data": None}, [5], {"data": ["x"]}, "x", {"sessions": {"a": {}}}])
    def test_anything_else_is_a_typed_error(self, body: Any) -> None:
        for read in (account.analytics_entries, account.trending):
            with pytest.raises(APIError, match="none of the documented shapes"):
                read(result(body))


NAMES = [
    *KEY, *PAYMENT, "key", "keys", "data", "results", "secret", "transactions", "total_count", "sessions", "models",
    "usage", "result",
]  # fmt: skip
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(max_size=5)
    | st.sampled_from([10**400, SECRET, "0.5", "\ud800", Decimal("1e999999")]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=15,
)
ROWS = st.lists(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6), max_size=3)


class TestD29AnyJson:
    @settings(max_examples=600, deadline=None)
    @given(JSON | ROWS)
    def test_d29_is_an_answer_or_a_typed_error(self, body: Any) -> None:
        for read in (keys, created, payments, lambda body: account.trending(result(body)),
                     lambda body: account.analytics_entries(result(body))):  # fmt: skip
            try:
                found: Any = read(body)
            except APIError as error:
                assert "canary" not in error.message  # noqa: PT017 - any answer may be an error
                continue
            repr(found)

    @settings(max_examples=300, deadline=None)
    @given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=8), st.sampled_from(["api_key", "key", "secret"]))
    def test_no_text_shows_a_key(self, row: dict[str, Any], field: str) -> None:
        row[field] = SECRET
        for key in (*keys([row]), created({"data": row})):
            shown = key.to_dict()
            assert shown.pop("secret") in (None, *(row.get(name) for name in ("api_key", "key", "secret")))
            assert "canary" not in repr(key) + str(key) + repr(shown)
