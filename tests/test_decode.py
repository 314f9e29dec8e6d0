"""Rules D29, D30: any answer is decoded, or is one typed error; what is unknown is None."""

from __future__ import annotations

import json
from decimal import Context, Decimal, Inexact, Rounded, localcontext
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_server import RawServer, answer, ok

from indoxrouter import (
    APIError,
    ChatResponse,
    Client,
    IndoxRouterError,
    ProviderNotFoundError,
    Usage,
    UsageReport,
)
from indoxrouter.core.exchange import parsed
from indoxrouter.media import GeneratedImage
from indoxrouter.records import Record
from indoxrouter.responses import ChatMessage
from indoxrouter.wire import catalogue, decode, fields, hosted
from indoxrouter.wire.chunks import EventReader
from indoxrouter.wire.failures import Origin
from indoxrouter.wire.messages import Reply, Result

REQUEST = hosted.completion("x", model="a/b", temperature=None, max_tokens=None, stream=False, params={})
HERE = Origin("POST h/v1/chat", "model")


def result(body: Any) -> Result:
    return Result(body, REQUEST, HERE.target, {}, "ours")


def chat(body: Any) -> ChatResponse:
    return decode.chat(result(body))


ENVELOPE_FIELDS = {
    "request_id",
    "created_at",
    "duration_ms",
    "provider",
    "model",
    "success",
    "message",
    "usage",
    "raw_response",
    "data",
    "finish_reason",
    "images",
    "dimensions",
    "output",
    "choices",
    "result",
    "tool_calls",
    "embedding",
    "index",
    "url",
    "b64_json",
    "error",
    "status",
    "metadata",
}
USAGE_FIELDS = {
    "tokens_prompt",
    "prompt_tokens",
    "input_tokens",
    "cost",
    "latency",
    "cost_breakdown",
    "input_tokens_details",
}
CATALOGUE_FIELDS = {
    "id",
    "name",
    "models",
    "data",
    "provider",
    "modelName",
    "pricing",
    "contextWindows",
    "output",
    "inputPricePer1KTokens",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(sorted(ENVELOPE_FIELDS | USAGE_FIELDS | CATALOGUE_FIELDS)), inner, max_size=5)
    ),
    max_leaves=15,
)


class TestD29AnyJson:
    @settings(max_examples=1500, deadline=None)
    @given(JSON)
    def test_d29_is_an_answer_or_a_typed_error(self, body: Any) -> None:
        for read in (
            decode.chat,
            decode.completion,
            decode.embeddings,
            decode.image,
            catalogue.models,
            catalogue.providers,
            catalogue.usage_report,
            catalogue.user_info,
            lambda found: catalogue.model_info(found, "p", "m"),
            lambda found: catalogue.models(found, "p"),
        ):
            try:
                found: Any = read(result(body))
            except APIError:
                continue
            repr(found)
            if hasattr(found, "to_dict"):
                assert list(found.to_dict()) == list(found)

    @settings(max_examples=500, deadline=None)
    @given(JSON)
    def test_d29_so_is_any_event(self, body: Any) -> None:
        try:
            event = EventReader(HERE).read(json.dumps(body))
        except APIError:
            return
        assert all(isinstance(chunk.data, str) for chunk in event.chunks)

    @pytest.mark.parametrize(
        "content",
        [
            b'{"data": "a", "duration_ms": NaN}',
            b'{"data": "a", "duration_ms": -Infinity, "usage": {"cost": 1e999, "tokens_prompt": Infinity}}',
            b'{"data": "first", "data": "a"}',
            b'{"data": "a", "usage": {"tokens_prompt": true, "tokens_total": "7"}}',
        ],
    )
    def test_d29_harmless_oddities_are_accepted(self, content: bytes) -> None:
        with RawServer(lambda _: [answer(200, content)]) as server, Client("k", server.url) as client:
            found = client.chat([{"role": "user", "content": "x"}])
        assert (found.data, found.duration_ms) == ("a", None)
        if found.usage is not None:
            assert (found.usage.cost, found.usage.tokens_prompt, found.usage.tokens_total) == (
                None,
                None,
                None,
            )

    def test_d29_a_number_of_5000_digits_is_accepted(self) -> None:
        body = parsed(HERE, Reply(200, {}), b'{"data": "a", "duration_ms": ' + b"9" * 5_000 + b"}")
        assert (chat(body).data, chat(body).duration_ms) == ("a", None)

    def test_d29_lone_surrogates_are_kept(self) -> None:
        assert chat(json.loads('{"data": "a\\ud800b"}')).data == "a\ud800b"

    @pytest.mark.parametrize(
        "content",
        [b"[" * 100_000, b'{"data": "\xff"}', b'{"data": "a"} trailing'],
    )
    def test_d29_others_are_typed(self, content: bytes) -> None:
        with pytest.raises(IndoxRouterError):
            parsed(HERE, Reply(200, {"content-type": "application/json"}), content)

    def test_d29_unknown_fields_stay_in_raw(self) -> None:
        found = chat({"data": "a", "new_field": 7, "raw_response": {"provider_field": 8}})
        assert found.raw["new_field"] == 7
        assert found.raw_response == {"provider_field": 8}
        assert chat({"data": "a", "raw_response": None}).raw_response == {"data": "a", "raw_response": None}

    @pytest.mark.parametrize("body", [{"data": None}, {"data": 5}, {"data": ["x"]}, {"data": {"text": "x"}}])
    def test_d29_data_that_is_no_text_is_none(self, body: Any) -> None:
        found = chat(body)
        assert found.data is None
        assert found.raw == body


