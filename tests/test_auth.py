"""Rules A1-A9: logging in, once, with the right thing, at the right server."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
import requests
from clients import Client
from raw_server import HOLD, Action, RawServer, Seen, answer, chat_body, head, ok

from indoxrouter import (
    APIError,
    AsyncClient,
    AuthenticationError,
    DeadlineExceededError,
    IndoxRouterError,
    NetworkError,
    RateLimitError,
    RequestTimeoutError,
    ServiceUnavailableError,
)
from indoxrouter.core.login import AccessToken, Flight, Lead, Login, Wait, lifetime
from indoxrouter.core.policy import Clock
from indoxrouter.core.shared import Shared
from indoxrouter.core.shared_login import acquire_in_time
from indoxrouter.core.steps import Send
from indoxrouter.driver import Driver
from indoxrouter.errors import MissingKeyError
from indoxrouter.sandbox import Sandbox

HELLO = [{"role": "user", "content": "Hello"}]
KEY = "key-of-the-tests"
KINDS = ("sync", "async")


def in_threads(count: int, work: Callable[[], Any]) -> list[Any]:
    """What each of `count` threads, started together, returned or raised."""
    barrier = threading.Barrier(count)

    def run() -> Any:
        barrier.wait()
        try:
            return work()
        except IndoxRouterError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(run) for _ in range(count)]]


@contextmanager
def sandbox_process(*flags: str) -> Iterator[tuple[str, str]]:
    """The URL and the key of a sandbox in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "indoxrouter.sandbox", "--port", "0", *flags],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(10)
        process.stdout.close()


class TestA1OneRefreshForAll:
    def test_a1_64_threads_for_20_s_with_tokens_that_live_2_s(self) -> None:
        with sandbox_process("--token-lifetime", "2") as (url, key), Client(key, url) as client:
            end = time.monotonic() + 20

            def work() -> int:
                done = 0
                while time.monotonic() < end:
                    assert client.chat(HELLO).data
                    done += 1
                    time.sleep(0.2)  # enough to keep this machine busy, and not so much that answers outlast tokens
                return done

            results = in_threads(64, work)
            failed = [result for result in results if not isinstance(result, int)]
            calls = sum(result for result in results if isinstance(result, int))
            stats = requests.get(url.removesuffix("/v1") + "/sandbox/stats", timeout=10).json()
        assert not failed, failed[0]
        assert calls >= 64 * 5
        # Each token is renewed ahead of its end once; only where that took too long, its end brings a login.
        assert 3 <= stats["refreshes"] <= 20 / 1.5 + 1
        assert stats["logins"] <= 1 + 20 / 2

    def test_a1_waiters_share_the_first_login(self) -> None:
        with Sandbox(login_delay=0.3) as sandbox, Client(sandbox.api_key, sandbox.url) as client:
            assert all(result.success for result in in_threads(64, lambda: client.chat(HELLO)))
            assert sandbox.stats()["logins"] == 1

    def test_a1_the_next_token_comes_before_the_old_one_ends(self) -> None:
        with Sandbox(token_lifetime=2.0) as sandbox, Client(sandbox.api_key, sandbox.url) as client:
            client.chat(HELLO)
            time.sleep(1.6)  # within the last quarter
            client.chat(HELLO)
            assert [attempt.status for attempt in client.chat(HELLO).attempts] == [200]
            stats = sandbox.stats()
            assert stats["logins"] + stats["refreshes"] == 2

    def test_a1_a_waiter_keeps_to_its_own_deadline(self) -> None:
        with Sandbox(login_delay=2.0) as sandbox, Client(sandbox.api_key, sandbox.url) as client:
            leader = threading.Thread(target=lambda: client.chat(HELLO))
            leader.start()
            time.sleep(0.2)
            started = time.monotonic()
            with pytest.raises(DeadlineExceededError) as caught:
                client.chat(HELLO, deadline=0.3)
            assert time.monotonic() - started < 0.3 + 0.5
            assert caught.value.outcome == "not_sent"
            leader.join()

    def test_a1_refresh_moment(self) -> None:
        """At min(120 s, a quarter of the lifetime) before the end, by one caller."""
        for seconds, due in ((3600.0, 3480.0), (2.0, 1.5), (480.0, 360.0), (481.0, 361.0)):
            token = AccessToken("t", "http://h/v1", fetched_at=100.0, lifetime=seconds)
            assert not token.due(100 + due - 0.01)
            assert token.due(100 + due)
            assert not token.expired(100 + seconds - 0.01)
            assert token.expired(100 + seconds)

    def test_a1_only_one_caller_refreshes_while_others_go_on(self) -> None:
        login = Login()
        token = logged_in(login, lifetime=100.0)
        assert isinstance(login.ask(None, 80.0, Flight()), Lead)
        assert login.ask(None, 80.0, Flight()) is token
        assert isinstance(login.ask(None, 101.0, Flight()), Wait)


