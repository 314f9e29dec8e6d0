"""Rule G39: where a result URL may lead, and where not."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from downloading import CONTENT, QUERY, SECRET, WHOLE, Network, fetched, https_server, serving, whole
from raw_server import FIN, Action, RawServer, Seen, answer, head

from indoxrouter import (
    APIError,
    IndoxRouterError,
    NetworkError,
    ValidationError,
)
from indoxrouter.transports.guarded import is_public


class TestRedirects:
    def test_they_are_followed_at_most_five_times(self) -> None:
        def script(seen: Seen) -> list[Action]:
            left = int(seen.path.partition("?")[0].rpartition("/")[2])
            status = (301, 302, 303, 307, 308)[left % 5]
            return [whole(CONTENT) if left == 0 else answer(status, b"moved", Location=f"../to/{left - 1}")]

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
                "//files.example/a",
                "http:",
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

    @pytest.mark.parametrize("verify", [True, False, "another"])
    def test_by_whom_is_said_and_what_helps(self, verify: Any, tmp_path: Path, network: Network) -> None:
        if verify == "another":
            verify = str(tmp_path / "another.pem")
            trustme.CA().cert_pem.write_to_path(verify)
        with https_server(tmp_path, "files.example", WHOLE) as server:
            network.port = server.port
            with pytest.raises(NetworkError) as caught:
                fetched("https://router.example/v1", "https://files.example/a", verify=verify, max_retries=2)
        assert server.taken == []
        assert len(network.connected) == 1
        assert caught.value.code == "certificate"
        assert "the host that the answer names was refused" in caught.value.message
        assert "verify=False holds for base_url alone" in caught.value.message

    def test_whom_verify_names_is_trusted_beside_the_default_store(
        self, tmp_path: Path, network: Network, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
        with https_server(tmp_path, "files.example", WHOLE) as server:
            network.port = server.port
            for default, named in (("other.pem", "authority.pem"), ("authority.pem", "other.pem")):
                monkeypatch.setattr(requests.utils, "DEFAULT_CA_BUNDLE_PATH", str(tmp_path / default))
                found = fetched("https://router.example/v1", "https://files.example/a", verify=str(tmp_path / named))
                assert found == CONTENT

    def test_base_urls_own_host_is_trusted_as_verify_says_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with https_server(tmp_path, "127.0.0.1", WHOLE) as server:
            url = f"https://127.0.0.1:{server.port}/a"
            assert fetched(server.url, url, verify=False) == CONTENT
            monkeypatch.setattr(requests.utils, "DEFAULT_CA_BUNDLE_PATH", str(tmp_path / "authority.pem"))
            trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
            with pytest.raises(NetworkError) as caught:
                fetched(server.url, url, verify=str(tmp_path / "other.pem"))
        assert caught.value.code == "certificate"

    @pytest.mark.parametrize("url", ["//169.254.169.254/latest", "//127.0.0.1/a", "//localhost/a"])
    def test_a_url_without_a_scheme_is_no_way_round(self, url: str, network: Network) -> None:
        with pytest.raises(ValidationError) as caught:
            fetched("https://router.example/v1", url)
        assert caught.value.code == "private_address"
        assert network.connected == []

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