class TestD30Unknowns:
    def test_d30_missing_usage_is_unknown(self) -> None:
        assert chat({"data": "a"}).usage is None
        assert chat({"data": "a", "usage": None}).usage is None

    def test_d30_missing_figures_are_none_not_zero(self) -> None:
        used = chat({"data": "a", "usage": {"tokens_prompt": 0, "cost": None}}).usage
        assert used is not None
        assert used.tokens_prompt == 0
        for name in set(used) - {"tokens_prompt"}:
            assert used[name] is None, name

    def test_d30_every_documented_figure(self) -> None:
        used = fields.usage(
            {
                "tokens_prompt": 1,
                "tokens_completion": 2,
                "tokens_total": 3,
                "cost": 0.5,
                "latency": 1.5,
                "timestamp": "2026-01-01T00:00:00",
                "cache_read_tokens": 4,
                "cache_write_tokens": 5,
                "reasoning_tokens": 6,
                "web_search_count": 7,
                "request_count": 8,
                "cost_breakdown": {"total_cost": 0.5},
            }
        )
        assert used == Usage(1, 2, 3, 0.5, 1.5, "2026-01-01T00:00:00", 4, 5, 6, 7, 8, {"total_cost": 0.5})

    def test_d30_the_other_names(self) -> None:
        openai = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
        details = {
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 5},
        }
        hub = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
        hub_details = {
            "input_tokens_details": {"cached_tokens": 4},
            "output_tokens_details": {"reasoning_tokens": 5},
        }
        for body in ({**openai, **details}, {**hub, **hub_details}):
            used = fields.usage(body)
            assert used is not None
            assert (used.tokens_prompt, used.tokens_completion, used.tokens_total) == (1, 2, 3)
            assert (used.cache_read_tokens, used.reasoning_tokens) == (4, 5)