class TestA2LateRefusal:
    def test_a2_a_late_401_for_a_replaced_token_costs_no_login(self) -> None:
        release = threading.Event()

        def script(seen: Seen) -> Iterator[Action]:
            if seen.headers["authorization"] == "Bearer token-1":
                if seen.path.endswith("completions") and b"slow" in seen.body:
                    release.wait(5)
                yield answer(401, {"detail": "expired"})
            else:
                release.set()
                yield ok(chat_body())

        with RawServer(script) as server, Client(KEY, server.url) as client:
            slow = ThreadPoolExecutor(1).submit(client.chat, [{"role": "user", "content": "slow"}])
            time.sleep(0.2)
            assert client.chat(HELLO).data == "fine"
            assert slow.result().data == "fine"
            assert len(server.logins) == 2

    def test_a2_a_401_names_its_token(self) -> None:
        login = Login()
        old = logged_in(login)
        found = login.ask(old, 1.0, Flight())
        assert isinstance(found, Lead)
        new = AccessToken("new", "http://h/v1", 1.0)
        login.landed(found.flight, new)
        assert login.ask(old, 2.0, Flight()) is new


class TestA3Refresh:
    def test_a3_the_refresh_cookie_is_used(self) -> None:
        with Sandbox(token_lifetime=1.0) as sandbox, Client(sandbox.api_key, sandbox.url) as client:
            client.chat(HELLO)
            time.sleep(1.1)
            client.chat(HELLO)
            stats = sandbox.stats()
            assert (stats["logins"], stats["refreshes"]) == (1, 1)

    @pytest.mark.parametrize("status", [400, 401, 404, 500])
    def test_a3_a_refused_refresh_is_followed_by_one_login_with_the_key(self, status: int) -> None:
        def script(seen: Seen) -> list[Action]:
            if seen.path.endswith("/auth/refresh"):
                return [answer(status, {"detail": "no"})]
            if "/auth/" in seen.path:
                body = {"access_token": f"access-{len(server.requests)}", "expires_in": 0.2}
                return [ok(body, Set_Cookie=f"refresh_token=refresh-{len(server.requests)}; Path=/")]
            return [ok(chat_body())]

        with RawServer(script, logins=False) as server, Client(KEY, server.url) as client:
            for _ in range(3):
                client.chat(HELLO)
                time.sleep(0.25)
            paths = [seen.path for seen in server.requests]
            cookies = [seen.headers["cookie"] for seen in server.requests if seen.path.endswith("/refresh")]
        assert paths.count("/v1/auth/refresh") == 2
        assert paths.count("/v1/auth/api-key") == 3
        assert len(set(cookies)) == 2, "the same refresh token was sent twice"

    def test_a3_both_refused_is_an_authentication_error(self) -> None:
        def script(seen: Seen) -> list[Action]:
            if seen.path.endswith("/auth/refresh") or len(server.requests) > 2:
                return [answer(401, {"detail": "no"})]
            if "/auth/" in seen.path:
                return [ok({"access_token": "a", "expires_in": 0.1}, Set_Cookie="refresh_token=r")]
            return [ok(chat_body())]

        with RawServer(script, logins=False) as server, Client(KEY, server.url) as client:
            client.chat(HELLO)
            time.sleep(0.15)
            with pytest.raises(AuthenticationError):
                client.chat(HELLO)


