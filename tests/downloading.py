"""Downloads as tests ask for them, and the internet as far as they need it."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from raw_server import Action, RawServer, answer
from upload_server import Taken, UploadServer

from indoxrouter import Client
from indoxrouter.downloads import Downloads

KEY = "key-of-the-tests"
CONTENT = bytes(range(256)) * 1000
SECRET = "canary-of-a-signature"
QUERY = f"?X-Signature={SECRET}&part=1"
WHOLE = answer(200, CONTENT, Content_Type="video/mp4")


def whole(content: bytes, **headers: str) -> bytes:
    """An answer that has a file."""
    return answer(200, content, **{"Content_Type": "image/png", **headers})


def downloads(base_url: str, *, max_retries: int = 0, **settings: Any) -> Downloads:
    with Client(KEY, base_url, max_retries=max_retries, **settings) as client:
        return client._driver.downloads


def fetched(base_url: str, url: str, **settings: Any) -> bytes:
    return b"".join(downloads(base_url, **settings).fetch(url))


@contextlib.contextmanager
def serving(*actions: Action) -> Iterator[RawServer]:
    with RawServer(lambda _: actions) as server:
        yield server


class Network:
    """The internet as far as a test needs it: names, and public addresses that stand for ports of loopback."""

    PUBLIC = "93.184.216.34"

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: dict[str, list[str]] = {}
        self.port = 0
        self.lookups: list[str] = []
        self.connected: list[Any] = []
        self._patch = monkeypatch

    def __enter__(self) -> Network:
        look_up, connect = socket.getaddrinfo, socket.socket.connect

        def names_here(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            if host in self.names:
                self.lookups.append(host)
                found = [look_up(address, port, *args, **kwargs) for address in self.names[host]]
                return [entry for entries in found for entry in entries]
            if str(host).endswith(".example"):
                self.lookups.append(host)
                raise socket.gaierror(-2, "Name or service not known")
            return look_up(host, port, *args, **kwargs)

        def connect_here(connection: socket.socket, address: Any) -> None:
            if address[0] == self.PUBLIC:
                self.connected.append(address)
                address = ("127.0.0.1", self.port)
            connect(connection, address)

        self._patch.setattr(socket, "getaddrinfo", names_here)
        self._patch.setattr(socket.socket, "connect", connect_here)
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()


def tls_context(folder: Path, name: str) -> ssl.SSLContext:
    """Of an authority that is put into the folder."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@contextlib.contextmanager
def https_server(folder: Path, name: str, *actions: bytes) -> Iterator[UploadServer]:
    """A server whose certificate is of an authority in the folder."""

    def serve(taken: Taken) -> bool:
        taken.send(b"".join(actions))
        return False

    with UploadServer(serve, tls_context(folder, name)) as server:
        yield server