class TestRateLimit:
    @pytest.mark.parametrize(
        ("headers", "limit"),
        [({"": "60", "-remaining": "59", "-reset": "30"}, (60, 59, 30.0)),
         ({"": "60", "-requests": "10"}, (10, None, None)),
         ({"-remaining": "0"}, (None, 0, None)),
         ({"": "60", "-reset": "1799999999"}, (60, None, None)),
         ({"": "60", "-reset": "1799999999000"}, (60, None, None)),
         ({"": "60", "-reset-requests": "1799999999.5"}, (60, None, None)),
         ({"": "60", "-reset": "100000000"}, (60, None, 1e8)),
         ({"": "60", "-reset": "1m30s"}, (60, None, 90.0)),
         ({"": "60", "-reset": "2026-01-31T00:00:00Z"}, (60, None, None)),
         ({"": "-1", "-remaining": "5"}, (None, 5, None))],
    )  # fmt: skip
    def test_plain_headers_are_of_requests(self, headers: dict[str, str], limit: tuple[Any, ...]) -> None:
        names = {"": "-limit", "-requests": "-limit-requests"}
        found = fields.rate_limit({f"x-ratelimit{names.get(name, name)}": value for name, value in headers.items()})
        assert found is not None
        assert (found.limit_requests, found.remaining_requests, found.reset_requests) == limit
        assert (found.limit_tokens, found.remaining_tokens, found.reset_tokens) == (None, None, None)

    @pytest.mark.parametrize(
        ("facts", "limit"),
        [({"limit": 100, "remaining": 40}, (100, 40, None)), ({"limit": 100}, (100, None, None)),
         ({"remaining": 0, "retry_after": 7}, (None, 0, 7.0)), ({"limit": 100, "remaining": -1}, (100, None, None)),
         ({"limit": 100, "retry_after": 1799999999}, (100, None, None)),
         ({"limit": 100, "retry_after": -1}, (100, None, None))],
    )  # fmt: skip
    def test_facts_of_a_body_are_not_made_up(self, facts: dict[str, Any], limit: tuple[Any, ...]) -> None:
        for kind, name in (("requests", None), ("requests", "requests_per_minute"), ("tokens", "tokens_per_hour")):
            found = fields.rate_limit({}, {**facts, "limit_type": name})
            assert found is not None
            assert tuple(found[f"{what}_{kind}"] for what in ("limit", "remaining", "reset")) == limit
        assert fields.rate_limit({}, {"retry_after": 7}) is None