class TestA4Lifetimes:
    @pytest.mark.parametrize("value", [None, float("nan"), float("inf"), -5, 0, "3600", True, [], 10**400])
    def test_a4_what_is_no_lifetime_is_unknown(self, value: Any) -> None:
        assert lifetime({"expires_in": value}, "opaque", wall=0.0) is None

    def test_a4_expires_in_wins(self) -> None:
        assert lifetime({"expires_in": 60}, jwt(exp=2000, iat=1000), wall=0.0) == 60

    def test_a4_a_wrong_wall_clock_changes_nothing(self) -> None:
        for wall in (0.0, 1500.0, 4e9):
            assert lifetime({}, jwt(exp=2000, iat=1000), wall) == 1000

    def test_a4_exp_alone_is_measured_against_now_with_tolerance(self) -> None:
        assert lifetime({}, jwt(exp=2000), wall=1400.0) == 600
        assert lifetime({}, jwt(exp=2000), wall=2100.0) is None

    @pytest.mark.parametrize("token", ["", "a.b.c", "a.%%.c", "x." + "A" * 5, "e30.W10.x"])
    def test_a4_what_is_no_jwt_is_opaque(self, token: str) -> None:
        assert lifetime({}, token, wall=0.0) is None

    @pytest.mark.parametrize("settings", [{"expires_in": False}, {"expires_in": False, "jwt": False}])
    def test_a4_an_unknown_lifetime_is_found_out_by_a_401(self, settings: dict[str, Any]) -> None:
        with (
            Sandbox(token_lifetime=0.5, **settings) as sandbox,
            Client(sandbox.api_key, sandbox.url) as client,
        ):
            client.chat(HELLO)
            time.sleep(0.6)
            assert client.chat(HELLO).data
            stats = sandbox.stats()
            assert stats["logins"] + stats["refreshes"] == 2


class TestA5RefusedKeys:
    def test_a5_endless_401s_cost_one_fresh_login_and_one_repeat(self) -> None:
        with (
            RawServer(lambda _: [answer(401, {"detail": "no"})]) as server,
            Client(KEY, server.url) as client,
        ):
            with pytest.raises(AuthenticationError) as caught:
                client.chat(HELLO)
            assert (len(server.requests), len(server.logins)) == (2, 2)
            assert [attempt.status for attempt in caught.value.attempts] == [401, 401]

    def test_a5_after_three_fruitless_logins_no_more_are_made(self) -> None:
        with (
            RawServer(lambda _: [answer(401, {"detail": "no"})]) as server,
            Client(KEY, server.url) as client,
        ):
            for _ in range(8):
                with pytest.raises(AuthenticationError) as caught:
                    client.chat(HELLO)
            assert len(server.logins) == 4  # the first, and three because of a 401
            assert caught.value.code == "logins_fruitless"
            assert "not asking again" in str(caught.value)

    def test_a5_a_refused_key_is_asked_for_three_times(self) -> None:
        with RawServer(lambda _: [answer(401, {"detail": "no"})], logins=False) as server:
            with Client(KEY, server.url) as client:
                for _ in range(6):
                    with pytest.raises(AuthenticationError):
                        client.chat(HELLO)
            assert len(server.requests) == 3

    def test_a5_refused_calls_do_not_lock_out_a_token_that_works(self) -> None:
        """A caller's own provider key may be refused with a 401 too."""

        def script(seen: Seen) -> list[Action]:
            return [answer(401, {"detail": "bad key"}) if b"byok" in seen.body else ok(chat_body())]

        with RawServer(script) as server, Client(KEY, server.url) as client:
            for _ in range(5):
                with pytest.raises(AuthenticationError):
                    client.chat(HELLO, byok_api_key="bad")
            assert client.chat(HELLO).data == "fine"
            for _ in range(2):
                with pytest.raises(AuthenticationError):
                    client.chat(HELLO, byok_api_key="bad")
                assert client.chat(HELLO).data == "fine"

    def test_a5_a_server_that_hands_back_the_same_token_is_not_asked_for_ever(self) -> None:
        def script(seen: Seen) -> list[Action]:
            return [ok({"access_token": "same"}) if "/auth/" in seen.path else answer(401, {})]

        with RawServer(script, logins=False) as server, Client(KEY, server.url) as client:
            for _ in range(10):
                with pytest.raises(AuthenticationError):
                    client.chat(HELLO)
            assert [seen.path for seen in server.requests].count("/v1/auth/api-key") == 4

    def test_a5_it_asks_again_after_a_minute(self) -> None:
        login, now = Login(), 0.0
        for _ in range(3):
            found = login.ask(None, now, Flight())
            assert isinstance(found, Lead)
            login.failed(found.flight, AuthenticationError("no", status_code=401), now)
            now += 1
        with pytest.raises(AuthenticationError):
            login.ask(None, now, Flight())
        with pytest.raises(AuthenticationError):
            login.ask(None, 61.9, Flight())
        assert isinstance(login.ask(None, 62.1, Flight()), Lead)

    def test_a5_three_in_more_than_a_minute_are_no_storm(self) -> None:
        login = Login()
        for now in (0.0, 40.0, 80.0, 120.0):
            found = login.ask(None, now, Flight())
            assert isinstance(found, Lead)
            login.failed(found.flight, AuthenticationError("no", status_code=401), now)

    def test_a5_a_wrong_key_is_an_authentication_error(self, sandbox: Sandbox) -> None:
        with Client("sandbox-wrong", sandbox.url) as client, pytest.raises(AuthenticationError) as caught:
            client.chat(HELLO)
        assert caught.value.status_code == 401
        assert "sandbox-wrong" not in str(caught.value)


