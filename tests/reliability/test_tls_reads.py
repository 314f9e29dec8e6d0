"""What TLS has read ahead of its readers, and what ends them: with a server's TLS, and with that within a proxy's."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from clients import Client
from raw_server import HOLD, STREAM_HEAD, Action, ok, piece

from .certificates import Certificates
from .exchange import Exchange
from .faultserver import FaultServer
from .proxy import Proxy
from .pulse import Pulse
from .relay import Relay

KINDS = ("sync", "async")
KEY = "key-of-the-tests"
MESSAGES = [{"role": "user", "content": "nonce-000000001"}]
SOON = 1.0


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(params=["direct", "by a proxy", "by a proxy that speaks TLS itself"])
def reached(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[dict[str, Any]]:
    settings: dict[str, Any] = {"verify": certificates.authority, "auth": "key", "max_retries": 0}
    with Proxy() as proxy, Relay(proxy.port, certificates.serving("127.0.0.1")) as relay:
        if request.param != "direct":
            secure = request.param != "by a proxy"
            settings["proxy"] = f"https://127.0.0.1:{relay.port}" if secure else proxy.url
        yield settings


@pytest.fixture
def secure(certificates: Certificates) -> Iterator[FaultServer]:
    with FaultServer(certificates.serving("127.0.0.1")) as server:
        yield server


def said(text: str, size: int) -> bytes:
    return ok({"data": text, "finish_reason": "stop", "model": "m", "padding": "x" * size})


@pytest.mark.parametrize("size", [10, 5_000, 10_000, 30_000])
@pytest.mark.parametrize("records", [1, 2])
def test_20_an_answer_that_nobody_asked_for_is_nobodys(
    records: int, size: int, reached: dict[str, Any], secure: FaultServer
) -> None:
    """It comes in one record with the end of another, or in one of its own; always in one packet."""

    def script(exchange: Exchange) -> Iterator[Action]:
        asked, stray = json.loads(exchange.read())["prompt"], said("of nobody", 10) if exchange.number == 0 else b""
        wire = exchange.wire.sock
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        if records == 1:
            wire.sendall(said(asked, size) + stray)
        else:
            wire.sendall(said(asked, size))
            wire.sendall(stray)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        yield 0

    case = secure.case(script)
    case.arm(3)
    with Client(KEY, case.url, **reached) as client:
        for asked in ("one", "two", "three"):
            assert client.completion(asked).data == asked
            time.sleep(0.05)
    assert case.log == []


def test_21_a_connection_is_used_again(reached: dict[str, Any], secure: FaultServer) -> None:
    case = secure.case()
    with Client(KEY, case.url, **reached) as client:
        for size in (10, 10_000, 30_000):
            client.completion("nonce-000000001" + "x" * size)
            client.chat(MESSAGES, stream=True).response()
    assert len({exchange.connection for exchange in case.requests}) == 1


def test_28_closing_a_stream_ends_the_read_of_another_thread(
    reached: dict[str, Any], secure: FaultServer, pulse: Pulse
) -> None:
    case = secure.case(lambda exchange: [exchange.read() and b"", STREAM_HEAD + piece("one "), HOLD])
    case.arm(1)
    with Client(KEY, case.url, **reached) as client:
        stream = client.chat(MESSAGES, stream=True)
        heard: list[Any] = []

        def read() -> None:
            try:
                heard.extend(str(chunk) for chunk in stream)
            except BaseException as error:  # noqa: BLE001 - judged below
                heard.append(error)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        time.sleep(0.2)
        assert reader.is_alive()
        with pulse.watching() as stall:
            begun = time.monotonic()
            stream.close()
            reader.join(SOON + 10)
            took = time.monotonic() - begun
        assert not reader.is_alive()
        assert stall.excuses(took - SOON), f"it took {took:.2f} s"
        assert heard == ["one "]
        assert secure.wait_until_closed()
