"""Rules F38, D29, D30: rows of usage, their exact sums, and where they go: CSV, pandas, notebooks."""

from __future__ import annotations

import contextlib
import copy
import csv
import datetime
import io
import json
import pickle
import subprocess
import sys
import zoneinfo
from decimal import Context, Decimal, Inexact, Rounded, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indoxrouter import APIError, ValidationError, money
from indoxrouter.core.exchange import parsed
from indoxrouter.usage_rows import GROUPS, UsageRow, UsageRows
from indoxrouter.wire import hosted_account
from indoxrouter.wire.analytics import MOST_DAYS, Asked, days, usage_rows
from indoxrouter.wire.failures import Origin
from indoxrouter.wire.messages import Reply, Result

TARGET = "GET h/v1/analytics/usage"
REQUEST = hosted_account.analytics_usage(None, None, group_by="model")
DAY = datetime.date(2026, 1, 31)
NUMBERS = {"requests": 3, "input_tokens": 10, "output_tokens": 20, "total_tokens": 30, "cost": Decimal("0.0000001")}
ROW = {
    "date": "2026-01-31",
    "model": "openai/gpt-4o-mini",
    "provider": "openai",
    "endpoint": "chat",
    "session_id": "s-1",
    "client_ip": "192.0.2.1",
    **NUMBERS,
}


def read(body: Any, group_by: str = "model", day: datetime.date | None = None, **span: Any) -> list[UsageRow]:
    return usage_rows(Result(body, REQUEST, TARGET, {}, "ours"), group_by, day, **span)


def from_bytes(content: bytes, group_by: str = "model") -> list[UsageRow]:
    """As the client reads the body of an answer."""
    return read(parsed(Origin(TARGET), Reply(200, {}), content, exact=REQUEST.exact), group_by)


def one(row: dict[str, Any], group_by: str = "model", day: datetime.date | None = None) -> UsageRow:
    (found,) = read([row], group_by, day)
    return found


amounts = st.decimals(-(10**9), 10**9, places=12)