class TestShapes:
    def test_tool_calls_beside_data_or_behind_it(self) -> None:
        calls = [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]
        behind = {"choices": [{"message": {"tool_calls": calls, "reasoning_content": "hm"}}]}
        assert chat({"data": "", "tool_calls": calls}).tool_calls == calls
        found = chat({"data": None, "raw_response": behind})
        assert (found.tool_calls, found.reasoning) == (calls, "hm")

    def test_openai(self) -> None:
        body = {
            "id": "x1", "created": 1.7e9, "model": "gpt", "usage": {"prompt_tokens": 3},
            "choices": [{"message": {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                         "finish_reason": "stop"}],
        }  # fmt: skip
        found = chat(body)
        assert (found.data, found.finish_reason, found.provider) == ("ab", "stop", "a")
        assert (found.created_at, found.request_id) == ("2023-11-14T22:13:20+00:00", "x1")

    def test_hub(self) -> None:
        text = {"type": "output_text", "text": "hub", "annotations": []}
        body = {
            "id": "r1", "object": "response", "created_at": 1700000000, "status": "completed", "provider": "openai",
            "output": [{"type": "message", "content": [text], "reasoning": "hm"},
                       {"type": "image_generation_call", "result": "QUJD"}, {"type": "image_generation_call"}],
        }  # fmt: skip
        found = chat(body)
        assert (found.data, found.reasoning, found.request_id, found.finish_reason) == (
            "hub",
            "hm",
            "r1",
            None,
        )
        assert found.images == [GeneratedImage(b64_json="QUJD")]

    @pytest.mark.parametrize(
        ("reason", "finish"),
        [(None, "length"), ("max_output_tokens", "length"), ("content_filter", "content_filter")],
    )
    def test_a_hub_answer_that_was_cut(self, reason: str | None, finish: str) -> None:
        body = {"output": [], "status": "incomplete", "incomplete_details": {"reason": reason}}
        assert chat(body).finish_reason == finish

    @pytest.mark.parametrize("body", [{"choices": []}, {"choices": None}, {"output": [], "status": "failed"}])
    def test_no_answer_at_all(self, body: Any) -> None:
        with pytest.raises(APIError):
            chat(parsed(HERE, Reply(200, {}), json.dumps(body).encode()))

    def test_seed(self) -> None:
        found = chat({"result": {"data": "a", "success": True}, "metadata": {"request_id": "m1", "duration_ms": 5}})
        assert (found.data, found.request_id, found.duration_ms) == ("a", "m1", 5.0)

    @pytest.mark.parametrize(
        "data",
        [
            [[1.0, 2.0], [3.0, 4.0]],
            [{"embedding": [1.0, 2.0], "index": 0}, {"embedding": [3.0, 4.0], "index": 1}],
            [{"embedding": [3.0, 4.0], "index": 1}, {"embedding": [1.0, 2.0], "index": 0}],
        ],
    )
    def test_vectors(self, data: Any) -> None:
        found = decode.embeddings(result({"data": data}))
        assert found.data == [[1.0, 2.0], [3.0, 4.0]]
        assert found.dimensions == 2
        assert found.to_numpy().shape == (2, 2)

    def test_fewer_vectors_than_texts_are_no_answer(self) -> None:
        request = hosted.embeddings(["a", "b", "c"], model="a/b", params={})
        for count in (1, 2, 4):
            found = Result({"data": [[1.0]] * count}, request, HERE.target)
            with pytest.raises(APIError):
                decode.embeddings(found)
        assert len(decode.embeddings(Result({"data": [[1.0]] * 3}, request, HERE.target)).data) == 3

    def test_one_bare_vector(self) -> None:
        assert decode.embeddings(result({"data": [1.0, 2.0]})).data == [[1.0, 2.0]]
        assert decode.embeddings(result({"data": []})).data == []

    def test_images(self) -> None:
        data = [
            {"url": "https://h/i.png", "revised_prompt": "r"},
            {"b64_json": "QUJD"},
            "https://h/j.png",
            "QUJD",
        ]
        found = decode.image(result({"data": data}))
        assert [str(item) for item in found.data] == ["https://h/i.png", "QUJD", "https://h/j.png", "QUJD"]
        assert found.data[0]["revised_prompt"] == "r"
        assert decode.image(result({"data": {"url": "u"}})).data == [GeneratedImage(url="u")]


class TestCatalogue:
    MODELS: ClassVar = [{"modelName": "m1", "inputPricePer1KTokens": 0.00015, "contextWindows": "128k Tokens"}]

    @pytest.mark.parametrize(
        "body",
        [
            [{"id": "p", "name": "P", "models": MODELS}],
            {"id": "p", "name": "P", "models": MODELS},
            {"p": MODELS},
            {"result": {"p": MODELS}, "metadata": {}},
            {"data": [{"id": "p", "models": MODELS}]},
            {"providers": [{"id": "p", "models": MODELS}]},
            [{**MODELS[0], "provider": "p"}],
            {"object": "list", "data": [{**MODELS[0], "id": "p/m1", "object": "model"}]},
            {"data": [{**MODELS[0], "id": "m1", "owned_by": "p"}]},
        ],
    )
    def test_all_shapes_are_provider_to_models(self, body: Any) -> None:
        for found in (catalogue.models(result(body)), catalogue.models(result(body), "p")):
            assert list(found) == ["p"]
            assert found["p"][0].modelName == "m1"
        assert catalogue.providers(result(body))[0].id == "p"

    def test_another_provider_than_the_one_asked_for(self) -> None:
        with pytest.raises(ProviderNotFoundError, match="'q'"):
            catalogue.models(result([{"id": "p", "models": []}]), "q")

    def test_names_alone(self) -> None:
        assert [entry.id for entry in catalogue.providers(result(["a", "b"]))] == ["a", "b"]

    @pytest.mark.parametrize(
        ("window", "tokens"),
        [("128k Tokens", 128000), ("8192 Tokens", 8192), ("1M", 1000000), ("1.5m tokens", 1500000), (4096, 4096),
         ("8,192 tokens", 8192), ("1,000,000 tokens", 1000000), ("unlimited", None), (None, None), (True, None),
         ("1 million tokens", 1000000), ("2 Million", 2000000), ("1 000 000", 1000000), ("1.000.000", 1000000),
         ("128\u202f000\u00a0tokens", 128000), ("128 thousand", 128000), ("200K", 200000),
         ("128k-token context", 128000),
         ("4096 output tokens per request", 4096), ("1,000k", 1000000), (4096.0, 4096), ("1.024k", 1024),
         ("8192.0", 8192), (10**9, 10**9),
         ("8.192", None), ("128.000 Tokens", None), ("1,5m", None), ("12,34", None), ("1,00", None), ("1 00", None),
         (-5, None), ("-5", None), (0, None), ("0 Tokens", None), (1e300, None), (4096.5, None), (10**9 + 1, None),
         (10**400, None), ("10000m", None), ("128 billion tokens", None), ("4 images", None), ("8 hours", None),
         ("128k (input), 8k (output)", None), ("about 8k", None), ("1024x1024", None), ("\u0661k", None), ("", None),
         ("8" + " " * 100_000 + "k", None), ("8k " + "token " * 50_000, None), (float("nan"), None), ([], None)],
    )  # fmt: skip
    def test_windows(self, window: Any, tokens: int | None) -> None:
        info = catalogue.model_info(result({"contextWindows": window, "output": window}), "p", "m")
        assert (info.context_window, info.max_output_tokens) == (tokens, tokens)

    @pytest.mark.parametrize("nothing", [None, "unlimited", -1, {}])
    def test_a_window_that_says_nothing_hides_no_other(self, nothing: Any) -> None:
        body = {"contextWindows": nothing, "context_length": 8000, "output": nothing, "max_output_tokens": "4k"}
        info = catalogue.model_info(result(body), "p", "m")
        assert (info.context_window, info.max_output_tokens) == (8000, 4000)

    def test_prices_are_exact(self) -> None:
        body = {"inputPricePer1KTokens": 0.00015, "outputPricePer1KTokens": "0.0006"}
        info = catalogue.model_info(result(body), "p", "m")
        assert (info.input_price_per_1k, info.output_price_per_1k) == (Decimal("0.00015"), Decimal("0.0006"))
        million = {"pricing": {"prompt": 0.15, "completion": None, "unit": "1M"}}
        info = catalogue.model_info(result(million), "p", "m")
        assert (info.input_price_per_1k, info.output_price_per_1k) == (Decimal("0.00015"), None)

    @pytest.mark.parametrize(
        ("unit", "per_1k"),
        [("1M", "0.0025"), ("per_1m_tokens", "0.0025"), ("1M tokens", "0.0025"), ("million", "0.0025"),
         ("per_million_tokens", "0.0025"), ("USD per 1,000,000 tokens", "0.0025"), (1_000_000, "0.0025"),
         ("$/1M tokens", "0.0025"), ("1K", "2.5"), ("1k", "2.5"), ("per_1k_tokens", "2.5"), ("1KTokens", "2.5"),
         ("thousand", "2.5"), (1000, "2.5"), ("token", "2500"), ("per_token", "2500"), ("per token", "2500"),
         (1, "2500"), (None, None), ("", None), ("image", None), ("tokens", None), ("1B", None), ("EUR/1M", None),
         (5, None), (True, None), (1e6, None), ([], None), ("1M" * 10**5, None)],
    )  # fmt: skip
    def test_units_of_prices(self, unit: Any, per_1k: str | None) -> None:
        """Without a unit that is known, a price may be for one token or for a million."""
        info = catalogue.model_info(result({"pricing": {"prompt": "2.50", "completion": 2.5, "unit": unit}}), "p", "m")
        expected = None if per_1k is None else Decimal(per_1k)
        assert info.input_price_per_1k == info.output_price_per_1k == expected
        assert per_1k in (None, str(info.input_price_per_1k))

    @pytest.mark.parametrize(
        "price", ["-1", -1, -0.5, "NaN", float("inf"), "free", "", "1e400", 10**400, True, [], {}, None, "$5"]
    )
    def test_what_is_no_price(self, price: Any) -> None:
        for body in (
            {"inputPricePer1KTokens": price},
            {"pricing": {"prompt": price, "unit": "1M"}},
            {"pricePerImage": price},
        ):
            info = catalogue.model_info(result(body), "p", "m")
            assert (info.input_price_per_1k, info.input_price_per_1m, info.unit_price, info.price_unit) == (None,) * 4

    @pytest.mark.parametrize("settings", [{"prec": 1}, {"prec": 1, "traps": [Inexact, Rounded]}])
    def test_prices_do_not_depend_on_the_callers_decimal_context(self, settings: dict[str, Any]) -> None:
        rows = [
            {"id": "a", "inputPricePer1KTokens": 0.000123, "outputPricePer1KTokens": "0.000456"},
            {"id": "b", "pricing": {"prompt": "0.12300", "completion": 0.454, "unit": "1M"}},
            {"id": "c", "pricePerImage": "0.0420"},
        ]
        with localcontext(Context(**settings)):
            wanted = catalogue.Wanted.check(None, "0.123", Decimal("0.456"), None)
            dear, cheap = catalogue.find(result({"p": rows[:2]}), None, None, wanted)[::-1]
            (image,) = catalogue.find(result({"p": rows[2:]}), None, None, catalogue.Wanted())
        assert (cheap.name, dear.name) == ("b", "a")
        assert [str(model.input_price_per_1m) for model in (dear, cheap)] == ["0.123", "0.123"]
        assert [str(model.output_price_per_1m) for model in (dear, cheap)] == ["0.456", "0.454"]
        assert (str(cheap.output_price_per_1k), str(image.unit_price)) == ("0.000454", "0.042")

    @pytest.mark.parametrize(
        ("field", "unit"),
        [("pricePerImage", "image"), ("pricePerMinute", "minute"), ("pricePerSecond", "second"),
         ("pricePer1KCharacters", "1K characters"), ("pricePer1MCharacters", "1M characters"),
         ("pricePer1Minute", "1 minute"), ("pricePerImageHD", "image hd"), ("price_per_1k_characters", "1K characters"),
         ("PricePerAudioHour", "audio hour"), ("pricePer", None), ("pricePer_", None), ("pricePer<b>", None),
         ("pricePer" + "A" * 41, None), ("price", None), ("pricey", None)],
    )  # fmt: skip
    def test_prices_of_units(self, field: str, unit: str | None) -> None:
        body = {"type": "image", "inputPricePer1KTokens": 0.0, "outputPricePer1KTokens": 0.0, field: "0.040"}
        info = catalogue.model_info(result(body), "p", "m")
        assert (info.unit_price, info.price_unit) == (None if unit is None else Decimal("0.04"), unit)
        assert (info.input_price_per_1k, info.output_price_per_1m) == (None, None)

    @pytest.mark.parametrize(
        ("facts", "into", "price"),
        [({"type": "chat"}, 0, None), ({"type": "embeddings"}, 0, None), ({}, 0, None), ({"type": "odd"}, 0, None),
         ({"type": "chat", "pricePerImage": 0}, 0, None), ({"type": "chat", "pricePerImage": None}, 0, None),
         ({"type": "chat", "pricePerRequest": 2}, None, 2), ({"pricePerMinute": 2}, None, 2),
         ({"type": "text-to-speech"}, None, None), ({"type": "Speech to Text"}, None, None),
         ({"type": "Video Generation", "pricePerSecond": 0}, None, 0),
         ({"type": "image", "pricePerImage": 0, "pricePerSecond": 3, "pricePerMinute": 2}, None, 3),
         ({"type": "image", "outputPricePer1KTokens": 5, "pricePerImage": 2}, 0, 2),
         ({"type": "image", "outputPricePer1KTokens": 5, "pricePerImage": 0}, 0, None)],
    )  # fmt: skip
    def test_whether_nothing_for_tokens_is_a_price(self, facts: dict[str, Any], into: Any, price: Any) -> None:
        zero = {"inputPricePer1KTokens": 0.0, "outputPricePer1KTokens": 0.0}
        info = catalogue.model_info(result({**zero, **facts}), "p", "m")
        assert (info.input_price_per_1k, info.unit_price) == (into, price)

    def test_the_older_usage_report_with_its_totals_in_the_period(self) -> None:
        period = {"total_requests": 3, "total_cost": 0.5, "remaining_credits": 9.5, "total_tokens": 7, "days": 31}
        old = {"total_cost": 0.25, "total_requests": None, "current_period": period}
        report = catalogue.usage_report(result(old))
        assert (report.total_requests, report.total_cost, report.remaining_credits) == (3, 0.25, 9.5)
        assert report.total_tokens == {"input": None, "output": None, "total": 7}
        assert report["current_period"] == period
        assert "days" not in report
        nothings: list[Any] = [None, [], "x", {}, {"total_cost": None}]
        for nothing in nothings:
            assert set(catalogue.usage_report(result({"current_period": nothing}))) == {"current_period"}

    def test_the_older_usage_report(self) -> None:
        old = {"by_provider": {"p": {}}, "by_model": {"m": {}}, "current_period": {"x": 1}, "total_tokens": 7}
        report = catalogue.usage_report(result(old))
        assert report.providers == {"p": {}}
        assert report["models"] == {"m": {}}
        assert report.total_tokens == {"input": None, "output": None, "total": 7}
        assert report["current_period"] == {"x": 1}
        assert report.total_cost is None
        assert json.loads(json.dumps(report)) == report


class TestAnswerTypes:
    def test_a_mapping_over_exactly_its_fields(self) -> None:
        found = ChatResponse(data="a", usage=Usage(cost=0.5))
        assert found["data"] == found.data == found.get("data")
        assert "data" in found
        assert "to_dict" not in found
        assert found.get("to_dict", "none") == "none"
        assert set(found) == set(found.__dataclass_fields__)
        with pytest.raises(KeyError):
            found["__class__"]
        assert json.loads(json.dumps(found.to_dict()))["usage"]["cost"] == 0.5
        assert not hasattr(found, "__dict__")

    def test_records_are_dicts(self) -> None:
        report = UsageReport(total_cost=1.5)
        assert isinstance(report, dict)
        assert (report.total_cost, report.models) == (1.5, None)
        assert "models" in dir(report)
        with pytest.raises(AttributeError):
            _ = report.nothing_of_the_sort  # type: ignore[attr-defined] # as it should be
        assert getattr(Record(a=1), "a") == 1  # noqa: B009 - a type checker knows the documented ones only

    def test_messages(self) -> None:
        message = ChatMessage("user", "hi")
        request = hosted.chat([message, {"role": "user", "content": "x"}], model="a/b", temperature=None,
                              max_tokens=None, stream=False, params={})  # fmt: skip
        assert (request.body or {})["messages"] == [
            {"role": "user", "content": "hi"},
            {"role": "user", "content": "x"},
        ]


class TestBadInput:
    @pytest.mark.parametrize(
        "messages",
        [[], (), "text", None, 5, [None], ["hi"], [{"content": "x"}], [{"role": "", "content": "x"}],
         [{"role": 5, "content": "x"}], [{"role": "user"}], [{"role": "user", "content": 5}],
         [{"role": "user", "content": b"x"}], {"role": "user", "content": "x"}],
    )  # fmt: skip
    def test_messages(self, messages: Any) -> None:
        with Client("k", "http://127.0.0.1:9/v1") as client, pytest.raises(ValueError, match="messages"):
            client.chat(messages)

    @pytest.mark.parametrize("prompt", [None, 5, b"x", ["x"], {"a": 1}])
    def test_prompts(self, prompt: Any) -> None:
        with Client("k", "http://127.0.0.1:9/v1") as client:
            for ask in (client.completion, client.image):
                with pytest.raises(ValueError, match="prompt must be a string"):
                    ask(prompt)

    @pytest.mark.parametrize("text", [None, 5, b"x", [], [5], ["a", None], {"a": 1}])
    def test_texts(self, text: Any) -> None:
        with Client("k", "http://127.0.0.1:9/v1") as client, pytest.raises(ValueError, match="text must be"):
            client.embeddings(text)

    @pytest.mark.parametrize("model", [5, " ", b"x"])
    def test_models(self, model: Any) -> None:
        with Client("k", "http://127.0.0.1:9/v1") as client, pytest.raises(ValueError, match="model must be"):
            client.completion("x", model=model)

    @pytest.mark.parametrize("date", ["2026-13-01", "01.02.2026", "2026-1-1x", "", 20260101, "2026-01-01T00:00"])
    def test_dates(self, date: Any) -> None:
        with Client("k", "http://127.0.0.1:9/v1") as client, pytest.raises(ValueError, match="start_date"):
            client.get_usage(date)

    def test_dates_the_wrong_way_round(self) -> None:
        with Client("k", "http://127.0.0.1:9/v1") as client, pytest.raises(ValueError, match="after"):
            client.get_usage("2026-02-01", "2026-01-01")

    def test_unknown_parameters_where_nothing_is_passed_on(self) -> None:
        with Client("k", "http://127.0.0.1:9/v1") as client, pytest.raises(ValueError, match="limmit"):
            client.models(limmit=5)

    def test_additional_params(self) -> None:
        with RawServer(lambda _: [ok({"data": "a"})]) as server, Client("k", server.url) as client:
            client.completion("x", seed=1, top_p=0.5, additional_params={"stop": ["."]}, tools=[{"type": "function"}])
            body = server.requests[0].json()
            with pytest.raises(ValueError, match="additional_params"):
                client.completion("x", additional_params=5)
        assert body["additional_params"] == {"stop": ["."], "seed": 1, "tools": [{"type": "function"}]}
        assert body["top_p"] == 0.5