class TestA6LoginAnswers:
    def test_a6_429_obeys_retry_after_then_raises(self) -> None:
        def script(seen: Seen) -> list[Action]:
            return [answer(429, {"detail": "slow down"}, Retry_After="0.2")]

        with RawServer(script, logins=False) as server, Client(KEY, server.url, max_retries=2) as client:
            started = time.monotonic()
            with pytest.raises(RateLimitError) as caught:
                client.chat(HELLO)
            assert time.monotonic() - started >= 0.4
            assert len(server.requests) == 3
            assert caught.value.retry_after == 0.2
            assert caught.value.attempts == ()  # logins are not attempts

    def test_a6_429_then_200_goes_on(self) -> None:
        def script(seen: Seen) -> list[Action]:
            if seen.number == 0:
                return [answer(429, {}, Retry_After="0.05")]
            return [ok({"access_token": "t"} if "/auth/" in seen.path else chat_body())]

        with RawServer(script, logins=False) as server, Client(KEY, server.url) as client:
            assert client.chat(HELLO).data == "fine"

    def test_a6_retries_of_logins_come_from_the_clients_bucket(self) -> None:
        busy = answer(503, {"detail": "down"}, retry_after_ms="1")
        with RawServer(lambda _: [busy], logins=False) as server, Client(KEY, server.url, max_retries=2) as client:
            for _ in range(60):
                with pytest.raises(ServiceUnavailableError):
                    client.chat(HELLO)
            assert len(server.requests) == 60 + 100

    def test_a6_5xx_without_a_token_is_the_servers_error(self) -> None:
        with RawServer(lambda _: [answer(503, {"detail": "down"})], logins=False) as server:
            with Client(KEY, server.url, max_retries=0) as client, pytest.raises(ServiceUnavailableError):
                client.chat(HELLO)

    def test_a6_5xx_keeps_a_still_valid_token_and_pauses_refreshing(self) -> None:
        def script(seen: Seen) -> list[Action]:
            if "/auth/" in seen.path:
                return [ok({"access_token": "t", "expires_in": 1.2}) if seen.number == 0 else answer(500, {})]
            return [ok(chat_body())]

        with RawServer(script, logins=False) as server, Client(KEY, server.url) as client:
            client.chat(HELLO)
            time.sleep(1.0)  # within the last quarter, still valid
            assert client.chat(HELLO).data == "fine"
            assert client.chat(HELLO).data == "fine"
            assert [seen.path for seen in server.requests].count("/v1/auth/api-key") == 2

    def test_a6_a_hanging_refresh_leaves_half_of_the_calls_time_to_the_call(self) -> None:
        def script(seen: Seen) -> list[Action]:
            if "/auth/" in seen.path:
                return [ok({"access_token": "t", "expires_in": 12}) if seen.number == 0 else HOLD]
            return [ok(chat_body())]

        with RawServer(script, logins=False) as server, Client(KEY, server.url) as client:
            client.chat(HELLO)
            time.sleep(9.1)
            assert client.chat(HELLO, deadline=1.4).data == "fine"  # 1.45 s are half of the token's
            assert [seen.path for seen in server.requests].count("/v1/auth/api-key") == 2

    def test_a6_an_early_refresh_may_take_half_of_what_the_token_or_the_call_has_left(self) -> None:
        flight = Flight()
        assert (flight.until(None, 90.0), flight.until(95.0, 90.0)) == (None, 95.0)
        flight.spare = AccessToken("t", "http://h/v1", fetched_at=0.0, lifetime=100.0)
        assert (flight.until(None, 90.0), flight.until(92.0, 90.0), flight.until(500.0, 90.0)) == (95.0, 91.0, 95.0)

    def test_a6_an_early_refresh_that_outlasts_its_token_is_followed_by_a_login(self) -> None:
        """Its own limit is no deadline of the call; nor is its refresh cookie sent again."""
        now = 76.0
        shared = Shared(Client(KEY, "http://127.0.0.1:1/v1")._driver.settings)
        flight = Flight()
        flight.spare = AccessToken("old", "http://127.0.0.1:1/v1", 0.0, 100.0, {"refresh_token": "r"})
        flight.last = flight.refresh_with = flight.spare
        plan = acquire_in_time(shared, flight, None, Clock(lambda: now, lambda: 0.0, lambda: 0.0, lambda: "id"))
        refresh = next(plan)
        assert isinstance(refresh, Send)
        assert (refresh.request.path, refresh.until) == ("/v1/auth/refresh", 76.0 + 12.0)
        now = 100.5  # a busy machine's clock
        login = plan.throw(RequestTimeoutError("late"))
        assert isinstance(login, Send)
        assert (login.request.path, login.until) == ("/v1/auth/api-key", 100.5 + 15.0)

    def test_a6_a_hanging_refresh_costs_no_call_whose_token_is_still_valid(self) -> None:
        def script(seen: Seen) -> list[Action]:
            if "/auth/" in seen.path:
                return [ok({"access_token": "t", "expires_in": 4}) if seen.number == 0 else HOLD]
            return [ok(chat_body())]

        with RawServer(script, logins=False) as server, Client(KEY, server.url) as client:
            client.chat(HELLO)
            time.sleep(3.1)
            for _ in range(3):
                assert client.chat(HELLO, deadline=3).data == "fine"
            assert [seen.path for seen in server.requests].count("/v1/auth/api-key") == 2

    @pytest.mark.parametrize(
        "bad",
        [b"<html>hello</html>", b"{}", b"null", b"[]", b"", b'{"access_token": ""}', b'{"access_token": 5}',
         b'{"access_token": "line\\nbreak"}'],
    )  # fmt: skip
    def test_a6_200_without_a_token_is_typed_and_nothing_goes_out(self, bad: bytes) -> None:
        with (
            RawServer(lambda _: [answer(200, bad)], logins=False) as server,
            Client(KEY, server.url) as client,
        ):
            with pytest.raises(AuthenticationError) as caught:
                client.chat(HELLO)
            assert caught.value.code == "no_token"
            assert [seen.path for seen in server.requests] == ["/v1/auth/api-key"]

    def test_a6_a_token_in_a_cookie_alone_is_one(self) -> None:
        def script(seen: Seen) -> list[Action]:
            if "/auth/" in seen.path:
                return [ok({}, Set_Cookie="access_token=from-cookie; HttpOnly; Path=/")]
            return [ok(chat_body())]

        with RawServer(script, logins=False) as server, Client(KEY, server.url) as client:
            client.chat(HELLO)
            assert server.requests[1].headers["authorization"] == "Bearer from-cookie"


