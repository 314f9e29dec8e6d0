"""What fuzzing and the properties have found, each as the smallest case."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from indoxrouter.core.assembly import Assembly
from indoxrouter.errors import APIError, ProviderNotFoundError, StreamError
from indoxrouter.wire import decode
from indoxrouter.wire.chunks import EventReader
from indoxrouter.wire.failures import Origin, from_body, from_reply, unusable
from indoxrouter.wire.messages import Result
from indoxrouter.wire.parsing import TooLargeError, loads
from indoxrouter.wire.sse import MAX_EVENT_BYTES, MAX_EVENT_LINES, Framer

from .claims import WALL
from .decoders import DECODERS, HEADERS, TARGET, decoded
from .event_streams import by_the_framer

PROMPT = 'canary "words" of é\n  a <user> & more'


def told(body: Any, *secrets: str, status: int = 400, **headers: str) -> APIError:
    origin = Origin(TARGET, "model", lambda: secrets, WALL)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return from_reply(origin, status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


class TestC26Limits:
    def test_c26_the_largest_event_is_read_however_it_is_cut(self) -> None:
        event = b"data: " + b"x" * (MAX_EVENT_BYTES - 6)
        for pieces in ([event + b"\n\n"], [event + b"\n", b"\n"], [event, b"\r", b"\n\r\n"], [event, b"\n\n"]):
            (found,), refusal = by_the_framer(pieces)
            assert (len(found), refusal) == (MAX_EVENT_BYTES - 6, None)

    def test_c26_one_byte_more_is_refused_however_it_is_cut(self) -> None:
        event = b"data: " + b"x" * (MAX_EVENT_BYTES - 5)
        for pieces in ([event + b"\n\n"], [event + b"\n", b"\n"], [event, b"\n\n"], [event], [event[:-1], b"\n", b"x"]):
            assert by_the_framer(pieces) == ([], "event_too_large")

    def test_c26_lines_are_counted_exactly(self) -> None:
        for line in (b"data: x\n", b": x\r\n", b"x\r"):
            assert by_the_framer([line * MAX_EVENT_LINES, b"\n\ndata: y\n\n"])[0][-1] == "y"
            assert by_the_framer([line * MAX_EVENT_LINES, line, b"\n\n"]) == ([], "event_too_large")

    def test_c26_the_error_says_which_limit(self) -> None:
        with pytest.raises(StreamError, match=f"more than {MAX_EVENT_BYTES} bytes"):
            list(Framer().feed(b"x" * (MAX_EVENT_BYTES + 1) + b"\n\n"))
        with pytest.raises(StreamError, match=f"more than {MAX_EVENT_LINES} lines"):
            list(Framer().feed(b"x\n" * (MAX_EVENT_LINES + 1) + b"\n"))


def assembled(*deltas: Mapping[str, Any], done: Callable[[Assembly], object] = bool) -> Assembly:
    """What a stream of events with these choices comes to; `done` is called after each."""
    reader, assembly = EventReader(Origin(TARGET, None)), Assembly()
    for delta in deltas:
        for chunk in reader.read(json.dumps(delta)).chunks:
            assembly.add(chunk)
            done(assembly)
    return assembly


def whole(assembly: Assembly) -> dict[str, Any]:
    body: dict[str, Any] = assembly.result(Result(None, DECODERS["chat"].request, TARGET, HEADERS, "ours")).body
    return body


def delta_of(**said: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": said}]}


class TestC26LinearTime:
    """Each takes a tenth of the bound, and five times as long where coverage is measured; a minute or more, where its
    time grows with the square of what comes."""

    BOUND = 20.0

    @pytest.fixture(autouse=True)
    def _in_time(self) -> Iterator[None]:
        began = time.process_time()
        yield
        assert time.process_time() - began < self.BOUND

    def test_c26_an_event_in_many_pieces(self) -> None:
        framer, piece = Framer(), b"x" * 100
        assert not [found for _ in range(160_000) for found in framer.feed(piece)]
        assert list(framer.feed(b"\n\ndata: next\n\n")) == ["next"]

    def test_c26_arguments_in_many_pieces(self) -> None:
        call = {"index": 0, "function": {"arguments": "x" * 200}}
        (found,) = assembled(*[delta_of(tool_calls=[call])] * 60_000).tool_calls or []
        assert found == {"function": {"arguments": "x" * 12_000_000}}

    def test_c26_any_other_text_in_many_pieces(self) -> None:
        found = whole(assembled(*[delta_of(thinking="x" * 200)] * 60_000))
        assert found["choices"][0]["message"]["thinking"] == "x" * 12_000_000

    def test_c26_many_calls_without_an_index(self) -> None:
        found = assembled(delta_of(tool_calls=[{"id": str(n)} for n in range(100_000)])).tool_calls or []
        assert [call["id"] for call in found] == [str(n) for n in range(100_000)]

    def test_c26_many_choices_in_one_event(self) -> None:
        said = [{"index": n, "delta": {"content": "x"}, "finish_reason": "stop"} for n in range(40_000)]
        found = assembled({"choices": said}, done=lambda assembly: assembly.finished(1))
        assert len(whole(found)["choices"]) == 40_000


class TestChoices:
    def test_each_has_what_was_said_of_it(self) -> None:
        for named in (True, False):
            said = [{"delta": {"note": f"{n}"}, "logprobs": {"content": [n]}} for n in range(3)]
            event = {"choices": [{"index": n, **one} if named else one for n, one in enumerate(said)]}
            found = whole(assembled(event, event))["choices"]
            assert [choice["message"]["note"] for choice in found] == ["00", "11", "22"]
            assert [choice["logprobs"]["content"] for choice in found] == [[0, 0], [1, 1], [2, 2]]

    def test_one_that_comes_twice_in_an_event_is_folded_in_once(self) -> None:
        event = {"choices": [{"index": 0, "delta": {"note": "a"}}, {"index": 0, "delta": {"note": "b"}}]}
        assert whole(assembled(event))["choices"][0]["message"]["note"] == "ab"

    def test_c29_objects_in_it_may_be_nested_deeply(self) -> None:
        deep: Any = "x"
        for _ in range(900):
            deep = {"a": deep}
        call = {"index": 0, "function": {"arguments": deep}}
        found = whole(assembled(delta_of(thinking=deep, tool_calls=[call]), delta_of(thinking=deep)))
        assert found["choices"][0]["message"]["thinking"] == deep
        assert found["choices"][0]["message"]["tool_calls"] == [{"function": {"arguments": deep}}]

    def test_looking_from_other_threads_loses_nothing(self) -> None:
        assembly, reader = Assembly(), EventReader(Origin(TARGET, None))
        call = {"index": 0, "function": {"arguments": "y"}}
        (chunk,) = reader.read(json.dumps(delta_of(content="x" * 300, tool_calls=[call]))).chunks
        ended = threading.Event()

        def look() -> int:
            looks = 0
            while not ended.is_set():
                looks += len(assembly.text) >= 0 and assembly.tool_calls is not None
            return looks

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            with ThreadPoolExecutor(2) as pool:
                looks = [pool.submit(look) for _ in range(2)]
                for _ in range(10_000):
                    assembly.add(chunk)
                ended.set()
        finally:
            sys.setswitchinterval(interval)
        assert all(look.result() for look in looks)
        assert assembly.text == "x" * 3_000_000
        assert assembly.tool_calls == [{"function": {"arguments": "y" * 10_000}}]


class TestB17Json:
    def test_b17_as_many_objects_as_may_be_and_no_more(self) -> None:
        for most in (b"{}," * 9, b"[]," * 9, b'"{[{[{",{},[],{},[],'):
            assert len(loads(b"[%s1]" % most, 320)) == most.count(b",") + 1
            with pytest.raises(TooLargeError):
                loads(b"[%s[1]]" % most, 320)
            with pytest.raises(TooLargeError):
                loads(f"[{most.decode()}[1]]", 320)

    def test_b17_as_many_bytes_and_no_more(self) -> None:
        assert loads(b"[1]" + b" " * 61, 64) == [1]
        with pytest.raises(TooLargeError):
            loads(b"[1]" + b" " * 62, 64)

    def test_b17_what_is_honest_is_read(self) -> None:
        vector = json.dumps({"index": 0, "embedding": [-0.0069292835] * 1536})
        assert len(loads(f"[{','.join([vector] * 2048)}]".encode())) == 2048
        likely = [{"token": " the", "logprob": -0.1234567, "bytes": [32, 116, 104, 101]}] * 20
        place = json.dumps({"token": " the", "top_logprobs": likely})
        assert len(loads(f"[{','.join([place] * 16_000)}]".encode())) == 16_000


class TestNothingSecret:
    @pytest.mark.parametrize(
        "quoted",
        [
            PROMPT,
            " ".join(PROMPT.split()),
            PROMPT.replace(" ", "\n"),
            json.dumps(PROMPT),
            json.dumps(PROMPT, ensure_ascii=False),
            repr({"content": PROMPT}),
            PROMPT.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;"),
        ],
    )
    def test_secrets_are_masked_however_they_are_quoted(self, quoted: str) -> None:
        for error in (
            told({"detail": f"bad input: {quoted}!"}, PROMPT),
            told(f"bad input: {quoted}!".encode(), PROMPT),
            unusable(Origin(TARGET, None, lambda: [PROMPT]), 200, {}, f"bad input: {quoted}!".encode()),
        ):
            assert "bad input: " in str(error)
            assert "canary" not in str(error)
            assert "a <user>" not in str(error)
            assert "***" in str(error)

    def test_words_that_are_in_any_sentence_are_not_masked(self) -> None:
        assert str(told({"detail": "a or no"}, "\n\n\n a \n\n", "\n no\n\n\n")).endswith(": a or no")

    def test_what_headers_quote_is_masked_too(self) -> None:
        secret = "canary-key-0001"
        error = told({}, secret, x_request_id=f"id-{secret}", location=f"https://{secret}.example.org/", status=302)
        assert "canary" not in str(error) + repr(vars(error))
        kept = unusable(Origin(TARGET, None, lambda: [secret]), 200, {"content-type": f"text/{secret}"}, b"x")
        assert "canary" not in str(kept)

    def test_no_part_of_a_secret_is_left_by_a_cut_before_the_masking(self) -> None:
        page = b"x" + b" " * 1985 + b"canary-key-0001"
        assert "cana" not in str(unusable(Origin(TARGET, None, lambda: ["canary-key-0001"]), 200, {}, page))

    def test_no_header_makes_a_message_long(self) -> None:
        long = "x" * 5000
        origin = Origin(TARGET, None)
        assert len(str(told({}, location=f"https://{long}/", status=302))) < 300
        assert len(str(told({}, x_request_id=long))) < 300
        assert len(str(unusable(origin, 200, {"content-type": long, "x-request-id": long}, b""))) < 400

    def test_terminals_are_told_nothing(self) -> None:
        error = told({"detail": "red \x1b[31m, a bell \x07, half a pair \ud800, next line \x85."})
        assert str(error) == f"{TARGET} answered 400: red \ufffd[31m, a bell \ufffd, half a pair \ufffd, next line ."


class TestErrorBodies:
    def test_d29_no_nesting_is_too_deep(self) -> None:
        for name in ("error", "detail", "details"):
            for depth in (10, 500, *range(950, 1010)):
                content = f'{{"{name}":'.encode() * depth + b'"x"' + b"}" * depth
                assert isinstance(told(content), APIError)
        body: Any = {"msg": "x"}
        for _ in range(5000):
            body = {"detail": [body]}
        assert isinstance(from_body(Origin(TARGET, None), 422, {}, body), APIError)

    def test_a_place_that_is_no_name_is_left_out(self) -> None:
        body = {"detail": [{"loc": ["body", ["x" * 9], {"y": 1}, 0, None], "msg": "no"}]}
        assert str(told(body)).endswith(": body.0: no")


@pytest.fixture
def _new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_new_york")
class TestDates:
    @pytest.mark.parametrize("written", ["Fri Nov 20 12:00:10 2026", "Fri, 20 Nov 2026 12:00:10 -0000"])
    def test_dates_without_a_zone_are_utc(self, written: str) -> None:
        assert told({}, status=503, retry_after=written).retry_after == 10

    def test_so_are_reset_times(self) -> None:
        reset = told({"reset_time": "2026-11-20T12:00:10"}, status=429).reset_time
        assert reset == datetime(2026, 11, 20, 12, 0, 10, tzinfo=UTC)


class TestD29Answers:
    @pytest.mark.parametrize("vector", [["x"], [None], [[0.1]], [{}], [0.1, 10**400], [0.1, 0.2, 0.3], []])
    def test_d29_vectors_are_of_numbers_and_of_one_length(self, vector: Any) -> None:
        for row in (vector, {"embedding": vector}):
            error = decoded("embeddings", {"data": [[0.1, 0.2], row]})
            assert isinstance(error, APIError)
            assert error.code == "not_understood"

    def test_d29_what_an_answer_is_called_can_be_printed(self) -> None:
        odd = decoded("chat", {"id": "a\ud800b\n", "key \x1b": 1})
        assert str(odd).endswith("[request a\ufffdb]")
        assert "\x1b" not in str(odd)
        assert len(str(decoded("chat", {"id": "x" * 5000}))) < 300
        missing = decoded("models_of", [{"id": "a\ud800b", "models": []}])
        assert isinstance(missing, ProviderNotFoundError)
        assert str(missing).encode()

    def test_d29_a_tool_call_whose_function_changes_its_type(self) -> None:
        reader, assembly = EventReader(Origin(TARGET, None)), Assembly()
        for function in ("weather", {"name": "weather", "arguments": "{"}, None, ["x"], {"arguments": "}"}):
            call = {"index": 0, "id": "call_1", "function": function}
            for chunk in reader.read(json.dumps({"choices": [{"delta": {"tool_calls": [call]}}]})).chunks:
                assembly.add(chunk)
        whole = decode.chat(assembly.result(Result(None, DECODERS["chat"].request, TARGET, HEADERS, "ours")))
        assert whole.tool_calls == [{"id": "call_1", "function": {"arguments": "}"}}]
