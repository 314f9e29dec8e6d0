"""Rule G39: what is behind a result URL is fetched under guard, whole or not at all."""

from __future__ import annotations

import contextlib
import gzip
import logging
import socket
import ssl
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from raw_server import FIN, HOLD, RST, Action, RawServer, Seen, answer, chunked, head
from upload_server import Taken, UploadServer

from indoxrouter import (
    APIError,
    AuthenticationError,
    Client,
    DeadlineExceededError,
    IndoxRouterError,
    NetworkError,
    PermissionDeniedError,
    RequestTimeoutError,
    ValidationError,
)
from indoxrouter.core import policy
from indoxrouter.downloads import Downloads
from indoxrouter.transports.guarded import is_public

KEY = "key-of-the-tests"
CONTENT = bytes(range(256)) * 1000
SECRET = "canary-of-a-signature"
QUERY = f"?X-Signature={SECRET}&part=1"
WHOLE = answer(200, CONTENT, Content_Type="video/mp4")


def downloads(base_url: str, **settings: Any) -> Downloads:
    with Client(KEY, base_url, **settings) as client:
        return Downloads(client._driver.settings)


def fetched(base_url: str, url: str, **settings: Any) -> bytes:
    return b"".join(downloads(base_url, **settings).fetch(url))


@contextlib.contextmanager
def serving(*actions: Action) -> Iterator[RawServer]:
    with RawServer(lambda _: actions) as server:
        yield server


class TestWhatIsFetched:
    def test_it_comes_in_pieces_and_only_when_asked_for(self) -> None:
        with serving(WHOLE) as server:
            pieces = downloads(server.url).fetch(f"{server.origin}/files/a.mp4{QUERY}")
            assert server.connections == 0
            found = list(pieces)
            assert server.wait_until_closed()
        assert b"".join(found) == CONTENT
        assert len(found) > 1
        assert server.requests[0].path == f"/files/a.mp4{QUERY}"

    def test_no_login_no_cookie_and_no_header_of_the_callers_goes_along(self) -> None:
        with serving(answer(200, b"x", Set_Cookie="session=1")) as server:
            with Client(KEY, server.url, default_headers={"X-Team": "blue"}) as client:
                client.test_connection()
                client.models  # noqa: B018 - nothing is asked by looking
                found = Downloads(client._driver.settings)
            for _ in range(2):
                assert list(found.fetch(f"{server.origin}/a")) == [b"x"]
        assert server.logins == []
        for seen in server.requests[1:]:
            assert set(seen.headers) == {"host", "accept", "accept-encoding", "user-agent"}

    @pytest.mark.parametrize(
        "sent",
        [
            head(200, Content_Length="256000", Content_Type="x/y") + CONTENT,
            head(200, Transfer_Encoding="chunked") + chunked(CONTENT[:1000], CONTENT[1000:]),
            head(200, Connection="close") + CONTENT,
            answer(200, gzip.compress(CONTENT), Content_Encoding="gzip"),
            head(200, Transfer_Encoding="chunked", Content_Encoding="gzip") + chunked(gzip.compress(CONTENT)),
        ],
    )
    def test_every_form_of_a_body(self, sent: bytes) -> None:
        with serving(sent, FIN) as server:
            assert fetched(server.url, f"{server.origin}/a") == CONTENT

    def test_an_empty_file(self) -> None:
        with serving(answer(200, b"")) as server:
            assert fetched(server.url, f"{server.origin}/a") == b""

    @pytest.mark.parametrize(
        ("given", "asked"),
        [
            ("/a b/ü.png?q=ö&r=1 2", "/a%20b/%C3%BC.png?q=%C3%B6&r=1%202"),
            ("/a#part", "/a"),
            ("", "/"),
            ("?q=1", "/?q=1"),
            ("/%2F?x=%20+", "/%2F?x=%20+"),
            ("/a/../b", "/b"),
        ],
    )
    def test_a_url_is_sent_in_its_normal_form(self, given: str, asked: str) -> None:
        with serving(answer(200, b"x")) as server:
            assert fetched(server.url, f" {server.origin.upper().replace('HTTP', 'http')}{given}\n") == b"x"
        assert server.requests[0].path == asked

    def test_leaving_early_drops_the_connection(self) -> None:
        with serving(head(200, Content_Length="1000000"), CONTENT, HOLD) as server:
            pieces = downloads(server.url).fetch(f"{server.origin}/a")
            assert next(pieces)
            assert server.open_connections == 1
            pieces.close()  # type: ignore[attr-defined] # a generator, as any caller may make use of
            assert server.wait_until_closed()

    def test_memory_does_not_grow_with_the_file(self) -> None:
        def serve(taken: Taken) -> bool:
            taken.send(head(200, Content_Length="100000000"))
            for _ in range(1000):
                taken.send(bytes(100_000))
            return False

        with UploadServer(serve) as server:
            found = downloads(server.url)
            tracemalloc.start()
            try:
                assert sum(len(piece) for piece in found.fetch(f"{server.url}/a")) == 100_000_000
                most = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert most < 20_000_000