class TestA7LoginPaths:
    @pytest.mark.parametrize("absent", [404, 405])
    def test_a7_the_next_path_only_after_404_or_405(self, absent: int) -> None:
        with (
            RawServer(lambda _: [answer(absent, {})], logins=False) as server,
            Client(KEY, server.url) as client,
        ):
            with pytest.raises(AuthenticationError, match="no login endpoint") as caught:
                client.chat(HELLO)
            assert [seen.path for seen in server.requests] == [
                "/v1/auth/api-key",
                "/v1/auth/token",
                "/api/v1/auth/api-key",
                "/api/v1/auth/token",
            ]
            assert caught.value.code == "no_login"

    @pytest.mark.parametrize("status", [400, 401, 403, 422, 500])
    def test_a7_no_other_path_after_any_other_status(self, status: int) -> None:
        with RawServer(lambda _: [answer(status, {"detail": "no"})], logins=False) as server:
            with Client(KEY, server.url, max_retries=0) as client, pytest.raises(APIError):
                client.chat(HELLO)
            assert [seen.path for seen in server.requests] == ["/v1/auth/api-key"]

    def test_a7_the_key_goes_in_one_header_or_one_field(self) -> None:
        with (
            RawServer(lambda _: [answer(404, {})], logins=False) as server,
            Client(KEY, server.url) as client,
        ):
            with pytest.raises(AuthenticationError):
                client.chat(HELLO)
            first, second = server.requests[:2]
        assert first.headers["x-api-key"] == KEY
        assert first.body == b""
        assert second.json() == {"api_key": KEY}
        assert second.headers["content-type"] == "application/json"
        assert KEY not in str(second.headers)
        assert "authorization" not in first.headers

    @pytest.mark.parametrize("path", ["", "/v1", "/api/v1", "/deep/router"])
    def test_a7_the_prefix_that_answered_serves_every_path(self, path: str) -> None:
        prefixes = ("/api/v1",) if path in ("", "/v1", "/api/v1") else ("/deep/router",)
        with Sandbox(prefixes=prefixes) as sandbox, Client(sandbox.api_key, sandbox.origin + path) as client:
            assert client.chat(HELLO).success
            assert "openai" in client.models()

    def test_a7_an_odd_base_path_has_no_other_forms(self) -> None:
        with RawServer(lambda _: [answer(404, {})], logins=False) as server:
            with Client(KEY, server.origin + "/odd") as client, pytest.raises(AuthenticationError):
                client.chat(HELLO)
            assert {seen.path for seen in server.requests} == {"/odd/auth/api-key", "/odd/auth/token"}

    def test_a7_never_another_origin(self) -> None:
        with RawServer(lambda _: [answer(200, {})], logins=False) as other:
            redirect = head(307, Location=f"{other.url}/auth/api-key", Content_Length="0")
            with RawServer(lambda _: [redirect], logins=False) as server, Client(KEY, server.url) as client:
                with pytest.raises(APIError, match="redirect"):
                    client.chat(HELLO)
            assert other.requests == []


