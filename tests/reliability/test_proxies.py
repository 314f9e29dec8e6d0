"""Proxies on loopback: everything goes through them, nothing of theirs goes further, and their failures are told."""

from __future__ import annotations

import base64
import contextlib
import gc
import logging
import socket
import struct
import threading
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from clients import Client
from raw_server import FIN, RST, Action, RawServer, Seen, answer, ok

from indoxrouter import (
    APIError,
    ConfigurationError,
    IndoxRouterError,
    NetworkError,
    RequestError,
    ServiceUnavailableError,
)
from indoxrouter.sandbox import Sandbox

from . import canaries
from .certificates import BAD, Certificates
from .exchange import Exchange
from .faultserver import FaultServer
from .proxy import Proxy
from .relay import Relay

KINDS = ("sync", "async")
ELSEWHERE = "router.test"
"""A host that only the proxy knows."""
MESSAGES = [{"role": "user", "content": "nonce-000000001"}]
KEY = "key-of-the-router"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def servers(certificates: Certificates) -> Iterator[dict[str, FaultServer]]:
    tls = certificates.serving(ELSEWHERE)
    with FaultServer() as plain, FaultServer(tls) as secure:
        yield {"http": plain, "https": secure}


class Target:
    """A server's corner, as its clients name it."""

    def __init__(self, server: FaultServer, certificates: Certificates) -> None:
        self.case = server.case()
        self.url = self.case.url.replace("127.0.0.1", ELSEWHERE)
        self.address = self.url.partition("//")[2].partition("/")[0]
        self.settings: dict[str, Any] = {"allow_insecure": True, "verify": certificates.authority, "auth": "key"}

    @property
    def heard(self) -> str:
        """All that it was sent beside bodies."""
        return repr([(exchange.path, exchange.headers) for exchange in self.case.requests])


