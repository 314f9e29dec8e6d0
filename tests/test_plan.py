"""The terms of failure, driven by hand: a plan is a generator, so no server and no clock are needed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from indoxrouter import (
    APIError,
    AuthenticationError,
    DeadlineExceededError,
    IndoxRouterError,
    InvalidParametersError,
    NetworkError,
    RateLimitError,
    RequestTimeoutError,
    ServiceUnavailableError,
    ValidationError,
    config,
    options,
)
from indoxrouter.core.exchange import Limits
from indoxrouter.core.login import AccessToken
from indoxrouter.core.plan import call
from indoxrouter.core.policy import Clock, RetryBucket, wait_before_retry
from indoxrouter.core.shared import Shared
from indoxrouter.core.steps import Close, Grant, Next, Send, Sleep, Token
from indoxrouter.errors import Outcome
from indoxrouter.options import CallOptions
from indoxrouter.wire import hosted, hosted_account
from indoxrouter.wire.messages import HttpRequest, Reply, Request, Result

HELLO = [{"role": "user", "content": "Hello"}]
GOOD: tuple[int, dict[str, str], Any] = (200, {}, {"data": "fine"})


def lost(outcome: Any = "unknown") -> Exception:
    return NetworkError("broken", outcome=outcome)


def late() -> Exception:
    return RequestTimeoutError("no answer in time", code="timeout", outcome="unknown")


def refused(status: int, body: Any = None, **headers: str) -> tuple[int, dict[str, str], Any]:
    return (
        status,
        {name.replace("_", "-"): value for name, value in headers.items()},
        body or {"detail": "no"},
    )


def as_it_is(result: Result) -> Result:
    return result


class World:
    """Carries out a plan's steps: answers come from a list, time passes only where the plan waits."""

    def __init__(self, *answers: Any, seconds_each: float = 0.0, **settings: Any) -> None:
        self.answers = list(answers)
        self.seconds_each = seconds_each
        self.time = 1000.0
        self.sent: list[HttpRequest] = []
        self.limits: list[Send] = []
        self.sleeps: list[float] = []
        self.stale: list[AccessToken | None] = []
        self.closed = 0
        self.shared = Shared(resolved(**settings))
        names = itertools.count(1)
        self.clock = Clock(lambda: self.time, lambda: 0.0, lambda: 1.0, lambda: f"id{next(names)}")

    def run(self, *requests: Request, **params: Any) -> Result:
        plan = call(requests, options.split(params), as_it_is, self.shared, self.clock)
        step = next(plan)
        while True:
            result, failure = None, None
            try:
                result = self.carry_out(step)
            except IndoxRouterError as error:
                failure = error
            try:
                step = plan.send(result) if failure is None else plan.throw(failure)
            except StopIteration as stop:
                ended: Result = stop.value
                return ended

    def carry_out(self, step: Any) -> Any:
        match step:
            case Token():
                self.stale.append(step.stale)
                token = AccessToken(f"t{len(self.stale)}", "http://h/v1", self.time)
                return Grant(token, step.stale is not None)
            case Send():
                self.sent.append(step.request)
                self.limits.append(step)
                self.time += self.seconds_each
                found = self.answers.pop(0)
                if isinstance(found, Exception):
                    raise found
                status, headers, body = found
                return Reply(status, headers, source=[json.dumps(body).encode(), b""])
            case Next():
                return step.reply.source.pop(0)
            case Close():
                self.closed += 1
            case Sleep():
                self.sleeps.append(step.seconds)
                self.time += step.seconds
        return None


def resolved(**settings: Any) -> config.Settings:
    given = {
        "dialect": "indox", "auth": None,
        "default_model": None, "max_retries": 2, "fallback_models": (), "deadline": None,
        "max_connections": 4, "proxy": None, "verify": False, "default_headers": None, "env_file": None,
        "allow_insecure": False, **settings,
    }  # fmt: skip
    given.setdefault("cache", None)
    return config.resolve("key", "http://127.0.0.1/v1", given.pop("timeout", None), True, **given)


def chat(model: str = "a/b") -> Request:
    return hosted.chat(HELLO, model=model, temperature=None, max_tokens=None, stream=False, params={})


def image() -> Request:
    return hosted.image("x", model="a/b", size=None, params={})


def keys(world: World) -> list[str | None]:
    return [request.headers.get("Idempotency-Key") for request in world.sent]


def models(world: World) -> list[str]:
    return [body_of(request)["model"] for request in world.sent]