class TestCutShort:
    PACKED = gzip.compress(CONTENT, mtime=0)

    @pytest.mark.parametrize("end", [FIN, RST], ids=["FIN", "RST"])
    @pytest.mark.parametrize(
        "sent",
        [
            head(200, Content_Length="256001") + CONTENT,
            head(200, Content_Length="256000"),
            head(200, Transfer_Encoding="chunked") + chunked(CONTENT, last=False),
            head(200, Transfer_Encoding="chunked") + chunked(CONTENT)[:-100],
            head(200, Content_Encoding="gzip", Connection="close") + PACKED[:-9],
            head(200, Content_Encoding="gzip", Content_Length=str(len(PACKED) - 5)) + PACKED[:-5],
            head(200, Content_Encoding="gzip", Content_Length="100") + b"x" * 100,
        ],
    )
    def test_it_is_never_taken_for_the_file(self, sent: bytes, end: Action) -> None:
        with serving(sent, 0.05, end) as server:
            with pytest.raises(NetworkError) as caught:
                fetched(server.url, f"{server.origin}/files/a{QUERY}")
            assert server.wait_until_closed()
        assert caught.value.code == "truncated"
        assert "/files/a: " in caught.value.message

    @pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Ty"])
    def test_nor_is_half_a_head(self, sent: bytes) -> None:
        with serving(sent, FIN) as server, pytest.raises(NetworkError):
            fetched(server.url, f"{server.origin}/a")

    def test_an_encoding_that_was_not_asked_for(self) -> None:
        with serving(answer(200, b"?", Content_Encoding="br")) as server:
            with pytest.raises(NetworkError, match="encoded") as caught:
                fetched(server.url, f"{server.origin}/a")
            assert server.wait_until_closed()
        assert caught.value.code == "encoding"