class TestF38Sums:
    def test_f38_a_million_times_a_ten_millionth_is_exact(self) -> None:
        row = parsed(Origin(TARGET), Reply(200, {}), b'{"data": [{"cost": 0.0000001}]}', exact=True)["data"][0]
        rows = UsageRows(read([row] * 1_000_000), ("model",))
        assert rows.totals.cost == Decimal("0.1")
        assert (rows.totals.rows, rows.totals.unpriced) == (1_000_000, 0)

    def test_f38_small_amounts_are_not_lost_beside_great_ones(self) -> None:
        assert money.total([Decimal("1e40"), Decimal("1e-40"), Decimal("-1e40")]).sum == Decimal("1e-40")

    @given(st.lists(st.one_of(st.none(), amounts)))
    def test_f38_sums_are_those_of_fractions_in_any_order(self, given: list[Decimal | None]) -> None:
        known = [amount for amount in given if amount is not None]
        found = money.total(given)
        assert Fraction(found.sum) == sum(map(Fraction, known))
        assert found.unpriced == len(given) - len(known)
        assert found == money.total(given[::-1])

    def test_f38_the_widest_amounts_that_are_read_still_add_exactly(self) -> None:
        digits = "9" * 60
        widest = [money.exact(f"{digits}e{exponent}") for exponent in (1, -119)]
        assert sum(map(Fraction, filter(None, widest))) == Fraction(money.total(widest * 1000).sum) / 1000

    def test_f38_what_has_no_exact_sum_is_an_error(self) -> None:
        for bad in ("Infinity", "NaN", "sNaN", "1e999999"):
            with pytest.raises(ArithmeticError):
                money.total([Decimal(bad), Decimal(1)])

    @settings(deadline=None, max_examples=60)
    @given(st.data())
    def test_f38_the_parts_of_a_span_sum_to_the_whole(self, data: st.DataObject) -> None:
        start = datetime.date(2026, 2, 20)
        span = data.draw(st.integers(1, 40))
        bill = data.draw(
            st.lists(
                st.tuples(st.integers(0, span - 1), st.sampled_from("ab"), st.none() | amounts, st.integers(0, 10**9)),
                max_size=60,
            )
        )
        cuts = sorted(data.draw(st.sets(st.integers(1, span - 1)))) if span > 1 else []

        def ask(first: int, last: int, groups: tuple[str, ...]) -> UsageRows:
            begin, end = (start + datetime.timedelta(days=n) for n in (first, last))
            asked = Asked.check(begin, end, groups, "UTC")
            parts = []
            for part in asked.requests():
                rows = [
                    {part.group_by: str(start + datetime.timedelta(n)) if part.group_by == "date" else model,
                     "cost": None if cost is None else str(cost), "requests": count}
                    for n, model, cost, count in bill
                    if (part.start or begin) <= start + datetime.timedelta(n) <= (part.end or end)
                ]  # fmt: skip
                parts.append(read({"data": rows}, part.group_by, part.day))
            return asked.joined(parts)

        for groups in (("date",), ("model",), ("date", "model")):
            whole = ask(0, span - 1, groups)
            parts = [ask(first, last - 1, groups) for first, last in zip([0, *cuts], [*cuts, span], strict=True)]
            assert money.total(row.cost for part in parts for row in part) == money.total(row.cost for row in whole)
            assert sum(part.totals.requests or 0 for part in parts) == (whole.totals.requests or 0)
            assert sum(part.totals.unpriced for part in parts) == whole.totals.unpriced
            known = [cost for _, _, cost, _ in bill if cost is not None]
            assert Fraction(whole.totals.cost or 0) == sum(map(Fraction, known))

    def test_f38_totals_say_what_they_leave_out(self) -> None:
        rows = UsageRows([UsageRow(requests=2, cost=Decimal(1)), UsageRow(requests=3, total_tokens=5), UsageRow()])
        totals = rows.totals
        assert (totals.requests, totals.total_tokens, totals.input_tokens) == (5, 5, None)
        assert (totals.cost, totals.unpriced, totals.rows) == (Decimal(1), 2, 3)
        assert totals.uncounted == {"requests": 1, "input_tokens": 3, "output_tokens": 3, "total_tokens": 2}

    def test_f38_unknown_costs_do_not_sum_to_nothing_spent(self) -> None:
        assert UsageRows([UsageRow(), UsageRow()]).totals.cost is None
        assert UsageRows([]).totals.cost == 0
        assert UsageRows([]).totals.requests == 0

    def test_f38_sums_by_a_day_are_in_the_order_of_the_days(self) -> None:
        days = [(3, 1), (1, 2), (None, 9), (2, None), (1, 5)]
        rows = UsageRows(
            [
                UsageRow(
                    date=None if day is None else datetime.date(2026, 1, day),
                    cost=None if cost is None else Decimal(cost),
                )
                for day, cost in days
            ],
            ("date",),
        )
        assert [(day and day.day, sums.cost) for day, sums in rows.totals_by("date").items()] == [
            (1, 7), (2, None), (3, 1), (None, 9),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "settings", [{"prec": 3}, {"prec": 3, "traps": [Inexact, Rounded]}, {"Emax": 2, "Emin": 0}]
    )
    def test_f38_no_sum_depends_on_the_callers_decimal_context(self, settings: dict[str, Any]) -> None:
        costs = {"a": "1234.5678", "b": "1234.9999", "c": "-1234.5678", "d": "1e30"}
        with localcontext(Context(**settings)):
            rows = UsageRows([UsageRow(model=name, cost=money.exact(cost)) for name, cost in costs.items()], ("model",))
            total, by_model = rows.totals.cost, rows.totals_by("model")
        assert total == Decimal("1000000000000000000000000001234.9999")
        assert [(name, sums.cost) for name, sums in by_model.items()] == [
            (name, Decimal(costs[name])) for name in ("d", "b", "a", "c")
        ]

    @pytest.mark.parametrize(
        ("amount", "power", "written"),
        [("0.075000", 0, "0.075"), ("0.00015", 3, "0.15"), ("0.1", 3, "100"), ("0.0", 3, "0"), ("12", -6, "0.000012"),
         ("1E+2", 0, "100"), ("1234567.89", 3, "1234567890")],
    )  # fmt: skip
    def test_scaled_amounts_have_no_idle_zeros(self, amount: str, power: int, written: str) -> None:
        with localcontext(Context(prec=1, traps=[Inexact, Rounded])):
            found = money.scaled(Decimal(amount), power)
        assert str(found) == written