def body_of(request: HttpRequest) -> Any:
    assert isinstance(request.body, bytes)
    return json.loads(request.body)


class TestRetry:
    @pytest.mark.parametrize("status", [408, 409, 425, 429, 503, 529])
    def test_a_rejected_call_is_tried_again(self, status: int) -> None:
        world = World(refused(status), refused(status), GOOD)
        result = world.run(chat())
        assert result.body == {"data": "fine"}
        assert [attempt.status for attempt in result.attempts] == [status, status, 200]
        assert [attempt.outcome for attempt in result.attempts] == ["rejected", "rejected", "done"]
        assert [attempt.wait for attempt in result.attempts] == [0.5, 1.0, None]
        assert world.shared.possible_double_charges == 0

    @pytest.mark.parametrize("status", [400, 402, 403, 404, 422])
    @pytest.mark.parametrize("should_retry", ["true", "false", None])
    @pytest.mark.parametrize("code", ["rate_limit_exceeded", "server_error", None])
    def test_a_final_answer_never_is(self, status: int, should_retry: str | None, code: str | None) -> None:
        headers = {} if should_retry is None else {"x_should_retry": should_retry}
        world = World(refused(status, {"error": {"code": code}}, **headers), GOOD)
        with pytest.raises(APIError) as caught:
            world.run(chat())
        assert len(world.sent) == 1
        assert not caught.value.retryable

    def test_the_server_may_say_so(self) -> None:
        world = World(refused(418, x_should_retry="true"), GOOD)
        assert world.run(chat()).body == {"data": "fine"}
        for status in (500, 502, 503, 429):
            world = World(refused(status, x_should_retry="false"), GOOD)
            with pytest.raises(APIError):
                world.run(chat())
            assert len(world.sent) == 1

    def test_its_word_on_retries_is_none_on_the_next_model(self) -> None:
        world = World(refused(503, x_should_retry="false"), GOOD)
        assert world.run(chat("a/1"), chat("b/2")).request.model == "b/2"

    def test_what_was_not_sent_is_always_tried_again(self) -> None:
        for request in (chat(), image(), hosted.models()):
            world = World(lost("not_sent"), lost("not_sent"), GOOD)
            assert world.run(request).body == {"data": "fine"}
            assert world.shared.possible_double_charges == 0

    @pytest.mark.parametrize("failure", [lost, late, lambda: refused(500), lambda: refused(502), lambda: refused(504)])
    def test_an_unknown_outcome_is_repeated_once_under_the_same_key(self, failure: Callable[[], Any]) -> None:
        world = World(failure(), GOOD)
        world.run(chat())
        assert keys(world) == ["id2", "id2"]
        assert world.shared.possible_double_charges == 1
        world = World(failure(), failure(), GOOD, max_retries=5)
        with pytest.raises(IndoxRouterError) as caught:
            world.run(chat())
        assert len(world.sent) == 2
        assert caught.value.outcome == "unknown"

    def test_where_the_first_request_still_runs_it_is_its_own_failure_that_is_told(self) -> None:
        world = World(late(), refused(409), refused(409), GOOD)
        with pytest.raises(RequestTimeoutError) as caught:
            world.run(chat())
        assert keys(world) == ["id2"] * 3
        assert caught.value.outcome == "unknown"
        assert [attempt.status for attempt in caught.value.attempts] == [None, 409, 409]
        world = World(late(), refused(409), GOOD)
        assert world.run(chat()).body == {"data": "fine"}
        world = World(*[refused(409)] * 3)
        with pytest.raises(APIError) as refusal:
            world.run(chat())
        assert refusal.value.status_code == 409

    def test_images_are_not_repeated_unless_the_caller_opts_in(self) -> None:
        world = World(lost(), GOOD)
        with pytest.raises(NetworkError):
            world.run(image())
        world = World(lost(), GOOD)
        world.run(image(), idempotency_key="mine")
        assert keys(world) == ["mine", "mine"]

    def test_reading_is_repeated_freely_and_without_a_key(self) -> None:
        world = World(lost(), late(), refused(500), GOOD, max_retries=3)
        world.run(hosted.models())
        assert keys(world) == [None] * 4
        assert world.shared.possible_double_charges == 0

    @pytest.mark.parametrize(
        "answer",
        [(200, {"content-encoding": "br"}, {}), (200, {}, "text"), (200, {}, [1, 2]), (200, {}, {"error": "x"})],
    )
    def test_what_would_be_answered_alike_is_not_repeated(self, answer: Any) -> None:
        world = World(answer, answer, GOOD)
        try:
            world.run(chat())
        except IndoxRouterError as error:
            assert len(error.attempts) == 1  # noqa: PT017 - and no error is fine too
        assert len(world.sent) == 1
        assert world.shared.possible_double_charges == 0

    def test_a_cut_answer_is_an_unknown_outcome(self) -> None:
        world = World(GOOD, GOOD)
        world.answers[0] = (200, {}, None)
        plan = call([chat()], CallOptions(max_retries=0), as_it_is, world.shared, world.clock)
        plan.send(None)
        step = plan.send(Grant(AccessToken("t", "http://h/v1", 0.0), False))
        assert isinstance(step, Send)
        reply = Reply(200, {})
        assert isinstance(plan.send(reply), Next)
        assert isinstance(plan.send(b'{"data": "fi'), Next)
        with pytest.raises(NetworkError) as caught:
            plan.send(b"")
        assert (caught.value.code, caught.value.outcome) == ("truncated", "unknown")

    def test_max_retries_per_call(self) -> None:
        for option in ("max_retries", "retries"):
            world = World(*[refused(503)] * 9)
            with pytest.raises(ServiceUnavailableError) as caught:
                world.run(chat(), **{option: 4})
            assert len(world.sent) == len(caught.value.attempts) == 5

    def test_insufficient_quota_is_no_rate_limit(self) -> None:
        world = World(refused(429, {"error": {"code": "insufficient_quota"}}), GOOD)
        with pytest.raises(APIError) as caught:
            world.run(chat())
        assert type(caught.value).__name__ == "InsufficientCreditsError"
        assert len(world.sent) == 1