class TestTooLarge:
    def test_by_its_own_word(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(policy, "MEDIA_CAP", 1000)
        with serving(head(200, Content_Length="1001"), HOLD) as server:
            with pytest.raises(NetworkError) as caught:
                fetched(server.url, f"{server.origin}/a")
            assert server.wait_until_closed()
        assert caught.value.code == "too_large"

    @pytest.mark.parametrize(
        "sent",
        [
            head(200, Connection="close") + b"x" * 1001,
            answer(200, gzip.compress(bytes(50_000_000), 1), Content_Encoding="gzip"),
        ],
    )
    def test_by_what_comes(self, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(policy, "MEDIA_CAP", 1000)
        with serving(sent, FIN) as server, pytest.raises(NetworkError) as caught:
            fetched(server.url, f"{server.origin}/a")
        assert caught.value.code == "too_large"
        assert not caught.value.retryable

    def test_the_largest_that_is_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(policy, "MEDIA_CAP", 1000)
        with serving(answer(200, b"x" * 1000)) as server:
            assert len(fetched(server.url, f"{server.origin}/a")) == 1000


class TestErrorAnswers:
    @pytest.mark.parametrize(
        ("status", "cls"),
        [(401, AuthenticationError), (403, PermissionDeniedError), (404, APIError), (500, APIError), (204, APIError),
         (206, APIError), (304, APIError), (300, APIError), (302, APIError)],
    )  # fmt: skip
    def test_all_but_200_are_typed(self, status: int, cls: type[APIError]) -> None:
        body = f"<Error><Message>Request has expired: {SECRET}</Message></Error>".encode()
        sent = head(status) if status in (204, 304) else answer(status, body, Content_Type="application/xml")
        with serving(sent, FIN) as server, pytest.raises(cls) as caught:
            fetched(server.url, f"{server.origin}/files/a.mp4{QUERY}")
        assert caught.value.status_code == status
        assert f"GET 127.0.0.1:{server.port}/files/a.mp4 answered {status}" in caught.value.message
        assert SECRET not in str(caught.value) + repr(caught.value) + repr(caught.value.args)

    def test_the_servers_word_is_in_it(self) -> None:
        with serving(answer(403, {"detail": "the link has expired"})) as server:
            with pytest.raises(PermissionDeniedError, match="the link has expired"):
                fetched(server.url, f"{server.origin}/a")


class TestRedirects:
    def test_they_are_followed_at_most_five_times(self) -> None:
        def script(seen: Seen) -> list[Action]:
            left = int(seen.path.partition("?")[0].rpartition("/")[2])
            status = (301, 302, 303, 307, 308)[left % 5]
            return [answer(200, CONTENT) if left == 0 else answer(status, b"moved", Location=f"../to/{left - 1}")]

        with RawServer(script) as server:
            assert fetched(server.url, f"{server.origin}/to/5") == CONTENT
            assert len(server.requests) == 6
            with pytest.raises(APIError, match="more than 5 redirects") as caught:
                fetched(server.url, f"{server.origin}/to/6{QUERY}")
            assert server.wait_until_closed()
        assert (caught.value.code, caught.value.outcome) == ("too_many_redirects", "rejected")
        assert len(server.requests) == 12

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0"])
    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_from_base_urls_origin_to_another_private_one(self, scheme: str, host: str) -> None:
        with serving(WHOLE) as other:
            target = f"{scheme}://{host}:{other.port}/a{QUERY}"
            with serving(head(302, Location=target, Content_Length="0")) as server:
                with pytest.raises(ValidationError) as caught:
                    fetched(server.url, f"{server.origin}/a")
            assert other.connections == 0
        assert caught.value.outcome == "not_sent"
        assert SECRET not in str(caught.value)

    def test_to_a_location_in_utf_8(self) -> None:
        moved = head(302, Location="/x", Content_Length="0").replace(b"/x", "/ü b".encode())

        def script(seen: Seen) -> list[Action]:
            return [moved if seen.number == 0 else WHOLE]

        with RawServer(script) as server:
            assert fetched(server.url, f"{server.origin}/a") == CONTENT
        assert server.requests[1].path == "/%C3%BC%20b"

    @pytest.mark.parametrize("location", ["file:///etc/passwd", "//[", "https://u:p@h/", "ftp://h/a", "data:,x"])
    def test_to_what_is_no_such_url(self, location: str) -> None:
        with serving(head(302, Location=location, Content_Length="0")) as server:
            with pytest.raises(ValidationError):
                fetched(server.url, f"{server.origin}/a")


PRIVATE = [
    *("https://127.0.0.1:{port}/a", "https://localhost:{port}/a", "https://[::1]:{port}/a", "https://0.0.0.0:{port}/a"),
    *("https://127.1:{port}/a", "https://0x7f000001:{port}/a", "https://2130706433:{port}/a", "https://0:{port}/a"),
    *("https://[::ffff:127.0.0.1]:{port}/a", "https://[::ffff:7f00:1]:{port}/a", "https://LOCALHOST:{port}/a"),
    *("https://127.8.9.1:{port}/a", "https://[64:ff9b::7f00:1]:{port}/a"),
]


class TestPrivateAddresses:
    @pytest.mark.parametrize("url", PRIVATE)
    def test_loopback_is_not_connected_to(self, url: str) -> None:
        with serving(WHOLE) as server, serving(WHOLE) as other:
            with pytest.raises(ValidationError) as caught:
                fetched(server.url, url.format(port=other.port) + QUERY)
            assert other.connections == server.connections == 0
        assert (caught.value.code, caught.value.outcome) == ("private_address", "not_sent")
        assert SECRET not in str(caught.value)

    @pytest.mark.parametrize(
        "host",
        [
            *("169.254.169.254", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "[fe80::1]", "[fd00::1]"),
            *("255.255.255.255", "[ff02::1]", "[::]", "192.0.2.1", "[2001:db8::1]", "[::ffff:10.0.0.1]"),
            *("224.0.0.1", "[2002:a00:1::]"),
        ],
    )
    def test_nor_is_any_other(self, host: str) -> None:
        with serving(WHOLE) as server:
            started = time.monotonic()
            with pytest.raises(ValidationError) as caught:
                fetched(server.url, f"https://{host}/latest/meta-data")
            assert time.monotonic() - started < 1
        assert caught.value.code == "private_address"

    def test_the_origin_of_base_url_is_that_alone(self) -> None:
        with serving(WHOLE) as server:
            assert fetched(server.url, f"{server.origin}/a") == CONTENT
            for url in (f"http://localhost:{server.port}/a", f"https://127.0.0.1:{server.port}/a"):
                with pytest.raises(ValidationError):
                    fetched(server.url, url)
            assert server.connections == 1

    @pytest.mark.parametrize("others", [[], ["93.184.216.34"]])
    def test_a_name_that_leads_to_one(self, others: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        with serving(WHOLE) as server, Network(monkeypatch) as network:
            network.names["files.example"] = [*others, "127.0.0.1"]
            with pytest.raises(ValidationError) as caught:
                fetched(server.url, f"https://files.example:{server.port}/a")
            assert server.connections == 0
        assert network.lookups == ["files.example"]
        assert network.connected == []
        assert caught.value.code == "private_address"

    @pytest.mark.parametrize(
        ("address", "public"),
        [
            *[(literal, True) for literal in ("8.8.8.8", "93.184.216.34", "1.1.1.1", "172.15.0.1", "172.32.0.1")],
            *[
                (literal, True)
                for literal in ("100.63.0.1", "100.128.0.1", "11.0.0.1", "192.167.255.255", "198.20.0.1")
            ],
            *[(literal, True) for literal in ("2606:4700:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8")],
            *[(literal, True) for literal in ("64:ff9b::8.8.8.8", "2002:808:808::1", "223.255.255.255")],
            *[(literal, False) for literal in ("127.0.0.1", "127.255.255.255", "0.0.0.0", "0.1.2.3", "10.255.0.1")],
            *[(literal, False) for literal in ("172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254")],
            *[(literal, False) for literal in ("100.64.0.1", "100.127.255.255", "192.0.0.1", "192.0.2.1")],
            *[(literal, False) for literal in ("198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1")],
            *[(literal, False) for literal in ("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255")],
            *[
                (literal, False)
                for literal in ("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fdff::1", "fec0::1")
            ],
            *[(literal, False) for literal in ("ff02::1", "ff0e::1", "2001:db8::1", "2001::1", "100::1", "4000::1")],
            *[(literal, False) for literal in ("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254")],
            *[(literal, False) for literal in ("::127.0.0.1", "::10.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1")],
            *[(literal, False) for literal in ("64:ff9b:1::1", "2002:7f00:1::1", "2002:a9fe:a9fe::", "::ffff:0.0.0.0")],
        ],
    )
    def test_what_is_public(self, address: str, public: bool) -> None:
        assert is_public(address) is public


class TestRefusedUrls:
    @pytest.mark.parametrize(
        "url",
        [
            *("http://files.example/a", "http://93.184.216.34/a", "ftp://127.0.0.1/a", "file:///etc/passwd", "data:,x"),
            *("https://user:pass@files.example/a", "https://user@files.example/a", "https://:@files.example/a"),
            *(
                "",
                "   ",
                "images/x.png",
                "/x.png",
                "//files.example/a",
                "https://",
                "https:///a",
                "javascript:alert(1)",
            ),
            *("https://[::1/a", "https://files.example:99999/a", "https://files.example:x/a", "\x00", "https://a b/c"),
        ],
    )
    def test_before_anything_is_looked_up(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with serving(WHOLE) as server, Network(monkeypatch) as network:
            with pytest.raises(ValidationError) as caught:
                fetched(server.url, url and f"{url}{QUERY}")
            assert server.connections == 0
        assert network.lookups == []
        assert (caught.value.code, caught.value.outcome) == ("unsafe_url", "not_sent")
        assert SECRET not in str(caught.value)
        assert "pass" not in str(caught.value).replace("passwd", "")

    @pytest.mark.parametrize("url", [None, 5, b"https://files.example/a", ["https://files.example/a"]])
    def test_what_is_no_text(self, url: Any) -> None:
        with pytest.raises(ValidationError):
            fetched("http://127.0.0.1:9/v1", url)

    def test_a_backslash_does_not_change_the_host(self) -> None:
        with serving(WHOLE) as server, serving(WHOLE) as other:
            url = f"http://127.0.0.1:{server.port}\\@127.0.0.1:{other.port}/a"
            with contextlib.suppress(IndoxRouterError):
                fetched(server.url, url)
            assert other.connections == 0


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


@contextlib.contextmanager
def https_server(folder: Path, name: str, *actions: bytes) -> Iterator[UploadServer]:
    """A server whose certificate is of an authority in the folder."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)

    def serve(taken: Taken) -> bool:
        taken.send(b"".join(actions))
        return False

    with UploadServer(serve, context) as server:
        yield server


class TestElsewhere:
    """A file on another host than the router's."""

    @pytest.fixture
    def network(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
        with Network(monkeypatch) as found:
            found.names["files.example"] = [found.PUBLIC]
            yield found

    def fetch(self, folder: Path, url: str, **settings: Any) -> bytes:
        return fetched("https://router.example/v1", url, verify=str(folder / "authority.pem"), **settings)

    def test_it_is_fetched_over_https(self, tmp_path: Path, network: Network) -> None:
        with https_server(tmp_path, "files.example", WHOLE) as server:
            network.port = server.port
            assert self.fetch(tmp_path, f"https://files.example/a.mp4{QUERY}") == CONTENT
            assert server.wait_until_closed()
        assert network.connected == [(Network.PUBLIC, 443)]
        assert network.lookups == ["files.example"]
        assert server.taken[0].path == f"/a.mp4{QUERY}"
        assert set(server.taken[0].headers) == {"host", "accept", "accept-encoding", "user-agent"}

    def test_its_certificate_is_verified(self, tmp_path: Path, network: Network) -> None:
        with https_server(tmp_path, "other.example", WHOLE) as server:
            network.port = server.port
            with pytest.raises(NetworkError) as caught:
                self.fetch(tmp_path, "https://files.example/a.mp4")
        assert caught.value.outcome == "not_sent"
        assert server.taken == []

    @pytest.mark.parametrize(
        "target",
        ["http://files.example/a", "http://router.example/a", "https://127.0.0.1:{port}/a", "https://localhost:{port}/a",
         "https://169.254.169.254/latest", "http://169.254.169.254/latest", "https://[::1]:{port}/a"],
    )  # fmt: skip
    def test_it_cannot_lead_on_to_what_it_could_not_be(self, target: str, tmp_path: Path, network: Network) -> None:
        with serving(WHOLE) as other:
            moved = head(302, Location=target.format(port=other.port) + QUERY, Content_Length="0")
            with https_server(tmp_path, "files.example", moved) as server:
                network.port = server.port
                with pytest.raises(ValidationError) as caught:
                    self.fetch(tmp_path, "https://files.example/a")
            assert other.connections == 0
        assert caught.value.outcome == "not_sent"
        assert SECRET not in str(caught.value)
        assert len(network.connected) == 1

    def test_from_https_to_base_urls_own_plain_http(self, tmp_path: Path, network: Network) -> None:
        with serving(WHOLE) as home:
            moved = head(302, Location=f"{home.origin}/a", Content_Length="0")
            with https_server(tmp_path, "files.example", moved) as server:
                network.port = server.port
                with pytest.raises(ValidationError, match="from https to plain http"):
                    fetched(home.url, "https://files.example/a", verify=str(tmp_path / "authority.pem"))
            assert home.connections == 0

    def test_no_such_name_and_no_connection(self, tmp_path: Path, network: Network) -> None:
        trustme.CA().cert_pem.write_to_path(str(tmp_path / "authority.pem"))
        with socket.socket() as refusing:
            refusing.bind(("127.0.0.1", 0))
            network.port = refusing.getsockname()[1]
            for host in ("nowhere.example", "files.example"):
                with pytest.raises(NetworkError, match=f"GET {host}/a: no connection") as caught:
                    self.fetch(tmp_path, f"https://{host}/a{QUERY}")
                assert caught.value.outcome == "not_sent"


class TestProxies:
    def test_a_name_that_is_known_here_must_be_public(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with serving(answer(502, b"")) as proxy, Network(monkeypatch) as network:
            network.names["files.example"] = ["10.0.0.1"]
            with pytest.raises(ValidationError) as caught:
                fetched("https://router.example/v1", "https://files.example/a", proxy=proxy.origin)
            assert proxy.connections == 0
        assert caught.value.code == "private_address"

    @pytest.mark.parametrize("known", [[], ["93.184.216.34"]])
    @pytest.mark.parametrize("of", ["settings", "environment"])
    def test_others_are_asked_for_there(self, known: list[str], of: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with serving(answer(502, b""), FIN) as proxy, Network(monkeypatch) as network:
            if known:
                network.names["files.example"] = known
            settings = {"proxy": proxy.origin} if of == "settings" else {}
            if of == "environment":
                monkeypatch.setenv("https_proxy", proxy.origin)
            with pytest.raises(NetworkError):
                fetched("https://router.example/v1", f"https://files.example/a{QUERY}", **settings)
            assert [seen.method for seen in proxy.requests] == ["CONNECT"]
            assert proxy.requests[0].path == "files.example:443"
        assert network.connected == []


class TestLimits:
    @pytest.mark.parametrize(
        "actions",
        [[HOLD], [head(200, Content_Length="9"), HOLD], [head(200, Content_Length="9"), b"1234", HOLD],
         [head(403, Content_Length="9"), HOLD]],
        ids=["no head", "no body", "half a body", "no error body"],
    )  # fmt: skip
    @pytest.mark.parametrize("limit", ["timeout", "deadline"])
    def test_silence(self, actions: list[Action], limit: str) -> None:
        with serving(*actions) as server:
            started = time.monotonic()
            with pytest.raises(RequestTimeoutError) as caught:
                fetched(server.url, f"{server.origin}/a{QUERY}", **{limit: 0.5})
            assert time.monotonic() - started < 0.5 + 0.5
            assert server.wait_until_closed()
        assert isinstance(caught.value, DeadlineExceededError) == (limit == "deadline")
        assert SECRET not in str(caught.value)

    def test_the_timeout_is_of_each_wait(self) -> None:
        drip: list[Action] = [action for _ in range(10) for action in (0.1, b"x")]
        with serving(head(200, Content_Length="10"), *drip) as server:
            assert fetched(server.url, f"{server.origin}/a", timeout=0.6) == b"x" * 10

    def test_the_deadline_is_of_all_of_them(self) -> None:
        drip: list[Action] = [action for _ in range(50) for action in (0.1, b"x")]
        with serving(head(200, Content_Length="50"), *drip) as server:
            started = time.monotonic()
            with pytest.raises(DeadlineExceededError):
                fetched(server.url, f"{server.origin}/a", deadline=0.5)
            assert time.monotonic() - started < 0.5 + 0.5

    def test_redirects_share_the_deadline(self) -> None:
        with serving(0.2, head(302, Location="/a", Content_Length="0")) as server:
            with pytest.raises(DeadlineExceededError):
                fetched(server.url, f"{server.origin}/a", deadline=0.5)


class TestSecrets:
    @pytest.mark.parametrize(
        "actions",
        [[WHOLE], [answer(403, {"detail": f"not {SECRET}"})], [head(200, Content_Length="9"), b"x", FIN], [FIN],
         [answer(200, b"?", Content_Encoding="br")], [head(302, Location=f"/a{QUERY}", Content_Length="0")],
         [head(302, Location=f"https://localhost/{QUERY}", Content_Length="0")]],
    )  # fmt: skip
    def test_the_query_stands_nowhere(self, actions: list[Action], caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        with serving(*actions) as server:
            found = downloads(server.url)
            try:
                b"".join(found.fetch(f"{server.origin}/a{QUERY}"))
            except IndoxRouterError as error:
                told = [str(error), repr(error), repr(error.args), repr(error.__cause__), repr(error.__context__)]
                trace = error.__traceback__
                assert trace is not None
                frames = []
                while (trace := trace.tb_next) is not None:  # the first is this test's own
                    frames.append(trace.tb_frame)
                told += [repr(frame.f_locals) for frame in frames]
                assert SECRET not in "".join(told)
        assert "connectionpool" in caplog.text
        assert SECRET not in caplog.text
        assert SECRET not in repr(found) + repr(vars(found))