class TestA8TheLeaderDies:
    def test_a8_its_own_deadline_is_not_shared(self) -> None:
        def script(seen: Seen) -> list[Action]:
            if "/auth/" in seen.path:
                return [0.0 if seen.number else 2.0, ok({"access_token": "t"})]
            return [ok(chat_body())]

        with RawServer(script, logins=False) as server, Client(KEY, server.url) as client:
            leader = ThreadPoolExecutor(1).submit(client.chat, HELLO, deadline=0.5)
            time.sleep(0.2)
            started = time.monotonic()
            assert client.chat(HELLO).data == "fine"
            assert time.monotonic() - started < 0.3 + 1.0
            with pytest.raises(DeadlineExceededError):
                leader.result()

    @pytest.mark.kinds("sync")
    def test_a8_an_interrupted_leader_is_followed_within_a_second(self) -> None:
        class Interrupting:
            """A key whose first reading is interrupted, as by Ctrl-C in the main thread."""

            def __init__(self) -> None:
                self.asked = 0

            def __call__(self) -> str:
                self.asked += 1
                if self.asked == 1:
                    time.sleep(0.3)
                    raise KeyboardInterrupt
                return KEY

        with RawServer(lambda _: [ok(chat_body())]) as server, Client(Interrupting(), server.url) as client:
            leader = ThreadPoolExecutor(1).submit(client.chat, HELLO)
            time.sleep(0.1)
            started = time.monotonic()
            assert client.chat(HELLO).data == "fine"
            assert time.monotonic() - started < 0.2 + 1.0
            with pytest.raises(KeyboardInterrupt):
                leader.result()

    # What an interrupt catches just as it is handed over is closed by the collector, which may warn.
    @pytest.mark.filterwarnings("ignore::ResourceWarning")
    @pytest.mark.kinds("sync")
    @pytest.mark.parametrize("shared", [False, True])
    def test_a8_an_interrupt_at_any_moment_of_a_login_leaves_no_one_waiting(self, shared: bool, tmp_path: Path) -> None:
        """Every line of the driver, and of the file that processes share, is interrupted once, as Ctrl-C might."""
        interrupted = 0
        for moment in range(1, 400):
            settings = {"token_cache": tmp_path / f"token-{moment}"} if shared else {}
            with (
                RawServer(lambda _: [ok(chat_body())]) as server,
                Client(KEY, server.url, max_retries=0, **settings) as client,
            ):
                if not interrupted_at(moment, partial(client.chat, HELLO)):
                    break
                interrupted += 1
                assert client.chat(HELLO, deadline=5).data == "fine"
        gc.collect()
        assert interrupted > 20

    @pytest.mark.kinds("sync")
    def test_a8_an_interrupt_at_the_end_of_a_login_leaves_no_one_waiting(self) -> None:
        def script(seen: Seen) -> list[Action]:
            return [0.2, ok({"access_token": "t"})] if "/auth/" in seen.path else [ok(chat_body())]

        for moment in range(1, 20):
            with RawServer(script, logins=False) as server, Client(KEY, server.url) as client:
                waiter = threading.Thread(target=client.chat, args=(HELLO,), daemon=True)
                threading.Timer(0.1, waiter.start).start()
                interrupted = interrupted_at(moment, partial(client.chat, HELLO), within=Driver._end.__code__)
                waiter.join(0.1 + 1.0 + 0.5)
                assert not waiter.is_alive()
                if not interrupted:
                    break
        assert 3 < moment < 19

    @pytest.mark.parametrize("shared", [False, True])
    @pytest.mark.kinds("sync")
    def test_a8_a_leader_whose_event_loop_was_stopped_is_followed_within_a_second(
        self, shared: bool, tmp_path: Path
    ) -> None:
        def script(seen: Seen) -> list[Action]:
            return [0.3, ok({"access_token": f"t-{seen.number}"})] if "/auth/" in seen.path else [ok(chat_body())]

        with RawServer(script, logins=False) as server:
            client = AsyncClient(KEY, server.url, token_cache=tmp_path / "token" if shared else None)
            begun = []

            async def begin() -> None:
                begun.append(asyncio.ensure_future(client.chat(HELLO)))
                await asyncio.sleep(0.15)

            async def follow() -> None:
                started = time.monotonic()
                assert (await client.chat(HELLO, deadline=10)).data == "fine"
                assert time.monotonic() - started < 1.0 + 0.3 + 0.5

            stopped = asyncio.new_event_loop()
            stopped.run_until_complete(begin())
            asyncio.run(follow())
            assert stopped.run_until_complete(begun[0]).data == "fine"  # it goes on where it was
            stopped.run_until_complete(client.close())
            stopped.close()

    def test_a8_a_servers_failure_is_shared(self) -> None:
        def script(seen: Seen) -> list[Action]:
            return [0.3, answer(401, {"detail": "no"})]

        with RawServer(script, logins=False) as server, Client(KEY, server.url) as client:
            results = in_threads(16, lambda: client.chat(HELLO))
            assert all(isinstance(result, AuthenticationError) for result in results)
            assert len({id(result) for result in results}) == 16, "threads share one exception object"
            assert len(server.requests) == 1