class TestAmounts:
    @pytest.mark.parametrize(
        ("written", "amount"),
        [("0.0000001", "1e-7"), ("1E-7", "1e-7"), ('"0.0000001"', "1e-7"), ('" 2.50 "', "2.5"), ("3", "3"),
         ("-4.5", "-4.5"), ("-0.0", "0"),
         ("0.12345678901234567890123456789", "0.12345678901234567890123456789"), ("1e60", "1e60"), ('".5"', "0.5"),
         ("1e-60", "1e-60"), ("0e-5000", "0"),
         ("123456789012345678901234567890", "123456789012345678901234567890")],
    )  # fmt: skip
    def test_every_digit_is_kept(self, written: str, amount: str) -> None:
        (row,) = from_bytes(b'[{"cost": %s}]' % written.encode())
        assert row.cost == Decimal(amount)
        assert isinstance(row.cost, Decimal)

    @pytest.mark.parametrize("written", ["null", '""', '" "'])
    def test_no_amount_is_unknown(self, written: str) -> None:
        assert [row.cost for row in from_bytes(b'[{"cost": %s}, {}]' % written.encode())] == [None, None]

    @pytest.mark.parametrize(
        "written",
        ["true", "false", "NaN", "Infinity", "-Infinity", "1e999999", "1e-999999", "1e61", "1e-61", "[]", "{}", '"NaN"',
         "1e9999999999999999999", "9" * 5000, "0." + "1" * 61, '"1e999999"', '"Infinity"', '"0x1"', '"1_000"', '"1,5"',
         '"five"', '"\\u0661"', "[0.5]", '{"total": 0.5}'],
    )  # fmt: skip
    def test_what_is_there_but_no_amount_hides_no_money(self, written: str) -> None:
        with pytest.raises(APIError, match="cost that is no number") as caught:
            from_bytes(b'{"data": [{"cost": 1}, {"cost": %s}]}' % written.encode())
        assert caught.value.code == "not_understood"


COUNT_NAMES = {
    "requests": ["requests", "request_count", "total_requests", "count"],
    "input_tokens": ["tokens_input", "input_tokens", "prompt_tokens", "tokens_prompt"],
    "output_tokens": ["tokens_output", "output_tokens", "completion_tokens", "tokens_completion"],
    "total_tokens": ["total_tokens", "tokens_total", "tokens"],
}


