"""Rule 19: forked and spawned processes, pickles and copies of clients."""

from __future__ import annotations

import asyncio
import copy
import gc
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from clients import Client
from downloading import CONTENT, downloads, tls_context
from raw_server import HOLD, STREAM_HEAD, Action, RawServer, Seen, event, head, ok
from upload_server import Taken, UploadServer

import indoxrouter
from indoxrouter import AuthenticationError, NetworkError, OpenAI, StreamError
from indoxrouter.core.login import AccessToken, Flight, Lead
from indoxrouter.forking import renew_in_children
from indoxrouter.sandbox import Sandbox

KINDS = ("sync", "async")
KEY = "key-of-the-tests"
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


def in_child(work: Callable[[], object], seconds: float = 20.0) -> None:
    """Fork; the child works and reports by its exit status."""
    child = os.fork()
    if child == 0:
        signal.alarm(int(seconds))
        status = 1
        try:
            work()
            status = 0
        except BaseException as error:  # noqa: BLE001 - the only way out of a forked child
            os.write(2, f"in the child: {error!r}\n".encode())
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    assert ended == 0


def asked_by(client: Any, who: str, times: int) -> list[str]:
    """The questions whose answers were another's."""
    texts = [f"{who} asks number {n}" for n in range(times)]
    return [text for text in texts if text not in client.completion(text).data]


async def asked_by_async(client: Any, who: str, times: int) -> list[str]:
    answers = await asyncio.gather(*(client.completion(f"{who} asks number {n}") for n in range(times)))
    return [answer.data for n, answer in enumerate(answers) if f"{who} asks number {n}" not in answer.data]


def with_slow_logins(seen: Seen) -> Any:
    if "/auth/" in seen.path:
        time.sleep(0.4)
        return [ok({"access_token": f"token-{seen.number}"})]
    return [ok({"data": "fine"})]


