"""TLS: what is refused before anything is sent, and what is not known to have been."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from clients import Client

from indoxrouter import NetworkError

KINDS = ("sync", "async")
KEY = "key-of-the-tests"
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"data": "ok"}'


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@contextlib.contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[int]]]:
    """Each connection goes to `serve`; the URL, and a list that grows with the connections."""
    listener = socket.create_server(("127.0.0.1", 0))
    connections: list[int] = []
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            serve(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(1)
                threads.append(threading.Thread(target=one, args=(connection,), daemon=True))
                threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/v1", connections
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in [acceptor, *threads]:
            thread.join(5)


def with_tls(authority: trustme.CA, name: str, then: Callable[[ssl.SSLSocket], None]) -> Callable[[Any], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            then(secure)

    return serve


def answering(secure: ssl.SSLSocket) -> None:
    received = b""
    while data := secure.recv(65536):
        received += data
        if received.endswith(b"}"):  # the end of a body
            secure.sendall(ANSWER)


def swallowing(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def reset(connection: socket.socket) -> None:
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def reset_later(secure: ssl.SSLSocket) -> None:
    secure.recv(1000)
    secure.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_a_certificate_of_a_trusted_authority(authority: trustme.CA, trusted: str) -> None:
    with serving(with_tls(authority, "127.0.0.1", answering)) as (url, connections):
        with Client(KEY, url, auth="key", verify=trusted) as client:
            assert [client.completion("x").data for _ in range(3)] == ["ok"] * 3
        assert len(connections) == 1


@pytest.mark.parametrize("name", ["127.0.0.1", "other.example"])
def test_another_authority_or_name_is_refused_before_anything_is_sent(
    authority: trustme.CA, trusted: str, name: str
) -> None:
    received: list[bytes] = []

    def listening(secure: ssl.SSLSocket) -> None:
        received.append(secure.recv(65536))

    verify = True if name == "127.0.0.1" else trusted
    with serving(with_tls(authority, name, listening)) as (url, _):
        with Client(KEY, url, auth="key", verify=verify, max_retries=0) as client:
            with pytest.raises(NetworkError) as caught:
                client.completion("x")
        assert caught.value.outcome == "not_sent"
        assert KEY not in repr(caught.value)
    assert not any(received)


@pytest.mark.parametrize("serve", [reset, lambda connection: connection.recv(1)], ids=["RST", "FIN"])
def test_a_handshake_that_breaks_is_not_sent_and_is_tried_again(trusted: str, serve: Any) -> None:
    with serving(serve) as (url, connections):
        with Client(KEY, url, auth="key", verify=trusted, max_retries=1) as client:
            with pytest.raises(NetworkError) as caught:
                client.image("x", "a/b")
        assert [attempt.outcome for attempt in caught.value.attempts] == ["not_sent"] * 2
        assert len(connections) == 2


def plainly(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def test_a_server_without_tls_is_named_as_that(trusted: str) -> None:
    with serving(plainly) as (url, _):
        with Client(KEY, url, auth="key", verify=trusted, max_retries=0) as client:
            with pytest.raises(NetworkError) as caught:
                client.completion("x")
    assert (caught.value.code, caught.value.outcome) == ("no_tls", "not_sent")
    assert "is it plain http? is base_url right?" in str(caught.value)


def test_what_ceases_to_be_tls_may_have_been_carried_out(authority: trustme.CA, trusted: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def serve(connection: socket.socket) -> None:
        with connection.dup() as plain, context.wrap_socket(connection, server_side=True) as secure:
            received = b""
            while not received.endswith(b"}"):
                received += secure.recv(65536)
            plain.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            plain.shutdown(socket.SHUT_WR)
            plain.recv(65536)

    with serving(serve) as (url, connections):
        with Client(KEY, url, auth="key", verify=trusted) as client, pytest.raises(NetworkError) as caught:
            client.image("x", "a/b")
        assert (caught.value.code, caught.value.outcome, len(connections)) == (None, "unknown", 1)


def test_a_silent_handshake_is_not_sent(trusted: str) -> None:
    with serving(swallowing) as (url, _):
        with Client(KEY, url, auth="key", verify=trusted, max_retries=0) as client:
            with pytest.raises(NetworkError) as caught:
                client.completion("x", timeout=0.5)
    assert caught.value.outcome == "not_sent"


def test_a_connection_that_breaks_while_sending_is_unknown(authority: trustme.CA, trusted: str) -> None:
    with serving(with_tls(authority, "127.0.0.1", reset_later)) as (url, connections):
        with Client(KEY, url, auth="key", verify=trusted) as client:
            with pytest.raises(NetworkError) as caught:
                client.image("x" * 20_000_000, "a/b")
        assert caught.value.outcome == "unknown"
        assert len(connections) == 1, "a paid call was repeated that must not be"