class TestRows:
    @pytest.mark.parametrize("name", [None, "data", "results", "usage"])
    def test_envelopes(self, name: str | None) -> None:
        body: Any = [ROW] if name is None else {name: [ROW], "total": 5}
        for shape in (body, {"result": body, "metadata": {}}):
            (row,) = read(shape)
            assert row.to_dict() == {**ROW, "date": DAY, "raw": ROW}
        assert read([]) == read({"data": []}) == []

    @pytest.mark.parametrize(
        "body",
        [None, 5, "rows", {}, {"data": None}, {"data": {}}, {"rows": [ROW]}, {"data": {"usage": [ROW]}}, [ROW, None],
         [[ROW]], [ROW, "x"], {"data": [ROW, 5]}, {"result": 5}, b"<html>"],
    )  # fmt: skip
    def test_anything_else_is_refused_whole(self, body: Any) -> None:
        with pytest.raises(APIError, match="none of the documented shapes") as caught:
            read(body)
        assert (caught.value.code, caught.value.client_request_id) == ("not_understood", "ours")

    @pytest.mark.parametrize(("field", "name"), [(field, name) for field in COUNT_NAMES for name in COUNT_NAMES[field]])
    @pytest.mark.parametrize("value", [7, Decimal("7"), Decimal("7.0"), 7.0, "7"])
    def test_counts_under_all_names(self, field: str, name: str, value: Any) -> None:
        row = one({name: value})
        assert {key: item for key, item in row.items() if item is not None} == {field: 7, "raw": {name: value}}

    @pytest.mark.parametrize(
        "value",
        [None, True, -1, 1.5, Decimal("1.5"), float("nan"), float("inf"), 2**63, 10**400, Decimal("1e999999"), "", "x",
         "1.5", "\u0661", "9" * 500, [], {}, [7]],
    )  # fmt: skip
    @pytest.mark.parametrize("field", COUNT_NAMES)
    def test_counts_that_are_none_are_unknown(self, field: str, value: Any) -> None:
        found = read([{**ROW, field: value}, ROW])
        assert [row[field] for row in found] == [None, ROW[field]]

    @pytest.mark.parametrize("outer", ["tokens", "total_tokens"])
    def test_tokens_in_an_object(self, outer: str) -> None:
        inner = {"input": 1, "output": 2, "total": 3}
        found = read([{outer: inner}, {outer: None}, {outer: {"input": 5}}, {outer: 9}, {}])
        counts = [(row.input_tokens, row.output_tokens, row.total_tokens) for row in found]
        assert counts == [(1, 2, 3), (None, None, None), (5, None, None), (None, None, 9), (None, None, None)]
        mixed = one({outer: {"prompt": 1, "completion": 2}, "tokens_total": 3, "input_tokens": 4})
        assert (mixed.input_tokens, mixed.output_tokens, mixed.total_tokens) == (1, 2, 3)

    @pytest.mark.parametrize("name", ["cost", "total_cost", "cost_usd"])
    def test_costs_under_all_names(self, name: str) -> None:
        assert one({name: Decimal("0.5")}).cost == Decimal("0.5")

    def test_the_first_of_two_names_that_is_not_null(self) -> None:
        found = read([{"cost": None, "total_cost": 2}, {"cost": 1, "total_cost": 2}, {"total_cost": 2}])
        assert [row.cost for row in found] == [2, 1, 2]

    @pytest.mark.parametrize("field", GROUPS)
    @pytest.mark.parametrize("name", ["group", "key", "value", "name"])
    def test_a_generic_name_is_what_the_rows_are_grouped_by(self, field: str, name: str) -> None:
        row = one({name: "2026-01-31", "requests": 1}, field)
        assert {key: row[key] for key in GROUPS if row[key] is not None} == {
            field: DAY if field == "date" else "2026-01-31"
        }
        assert one({field: "2026-01-31", name: "something else"}, field)[field] == row[field]
        assert one({field: None, name: "something else"}, field)[field] is None

    def test_a_generic_name_that_names_the_field(self) -> None:
        assert one({"group": "model", "value": "a/b"}, "model").model == "a/b"
        assert one({"key": "model", "value": "a/b", "requests": 1}, "model").model == "a/b"
        assert one({"key": "a/b", "value": Decimal("0.5")}, "model").model == "a/b"

    def test_names_that_are_no_text(self) -> None:
        values: list[Any] = [5, True, 1.5, [], {}, 10**400]
        found = [one({"session_id": value}, "session_id").session_id for value in values]
        assert found == ["5", None, None, None, None, None]

    @pytest.mark.parametrize(
        ("written", "date"),
        [("2026-01-31", DAY), ("2026-01-31T23:59:59", DAY), ("2026-01-31T00:00:00Z", DAY), ("2026-01-31 12:00:00", DAY),
         ("2026-02-01T01:00:00+02:00", DAY), ("20260131", None), ("January", None), ("", None), (20260131, None),
         ("0001-01-01T00:00:00+05:00", None), ("2026-13-01", None), (None, None), ([], None), (True, None),
         ("2026-W01", None), ("2026-W01-1", None), ("2026-01", None), ("2026-01-311", None), ("2026-01-31\n", None)],
    )  # fmt: skip
    def test_dates(self, written: Any, date: datetime.date | None) -> None:
        for name in ("date", "day"):
            assert [row.date for row in read([{name: written}, {}], "date")] == [date, None]

    def test_rows_of_a_day_that_was_asked_for_alone(self) -> None:
        found = read([{"model": "a"}, {"model": "b", "date": "2026-01-31T10:00:00Z"}, {"date": "?"}], "model", DAY)
        assert [row.date for row in found] == [DAY] * 3
        with pytest.raises(APIError, match="2026-02-01, and only 2026-01-31 was asked for"):
            read([{"model": "a", "date": "2026-01-31"}, {"model": "a", "date": "2026-02-01"}], "model", DAY)

    @pytest.mark.parametrize("group_by", ["date", "model"])
    def test_rows_of_other_days_than_those_asked_for(self, group_by: str) -> None:
        january = {"start": datetime.date(2026, 1, 1), "end": DAY}
        inside = [{"date": "2026-01-01"}, {"date": "2026-01-31T23:59:59Z"}, {"date": None, "model": "a"}]
        assert len(read(inside, group_by, **january)) == 3
        before, after = {"date": "2025-12-31", "cost": 5}, {"date": "2026-02-01", "cost": 5}
        for row, said in ((before, "2025-12-31, and only 2026-01-01 to 2026-01-31"), (after, "2026-02-01, and only")):
            with pytest.raises(APIError, match=said) as caught:
                read([*inside, row], group_by, **january)
            assert caught.value.code == "not_understood"
        with pytest.raises(APIError, match="2025-12-31, and only 2026-01-01 to now"):
            read([before, after], group_by, start=january["start"])
        with pytest.raises(APIError, match="2026-02-01, and only the beginning to 2026-01-31"):
            read([before, after], group_by, end=january["end"])
        assert sum(row.cost or 0 for row in read([before, after], group_by)) == 10

    @pytest.mark.parametrize("field", ROW)
    @pytest.mark.parametrize("others", ["whole", "bare"])
    def test_d30_null_and_missing_in_every_position(self, field: str, others: str) -> None:
        without = {name: value for name, value in ROW.items() if name != field}
        rest = ROW if others == "whole" else {}
        for gap in ({**ROW, field: None}, without):
            for place in range(3):
                body: list[dict[str, Any]] = [rest, rest]
                body.insert(place, gap)
                found = read(body)
                assert found[place].to_dict() == {**ROW, "date": DAY, field: None, "raw": gap}
                assert all(row.raw is rest for n, row in enumerate(found) if n != place)
                assert all(row[field] is not None for row in found if row.raw is ROW)


