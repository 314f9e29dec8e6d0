"""Processes that share their login in a file."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from clients import Client
from raw_server import RawServer, Seen, answer, ok

import indoxrouter
from indoxrouter import AuthenticationError, ConfigurationError, DeadlineExceededError
from indoxrouter.core.login import AccessToken, Flight
from indoxrouter.core.policy import Clock
from indoxrouter.core.shared import Shared
from indoxrouter.core.shared_login import acquire_shared
from indoxrouter.core.steps import LoadToken, LockTokens, Send
from indoxrouter.sandbox import Sandbox

KINDS = ("sync", "async")
KEY = "key-of-the-tests"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "token"


WORKER = """
import asyncio, sys, time, indoxrouter
url, key, path, asynchronous = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
def work():
    with indoxrouter.Client(key, url, token_cache=path) as client:
        return [client.completion(f"question {n}").data for n in range(5)]
async def async_work():
    async with indoxrouter.AsyncClient(key, url, token_cache=path) as client:
        return [(await client.completion(f"question {n}")).data for n in range(5)]
answers = asyncio.run(async_work()) if asynchronous == "True" else work()
assert all(f"question {n}" in answer for n, answer in enumerate(answers))
"""


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.kinds("sync")
def test_eight_processes_started_together_log_in_once(path: Path, asynchronous: bool) -> None:
    with Sandbox(login_delay=0.3) as sandbox:
        command = [sys.executable, "-c", WORKER, sandbox.url, sandbox.api_key, str(path), str(asynchronous)]
        workers = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(8)
        ]
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        for worker in workers:
            worker.communicate(timeout=60)
        assert [worker.returncode for worker in workers] == [0] * 8
        assert sandbox.stats()["logins"] == 1
        assert sandbox.api_key not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_next_process_logs_in_no_more(path: Path) -> None:
    with Sandbox() as sandbox:
        for _ in range(3):
            with Client(sandbox.api_key, sandbox.url, token_cache=path) as client:
                client.models()
        assert sandbox.stats()["logins"] == 1


def test_another_key_or_another_server_gets_its_own(path: Path) -> None:
    with Sandbox() as sandbox, Client(sandbox.api_key, sandbox.url, token_cache=path) as client:
        client.models()
        other = client.create_api_key("other")
        with Client(other.secret, sandbox.url, token_cache=path) as second:
            second.models()
        assert sandbox.stats()["logins"] == 2
        with Sandbox(api_key=sandbox.api_key) as elsewhere:
            with Client(sandbox.api_key, elsewhere.url, token_cache=path) as third:
                third.models()
            assert elsewhere.stats()["logins"] == 1
            assert elsewhere.stats()["unauthorized"] == 0


def test_a_token_that_was_refused_is_not_taken_again(path: Path) -> None:
    with Sandbox(refresh_tokens=False) as sandbox, Client(sandbox.api_key, sandbox.url, token_cache=path) as client:
        client.models()
        sandbox.fault(path="models/", expire=True)
        client.models()
        assert sandbox.stats()["logins"] == 2
        with Client(sandbox.api_key, sandbox.url, token_cache=path) as other:
            other.models()
        assert sandbox.stats()["logins"] == 2


def test_a_newer_token_of_another_process_is_taken_after_a_401(path: Path) -> None:
    with Sandbox(refresh_tokens=False) as sandbox:
        with Client(sandbox.api_key, sandbox.url, token_cache=path) as first:
            first.models()
            with Client(sandbox.api_key, sandbox.url, token_cache=path) as second:
                sandbox.fault(path="models/", expire=True)
                second.models()
            first.models()
        assert sandbox.stats()["logins"] == 2


def test_refresh_cookies_are_sent_once_among_all(path: Path) -> None:
    with Sandbox(token_lifetime=2.0) as sandbox:
        clients = [Client(sandbox.api_key, sandbox.url, token_cache=path) for _ in range(3)]
        end = time.monotonic() + 4.5
        while time.monotonic() < end:
            for client in clients:
                client.models()
            time.sleep(0.02)
        for client in clients:
            client.close()
        stats = sandbox.stats()
    assert stats["logins"] == 1
    assert stats["refused_refreshes"] == 0
    assert 2 <= stats["refreshes"] <= 4


class Sessions:
    """A server whose logins and refreshes are counted, and whose sessions a test ends."""

    def __init__(self, lifetime: float = 3600.0) -> None:
        self.lifetime = lifetime
        self.valid: set[str] = set()
        self.logins = 0
        self.refreshed_with: list[str] = []
        self.failing = False

    def __call__(self, seen: Seen) -> Any:
        if "/auth/" not in seen.path:
            given = seen.headers["authorization"].removeprefix("Bearer ")
            return [ok({}) if given in self.valid else answer(401, {"detail": "the session is over"})]
        if seen.path.endswith("/refresh"):
            self.refreshed_with.append(seen.headers["cookie"])
        else:
            self.logins += not self.failing
        if self.failing:
            return [answer(503, {"detail": "down"})]
        number = self.logins + len(self.refreshed_with)
        self.valid.add(f"token-{number}")
        body = {"access_token": f"token-{number}", "expires_in": self.lifetime}
        return [ok(body, Set_Cookie=f"refresh_token=refresh-{number}; HttpOnly")]


def two_clients(url: str, path: Path) -> Any:
    return (Client(KEY, url, token_cache=path, max_retries=0) for _ in range(2))


def test_a_refresh_cookie_whose_refresh_failed_is_sent_by_nobody_else(path: Path) -> None:
    sessions = Sessions(lifetime=2.0)
    with RawServer(sessions, logins=False) as server:
        first, second = two_clients(server.url, path)
        with first, second:
            first.get_user_info()
            second.get_user_info()
            time.sleep(1.6)  # within the last quarter
            sessions.failing = True
            first.get_user_info()
            second.get_user_info()
    assert sessions.refreshed_with == ["refresh_token=refresh-1"]


def test_the_cookie_of_an_expired_token_in_the_file_is_the_one_to_send(path: Path) -> None:
    sessions = Sessions(lifetime=1.0)
    with RawServer(sessions, logins=False) as server:
        first, second = two_clients(server.url, path)
        with first, second:
            first.get_user_info()
            second.get_user_info()
            time.sleep(1.1)
            first.get_user_info()
            time.sleep(1.1)
            second.get_user_info()
    assert sessions.refreshed_with == ["refresh_token=refresh-1", "refresh_token=refresh-2"]
    assert sessions.logins == 1


@pytest.mark.parametrize("locked", [False, True])
def test_without_the_lock_or_an_entry_nothing_is_refreshed(locked: bool) -> None:
    shared = Shared(Client(KEY, "http://127.0.0.1:1/v1", token_cache="token")._driver.settings)
    flight = Flight()
    flight.last = flight.refresh_with = AccessToken("t", "http://127.0.0.1:1/v1", 0.0, 1.0, {"refresh_token": "r"})
    clock = Clock(lambda: 100.0, lambda: 100.0, lambda: 0.0, lambda: "id")
    plan = acquire_shared(shared, flight, None, clock)
    assert isinstance(next(plan), LockTokens)
    step = plan.send(locked)
    if locked:
        assert isinstance(step, LoadToken)
        step = plan.send(None)
    assert isinstance(step, Send)
    assert step.request.url == "http://127.0.0.1:1/v1/auth/api-key"
    assert "Cookie" not in step.request.headers


def test_a_token_of_another_process_that_is_refused_is_followed_by_a_login(path: Path) -> None:
    sessions = Sessions()
    with RawServer(sessions, logins=False) as server:
        first, second = two_clients(server.url, path)
        with first, second:
            first.get_user_info()
            second.get_user_info()
            sessions.valid.clear()
            second.get_user_info()
            sessions.valid.clear()
            first.get_user_info()  # after its own token, and the file's
            sessions.valid.clear()
            first.get_user_info()
            sessions.valid.clear()
            second.get_user_info()  # whose own came from the file, as did the next one
    assert sessions.logins + len(sessions.refreshed_with) == 5


def test_a_key_whose_tokens_are_all_refused_costs_one_login_and_no_loop(path: Path) -> None:
    sessions = Sessions()
    with RawServer(sessions, logins=False) as server:
        first, second = two_clients(server.url, path)
        with first, second:
            first.get_user_info()
            sessions.valid.clear()
            second.get_user_info()
            sessions.valid = type("Nothing", (set,), {"add": lambda *_: None})()
            asked, sent = sessions.logins + len(sessions.refreshed_with), len(server.requests)
            with pytest.raises(AuthenticationError) as caught:
                first.get_user_info()
            assert [attempt.status for attempt in caught.value.attempts] == [401, 401, 401]
            assert sessions.logins + len(sessions.refreshed_with) - asked == 1
            assert len(server.requests) - sent == 3 + 1


@pytest.mark.parametrize("handed_back", [{"access_token": KEY}, {"access_token": "t"}])
def test_a_login_that_hands_the_key_back_is_not_written_down(path: Path, handed_back: dict[str, str]) -> None:
    def script(seen: Seen) -> Any:
        return [ok(handed_back, Set_Cookie=f"session=of-{KEY}") if "/auth/" in seen.path else ok({})]

    with RawServer(script, logins=False) as server:
        for client in two_clients(server.url, path):
            with client:
                client.get_user_info()
        assert [seen.path for seen in server.requests].count("/v1/auth/api-key") == 2
    assert KEY not in path.read_text()


def test_a_function_for_the_key_is_asked_once_a_login(path: Path) -> None:
    keys = (f"key-number-{n}" for n in range(9))
    with RawServer(Sessions(), logins=False) as server:
        with Client(lambda: next(keys), server.url, token_cache=path) as client:
            client.get_user_info()
        with Client("key-number-0", server.url, token_cache=path) as client:
            client.get_user_info()
        assert [seen.headers["x-api-key"] for seen in server.requests if "/auth/" in seen.path] == ["key-number-0"]


@pytest.mark.parametrize(
    "content",
    ["", "null", "[]", "{", '{"version": 1}', "\x00\xff", '{"version": 2, "mark": ""}', "[" * 100_000, "9" * 5000],
)
def test_a_file_that_holds_anything_else_is_written_anew(path: Path, content: str) -> None:
    path.write_text(content, encoding="latin-1")
    with Sandbox() as sandbox:
        for _ in range(2):
            with Client(sandbox.api_key, sandbox.url, token_cache=path) as client:
                client.models()
        assert sandbox.stats()["logins"] == 1


@pytest.mark.parametrize("field", ["access_token", "base", "lifetime", "expires", "cookies"])
@pytest.mark.parametrize("value", [None, [], "x", -1, 1e999, {"a": 1}])
def test_fields_of_any_type_do_no_harm(path: Path, field: str, value: Any) -> None:
    with Sandbox() as sandbox:
        with Client(sandbox.api_key, sandbox.url, token_cache=path) as client:
            client.models()
        path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
        with Client(sandbox.api_key, sandbox.url, token_cache=path) as client:
            client.models()


@pytest.mark.parametrize("clock", [-86400.0, 86400.0])
def test_a_clock_that_was_set_makes_no_token_live_longer(path: Path, clock: float) -> None:
    with Sandbox(token_lifetime=60.0) as sandbox:
        with Client(sandbox.api_key, sandbox.url, token_cache=path) as client:
            client.models()
        body = json.loads(path.read_text())
        path.write_text(json.dumps({**body, "expires": body["expires"] + clock}))
        with Client(sandbox.api_key, sandbox.url, token_cache=path) as client:
            client.models()
        stats = sandbox.stats()
        assert (stats["logins"], stats["refreshes"]) == (1, 1 if clock < 0 else 0)


def test_an_open_file_is_closed_to_others(path: Path) -> None:
    path.write_text("")
    path.chmod(0o666)
    with Sandbox() as sandbox, Client(sandbox.api_key, sandbox.url, token_cache=path) as client:
        client.models()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_is_not_followed_and_costs_no_call(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    target = path.with_name("target")
    target.write_text("precious")
    path.symlink_to(target)
    with Sandbox() as sandbox, Client(sandbox.api_key, sandbox.url, token_cache=path) as client:
        client.models()
    assert target.read_text() == "precious"
    assert "token_cache" in caplog.text


def test_a_fifo_does_not_hang(path: Path) -> None:
    os.mkfifo(path)
    with Sandbox() as sandbox, Client(sandbox.api_key, sandbox.url, token_cache=path, deadline=5) as client:
        client.models()


HOLDER = """
import fcntl, os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(fd, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(60)
"""


def test_a_process_that_dies_with_the_lock_holds_up_nobody(path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        with Sandbox() as sandbox, Client(sandbox.api_key, sandbox.url, token_cache=path, deadline=0.4) as client:
            began = time.monotonic()
            with pytest.raises(DeadlineExceededError):
                client.models()
            assert 0.3 < time.monotonic() - began < 0.9
            holder.kill()
            holder.wait(10)
            client.models()
    finally:
        holder.kill()
        holder.communicate()


def is_locked(path: Path) -> bool:
    with path.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def is_open_here(path: Path) -> bool:
    """Whether a descriptor of this process is the file's."""
    there = path.stat()
    for fd in range(256):
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(fd), there):
                return True
    return False