class TestLateConnections:
    @pytest.mark.parametrize(
        ("outcome", "deadline", "late"),
        [("not_sent", 20.0, False), ("unknown", 20.0, True), ("not_sent", 10.0, True), ("unknown", None, False)],
    )
    def test_a_connection_that_takes_too_long_is_no_passed_deadline(
        self, outcome: Outcome, deadline: float | None, late: bool
    ) -> None:
        limits = Limits.of(0.0, 600.0, 15.0, deadline)
        found = limits.explain(RequestTimeoutError("late", outcome=outcome), "POST h/v1/chat")
        assert type(found) is (DeadlineExceededError if late else RequestTimeoutError)
        assert found.outcome == outcome


class TestWait:
    def test_backoff(self) -> None:
        def waits(random: float, deadline: float | None, count: int) -> list[float | None]:
            clock = Clock(lambda: 100.0, lambda: 0.0, lambda: random, str)
            return [wait_before_retry(n, NetworkError(), clock, deadline) for n in range(count)]

        assert waits(1.0, None, 6) == [0.5, 1, 2, 4, 8, 8]
        assert waits(0.0, None, 3) == [0.25, 0.5, 1]
        assert waits(1.0, 102.0, 4) == [0.5, 1, None, None]

    @pytest.mark.parametrize(
        ("headers", "body", "wait"),
        [
            ({"retry_after": "3"}, {}, 3),
            ({"retry_after": "0"}, {}, 0),
            ({"retry_after": "0.25"}, {}, 0.25),
            ({"retry_after_ms": "1500", "retry_after": "9"}, {}, 1.5),
            ({"retry_after": "Thu, 01 Jan 1970 00:00:07 GMT"}, {}, 7),
            ({}, {"retry_after": 2}, 2),
            ({}, {"details": {"retry_after": 4}}, 4),
            ({}, {"error": {"message": "m", "retry_after": "6"}}, 6),
            ({"retry_after": "nan"}, {}, 0.5),
            ({"retry_after": "inf"}, {}, 0.5),
            ({"retry_after": "-5"}, {}, 0.5),
            ({"retry_after": "soon"}, {}, 0.5),
            ({"retry_after": ""}, {}, 0.5),
            ({}, {"retry_after": True}, 0.5),
            ({"retry_after": "120"}, {}, 120),
        ],
    )
    def test_retry_after(self, headers: dict[str, str], body: Any, wait: float) -> None:
        world = World(refused(429, body, **headers), GOOD)
        world.run(chat())
        assert world.sleeps == [wait]

    def test_a_longer_one_is_raised_at_once(self) -> None:
        world = World(refused(429, retry_after="121"), GOOD)
        with pytest.raises(RateLimitError) as caught:
            world.run(chat())
        assert caught.value.retry_after == 121
        assert world.sleeps == []

    def test_a_wait_past_the_deadline_too(self) -> None:
        world = World(refused(429, retry_after="5"), GOOD)
        with pytest.raises(RateLimitError):
            world.run(chat(), deadline=5)
        assert world.sleeps == []