KEYS = [
    *ROW,
    "tokens",
    "input",
    "total",
    "data",
    "usage",
    "result",
    "key",
    "group",
    "value",
    "count",
    "total_cost",
    "id",
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(max_size=5)
    | st.sampled_from([10**400, "2026-01-31", "0.5", "\ud800", Decimal("1e999999")]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=15,
)
ROWS = st.lists(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6), max_size=4)


class TestD29AnyJson:
    @settings(max_examples=500, deadline=None)
    @given(JSON | ROWS, st.sampled_from(GROUPS), st.none() | st.just(DAY))
    def test_d29_is_rows_or_a_typed_error(self, body: Any, group_by: str, day: datetime.date | None) -> None:
        try:
            found = UsageRows(read(body, group_by, day), (group_by,))
        except APIError:
            return
        assert found.totals.cost is None or found.totals.cost.is_finite()
        (found._repr_html_() + repr(found)).encode()
        file = io.StringIO(newline="")
        found.to_csv(file)
        assert len(list(csv.reader(io.StringIO(file.getvalue(), newline="")))) == len(found) + 1
        file.getvalue().encode()
        assert len(found.to_dataframe()) == len(found.to_dicts()) == len(found)


class TestAsked:
    def test_one_field_is_one_request(self) -> None:
        for start, end in ((DAY, DAY), ("2026-01-31", None), (None, None)):
            (part,) = Asked.check(start, end, "model", "UTC").requests()
            assert part == (DAY if start else None, DAY if end else None, "model", None)

    @pytest.mark.parametrize("pair", [("date", "model"), ["model", "date"]])
    def test_a_date_and_another_field_are_a_request_each_day(self, pair: Any) -> None:
        asked = Asked.check("2024-02-28", datetime.date(2024, 3, 1), pair, "UTC")
        dates = [datetime.date(2024, 2, 28), datetime.date(2024, 2, 29), datetime.date(2024, 3, 1)]
        assert list(asked.requests()) == [(day, day, "model", day) for day in dates]
        joined = asked.joined([[UsageRow(model="a")], [], [UsageRow(model="b")]])
        assert [row.model for row in joined] == ["a", "b"]
        assert (joined.group_by, joined.start, joined.end, joined.tz) == (tuple(pair), dates[0], dates[2], "UTC")

    def test_days(self) -> None:
        assert days(DAY, DAY) == [DAY]
        assert days(datetime.date(2026, 12, 30), datetime.date.max)[-1] == datetime.date.max
        assert len(days(datetime.date(2024, 1, 1), datetime.date(2024, 12, 31))) == 366

    def test_times_with_a_zone_name_utc_days(self) -> None:
        late = datetime.datetime(2026, 1, 31, 23, tzinfo=datetime.timezone(datetime.timedelta(hours=-5)))
        assert Asked.check(late, None, "date", "UTC").start == datetime.date(2026, 2, 1)

    @pytest.mark.parametrize("tz", ["UTC", "Etc/UTC", "Z", datetime.UTC, zoneinfo.ZoneInfo("UTC")])
    def test_utc(self, tz: Any) -> None:
        assert Asked.check(DAY, DAY, "date", tz).start == DAY

    @pytest.mark.parametrize(
        "tz",
        ["Europe/Berlin", "utc+1", "", None, 0, 1, b"UTC", zoneinfo.ZoneInfo("Europe/London"), ["UTC"],
         datetime.timezone(datetime.timedelta(hours=1))],
    )  # fmt: skip
    def test_other_days_than_the_servers_are_refused(self, tz: Any) -> None:
        with pytest.raises(ValidationError, match="the server's days are UTC days"):
            Asked.check(DAY, DAY, "date", tz)

    @pytest.mark.parametrize(
        ("group_by", "said"),
        [("colour", "must be one of date, model"), ("", "must be one of"), ((), "must be one of"),
         (None, "must be one of"),
         (("date", "model", "provider"), "must be one of"), (5, "must be one of"), ((5,), "must be one of"),
         (("date", "date"), "names date twice"), (("model", "model"), "names model twice"),
         (("model", "provider"), "each day is asked for alone"), (("date", "colour"), "must be one of")],
    )  # fmt: skip
    def test_what_the_server_cannot_group_by(self, group_by: Any, said: str) -> None:
        with pytest.raises(ValidationError, match=said):
            Asked.check(DAY, DAY, group_by, "UTC")

    def test_spans(self) -> None:
        pair = ("date", "model")
        start = datetime.date(2000, 1, 1)
        longest = start + datetime.timedelta(days=MOST_DAYS - 1)
        assert len(list(Asked.check(start, longest, pair, "UTC").requests())) == MOST_DAYS
        beyond = longest + datetime.timedelta(days=1)
        for first, last, groups, said in (
            (start, beyond, pair, f"there are {MOST_DAYS + 1} days"),
            (beyond, start, ("date",), "after"),
            (None, start, pair, "start and end are needed"),
            (start, None, pair, "start and end are needed"),
            ("2026-1-1x", start, ("date",), "start must be"),
            (start, 5, ("date",), "end must be"),
        ):
            with pytest.raises(ValidationError, match=said):
                Asked.check(first, last, groups, "UTC")  # type: ignore[arg-type] # what it must refuse
        assert Asked.check(start, beyond, "date", "UTC").end == beyond