@pytest.mark.kinds("sync")
def test_a_fork_in_the_middle_of_a_login_keeps_no_lock(path: Path) -> None:
    with Sandbox(login_delay=1.0) as sandbox, Client(sandbox.api_key, sandbox.url, token_cache=path) as client:
        login = threading.Thread(target=client.models)
        login.start()
        time.sleep(0.4)
        wake, woken = os.pipe()
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            closed, locked = not is_open_here(path), is_locked(path)  # by the parent, as before
            os.close(woken)
            os.read(wake, 1)
            os._exit(closed + 2 * locked)
        login.join()
        assert not is_locked(path)
        os.close(woken)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1 + 2
        os.close(wake)


# asyncio and aiohttp say what was left behind.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.kinds("sync")
def test_an_event_loop_that_ends_in_the_middle_of_a_login_keeps_no_lock(path: Path) -> None:
    with RawServer(lambda _: [answer(429, {}, Retry_After="30")], logins=False) as server:

        async def begin() -> None:
            client = indoxrouter.AsyncClient(KEY, server.url, token_cache=path)
            tasks.append(asyncio.ensure_future(client.models()))
            await asyncio.sleep(0.3)

        loop, tasks = asyncio.new_event_loop(), list[Any]()
        loop.run_until_complete(begin())
        assert is_locked(path)
        loop.close()
        tasks.clear()
        gc.collect()
        assert not is_locked(path)


def test_a_login_that_fails_lets_go_of_the_file(path: Path) -> None:
    def script(seen: Seen) -> Any:
        return (
            [answer(401, {"detail": "no"})] if seen.headers.get("x-api-key") != "good" else [ok({"access_token": "t"})]
        )

    with RawServer(lambda seen: script(seen) if "/auth/" in seen.path else [ok([])], logins=False) as server:
        with Client("bad", server.url, token_cache=path) as client, pytest.raises(Exception, match="401"):
            client.models()
        with Client("good", server.url, token_cache=path, deadline=2) as client:
            client.models()


@pytest.mark.parametrize("wrong", ["", 3, "no/such/folder/token", "."])
def test_a_path_that_can_not_work_is_refused_at_construction(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="token_cache"):
        Client(KEY, token_cache=wrong)


def test_it_is_no_substitute_for_the_key_of_a_server_that_wants_it_each_time(path: Path) -> None:
    """With auth="key" there is no login to share, and no key to write down."""
    with Sandbox() as sandbox, Client(sandbox.api_key, sandbox.url, auth="key", token_cache=path) as client:
        client.models()
        assert not path.exists() or sandbox.api_key not in path.read_text()
        assert requests.get(sandbox.url + "/user/health", timeout=5).ok