class TestFallback:
    @pytest.mark.parametrize("status", [404, 408, 425, 429, 503, 529, 500, 502, 504])
    def test_the_next_model_is_asked_after(self, status: int) -> None:
        world = World(refused(status), GOOD)
        result = world.run(chat("a/1"), chat("b/2"), max_retries=0)
        assert models(world) == ["a/1", "b/2"]
        assert result.request.model == "b/2"
        assert len(set(keys(world))) == 2
        assert world.shared.possible_double_charges == (status in (500, 502, 504))

    @pytest.mark.parametrize("status", [400, 402, 403, 422, 409, 418, 501])
    def test_it_is_not_asked_after(self, status: int) -> None:
        world = World(refused(status), GOOD)
        with pytest.raises(APIError):
            world.run(chat("a/1"), chat("b/2"), max_retries=0)
        assert len(world.sent) == 1

    def test_each_model_gets_its_retries_and_the_last_error_is_raised(self) -> None:
        world = World(*[refused(503)] * 5, refused(429))
        with pytest.raises(RateLimitError) as caught:
            world.run(chat("a/1"), chat("b/2"), chat("c/3"), max_retries=1)
        assert models(world) == ["a/1", "a/1", "b/2", "b/2", "c/3", "c/3"]
        assert [attempt.model for attempt in caught.value.attempts] == models(world)

    def test_not_after_an_unknown_outcome_without_an_answer(self) -> None:
        for failure in (lost(), late()):
            world = World(failure, GOOD)
            with pytest.raises(NetworkError):
                world.run(chat("a/1"), chat("b/2"), max_retries=0)

    def test_after_not_sent(self) -> None:
        world = World(lost("not_sent"), GOOD)
        assert world.run(chat("a/1"), chat("b/2"), max_retries=0).request.model == "b/2"

    def test_images_fall_back_only_where_nothing_was_made(self) -> None:
        world = World(refused(500), GOOD)
        with pytest.raises(APIError):
            world.run(image(), image(), max_retries=0)
        world = World(refused(500), GOOD)
        assert world.run(image(), image(), max_retries=0, idempotency_key="mine").body == {"data": "fine"}

    def test_given_keys_differ_per_model(self) -> None:
        world = World(refused(503), refused(503), GOOD)
        world.run(chat("a/1"), chat("b/2"), max_retries=1, idempotency_key="mine")
        assert keys(world) == ["mine", "mine", "mine-1"]

    def test_all_models_share_the_deadline(self) -> None:
        world = World(refused(503), refused(503), GOOD, seconds_each=4.0)
        with pytest.raises(DeadlineExceededError) as caught:
            world.run(chat("a/1"), chat("b/2"), chat("c/3"), max_retries=0, deadline=8)
        assert len(world.sent) == 2
        assert caught.value.outcome == "rejected"
        assert len(caught.value.attempts) == 2

    def test_a_call_is_as_uncertain_as_its_most_uncertain_attempt(self) -> None:
        for last in (refused(503), NetworkError("gone", outcome="not_sent"), refused(500)):
            world = World(refused(500), last, last)
            with pytest.raises(IndoxRouterError) as caught:
                world.run(chat("a/1"), max_retries=1)
            assert caught.value.outcome == "unknown"
            assert [attempt.outcome for attempt in caught.value.attempts][:1] == ["unknown"]

    def test_a_failed_login_ends_the_call(self) -> None:
        world = World(GOOD)
        plan = call([chat("a/1"), chat("b/2")], CallOptions(), as_it_is, world.shared, world.clock)
        assert isinstance(plan.send(None), Token)
        with pytest.raises(NetworkError) as caught:
            plan.throw(NetworkError("no connection", outcome="not_sent"))
        assert caught.value.attempts == ()