def some(count: int = 3, **changes: Any) -> UsageRows:
    rows = [UsageRow(**{**ROW, "date": DAY, **changes}) for _ in range(count)]
    return UsageRows(rows, ("date", "model"), DAY, DAY)


class TestContainer:
    def test_a_sequence(self) -> None:
        rows = some()
        assert len(rows) == len(list(rows)) == 3
        assert rows[0] is next(iter(rows))
        assert rows[-1] in rows
        part = rows[1:]
        assert (len(part), part.group_by, part.start, part.end, part.tz) == (2, ("date", "model"), DAY, DAY, "UTC")
        assert part == some(2) == copy.deepcopy(part) == pickle.loads(pickle.dumps(part))
        assert part != some(3)
        assert part != list(part)
        with pytest.raises(IndexError):
            rows[3]
        with pytest.raises(TypeError):
            hash(rows)

    def test_the_repr_is_short(self) -> None:
        assert repr(some(1000)) == "<UsageRows: 1000 by date and model, 2026-01-31 to 2026-01-31 (UTC)>"
        assert repr(UsageRows([])) == "<UsageRows: 0 by date, the beginning to now (UTC)>"

    def test_the_raw_row_is_kept_and_not_shown(self) -> None:
        row = one({"model": "a", "unknown": "canary"})
        assert row["raw"] == {"model": "a", "unknown": "canary"}
        assert "canary" not in repr(row)

    def test_dicts_have_the_columns(self) -> None:
        rows = some(2)
        assert rows.columns == ("date", "model", *NUMBERS)
        assert rows.to_dicts() == [{"date": DAY, "model": ROW["model"], **NUMBERS}] * 2

    def test_a_notebook_shows_text_as_text(self) -> None:
        shown = some(25, model="<img src=x onerror=alert(1)>&\ud800")._repr_html_()
        assert "<img" not in shown
        assert "&lt;img src=x onerror=alert(1)&gt;&amp;" in shown
        assert "0.0000001" in shown
        assert shown.count("<tr>") == 1 + 20 + 1
        assert "5 more" in shown
        assert UsageRows([UsageRow()])._repr_html_().count("<td></td>") == 6
        shown.encode()