class TestFork:
    @pytest.mark.kinds("sync")
    def test_19_parent_and_child_get_their_own_answers(self, sandbox: Sandbox) -> None:
        with indoxrouter.Client(sandbox.api_key, sandbox.url) as client:
            asked_by(client, "before", 3)  # so that there is a connection to share
            wrong: list[str] = []
            parent = threading.Thread(target=lambda: wrong.extend(asked_by(client, "parent", 60)))

            def work() -> None:
                assert asked_by(client, "child", 60) == []
                client.close()

            parent.start()
            in_child(work)
            parent.join()
            assert wrong == []
            assert asked_by(client, "after", 3) == []
            assert sandbox.stats()["logins"] == 1

    @pytest.mark.kinds("sync")
    def test_19_a_fork_in_the_middle_of_everything_holds_no_lock(self) -> None:
        """Locks that other threads hold in this moment are theirs alone: logins, retries, connections."""

        def script(seen: Seen) -> Any:
            return [0.02, ok({"data": seen.json()["prompt"], "finish_reason": "stop"})]

        with RawServer(script) as server, indoxrouter.Client(KEY, server.url) as client:
            ending = threading.Event()

            def busy() -> None:
                while not ending.is_set():
                    client.completion("busy")

            threads = [threading.Thread(target=busy) for _ in range(8)]
            for thread in threads:
                thread.start()
            try:
                for n in range(10):

                    def work(n: int = n) -> None:
                        assert client.completion(f"child {n}").data == f"child {n}"

                    in_child(work)
            finally:
                ending.set()
                for thread in threads:
                    thread.join()

    @pytest.mark.kinds("sync")
    def test_19_a_fork_during_a_login_waits_for_no_landing(self) -> None:
        serving = RawServer(with_slow_logins, logins=False)
        with serving as server, indoxrouter.Client(KEY, server.url, deadline=5) as client:
            first = threading.Thread(target=client.completion, args=("parent",))
            first.start()
            time.sleep(0.15)
            in_child(lambda: client.completion("child"))
            first.join()

    @pytest.mark.kinds("sync")
    def test_19_nor_does_an_async_client(self) -> None:
        """The login of the parent's event loop lands in the parent alone."""

        with RawServer(with_slow_logins, logins=False) as server:
            client = indoxrouter.AsyncClient(KEY, server.url, deadline=5)
            first = threading.Thread(target=lambda: asyncio.run(once("parent")))

            async def once(prompt: str) -> None:
                assert (await client.completion(prompt)).data == "fine"
                await client.close()

            first.start()
            time.sleep(0.15)
            in_child(lambda: asyncio.run(once("child")))
            first.join()
            assert sum("/auth/" in seen.path for seen in server.requests) == 2

    @pytest.mark.kinds("sync")
    @pytest.mark.parametrize("kind", [indoxrouter.Client, indoxrouter.AsyncClient])
    def test_19_locks_that_are_held_at_the_fork_are_the_parents(self, kind: Any) -> None:
        """By threads that the child does not have."""
        client = kind(KEY, "http://127.0.0.1:9/v1")
        login, bucket = client._driver.shared.login, client._driver.shared.bucket

        def work() -> None:
            assert isinstance(login.ask(None, 0.0, Flight()), Lead)
            assert bucket.draw(NetworkError())

        with login._lock, bucket._lock:
            in_child(work, seconds=5)

    @pytest.mark.kinds("sync")
    @pytest.mark.parametrize("kind", [indoxrouter.Client, indoxrouter.AsyncClient])
    def test_19_the_parents_refresh_cookie_is_the_parents_to_send(self, kind: Any) -> None:
        client = kind(KEY, "http://127.0.0.1:9/v1")
        login, flight = client._driver.shared.login, Flight()
        login.ask(None, 0.0, flight)
        login.landed(flight, AccessToken("t", "http://127.0.0.1:9/v1", 0.0, 100.0, {"refresh_token": "r"}))

        def work() -> None:
            child = Flight()
            assert isinstance(login.ask(None, 101.0, child), Lead)
            assert child.refresh_with is None

        in_child(work)
        parent = Flight()
        assert isinstance(login.ask(None, 101.0, parent), Lead)
        assert parent.refresh_with is not None

    @pytest.mark.kinds("sync")
    def test_19_a_stream_stays_with_its_parent(self) -> None:
        created = event({"type": "response.created", "response": {"id": "r"}})
        pieces = [event({"type": "response.content_part.delta", "delta": text}) for text in ("one ", "two")]
        done = event({"type": "response.done", "response": {"status": "completed"}})
        actions: list[Action] = [STREAM_HEAD, created, pieces[0], 0.5, pieces[1], done, HOLD]
        with RawServer(lambda _: actions) as server, indoxrouter.Client(KEY, server.url) as client:
            stream = client.chat(HELLO, stream=True)
            assert str(next(stream)) == "one "

            def work() -> None:
                with pytest.raises(StreamError, match="process"):
                    next(stream)
                with pytest.raises(StreamError, match="process"):
                    stream.response()
                stream.close()

            in_child(work)
            assert stream.data == "one two"
            assert not [seen for seen in server.requests if "stop-stream" in seen.path]

    @pytest.mark.kinds("sync")
    @pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
    @pytest.mark.parametrize("sized", [True, False], ids=["sized", "until close"])
    def test_19_a_download_stays_with_its_parent(self, sized: bool, secure: bool, tmp_path: Path) -> None:
        """A child that leaves it lets go of its own end alone."""
        parts = [CONTENT[:100_000], CONTENT[100_000:]]
        framing = {"Content_Length": str(len(CONTENT))} if sized else {"Connection": "close"}

        def serve(taken: Taken) -> bool:
            taken.send(head(200, Content_Type="video/mp4", **framing) + parts[0])
            left.wait(10)
            taken.send(parts[1])
            return False

        left = threading.Event()
        with UploadServer(serve, tls_context(tmp_path, "127.0.0.1") if secure else None) as server:
            verify = str(tmp_path / "authority.pem") if secure else True
            fetched = downloads(server.url, verify=verify).fetch("/film.mp4")
            content = next(fetched)

            def work() -> None:
                fetched.close()
                gc.collect()

            in_child(work)
            left.set()
            assert content + b"".join(fetched) == CONTENT

    @pytest.mark.kinds("sync")
    def test_19_async_clients_in_parent_and_child(self, sandbox: Sandbox) -> None:
        client = indoxrouter.AsyncClient(sandbox.api_key, sandbox.url)

        async def parent() -> None:
            assert await asked_by_async(client, "before", 3) == []
            in_child(lambda: asyncio.run(child()))
            assert await asked_by_async(client, "parent", 20) == []
            await client.close()

        async def child() -> None:
            assert await asked_by_async(client, "child", 20) == []

        asyncio.run(parent())

    @pytest.mark.kinds("sync")
    def test_19_the_environment_is_not_read_again_in_a_child(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What it says now would be refused; the connections are new ones all the same."""
        with RawServer(lambda seen: [ok({"connection": seen.connection})]) as server:
            clients = [indoxrouter.Client(KEY, server.url, auth="key") for _ in range(4)]
            elsewhere = indoxrouter.Client(KEY, "https://router.example/v1", auth="key")
            parents = {client.get_user_info()["connection"] for client in clients}
            monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1")
            before = elsewhere._driver._transport

            def work() -> None:
                assert parents.isdisjoint(client.get_user_info()["connection"] for client in clients)
                assert elsewhere._driver._transport is not before

            in_child(work)

    @pytest.mark.kinds("sync")
    def test_19_a_renewal_that_fails_keeps_no_other_from_its_own(self) -> None:
        class Failing:
            def renew(self) -> object:
                raise OSError("no CA file here")

        with RawServer(lambda seen: [ok({"connection": seen.connection})]) as server:
            failing = [Failing() for _ in range(20)]
            for one in failing:
                renew_in_children(one)
            clients = [indoxrouter.Client(KEY, server.url, auth="key") for _ in range(4)]
            parents = {client.get_user_info()["connection"] for client in clients}

            def work() -> None:
                assert parents.isdisjoint(client.get_user_info()["connection"] for client in clients)

            in_child(work)

    @pytest.mark.kinds("sync")
    def test_19_functions_work_in_a_child(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("INDOX_ROUTER_API_KEY", sandbox.api_key)
        monkeypatch.setenv("INDOX_ROUTER_BASE_URL", sandbox.url)

        def work() -> None:
            indoxrouter.completion("openai/gpt-4o-mini", HELLO)

        work()
        in_child(work)


def ask(client: Any, text: str) -> str:
    """In a worker process."""
    return str(client.completion(text).data)


def ask_async(client: Any, text: str) -> str:
    """In a worker process: each question in an event loop of its own."""

    async def work() -> str:
        async with client:
            return str((await client.completion(text)).data)

    return asyncio.run(work())


class TestPools:
    @pytest.mark.parametrize("method", ["fork", "spawn"])
    @pytest.mark.kinds("sync")
    def test_19_a_client_goes_to_workers_as_an_argument(
        self, method: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("INDOX_ROUTER_API_KEY", sandbox.api_key)
        context = multiprocessing.get_context(method)
        texts = [f"question {n}" for n in range(12)]
        with indoxrouter.Client(sandbox.api_key, sandbox.url) as client:
            client.completion("so that there is a connection")
            with ProcessPoolExecutor(2, mp_context=context) as pool:
                answers = [*pool.map(ask, [client] * len(texts), texts)]
        assert [text for text, answer in zip(texts, answers, strict=True) if text not in answer] == []

    @pytest.mark.parametrize("method", ["fork", "spawn"])
    @pytest.mark.kinds("sync")
    def test_19_an_async_client_goes_to_workers_as_an_argument(
        self, method: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("INDOX_ROUTER_API_KEY", sandbox.api_key)
        texts = [f"question {n}" for n in range(12)]
        client = indoxrouter.AsyncClient(sandbox.api_key, sandbox.url)
        assert "before" in ask_async(client, "before")
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
            answers = [*pool.map(ask_async, [client] * len(texts), texts)]
        assert [text for text, answer in zip(texts, answers, strict=True) if text not in answer] == []

    @pytest.mark.kinds("sync")
    def test_19_a_worker_without_the_key_says_what_it_needs(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("INDOX_ROUTER_API_KEY", raising=False)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            failure = pool.submit(ask, indoxrouter.Client(sandbox.api_key, sandbox.url), "x").exception(60)
        assert isinstance(failure, AuthenticationError)
        assert "INDOX_ROUTER_API_KEY" in str(failure)


class TestPickles:
    SETTINGS = (
        ("timeout", 3.0),
        ("deadline", 9.0),
        ("max_retries", 5),
        ("default_model", "a/b"),
        ("fallback_models", ("c/d",)),
        ("max_connections", 7),
        ("auto_refresh", False),
        ("verify", False),
        ("proxy", "http://proxy.example:3128"),
        ("default_headers", {"X-Team": "blue"}),
    )

    @pytest.mark.parametrize("cls", [indoxrouter.Client, indoxrouter.AsyncClient])
    @pytest.mark.kinds("sync")
    def test_19_the_settings_stay_and_the_secrets_do_not(self, cls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        client = cls("key-canary-1", "https://router.example/v1", cache={"canary-2": "canary-3"}, **dict(self.SETTINGS))
        pickled = pickle.dumps(client)
        assert b"canary" not in pickled
        monkeypatch.setenv("INDOX_ROUTER_API_KEY", "the-key-over-there")
        again = pickle.loads(pickled)
        assert type(again) is cls
        assert again.base_url == client.base_url
        found = again._driver.settings
        assert {name: getattr(found, name) for name, _ in self.SETTINGS} == dict(self.SETTINGS)
        assert found.current_key() == "the-key-over-there"

    @pytest.mark.kinds("sync")
    def test_19_passwords_and_keys_in_other_settings_do_not_stay_either(self) -> None:
        client = indoxrouter.Client(
            "canary-key",
            proxy="http://user:canary-password@proxy.example:3128",
            default_headers={"X-Gateway-Key": "canary-1", "X-Auth-Token": "canary-2", "X-Team": "b"},
        )
        pickled = pickle.dumps(client)
        assert b"canary" not in pickled
        assert b"X-Team" in pickled

    @pytest.mark.parametrize(
        "name",
        ["X-Session", "X-Signature", "X-Credential", "Cf-Access-Jwt-Assertion", "X-Passphrase", "X-Sid", "X-Db-Pwd"],
    )
    @pytest.mark.kinds("sync")
    def test_19_nor_do_headers_whose_names_speak_of_secrets(self, name: str) -> None:
        client = indoxrouter.Client(KEY, default_headers={name: "canary", "X-Side": "left", "X-Request-Source": "b"})
        pickled = pickle.dumps(client)
        assert b"canary" not in pickled
        assert b"X-Side" in pickled
        assert b"X-Request-Source" in pickled

    @pytest.mark.kinds("sync")
    def test_19_a_pickled_client_finds_the_proxy_of_its_new_surroundings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "http://user:canary@proxy.example:3128")
        pickled = pickle.dumps(indoxrouter.Client(KEY, "https://router.example/v1"))
        assert b"canary" not in pickled
        monkeypatch.setenv("HTTPS_PROXY", "http://another.example:3128")
        assert pickle.loads(pickled)._driver.settings.proxy_for(None) == "http://another.example:3128"

    @pytest.mark.kinds("sync")
    def test_19_a_server_without_keys_needs_none_afterwards(self) -> None:
        client = indoxrouter.Client(base_url="http://10.0.0.1:8000/v1", api_key="EMPTY", dialect="openai")
        assert pickle.loads(pickle.dumps(client))._driver.settings.current_key() == ""

    def test_19_a_copy_works_by_itself(self, sandbox: Sandbox) -> None:
        with Client(sandbox.api_key, sandbox.url) as client:
            original = getattr(client, "_client", client)
            for other in (copy.copy(original), copy.deepcopy(original)):
                assert other._driver.settings == original._driver.settings
                assert other._driver is not original._driver

    @pytest.mark.kinds("sync")
    def test_19_the_openai_style_travels_too(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        pickled = pickle.dumps(OpenAI(api_key=sandbox.api_key, base_url=sandbox.openai_url))
        assert sandbox.api_key.encode() not in pickled
        monkeypatch.setenv("OPENAI_API_KEY", sandbox.api_key)
        with pickle.loads(pickled) as client:
            answer = client.chat.completions.create(model="openai/gpt-4o-mini", messages=HELLO)
        assert answer.choices[0].message.content