class TestTokens:
    def test_a_401_names_the_token_it_was_for(self) -> None:
        world = World(refused(401), GOOD)
        result = world.run(chat())
        assert world.stale[0] is None
        assert world.stale[1] is not None
        assert world.stale[1].value == "t1"
        assert [request.headers["Authorization"] for request in world.sent] == ["Bearer t1", "Bearer t2"]
        assert [attempt.status for attempt in result.attempts] == [401, 200]
        assert keys(world) == ["id2", "id2"], "the key is kept over a re-login"

    def test_a_second_401_is_final(self) -> None:
        world = World(refused(401), refused(401), GOOD)
        with pytest.raises(AuthenticationError):
            world.run(chat(), max_retries=9)
        assert len(world.sent) == 2

    def test_an_older_path_gets_its_fresh_token_and_its_retries_too(self) -> None:
        world = World(refused(404), refused(401), GOOD)
        assert world.run(hosted_account.usage(None, None)).body == {"data": "fine"}
        world = World(refused(404), refused(503), refused(404), GOOD)
        assert world.run(hosted_account.usage(None, None)).body == {"data": "fine"}
        world = World(refused(404), refused(401), refused(401))
        with pytest.raises(AuthenticationError):
            world.run(hosted_account.usage(None, None))

    @pytest.mark.parametrize("fallbacks", [[], ["c/d"]])
    def test_a_call_logs_in_again_once_however_often_it_is_retried(self, fallbacks: list[str]) -> None:
        unwilling = [refused(401), refused(503)] * 4
        world = World(*unwilling, GOOD)
        with pytest.raises(AuthenticationError):
            world.run(chat(), *map(chat, fallbacks), max_retries=0 if fallbacks else 6)
        assert len(world.sent) == 3
        assert len([stale for stale in world.stale if stale is not None]) == 1

    def test_a_token_that_came_back_the_same_is_not_tried_again(self) -> None:
        world = World(refused(401), GOOD)
        plan = call([chat()], CallOptions(), as_it_is, world.shared, world.clock)
        plan.send(None)
        token = AccessToken("same", "http://h/v1", 0.0)
        plan.send(Grant(token, False))
        plan.send(Reply(401, {}))
        plan.send(b"{}")
        assert isinstance(plan.send(b""), Token)
        with pytest.raises(AuthenticationError):
            plan.send(Grant(AccessToken("same", "http://h/v1", 1.0), True))


class TestOlderPaths:
    def test_are_asked_only_after_a_404(self) -> None:
        world = World(refused(404), (200, {}, {"total_cost": 1}))
        world.run(hosted_account.usage("2026-01-01", None))
        assert [request.url for request in world.sent] == [
            "http://h/v1/user/usage?start_date=2026-01-01",
            "http://h/v1/usage?start_date=2026-01-01",
        ]
        world = World(refused(403))
        with pytest.raises(APIError):
            world.run(hosted_account.usage(None, None))
        assert len(world.sent) == 1

    def test_the_first_404_is_the_one_that_counts(self) -> None:
        world = World(refused(404, {"detail": "first"}), refused(405, {"detail": "second"}))
        with pytest.raises(APIError, match="first"):
            world.run(hosted.models("nope"))


class TestLimits:
    def test_unset(self) -> None:
        world = World(GOOD, GOOD)
        world.run(chat())
        world.run(hosted.models())
        assert [(send.until - 1000, send.connect) for send in world.limits] == [(600, 15), (15, 15)]

    def test_set(self) -> None:
        world = World(GOOD, GOOD, GOOD, timeout=30)
        world.run(chat())
        world.run(hosted.models())
        world.run(chat(), timeout=7)
        assert [(send.until - 1000, send.connect) for send in world.limits] == [(30, 30), (30, 30), (7, 7)]

    def test_the_deadline_bounds_every_attempt(self) -> None:
        world = World(refused(503), GOOD, seconds_each=2.0)
        world.run(chat(), deadline=10)
        assert [send.until - 1000 for send in world.limits] == [10, 10]
        assert world.limits[1].connect == pytest.approx(7.5)

    def test_a_timeout_says_how_long_was_waited(self) -> None:
        with pytest.raises(RequestTimeoutError, match=r"no answer in time \(2\.5 s\)"):
            World(late(), max_retries=0).run(chat(), timeout=2.5)

    def test_a_timeout_at_the_deadline_is_the_deadlines(self) -> None:
        world = World(late())
        with pytest.raises(DeadlineExceededError) as caught:
            world.run(chat(), deadline=5, max_retries=0)
        assert caught.value.outcome == "unknown"
        world = World(late())
        with pytest.raises(RequestTimeoutError) as other:
            world.run(chat(), deadline=5, timeout=2, max_retries=0)
        assert not isinstance(other.value, DeadlineExceededError)