@pytest.fixture(params=["http", "https"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def target(scheme: str, servers: dict[str, FaultServer], certificates: Certificates) -> Target:
    return Target(servers[scheme], certificates)


@pytest.mark.parametrize("how", ["proxy=", "SCHEME_PROXY", "scheme_proxy", "ALL_PROXY", "all_proxy"])
def test_calls_streams_and_uploads_go_through_it(
    how: str, scheme: str, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    def uploaded(exchange: Exchange) -> Iterator[bytes]:
        yield ok({"text": str(len(exchange.read()))})

    with Proxy(knows=ELSEWHERE) as proxy:
        settings = {**target.settings, "auth": "login"}
        if how == "proxy=":
            settings["proxy"] = proxy.url
        else:
            monkeypatch.setenv(how.replace("SCHEME", scheme.upper()).replace("scheme", scheme), proxy.url)
        with Client(KEY, target.url, **settings) as client:
            assert "nonce-000000001" in client.chat(MESSAGES).data
            assert "nonce-000000001" in client.chat(MESSAGES, stream=True).response().data
            with client.chat(MESSAGES, stream=True) as stream:
                next(iter(stream))
            target.case.script = uploaded
            target.case.arm(1)
            assert int(client.transcribe(bytes(3_000_000), "a/b").text) > 3_000_000
            assert client.models()
    assert len(target.case.requests) == 5
    assert len(target.case.logins) == 1
    if scheme == "https":
        assert {line.rpartition(" ")[0] for line in proxy.asked} == {f"CONNECT {target.address}"}
        assert len(proxy.asked) <= 2  # the stream that was left took its connection with it
    else:
        assert all(f" http://{target.address}/" in line for line in proxy.asked)
        assert [line.partition(" ")[0] for line in proxy.asked] == ["POST"] * 5 + ["GET"]


def test_a_real_router_behind_it(certificates: Certificates, tmp_path: Path) -> None:
    pair = certificates.good()
    with Sandbox(certificate=pair.certificate, private_key=pair.private_key) as sandbox, Proxy() as proxy:
        settings = {"proxy": proxy.url, "verify": certificates.authority}
        with Client(sandbox.api_key, sandbox.url, **settings) as client:
            assert "Hello" in client.completion("Hello").data
            assert "Hello" in client.completion("Hello", stream=True).response().data
            spoken = client.speech("Good morning").save(tmp_path)
            assert client.transcribe(spoken).text
            assert client.get_usage().total_requests
    assert len(proxy.asked) <= 3  # downloads have connections of their own


@pytest.mark.parametrize("password", ["secret", "p@ss:w/rd?#% +", "schlüssel"])
def test_its_password_reaches_it_alone(
    password: str, target: Target, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    written = base64.b64encode(f"user:{password}".encode("latin-1")).decode()
    with Proxy(password, knows=ELSEWHERE) as proxy:
        with Client(KEY, target.url, proxy=proxy.url, **target.settings) as client:
            assert "nonce-000000001" in client.chat(MESSAGES).data
            assert "nonce-000000001" in client.chat(MESSAGES, stream=True).response().data
            shown = repr(client) + str(client.__dict__)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        with Client(KEY, target.url, **target.settings) as client:
            assert "nonce-000000001" in client.chat(MESSAGES).data
    assert any(written in line for line in proxy.headers)
    assert len(target.case.requests) == 3
    for text in (target.heard, shown, caplog.text):
        for secret in (password, written, quote(password, safe="")):
            assert secret not in text
    assert "proxy-authorization" not in target.heard
    if target.url.startswith("https:"):
        assert not any(KEY in line for line in proxy.headers)


def test_a_password_that_no_header_can_hold(target: Target) -> None:
    with pytest.raises(ConfigurationError, match="Latin-1") as caught:
        Client(KEY, target.url, proxy=f"http://user:{quote('пароль')}@127.0.0.1:1", **target.settings)
    assert quote("пароль") not in repr(caught.value)


DIRECT = [ELSEWHERE, ".test", "test", "other.example, router.test", "*", "ROUTER.TEST", "{address}"]
PROXIED = ["other.test", "outer.test", "est", "router.test:1", "router.test.example", "127.0.0.1", ""]


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize("exception", [*DIRECT, *PROXIED])
def test_hosts_that_are_excepted(exception: str, name: str, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    with Proxy(knows=ELSEWHERE) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        monkeypatch.setenv(name, exception.format(address=target.address))
        with Client(KEY, target.url, max_retries=0, **target.settings) as client:
            if exception in PROXIED:
                assert client.chat(MESSAGES).success
            else:
                with pytest.raises(NetworkError) as caught:  # nobody but the proxy knows that host
                    client.chat(MESSAGES)
                assert caught.value.outcome == "not_sent"
        assert bool(proxy.asked) == (exception in PROXIED)


def test_a_given_proxy_has_no_exceptions(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with Proxy(knows=ELSEWHERE) as proxy:
        with Client(KEY, target.url, proxy=proxy.url, **target.settings) as client:
            assert client.chat(MESSAGES).success
        assert proxy.asked


def test_the_environments_proxy_is_for_its_scheme(scheme: str, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    other = "HTTP_PROXY" if scheme == "https" else "HTTPS_PROXY"
    with Proxy(knows=ELSEWHERE) as proxy:
        monkeypatch.setenv(other, proxy.url)
        with Client(KEY, target.url, max_retries=0, **target.settings) as client:
            with pytest.raises(NetworkError):
                client.chat(MESSAGES)
        assert proxy.asked == []


def test_another_server_is_reached_as_the_environment_says_for_it(
    target: Target, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    with Proxy(knows=ELSEWHERE) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        with Client(sandbox.api_key, sandbox.url, **{**target.settings, "auth": "login"}) as client:
            assert client.completion("x").success
            assert proxy.asked == []
            client.set_base_url(target.url)
            assert client.completion("nonce-000000001").success
            assert proxy.asked


def test_an_environment_that_names_no_scheme(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    with Proxy("secret", knows=ELSEWHERE) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url.removeprefix("http://"))
        with Client(KEY, target.url, **target.settings) as client:
            assert client.chat(MESSAGES).success
        assert proxy.asked


NO_PROXIES = ["socks5://127.0.0.1:1", "socks5h://user:secret@h:1", "ftp://x", "http://", ":", "http://h:x", "http://[h"]


@pytest.mark.parametrize("url", NO_PROXIES)
def test_an_environment_that_names_what_is_no_proxy_for_http(
    url: str, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", url)
    with pytest.raises(ConfigurationError, match="ALL_PROXY") as caught:
        Client(KEY, target.url, **target.settings)
    assert "secret" not in repr(caught.value)
    monkeypatch.setenv("NO_PROXY", ELSEWHERE)
    Client(KEY, target.url, **target.settings).close()


CONNECTED = b"HTTP/1.1 200 Connection established\r\n\r\n"
CANARY = f"{canaries.WORD}.of.the.proxy"


def scripted(*actions: Action) -> RawServer:
    """A proxy that does the same whatever it is asked."""

    def script(_: Seen) -> Iterable[Action]:
        return actions

    return RawServer(script, logins=False)


BROKEN = r"no connection by the proxy http://127\.0\.0\.1:\d+ \("
TUNNEL_FAILURES: dict[str, tuple[tuple[Action, ...], str]] = {
    "forbidden": ((answer(403, {}, Connection="close"), FIN), r"the proxy \S+ answered 403"),
    "bad gateway": ((answer(502, {}, Connection="close"), FIN), r"the proxy \S+ answered 502"),
    "repeats what it was sent": ((f"HTTP/1.1 500 {CANARY}\r\n\r\n".encode(), FIN), r"the proxy \S+ answered 500"),
    "no answer": ((FIN,), BROKEN),
    "reset": ((RST,), BROKEN),
    "half an answer": ((b"HTTP/1.1 200 Conn", FIN), BROKEN),
    "no HTTP": ((b"\x00\x01\x02\r\n\r\n", FIN), BROKEN),
    "closed after CONNECT": ((CONNECTED, FIN), BROKEN),
    "reset after CONNECT": ((CONNECTED, 0.2, RST), BROKEN),
    "no TLS after CONNECT": ((CONNECTED, 0.2, b"HTTP/1.1 400 What?\r\n\r\n", FIN), BROKEN),
}


@pytest.mark.parametrize("scheme", ["https"])
@pytest.mark.parametrize("name", list(TUNNEL_FAILURES))
def test_a_tunnel_that_fails(name: str, target: Target, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing was sent, so even an image may be asked for again."""
    caplog.set_level(logging.DEBUG)
    actions, message = TUNNEL_FAILURES[name]
    with scripted(*actions) as proxy:
        url = proxy.origin.replace("//", f"//user:{CANARY}@")
        with Client(KEY, target.url, proxy=url, max_retries=1, **target.settings) as client:
            with pytest.raises(NetworkError, match=message) as caught:
                client.image("x", "a/b")
        assert caught.value.outcome == "not_sent"
        assert [attempt.outcome for attempt in caught.value.attempts] == ["not_sent"] * 2
        assert proxy.connections == 2
        assert len(proxy.requests) == 2
    assert target.case.requests == []
    assert target.address in caught.value.message
    assert canaries.leaks_of(caught.value) == []
    assert canaries.leaks_in(caplog.text) == []


@pytest.mark.parametrize("scheme", ["https"])
@pytest.mark.parametrize("fin", [True, False], ids=["FIN and RST", "RST"])
def test_a_tunnel_that_ends_before_tls_is_begun(fin: bool, target: Target) -> None:
    """Python's ssl takes the first for a connection, over which a request would go as it is."""

    def leave() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client:
                    assert client.recv(65536).startswith(b"CONNECT")
                    client.sendall(CONNECTED)
                    if fin:
                        client.shutdown(socket.SHUT_WR)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with socket.create_server(("127.0.0.1", 0)) as listener, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # ssl leaves a socket open there
        server = threading.Thread(target=leave, daemon=True)
        server.start()
        proxy = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with Client(KEY, target.url, proxy=proxy, max_retries=0, **target.settings) as client:
            for _ in range(5):
                with pytest.raises(NetworkError, match="no connection") as caught:
                    client.image("x", "a/b")
                assert caught.value.outcome == "not_sent"
        listener.shutdown(socket.SHUT_RDWR)
        server.join(5)
        del caught
        gc.collect()


def test_a_proxy_that_is_down(target: Target) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Client(KEY, target.url, proxy=f"http://user:{CANARY}@127.0.0.1:{port}", max_retries=1, **target.settings) as c:
        with pytest.raises(NetworkError, match=BROKEN) as caught:
            c.image("x", "a/b")
    assert [attempt.outcome for attempt in caught.value.attempts] == ["not_sent"] * 2
    assert canaries.leaks_of(caught.value) == []


def test_a_proxy_that_nobody_knows(target: Target) -> None:
    with Client(KEY, target.url, proxy=f"http://user:{CANARY}@proxy.invalid:1", max_retries=0, **target.settings) as c:
        with pytest.raises(NetworkError, match="proxy") as caught:
            c.image("x", "a/b")
    assert caught.value.outcome == "not_sent"
    assert canaries.leaks_of(caught.value) == []


@pytest.mark.parametrize("scheme", ["http"])
@pytest.mark.parametrize(
    ("actions", "error", "outcome"),
    [
        ((FIN,), NetworkError, "unknown"),
        ((RST,), NetworkError, "unknown"),
        ((b"HTTP/1.1 200 OK\r\nContent-Le", FIN), NetworkError, "unknown"),
        ((answer(200, {"data": "x"})[:-3], FIN), NetworkError, "unknown"),
        ((answer(502, {}),), RequestError, "unknown"),
        ((answer(504, {}),), RequestError, "unknown"),
    ],
    ids=["FIN", "RST", "half a head", "half a body", "502", "504"],
)
def test_a_plain_request_that_its_proxy_took(
    actions: tuple[Action, ...], error: type[IndoxRouterError], outcome: str, target: Target
) -> None:
    """It may have been passed on: an image is not asked for again."""
    with scripted(*actions) as proxy:
        with Client(KEY, target.url, proxy=proxy.origin, max_retries=2, **target.settings) as client:
            with pytest.raises(error) as caught:
                client.image("x", "a/b")
        assert caught.value.outcome == outcome
        assert len(proxy.requests) == 1
        assert proxy.requests[0].path.startswith(f"http://{target.address}/")


@pytest.mark.parametrize("scheme", ["http"])
def test_a_plain_request_that_its_proxy_refused(target: Target) -> None:
    with Proxy("secret", knows=ELSEWHERE, echoes=True) as proxy:
        url = proxy.url.replace("secret", CANARY)
        with Client(KEY, target.url, proxy=url, max_retries=2, **target.settings) as client:
            with pytest.raises(APIError, match="proxy") as caught:
                client.image("x", "a/b")
        assert (caught.value.status_code, caught.value.outcome, caught.value.retryable) == (407, "rejected", False)
        assert len(proxy.asked) == 1
    assert target.case.requests == []


@pytest.mark.parametrize("scheme", ["http"])
def test_a_proxy_that_is_busy_is_asked_again(target: Target) -> None:
    with scripted(answer(503, {}, retry_after_ms="1")) as proxy:
        with Client(KEY, target.url, proxy=proxy.origin, max_retries=2, **target.settings) as client:
            with pytest.raises(ServiceUnavailableError):
                client.image("x", "a/b")
        assert len(proxy.requests) == 3


@pytest.mark.parametrize("name", list(BAD))
def test_a_bad_certificate_behind_it_is_met_once(name: str, certificates: Certificates) -> None:
    pair = BAD[name].make(certificates)
    with Sandbox(certificate=pair.certificate, private_key=pair.private_key) as sandbox, Proxy() as proxy:
        settings = {"proxy": proxy.url, "verify": certificates.authority, "fallback_models": ["a/b"]}
        with Client(sandbox.api_key, sandbox.url, **settings) as client:
            with pytest.raises(NetworkError) as caught:
                client.chat(MESSAGES)
        assert (caught.value.code, caught.value.outcome) == ("certificate", "not_sent")
        assert BAD[name].reason in caught.value.message
        assert len(proxy.asked) == 1
        assert sandbox.stats()["requests"] == {}


@pytest.mark.parametrize("scheme", ["https"])
def test_a_wrong_password_is_not_tried_again(target: Target) -> None:
    with Proxy("secret", knows=ELSEWHERE, echoes=True) as proxy:
        url = proxy.url.replace("secret", CANARY)
        with Client(KEY, target.url, proxy=url, max_retries=2, fallback_models=["a/b"], **target.settings) as client:
            with pytest.raises(NetworkError, match="answered 407") as caught:
                client.chat(MESSAGES)
        error = caught.value
        assert (error.code, error.outcome, error.retryable) == ("proxy_authentication", "not_sent", False)
        assert len(proxy.asked) == 1
    assert canaries.leaks_of(error) == []


@pytest.mark.parametrize("scheme", ["http"])
@pytest.mark.parametrize("status", [407, 500, 502])
def test_a_proxy_that_repeats_its_password(status: int, target: Target) -> None:
    given = base64.b64encode(f"user:{CANARY}".encode()).decode()
    with scripted(answer(status, {"detail": f"Proxy-Authorization: Basic {given}"})) as proxy:
        url = proxy.origin.replace("//", f"//user:{CANARY}@")
        with Client(KEY, target.url, proxy=url, **target.settings) as client:
            with pytest.raises(APIError) as caught:
                client.image("x", "a/b")
        assert proxy.requests[0].headers["proxy-authorization"] == f"Basic {given}"
    assert not any(given in text for _, text in canaries.told_by(caught.value))


@pytest.mark.parametrize("trusted", [True, False])
def test_a_proxy_that_speaks_tls_itself(trusted: bool, target: Target, certificates: Certificates) -> None:
    tls = certificates.serving("127.0.0.1" if trusted else "proxy.example")
    with Proxy("secret", knows=ELSEWHERE) as proxy, Relay(int(proxy.url.rpartition(":")[2]), tls) as relay:
        url = f"https://user:secret@127.0.0.1:{relay.port}"
        with Client(KEY, target.url, proxy=url, max_retries=2, **target.settings) as client:
            if trusted:
                assert client.completion("nonce-000000001" + "x" * 1_000_000, deadline=20).success
                assert client.chat(MESSAGES).success
                assert client.chat(MESSAGES, stream=True).response().data
            else:
                with pytest.raises(NetworkError) as caught:
                    client.chat(MESSAGES)
                assert (caught.value.code, caught.value.outcome) == ("certificate", "not_sent")
                assert relay.connections == 1
                assert proxy.asked == []