class TestA9Cookies:
    def test_a9_the_logins_cookies_go_with_every_call(self) -> None:
        def script(seen: Seen) -> list[Action]:
            if "/auth/" in seen.path:
                cookies = "access_token=a; Path=/\r\nSet-Cookie: refresh_token=r; Path=/; HttpOnly"
                return [ok({"access_token": "a"}, Set_Cookie=cookies)]
            return [ok(chat_body(), Set_Cookie="tracker=1")]

        with RawServer(script, logins=False) as server, Client(KEY, server.url) as client:
            client.chat(HELLO)
            client.chat(HELLO)
            sent = [seen.headers.get("cookie") for seen in server.requests]
        assert sent == [None, "access_token=a; refresh_token=r", "access_token=a; refresh_token=r"]

    def test_a9_another_server_gets_neither_cookies_nor_token(self) -> None:
        def script(seen: Seen) -> list[Action]:
            if "/auth/" in seen.path:
                return [ok({"access_token": "first"}, Set_Cookie="access_token=first; Domain=127.0.0.1")]
            return [ok(chat_body())]

        with RawServer(script, logins=False) as one, RawServer(lambda _: [ok(chat_body())]) as two:
            with Client(KEY, one.url) as client:
                client.chat(HELLO)
                client.set_base_url(two.url)
                client.chat(HELLO)
            assert "cookie" not in two.logins[0].headers
            assert "cookie" not in two.requests[0].headers
            assert two.requests[0].headers["authorization"] == "Bearer token-1"