FORMULAS = ['=HYPERLINK("http://h","x")', "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1"]


class TestCsv:
    def test_what_is_written_can_be_read(self, tmp_path: Path) -> None:
        path = tmp_path / "usage.csv"
        UsageRows([*some(1, model='a,"b"\r\nپ'), UsageRow()], ("date", "model")).to_csv(path)
        content = path.read_bytes()
        assert content.startswith(b"date,model,requests,input_tokens,output_tokens,total_tokens,cost\r\n2026-01-31,")
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        assert rows[1:] == [["2026-01-31", 'a,"b"\r\nپ', "3", "10", "20", "30", "0.0000001"], [""] * 7]

    @pytest.mark.parametrize("model", FORMULAS)
    def test_no_cell_runs_as_a_formula(self, model: str) -> None:
        file = io.StringIO(newline="")
        some(1, model=model).to_csv(file)
        file.seek(0)
        assert list(csv.reader(file))[1][1] == "'" + model
        assert some(1, model=model).to_dicts()[0]["model"] == model

    @pytest.mark.parametrize(("cost", "cell"), [("1E-7", "0.0000001"), ("-1E-7", "-0.0000001"), ("1E+3", "1000")])
    def test_numbers_stay_numbers_in_plain_notation(self, cost: str, cell: str) -> None:
        file = io.StringIO(newline="")
        some(1, cost=Decimal(cost)).to_csv(file)
        assert file.getvalue().endswith(f",{cell}\r\n")

    def test_lone_surrogates_are_escaped(self, tmp_path: Path) -> None:
        some(1, model="a\ud800").to_csv(tmp_path / "u.csv")
        assert "a\\ud800" in (tmp_path / "u.csv").read_text()

    def test_long_files_are_whole(self, tmp_path: Path) -> None:
        some(20_000).to_csv(str(tmp_path / "u.csv"))
        lines = (tmp_path / "u.csv").read_text().splitlines()
        assert len(lines) == 20_001
        assert len(set(lines)) == 2

    def test_an_existing_file_is_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "u.csv"
        path.write_text("mine")
        with pytest.raises(ValidationError, match="overwrite=True"):
            some().to_csv(path)
        assert path.read_text() == "mine"
        some().to_csv(path, overwrite=True)
        assert path.read_text().startswith("date,")
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_no_link_is_followed(self, overwrite: bool, tmp_path: Path) -> None:
        (tmp_path / "target").write_text("mine")
        (tmp_path / "u.csv").symlink_to(tmp_path / "target")
        (tmp_path / "dangling.csv").symlink_to(tmp_path / "nothing")
        for name in ("u.csv", "dangling.csv"):
            with pytest.raises(ValidationError):
                some().to_csv(tmp_path / name, overwrite=overwrite)
        assert (tmp_path / "target").read_text() == "mine"
        assert not (tmp_path / "nothing").exists()

    def test_places_that_cannot_be_written_to(self, tmp_path: Path) -> None:
        with (tmp_path / "b").open("wb") as binary:
            for place in (tmp_path, tmp_path / "no" / "u.csv", "", 5, None, binary):
                with pytest.raises(ValidationError):
                    some().to_csv(place)  # type: ignore[arg-type] # what it must refuse
        assert [path.name for path in tmp_path.iterdir()] == ["b"]

    def test_an_open_file_gets_the_same_as_a_path(self, tmp_path: Path) -> None:
        some(2, model="\u067e").to_csv(tmp_path / "a.csv")
        with (tmp_path / "b.csv").open("w", encoding="utf-8-sig", newline="") as file:
            some(2, model="\u067e").to_csv(file)
        assert (tmp_path / "b.csv").read_bytes() == b"\xef\xbb\xbf" + (tmp_path / "a.csv").read_bytes()

    def test_what_is_wrong_with_an_open_file_is_one_typed_error(self, tmp_path: Path) -> None:
        path = tmp_path / "u.csv"
        path.write_text("")
        with path.open("w", encoding="ascii") as narrow:
            with pytest.raises(ValidationError, match='as ascii: open it with encoding="utf-8"'):
                some(1, model="\u067e").to_csv(narrow)
        with path.open() as reading, pytest.raises(ValidationError, match="not writable"):
            some().to_csv(reading)
        with pytest.raises(ValidationError, match="closed file"):
            some().to_csv(narrow)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk to write to")
    def test_a_full_disk(self) -> None:
        with contextlib.suppress(OSError), open("/dev/full", "w", encoding="utf-8", newline="") as file:
            with pytest.raises(ValidationError, match="No space left on device"):
                some(20_000).to_csv(file)


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout


class TestPandas:
    def test_types(self) -> None:
        frame = some(2).to_dataframe()
        assert list(frame.columns) == ["date", "model", *NUMBERS]
        assert frame["date"].dtype.kind == "M"
        assert frame["date"].dt.date.tolist() == [DAY, DAY]
        assert str(frame["requests"].dtype) == "Int64"
        assert frame["model"].tolist() == [ROW["model"]] * 2
        assert frame["cost"].dtype == object
        assert frame["cost"].sum() == Decimal("0.0000002")
        assert some(2).to_dataframe(costs="float")["cost"].tolist() == [1e-7, 1e-7]

    def test_unknown_values_and_far_days(self) -> None:
        rows = [UsageRow(date=datetime.date.min), UsageRow(date=datetime.date.max, requests=2**63 - 1), UsageRow()]
        frame = UsageRows(rows, ("date", "model")).to_dataframe()
        assert frame["date"].isna().tolist() == [False, False, True]
        assert frame["date"].dt.year.tolist()[:2] == [1, 9999]
        assert frame["requests"].isna().tolist() == [True, False, True]
        assert frame["requests"][1] == 2**63 - 1
        assert frame["cost"].tolist() == [None] * 3
        assert UsageRows(rows, ("model",)).to_dataframe("float")["cost"].isna().all()

    def test_no_rows(self) -> None:
        frame = UsageRows([], ("date", "client_ip")).to_dataframe()
        assert list(frame.columns) == ["date", "client_ip", *NUMBERS]
        assert frame["date"].dtype.kind == "M"

    def test_a_choice_of_costs_that_is_none(self) -> None:
        with pytest.raises(ValidationError, match="costs"):
            some().to_dataframe(costs="exact")  # type: ignore[arg-type] # what it must refuse

    def test_without_pandas_it_says_what_to_install(self) -> None:
        code = (
            "import sys; sys.modules['pandas'] = None\n"
            "from indoxrouter.usage_rows import UsageRow, UsageRows\n"
            "rows = UsageRows([UsageRow(requests=1)])\n"
            "print(rows.to_dicts()[0]['requests'])\n"
            "try: rows.to_dataframe()\n"
            "except ImportError as error: print(error)"
        )
        assert run_python(code).splitlines() == ["1", "to_dataframe() needs pandas: pip install pandas"]


def test_rows_go_through_json_with_a_default() -> None:
    assert json.loads(json.dumps(some(1).to_dicts(), default=str)) == [
        {"date": "2026-01-31", "model": ROW["model"], **NUMBERS, "cost": "1E-7"}
    ]
