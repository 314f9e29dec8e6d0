"""Errors: which class, what it says, and what it never says."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from pathlib import Path
from typing import Any

import pytest
from clients import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_server import FIN, STREAM_HEAD, RawServer, answer, event, ok, piece

import indoxrouter
from indoxrouter import IndoxRouterError, errors, exceptions
from indoxrouter.errors import APIError, Attempt
from indoxrouter.wire.failures import BY_CODE, Origin, clean, from_body, from_reply

KINDS = ("sync", "async")
TESTS = Path(__file__).parent
HERE = Origin("POST h/v1/chat", "model")
FIELDS = ["error", "detail", "message", "code", "type", "status_code", "details", "msg", "loc", "retry_after"]


def mapped(status: int, body: Any = None, names: str | None = "model", **headers: str) -> APIError:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = {name.replace("_", "-"): value for name, value in headers.items()}
    return from_reply(Origin("POST h/v1/chat", names), status, found, content)


class TestClasses:
    @pytest.mark.parametrize(
        ("status", "name"),
        [
            (400, "InvalidParametersError"),
            (401, "AuthenticationError"),
            (402, "InsufficientCreditsError"),
            (403, "PermissionDeniedError"),
            (404, "ModelNotFoundError"),
            (413, "InvalidParametersError"),
            (418, "APIError"),
            (422, "ValidationError"),
            (429, "RateLimitError"),
            (500, "RequestError"),
            (502, "RequestError"),
            (503, "ServiceUnavailableError"),
            (504, "RequestError"),
            (529, "ServiceUnavailableError"),
            (301, "APIError"),
        ],
    )
    def test_by_status(self, status: int, name: str) -> None:
        error = mapped(status, {"detail": "no"})
        assert type(error).__name__ == name
        assert error.status_code == status

    @pytest.mark.parametrize(("names", "name"), [("provider", "ProviderNotFoundError"), (None, "APIError")])
    def test_a_404_says_what_was_asked_for(self, names: str | None, name: str) -> None:
        assert type(mapped(404, {}, names)).__name__ == name

    @pytest.mark.parametrize("field", ["code", "type", "error"])
    @pytest.mark.parametrize("code", sorted(BY_CODE))
    def test_by_code(self, field: str, code: str) -> None:
        bodies: list[Any] = [{field: code}, {field: code.upper(), "message": "m"}, {"detail": {field: code}}]
        if field != "error":
            bodies.append({"error": {field: code, "message": "m"}})
        for body in bodies:
            assert type(mapped(400, body)) is BY_CODE[code]

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"error": {"type": "invalid_request_error", "code": None}}, 401),
            ({"error": "ProviderError"}, 429),
            ({"error": {"type": "server_error"}}, 400),
        ],
    )
    def test_a_broad_type_does_not_hide_a_telling_status(self, body: Any, status: int) -> None:
        assert type(mapped(status, body)) is type(mapped(status, {}))

    def test_never_by_words(self) -> None:
        said = "rate limit exceeded: model not found: invalid api key: context length"
        assert type(mapped(400, {"detail": said})) is errors.InvalidParametersError

    @pytest.mark.parametrize("nothing", [None, "", {}, [], False])
    def test_an_answer_whose_error_is_empty_is_no_error(self, nothing: Any) -> None:
        choices = [{"message": {"content": "fine"}, "finish_reason": "stop"}]
        with RawServer(lambda _: [ok({"choices": choices, "error": nothing})]) as server:
            with Client("key", server.url, auth="key") as client:
                assert client.chat([{"role": "user", "content": "Hello"}]).data == "fine"

    def test_what_is_an_error_and_no_more_is_none_of_the_answers(self) -> None:
        with RawServer(lambda _: [ok({"error": {}})]) as server, Client("key", server.url, auth="key") as client:
            with pytest.raises(APIError):
                client.chat([{"role": "user", "content": "Hello"}])

    def test_the_events_of_a_stream_have_no_status(self) -> None:
        assert from_body(HERE, None, {}, {"error": {"code": "rate_limit_exceeded"}}).status_code == 429
        assert from_body(HERE, None, {}, {"error": {"message": "m", "code": 503}}).status_code == 503
        assert from_body(HERE, None, {}, {"error": {"type": "invalid_request_error"}}).status_code == 400
        unknown = from_body(HERE, None, {}, {"error": "broken"})
        assert (type(unknown), unknown.status_code, unknown.outcome) == (APIError, None, "unknown")

    def test_the_tree_in_the_docstring_is_the_tree(self) -> None:
        drawn: dict[str, str | None] = {}
        path: list[str] = []
        for line in (errors.__doc__ or "").splitlines():
            head = line.rstrip()
            if not any(mark in head for mark in ("├─", "└─", "IndoxRouterError")):
                continue
            depth = (len(head) - len(head.lstrip("│├└─ "))) // 3
            name = head.lstrip("│├└─ ").split()[0]
            path[depth:] = [name]
            drawn[name] = path[depth - 1] if depth else None
        actual = {
            cls.__name__: next((base.__name__ for base in cls.__bases__ if issubclass(base, IndoxRouterError)), None)
            for cls in vars(errors).values()
            if isinstance(cls, type) and issubclass(cls, IndoxRouterError)
        }
        assert drawn == actual

    def test_other_names(self) -> None:
        assert errors.Timeout is errors.APITimeoutError is errors.RequestTimeoutError
        assert issubclass(errors.RequestTimeoutError, TimeoutError)
        assert issubclass(errors.ValidationError, ValueError)
        assert issubclass(errors.ConfigurationError, ValueError)
        assert errors.BadRequestError is errors.InvalidRequestError is errors.InvalidParametersError
        assert errors.InternalServerError is errors.RequestError
        assert exceptions.RateLimitError is errors.RateLimitError is indoxrouter.RateLimitError


class TestWhatItSays:
    def test_where_what_and_who(self) -> None:
        error = mapped(429, {"detail": "too many"}, x_request_id="req-7")
        assert str(error) == "POST h/v1/chat answered 429: too many [request req-7]"
        assert error.request_id == "req-7"

    def test_how_often_and_of_which_models(self) -> None:
        one, two = Attempt("a/b", 503, "rejected", 0.1, 0.5), Attempt("c/d", 503, "rejected", 0.1)
        error = mapped(503, {"detail": "busy"}, x_request_id="req-7")
        error.attempts = (one,)
        assert str(error) == "POST h/v1/chat answered 503: busy [request req-7]"
        error.attempts = (one, one)
        assert str(error) == "POST h/v1/chat answered 503: busy [2 attempts, request req-7]"
        error.attempts = (one, one, two)
        assert str(error) == "POST h/v1/chat answered 503: busy [3 attempts of a/b, c/d, request req-7]"

    @pytest.mark.parametrize("body", [b"", b"<html><title>404 Not Found</title></html>", b"404 page not found"])
    def test_a_404_of_no_api_names_no_model(self, body: bytes) -> None:
        error = mapped(404, body)
        assert type(error) is APIError
        assert str(error).endswith("is base_url right?")

    def test_nor_does_one_that_says_nothing_more(self) -> None:
        assert str(mapped(404, {"detail": "Not Found"})).endswith("answered 404: Not Found: is base_url right?")
        assert str(mapped(404, {"detail": "no model a/b"})).endswith("answered 404: no model a/b")

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ({"detail": "text"}, "text"),
            (
                {"detail": [{"loc": ["body", "messages", 0], "msg": "is short", "type": "t"}]},
                "body.messages.0: is short",
            ),
            ({"detail": [{"loc": ["a"], "msg": "x"}, {"loc": ["b"], "msg": "y"}]}, "a: x; b: y"),
            ({"error": {"message": "m", "type": "t", "param": None, "code": "c"}}, "m"),
            ({"success": False, "error": "RateLimitError", "message": "slow"}, "slow"),
            ({"object": "error", "message": "vllm", "type": "t", "code": 400}, "vllm"),
            ({"error": "text"}, "text"),
            (b"<html><head><title>502 Bad\nGateway</title></head>..", "502 Bad Gateway"),
            (b"plain", "plain"),
        ],
    )
    def test_the_servers_words(self, body: Any, said: str) -> None:
        assert str(mapped(400, body)).partition(": ")[2] == said

    def test_details(self) -> None:
        body = {
            "success": False,
            "error": "RateLimitError",
            "message": "m",
            "status_code": 429,
            "request_id": "r1",
            "details": {"limit_type": "rpm", "reset_time": "2026-01-01T00:00:00+00:00", "retry_after": 7},
        }
        error = mapped(429, body)
        assert error.details == body
        assert error.request_id == "r1"
        assert error.code == "RateLimitError"
        assert error.retry_after == 7
        assert error.reset_time is not None
        assert error.reset_time.year == 2026

    @pytest.mark.parametrize("reset", [1.8e9, "1800000000", "2027-01-15T08:00:00+00:00"])
    def test_reset_times(self, reset: Any) -> None:
        error = mapped(429, {"details": {"reset_time": reset}})
        assert error.reset_time is not None
        assert error.reset_time.isoformat() == "2027-01-15T08:00:00+00:00"

    @pytest.mark.parametrize("reset", [1e300, "soon", True, [], -1])
    def test_odd_reset_times(self, reset: Any) -> None:
        assert mapped(429, {"details": {"reset_time": reset}}).reset_time is None

    def test_at_most_300_characters_of_it(self) -> None:
        assert len(str(mapped(400, {"detail": "x" * 5000}))) < 400

    @settings(max_examples=300, deadline=None)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(FIELDS),
                inner,
                max_size=4,
            ),
            max_leaves=12,
        )
    )  # fmt: skip
    def test_any_body_maps_to_one(self, body: Any) -> None:
        error = from_body(HERE, 400, {}, body)
        assert isinstance(error, APIError)
        assert isinstance(str(error), str)


SECRETS = {
    "key": "canary-api-key-0001",
    "access": "canary-access-0002",
    "refresh": "canary-refresh-0003",
    "prompt": "canary prompt of the user 0004",
    "byok": "canary-byok-0005",
    "header": "canary-header-0006",
}


def everything_said(error: BaseException, caplog: pytest.LogCaptureFixture) -> str:
    """All that may be shown of an error: its texts, causes, pickles, tracebacks with locals, logs."""
    texts = [str(error), repr(error), str(error.args), caplog.text]
    link: BaseException | None = error
    while link is not None:
        frames = traceback.TracebackException.from_exception(link, capture_locals=True)
        # The tests' own frames know the secrets.
        frames.stack[:] = [frame for frame in frames.stack if Path(frame.filename).parent != TESTS]
        texts += [str(link), repr(link), "".join(frames.format())]
        link = link.__cause__ or link.__context__
    texts.append(pickle.dumps(error).decode("latin-1"))
    return "\n".join(texts)


class TestSecrets:
    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize(
        "make",
        [
            lambda echo: [answer(400, {"detail": echo})],
            lambda echo: [answer(422, {"detail": [{"loc": ["body"], "msg": echo, "input": echo}]})],
            lambda echo: [answer(500, echo.encode(), Content_Type="text/html")],
            lambda echo: [answer(401, {"error": {"message": echo, "code": echo, "type": echo}})],
            lambda echo: [ok({"error": {"message": echo}})],
            lambda echo: [answer(200, f"<title>{echo}</title>".encode(), Content_Type="text/html")],
            lambda echo: [answer(200, b'{"data": "' + echo.encode())],
            lambda _: [FIN],
            lambda echo: [STREAM_HEAD, piece(echo), FIN],
            lambda echo: [STREAM_HEAD, piece(echo), event({"error": {"message": echo}}), FIN],
            lambda echo: [STREAM_HEAD, piece("a"), event(("{" + echo).encode()), FIN],
        ],
    )
    def test_no_secret_in_anything_an_error_shows(
        self, make: Any, stream: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        echo = " ".join(secret for name, secret in SECRETS.items() if name != "header")

        def script(seen: Any) -> Any:
            if "/auth/" in seen.path:
                body = {"access_token": SECRETS["access"]}
                return [ok(body, Set_Cookie=f"refresh_token={SECRETS['refresh']}")]
            return make(echo)

        messages = [{"role": "user", "content": SECRETS["prompt"]}]
        options: dict[str, Any] = {
            "byok_api_key": SECRETS["byok"],
            "extra_headers": {"X-Canary": SECRETS["header"]},
        }
        with (
            RawServer(script, logins=False) as server,
            Client(SECRETS["key"], server.url, max_retries=0) as client,
        ):
            with pytest.raises(IndoxRouterError) as caught:
                list(client.chat(messages, stream=stream, **options))
        said = everything_said(caught.value, caplog)
        assert [name for name, secret in SECRETS.items() if secret in said] == []

    def test_the_client_itself_shows_none(self) -> None:
        with Client(SECRETS["key"], "http://127.0.0.1:9/v1", default_headers={"X": SECRETS["header"]}) as client:
            assert repr(client) == "<Client of http://127.0.0.1:9/v1>"
            assert SECRETS["key"] not in repr(vars(client))

    def test_tokens_and_keys_of_any_form_are_masked(self) -> None:
        said = "no: sk-abcdefgh12345678, Bearer abc.def and eyJhbGciOiJI.eyJzdWIi.sig"
        assert clean(said, ()) == "no: ***, Bearer *** and ***"

    def test_a_secret_at_the_cut_is_masked_before_it(self) -> None:
        said = clean("x" * 290 + " canary-secret-value", ["canary-secret-value"])
        assert "canary" not in said


class TestExceptions:
    def test_pickling_keeps_all_but_the_texts(self) -> None:
        error = errors.RateLimitError(
            "m", status_code=429, retry_after=3.0, attempts=(Attempt("a/b", 429, "rejected", 0.1),),
            details={"body": "secret"}, partial="secret", request_id="r", outcome="rejected", retryable=True,
        )  # fmt: skip
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is errors.RateLimitError
        assert {**vars(error), "details": None, "partial": None} == vars(again)
        assert again.args == error.args

    def test_every_class_can_be_made_and_pickled(self) -> None:
        for cls in vars(errors).values():
            if isinstance(cls, type) and issubclass(cls, IndoxRouterError):
                assert str(pickle.loads(pickle.dumps(cls("text")))) == "text"

    def test_clones_share_no_traceback(self) -> None:
        try:
            raise errors.APIError("m", status_code=500)
        except errors.APIError as error:
            twin = error.clone()
        assert twin.status_code == 500
        assert twin.__traceback__ is None

    def test_bad_input_is_not_sent(self) -> None:
        with Client("k", "http://127.0.0.1:9/v1") as client, pytest.raises(errors.ValidationError) as caught:
            client.chat([])
        assert caught.value.outcome == "not_sent"