class TestAutoRefreshAndKeys:
    def test_auto_refresh_off_makes_an_expired_token_an_error(self) -> None:
        with Sandbox(token_lifetime=0.5) as sandbox:
            with Client(sandbox.api_key, sandbox.url, auto_refresh=False) as client:
                client.chat(HELLO)
                time.sleep(0.6)
                with pytest.raises(AuthenticationError, match="auto_refresh"):
                    client.chat(HELLO)
            assert sandbox.stats()["logins"] == 1

    def test_auto_refresh_off_makes_a_401_an_error(self) -> None:
        with RawServer(lambda _: [answer(401, {})]) as server:
            with Client(KEY, server.url, auto_refresh=False) as client, pytest.raises(AuthenticationError):
                client.chat(HELLO)
            assert len(server.logins) == 1

    def test_a_callable_is_asked_at_each_login(self) -> None:
        keys = iter(["first-key", "second-key"])
        with RawServer(lambda seen: [answer(401, {}) if seen.number == 0 else ok(chat_body())]) as server:
            with Client(lambda: next(keys), server.url) as client:
                client.chat(HELLO)
            assert [seen.headers["x-api-key"] for seen in server.logins] == ["first-key", "second-key"]

    @pytest.mark.parametrize("shared", [False, True])
    def test_what_a_callable_raises_is_a_typed_error_that_tells_its_class_alone(
        self, shared: bool, tmp_path: Path
    ) -> None:
        def locked() -> str:
            raise LookupError("canary: the vault's own token")

        settings = {"token_cache": tmp_path / "token"} if shared else {}
        with RawServer(lambda _: []) as server, Client(locked, server.url, **settings) as client:
            with pytest.raises(AuthenticationError, match="LookupError") as caught:
                client.chat(HELLO)
            assert server.connections == 0
        assert (caught.value.code, caught.value.outcome) == ("api_key_function", "not_sent")
        assert "canary" not in "".join(traceback.format_exception(caught.value))

    def test_errors_of_this_library_leave_a_callable_as_they_are(self) -> None:
        def missing() -> str:
            raise MissingKeyError("no key here")

        with Client(missing, "http://127.0.0.1:1/v1") as client, pytest.raises(MissingKeyError, match="no key here"):
            client.chat(HELLO)

    def test_what_a_callable_returned_is_masked(self) -> None:
        def script(seen: Seen) -> list[Action]:
            if seen.number == 0:
                return [ok({"access_token": "token", "expires_in": 0.1}, Set_Cookie="refresh_token=refresh")]
            return [answer(400, {"detail": "not with canary-key"})]

        with RawServer(script, logins=False) as server, Client(lambda: "canary-key", server.url) as client:
            for _ in range(2):
                with pytest.raises(APIError, match=r"not with \*\*\*"):
                    client.chat(HELLO)
                time.sleep(0.15)

    def test_auth_key_sends_the_key_itself(self, sandbox: Sandbox) -> None:
        with Client(sandbox.api_key, sandbox.url, auth="key") as client:
            assert client.chat(HELLO).success
        assert sandbox.stats()["logins"] == 0

    def test_auth_key_makes_a_401_final(self) -> None:
        with RawServer(lambda _: [answer(401, {})]) as server:
            with Client(KEY, server.url, auth="key") as client, pytest.raises(AuthenticationError):
                client.chat(HELLO)
            assert len(server.requests) == 1

    def test_constructing_does_no_io(self) -> None:
        with RawServer(lambda _: []) as server:
            Client(KEY, server.url).close()
            assert server.connections == 0

    def test_no_server_is_a_network_error(self) -> None:
        with RawServer(lambda _: []) as server:
            url = server.url
        with Client(KEY, url, max_retries=0) as client, pytest.raises(NetworkError) as caught:
            client.chat(HELLO)
        assert caught.value.outcome == "not_sent"
        assert "refused" in str(caught.value)
        assert caught.value.client_request_id


_INTERRUPTED = ("/driver.py", "/token_file.py")


def interrupted_at(moment: int, work: Callable[[], Any], within: CodeType | None = None) -> bool:
    """Whether a KeyboardInterrupt, raised at the so many-th line of the driver's or the file's code, ended the work."""
    left = moment

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code is not within and (within or not frame.f_code.co_filename.endswith(_INTERRUPTED)):
            return None
        if event in ("line", "return"):
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    old = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(old)
    return False


def logged_in(login: Login, lifetime: float | None = None) -> AccessToken:
    found = login.ask(None, 0.0, Flight())
    assert isinstance(found, Lead)
    token = AccessToken("t", "http://h/v1", 0.0, lifetime)
    login.landed(found.flight, token)
    return token


def jwt(**claims: Any) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part(claims)}.signature"