class TestBucket:
    def test_it_ends_retry_storms(self) -> None:
        world = World(*[refused(503)] * 400)
        tries = 0
        for _ in range(120):
            with pytest.raises(ServiceUnavailableError) as caught:
                world.run(chat(), max_retries=1)
            tries += len(caught.value.attempts)
        assert tries == 120 + 100

    def test_timeouts_cost_twice_and_successes_give_back(self) -> None:
        bucket = RetryBucket()
        assert bucket.draw(late()) == 10  # type: ignore[arg-type] # a RequestTimeoutError
        assert sum(bucket.draw(RateLimitError()) for _ in range(200)) == 490
        assert bucket.draw(RateLimitError()) == 0
        bucket.give_back(10)
        assert bucket.draw(RateLimitError()) == 5
        bucket.give_back(10_000)
        assert sum(bucket.draw(RateLimitError()) for _ in range(200)) == 500

    def test_a_success_returns_what_its_call_took(self) -> None:
        world = World(*[item for _ in range(300) for item in (refused(503), refused(503), GOOD)])
        for _ in range(300):
            world.run(chat())
        assert len(world.sent) == 900


class TestOptions:
    def test_they_are_split_from_what_goes_to_the_provider(self) -> None:
        params: dict[str, Any] = {
            "timeout": 5,
            "seed": 1,
            "extra_body": {"x": 1},
            "fallbacks": ["a/b"],
            "deadline": None,
        }
        chosen = options.split(params)
        assert params == {"seed": 1}
        assert chosen == CallOptions(timeout=5.0, fallback_models=("a/b",), extra_body={"x": 1})

    def test_extra_body_is_merged_at_the_top(self) -> None:
        world = World(GOOD)
        world.run(chat(), extra_body={"metadata": {"a": 1}, "model": "other"})
        assert body_of(world.sent[0])["metadata"] == {"a": 1}
        assert models(world) == ["other"]

    @pytest.mark.parametrize(
        "bad",
        [{"timeout": -1}, {"timeout": 0}, {"timeout": "5"}, {"timeout": float("nan")}, {"timeout": True},
         {"timeout": float("inf")}, {"deadline": -0.1}, {"max_retries": -1}, {"max_retries": 1.5},
         {"max_retries": True},
         {"fallback_models": "a/b"}, {"fallback_models": [5]}, {"extra_body": [1]}, {"extra_headers": "x"},
         {"retries": 1, "max_retries": 2},
         {"api_key": "sk-mine"}, {"base_url": "http://h"}, {"api_base": "http://h"}, {"extra_query": {"a": "b"}},
         {"extra_body": {"stream": True}}],
    )  # fmt: skip
    def test_bad_ones_are_refused(self, bad: dict[str, Any]) -> None:
        with pytest.raises(ValidationError) as caught:
            options.split(bad)
        assert "sk-mine" not in str(caught.value)

    @pytest.mark.parametrize("bad", [object(), float("nan"), {1, 2}, b"bytes"])
    def test_what_has_no_json_form_is_refused_before_the_login(self, bad: Any) -> None:
        world = World()
        request = hosted.completion(
            "x", model="a/b", temperature=None, max_tokens=None, stream=False, params={"user": bad}
        )
        with pytest.raises(ValidationError, match="JSON"):
            world.run(request)
        assert world.stale == []

    @pytest.mark.parametrize("bad", [{"caching": True}, {"mock_response": 5}, {"mock_response": {1: 2}}])
    def test_what_is_refused_here_was_not_sent_and_has_no_id(self, bad: dict[str, Any]) -> None:
        with pytest.raises(ValidationError) as caught:
            World().run(chat(), **bad)
        assert (caught.value.outcome, caught.value.request_id) == ("not_sent", None)

    @pytest.mark.parametrize("depth", [100, 900])
    def test_deep_input_meets_an_error_like_any_other(self, depth: int) -> None:
        deep: Any = "the words"
        for _ in range(depth):
            deep = {"a": [deep]} if depth < 500 else {"a": deep}
        request = hosted.chat(
            HELLO, model="a/b", temperature=None, max_tokens=None, stream=False, params={"tools": [deep]}
        )
        with pytest.raises(InvalidParametersError) as caught:
            World(refused(400, {"detail": "not the words"})).run(request)
        assert "words" not in str(caught.value)

    def test_nothing_to_ask(self) -> None:
        requests: Sequence[Request] = ()
        with pytest.raises(ValidationError):
            World().run(*requests)
