"""Answers from the cache and from mocks: what is kept, under which key, and how it is marked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from clients import Client
from raw_server import DONE, FIN, STREAM_HEAD, Action, RawServer, Seen, answer, chat_body, event, ok, piece

from indoxrouter import ConfigurationError, IndoxRouterError, RateLimitError, StreamError, ValidationError
from indoxrouter.sandbox import Sandbox

HELLO = [{"role": "user", "content": "Hello"}]
KEY = "key-of-the-tests"
KINDS = ("sync", "async", "sync-openai", "async-openai")
USED = {"tokens_prompt": 3, "cost": 0.5, "cost_breakdown": {"total_cost": 0.5}}
PRICED = {**chat_body(), "request_id": "r1", "usage": USED}


class TestHits:
    def test_an_identical_request_is_answered_without_a_server(self) -> None:
        cache: dict[str, Any] = {}
        with RawServer(lambda _: [ok(PRICED)]) as server, Client(KEY, server.url, cache=cache) as client:
            first, second = client.chat(HELLO), client.chat(HELLO)
            assert len(server.requests) == 1
        assert (first.cached, second.cached) == (False, True)
        assert (first.data, first.usage.cost, len(first.attempts)) == ("fine", 0.5, 1)
        assert (second.data, second.usage.cost, second.attempts) == ("fine", 0.0, ())
        assert (second.usage.tokens_prompt, second.usage.cost_breakdown) == (3, None)
        assert first.usage.cost_breakdown == {"total_cost": 0.5}
        assert second.request_id == "r1"

    def test_another_request_is_not(self) -> None:
        with RawServer(lambda _: [ok(chat_body())]) as server:
            with Client(KEY, server.url, cache={}) as client:
                client.chat(HELLO)
                for other in ({"temperature": 0.1}, {"max_tokens": 5}, {"model": "a/b"}, {"seed": 1}):
                    assert not client.chat(HELLO, **other).cached
                assert not client.chat([{"role": "user", "content": "Bye"}]).cached
                assert not client.chat(HELLO, extra_body={"x": 1}).cached
            assert len(server.requests) == 7

    def test_nor_one_to_another_server_or_path(self) -> None:
        cache: dict[str, Any] = {}
        with RawServer(lambda _: [ok(chat_body())]) as one, RawServer(lambda _: [ok(chat_body())]) as two:
            for url in (one.url, two.url, one.origin + "/api/v1"):
                with Client(KEY, url, cache=cache) as client:
                    assert not client.completion("x").cached
        assert len(cache) == 3

    def test_embeddings_and_images(self, sandbox: Sandbox, client: Any) -> None:
        url = client.base_url
        with Client(sandbox.api_key, url, cache={}) as caching:
            asks: list[Callable[[], Any]] = [
                lambda: caching.embeddings(["a", "b"], "openai/text-embedding-3-small"),
                lambda: caching.image("x", "openai/dall-e-3"),
            ]
            for ask in asks:
                first, second = ask(), ask()
                assert (first.cached, second.cached) == (False, True)
                assert first.data == second.data

    def test_streams_are_replayed_and_kept(self) -> None:
        def script(seen: Seen) -> list[Action]:
            usage = event({"choices": [], "usage": {"prompt_tokens": 3}})
            return [STREAM_HEAD, piece("one "), piece("two", "stop"), usage, DONE, FIN]

        with RawServer(script) as server, Client(KEY, server.url, cache={}) as client:
            first = client.chat(HELLO, stream=True)
            assert [chunk.data for chunk in first][:2] == ["one ", "two"]
            again = client.chat(HELLO, stream=True)
            assert "".join(chunk.data for chunk in again) == "one two"
            assert (again.state, again.finish_reason) == ("complete", "stop")
            response = again.response()
            assert (response.cached, response.data) == (True, "one two")
            whole = client.chat(HELLO)
            assert (whole.cached, whole.data, whole.finish_reason) == (True, "one two", "stop")
            assert len(server.requests) == 1

    def test_a_replayed_stream_says_so_and_costs_nothing(self) -> None:
        with RawServer(lambda _: [ok(PRICED)]) as server, Client(KEY, server.url, cache={}) as client:
            client.chat(HELLO)
            stream = client.chat(HELLO, stream=True)
            assert [chunk.usage.cost for chunk in stream if chunk.usage] == [0.0]
            assert stream.usage.cost == 0.0

    def test_all_choices_and_tool_calls_are_replayed(self) -> None:
        calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
        choices = [
            {"index": 0, "message": {"content": "one"}, "finish_reason": "stop"},
            {"index": 1, "message": {"content": None, "tool_calls": calls}, "finish_reason": "tool_calls"},
        ]
        with RawServer(lambda _: [ok({"choices": choices})]) as server, Client(KEY, server.url, cache={}) as client:
            client.chat(HELLO, n=2)
            stream = client.chat(HELLO, n=2, stream=True)
            chunks = list(stream)
            assert [chunk.index for chunk in chunks] == [0, 1]
            assert chunks[1].tool_calls == [{"index": 0, **calls[0]}]
            assert len(stream.raw_response["choices"]) == 2
            assert len(client.chat(HELLO, n=2).raw["choices"]) == 2
            assert len(server.requests) == 1

    def test_names_of_any_kind(self) -> None:
        with RawServer(lambda _: [ok(chat_body())]) as server, Client(KEY, server.url, cache={}) as client:
            for cached in (False, True):
                assert client.chat(HELLO, logit_bias={50256: -100, "7": 1}).cached is cached


class TestNeverKept:
    @pytest.mark.parametrize(
        "actions",
        [
            [answer(429, {"detail": "no"})],
            [answer(500, {})],
            [ok({"error": "no"})],
            [ok({"strange": 1})],
            [answer(200, b'{"data": "cut')],
            [answer(200, b"<html>")],
        ],
    )
    def test_errors(self, actions: list[Action]) -> None:
        cache: dict[str, Any] = {}
        with RawServer(lambda _: actions) as server:
            with Client(KEY, server.url, cache=cache, max_retries=0) as client, pytest.raises(IndoxRouterError):
                client.chat(HELLO)
        assert cache == {}

    @pytest.mark.parametrize("early", [False, True])
    def test_broken_or_abandoned_streams(self, early: bool) -> None:
        cache: dict[str, Any] = {}
        with RawServer(lambda _: [STREAM_HEAD, piece("a"), FIN]) as server:
            with Client(KEY, server.url, cache=cache) as client:
                stream = client.chat(HELLO, stream=True)
                next(stream)
                if early:
                    stream.close()
                else:
                    with pytest.raises(StreamError):
                        next(stream)
        assert cache == {}

    def test_what_was_not_to_be(self) -> None:
        cache: dict[str, Any] = {}
        with RawServer(lambda _: [ok(chat_body())]) as server, Client(KEY, server.url, cache=cache) as client:
            client.chat(HELLO, caching=False)
            assert cache == {}
            client.chat(HELLO, caching=True)
            assert not client.chat(HELLO, caching=False).cached
            assert client.chat(HELLO, caching=True).cached
        with Client(KEY, "http://127.0.0.1:9/v1") as client, pytest.raises(ValidationError, match="cache"):
            client.chat(HELLO, caching=True)

    def test_the_catalogue(self, sandbox: Sandbox, client: Any) -> None:
        cache: dict[str, Any] = {}
        with Client(sandbox.api_key, client.base_url, cache=cache) as caching:
            caching.models()
        assert cache == {}


class TestSecretsAndFailures:
    @pytest.mark.kinds("sync", "async")
    def test_no_secret_is_in_keys_or_values(self) -> None:
        cache: dict[str, Any] = {}
        secret = "canary-of-the-provider"
        with RawServer(lambda _: [ok(chat_body())]) as server:
            with Client("canary-key", server.url, cache=cache) as client:
                client.chat(HELLO, byok_api_key=secret)
                assert client.chat(HELLO, byok_api_key="another").cached
        kept = json.dumps(cache)
        assert not any(word in kept for word in ("canary", "token-1", "Hello"))

    def test_a_cache_that_fails_costs_no_answer(self, caplog: pytest.LogCaptureFixture) -> None:
        class Broken(dict[str, Any]):
            def get(self, *_: Any) -> Any:
                raise OSError("disk full of canaries")

            def __setitem__(self, *_: Any) -> None:
                raise OSError("disk full of canaries")

        with RawServer(lambda _: [ok(chat_body())]) as server, Client(KEY, server.url, cache=Broken()) as client:
            assert client.chat(HELLO).data == "fine"
        assert "can't be written: OSError" in caplog.text
        assert "canaries" not in caplog.text

    def test_something_else_in_it_is_not_taken_for_an_answer(self) -> None:
        with RawServer(lambda _: [ok(chat_body())]) as server:
            cache: dict[str, Any] = {}
            with Client(KEY, server.url, cache=cache) as client:
                client.chat(HELLO)
                for name in list(cache):
                    cache[name] = "something else"
                assert client.chat(HELLO).data == "fine"
            assert len(server.requests) == 2

    @pytest.mark.parametrize("cache", [5, [], "x"])
    def test_what_is_no_mapping_is_refused(self, cache: Any) -> None:
        with pytest.raises(ConfigurationError, match="mapping"):
            Client(KEY, "http://127.0.0.1:9/v1", cache=cache)


class TestMocks:
    def test_a_text(self) -> None:
        with Client(KEY, "http://127.0.0.1:9/v1") as client:
            found = client.chat(HELLO, mock_response="made up")
            assert (found.data, found.message, found.usage.cost) == ("made up", "mock_response", 0.0)
            assert client.completion("x", mock_response="made up").data == "made up"
            stream = client.chat(HELLO, stream=True, mock_response="made up")
            assert [chunk.data for chunk in stream] == ["made up"]

    def test_an_exception(self) -> None:
        with Client(KEY, "http://127.0.0.1:9/v1") as client:
            for stream in (False, True):
                with pytest.raises(RateLimitError, match="on purpose"):
                    client.chat(HELLO, stream=stream, mock_response=RateLimitError("on purpose"))

    def test_a_whole_body_and_vectors(self) -> None:
        with Client(KEY, "http://127.0.0.1:9/v1") as client:
            assert client.chat(HELLO, mock_response={"data": "a", "finish_reason": "length"}).finish_reason == "length"
            assert client.embeddings("x", "a/b", mock_response=[[1.0, 2.0]]).dimensions == 2
            with pytest.raises(ValidationError, match="mock_response"):
                client.chat(HELLO, mock_response=5)
