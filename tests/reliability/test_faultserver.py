"""The fault server does what its scripts say: or the proof that rests on it proves nothing."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trustme
from raw_server import FIN, HOLD, RST, head

from indoxrouter import Client

from .answers import answer_to, said
from .control import Control, Remote
from .exchange import Action, Drip, Exchange
from .faults_of_http import told
from .faultserver import FaultServer
from .proxy import Proxy
from .tls import serving_tls

TESTS = Path(__file__).parent.parent
ASKED = b'{"prompt": "nonce-000000042: hello"}'


def ask(url: str, body: bytes = ASKED, key: str = "k1") -> socket.socket:
    """A connection on which a completion has been asked for."""
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    sock = socket.create_connection((name, int(port)), timeout=5)
    lines = [f"POST /{path}/completions HTTP/1.1", f"Idempotency-Key: {key}", f"Content-Length: {len(body)}"]
    sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
    return sock


def everything(sock: socket.socket) -> bytes:
    """All up to FIN; a RST raises."""
    with closing(sock):
        return b"".join(iter(lambda: sock.recv(65536), b""))


def test_a_case_answers_well_until_it_is_armed(server: FaultServer) -> None:
    case = server.case(told(lambda _: b"odd", FIN))
    good = answer_to("/v1/completions", json.loads(ASKED), "nonce-000000042").usual()
    with closing(ask(case.url)) as sock:
        assert sock.recv(65536) == good
    case.arm(1)
    assert everything(ask(case.url)) == b"odd"
    assert (
        said("nonce-000000042", "nonce-000000042: hello").encode()
        in json.loads(good.partition(b"\r\n\r\n")[2])["data"].encode()
    )
    assert [seen.key for seen in case.requests] == ["k1", "k1"]


@pytest.mark.parametrize("end", [FIN, RST])
def test_ends_are_what_they_are_called(end: Action, server: FaultServer) -> None:
    """FIN too where the request was not read to its end, which a plain close answers with RST."""

    def script(exchange: Exchange) -> Iterator[Action]:
        exchange.read(5)
        assert exchange._body == ASKED[:5]
        yield b"some"
        yield 0.05
        yield end

    case = server.case(script)
    case.arm(1)
    sock = ask(case.url, ASKED + b" " * 100_000)
    if end is RST:
        with pytest.raises(ConnectionResetError):
            everything(sock)
    else:
        assert everything(sock) == b"some"
    assert case.log == []
    assert server.ledger.charges(case.name) == 0


def test_hold_drip_and_sleep(server: FaultServer) -> None:
    def script(exchange: Exchange) -> Iterator[Action]:
        exchange.read()
        yield Drip(b"abcdef", 2, 0.05)
        yield 0.05
        yield HOLD

    case = server.case(script)
    case.arm(1)
    begun = time.monotonic()
    with closing(ask(case.url)) as sock:
        pieces = [sock.recv(65536) for _ in range(3)]
        sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            sock.recv(1)
    assert pieces == [b"ab", b"cd", b"ef"]
    assert time.monotonic() - begun >= 0.4


def test_the_ledger_charges_a_key_once_and_counts_what_was_carried_out(server: FaultServer) -> None:
    case = server.case()
    for key in ("k1", "k1", "k2"):
        with closing(ask(case.url, key=key)) as sock:
            assert sock.recv(65536)
    assert server.ledger.charges(case.name) == 2
    assert server.ledger.carried_out(case.name) == {"k1": 2, "k2": 1}


def test_doors(server: FaultServer) -> None:
    case = server.case(origin=server.door(lambda n: RST if n == 0 else None))
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        everything(ask(case.url))
    with closing(ask(case.url)) as sock:
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
    origin, open_it = server.shut_door()
    shut = server.case(origin=origin)
    with pytest.raises(ConnectionRefusedError):
        ask(shut.url)
    open_it()
    with closing(ask(shut.url)) as sock:
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")


def test_tls_and_a_proxy_with_a_password(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with FaultServer(serving_tls(authority)) as secure, Proxy("pass") as proxy:
        case = secure.case()
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        port = int(secure.origin.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as plain:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as sock:
                sock.sendall(f"GET /{case.name}/v1/models HTTP/1.1\r\nX-Trace-Id: nonce-000000009\r\n\r\n".encode())
                assert b"nonce-000000009" in sock.recv(65536)
        with Client("key", case.url, proxy=proxy.url, verify=str(tmp_path / "ca.pem")) as client:
            assert list(client.models(extra_headers={"X-Trace-Id": "nonce-000000008"})) == ["nonce-000000008"]
        assert [line.rpartition(" ")[0] for line in proxy.asked] == [f"CONNECT 127.0.0.1:{port}"]


def _fails(_: Exchange) -> Iterator[Action]:
    yield head(200)
    raise LookupError("a mistake in a script")


def test_a_script_that_fails_is_told(server: FaultServer) -> None:
    case = server.case(_fails)
    case.arm(1)
    assert everything(ask(case.url)) == head(200)
    assert "a mistake in a script" in "".join(case.log)


CHILD = """
    import json, sys
    from indoxrouter import Client, IndoxRouterError
    from reliability.control import Remote

    with Remote(int(sys.argv[1])) as remote:
        case = remote.ask("case", {"script": [{"good": "half"}, {"end": "rst"}], "times": 1})
        with Client("key", case["url"], max_retries=1) as client:
            text = client.completion("nonce-000000077").data
        seen, ledger = remote.ask("seen", case["name"]), remote.ask("ledger", case["name"])
        print(json.dumps([text, seen, ledger]))
"""


def test_the_control_port_from_a_child_process(server: FaultServer) -> None:
    with Control(server) as control:
        command = [sys.executable, "-c", textwrap.dedent(CHILD), str(control.port)]
        done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    text, seen, ledger = json.loads(done.stdout)
    assert text == said("nonce-000000077", "nonce-000000077")
    assert [(method, whole) for method, _, _, whole in seen] == [("POST", True)] * 2
    assert list(ledger.values()) == [2]


def test_the_control_port_refuses_what_it_does_not_know(server: FaultServer) -> None:
    with Control(server) as control, Remote(control.port) as remote:
        for word, given in (("dance", 1), ("seen", "case-x"), ("case", {}), ("arm", 5)):
            with pytest.raises(ValueError, match="Error"):
                remote.ask(word, given)
        steps = [{"read": None}, {"send": "a"}, {"sleep": 0.01}, {"drip": "bc"}, {"answer": [500, {}]}, {"end": "fin"}]
        case = remote.ask("case", {"script": steps})
        assert everything(ask(case["url"])).startswith(b"abcHTTP/1.1 500")
        remote.ask("arm", [case["name"], 1])
        assert everything(ask(case["url"])).startswith(b"abc")
