"""Rules B10-B22: what is sent, where it may go, and what is taken for an answer."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from clients import Client
from raw_server import FIN, HOLD, RST, Action, RawServer, Seen, answer, chat_body, chunked, head, ok
from requests.certs import where  # type: ignore[attr-defined] # documented, but not in its __all__

import indoxrouter
from indoxrouter import (
    APIError,
    ConfigurationError,
    DeadlineExceededError,
    IndoxRouterError,
    NetworkError,
    RequestTimeoutError,
    ValidationError,
    transports,
)
from indoxrouter.errors import MissingKeyError
from indoxrouter.sandbox import Sandbox
from indoxrouter.wire.encoding import Decoder

HELLO = [{"role": "user", "content": "Hello"}]
KEY = "key-of-the-tests"
KINDS = ("sync", "async", "sync-openai", "async-openai")


@contextlib.contextmanager
def serving(*actions: Action, **settings: Any) -> Iterator[tuple[RawServer, Any]]:
    """A server that answers every call alike, and a client of it that tries once."""
    settings = {"max_retries": 0, **settings}
    with RawServer(lambda _: actions) as server, Client(KEY, server.url, **settings) as client:
        yield server, client


class TestB10Environment:
    @pytest.mark.kinds("sync", "async")
    def test_b10_netrc_does_not_replace_the_login(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login evil password evil\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        with serving(ok(chat_body())) as (server, client):
            client.chat(HELLO)
        assert server.requests[0].headers["authorization"] == "Bearer token-1"

    @pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"])
    def test_b10_loopback_is_always_direct(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with RawServer(lambda _: [answer(502, {})]) as proxy:
            monkeypatch.setenv(name, proxy.origin)
            with serving(ok(chat_body())) as (_, client):
                assert client.chat(HELLO).data == "fine"
            assert proxy.connections == 0

    def test_b10_another_host_goes_through_the_environments_proxy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with RawServer(lambda _: [ok(chat_body())]) as proxy:
            monkeypatch.setenv("http_proxy", proxy.origin)
            with Client(KEY, "http://router.test/v1", allow_insecure=True) as client:
                monkeypatch.delenv("http_proxy")  # it was read once, at construction
                assert client.chat(HELLO).data == "fine"
            assert proxy.requests[0].path == "http://router.test/v1/chat/completions"

    def test_b10_no_proxy_is_honoured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with RawServer(lambda _: []) as proxy:
            monkeypatch.setenv("http_proxy", proxy.origin)
            monkeypatch.setenv("no_proxy", "router.invalid")
            with Client(KEY, "http://router.invalid/v1", allow_insecure=True, max_retries=0) as client:
                with pytest.raises(NetworkError):
                    client.chat(HELLO)
            assert proxy.connections == 0

    def test_b10_a_given_proxy_is_used(self) -> None:
        with RawServer(lambda _: [ok(chat_body())]) as proxy:
            with Client(KEY, "http://router.test/v1", proxy=proxy.origin, allow_insecure=True) as client:
                client.chat(HELLO)
            assert len(proxy.requests) == 1

    @pytest.mark.kinds("sync", "async")
    def test_b10_a_ca_bundle_of_the_environment_counts_only_for_verify_true(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/does/not/exist.pem")
        chosen = tmp_path / "chosen.pem"
        shutil.copy(where(), chosen)
        (tmp_path / "empty.pem").touch()
        with pytest.raises(ConfigurationError, match=r"exist\.pem"):
            Client(KEY)
        for verify in (False, str(chosen)):
            Client(KEY, verify=verify).close()
        with pytest.raises(ConfigurationError, match="other"):
            Client(KEY, verify="/other.pem")
        with pytest.raises(ConfigurationError, match="empty"):
            Client(KEY, verify=str(tmp_path / "empty.pem"))

    @pytest.mark.kinds("sync", "async")
    def test_b10_the_environment_is_not_written(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("INDOX_ROUTER_API_KEY=from-file\nINDOX_ROUTER_TIMEOUT=7\nOTHER=1\n")
        before = dict(os.environ)
        Client().close()
        assert dict(os.environ) == before


class TestB11Redirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_b11_a_redirect_is_an_error_that_names_the_host(self, status: int) -> None:
        with RawServer(lambda _: [ok(chat_body())]) as other:
            target = f"http://user:pass@localhost:{other.port}/v1?secret=1"
            with serving(head(status, Location=target, Content_Length="0")) as (_, client):
                with pytest.raises(APIError) as caught:
                    client.chat(HELLO)
            assert other.connections == 0
        assert caught.value.status_code == status
        assert f"localhost:{other.port}" in str(caught.value)
        assert "pass" not in str(caught.value)
        assert caught.value.outcome == "rejected"

    def test_b11_a_redirect_for_a_slash_is_not_followed_either(self) -> None:
        with serving(head(307, Location="/v1/models", Content_Length="0")) as (server, client):
            with pytest.raises(APIError, match="redirect"):
                client.models()
        assert len(server.requests) == 1


class TestB12PlainHttp:
    @pytest.mark.parametrize(
        "url",
        [
            "http://api.example.com/v1",
            "http://localhost.example.com/v1",
            "http://127.0.0.1.example.com/v1",
            "http://127.0.0.1@example.com/v1",
            "http://10.0.0.1/v1",
            "http://[::2]/v1",
        ],
    )
    def test_b12_is_refused_at_construction(self, url: str) -> None:
        with pytest.raises(ConfigurationError):
            Client(KEY, url)

    @pytest.mark.parametrize(
        "url", ["http://localhost:1/v1", "http://LOCALHOST/v1", "http://127.8.9.1/v1", "http://[::1]:8/v1"]
    )
    def test_b12_loopback_is_allowed(self, url: str) -> None:
        Client(KEY, url).close()

    @pytest.mark.kinds("sync-openai", "async-openai")
    def test_b12_a_server_without_keys_may_be_anywhere(self) -> None:
        for key in (None, "EMPTY"):
            Client(key, "http://10.0.0.1:8000/v1").close()
        with pytest.raises(ConfigurationError, match="could be read"):
            Client(KEY, "http://10.0.0.1:8000/v1")

    @pytest.mark.parametrize("dialect", ["indox", "openai"])
    def test_b12_neither_dialect_takes_the_others_key(self, dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("INDOX_ROUTER_API_KEY", "of-the-router")
        monkeypatch.setenv("OPENAI_API_KEY", "of-the-server")
        with RawServer(lambda _: [ok(chat_body())]) as server:
            with indoxrouter.Client(base_url=server.url, dialect=dialect, auth="key") as client:  # type: ignore[arg-type]
                client.chat(HELLO, "a/b")
        theirs = "of-the-router" if dialect == "indox" else "of-the-server"
        assert server.requests[0].headers["authorization"] == f"Bearer {theirs}"

    def test_b12_allow_insecure_allows_it(self) -> None:
        Client(KEY, "http://10.0.0.1/v1", allow_insecure=True).close()

    @pytest.mark.kinds("sync", "async")
    @pytest.mark.parametrize(
        "url",
        [
            "api.example.com/v1",
            "//api.example.com",
            "ftp://api.example.com",
            "https://",
            "https://user:secret@api.example.com/v1",
            "https://api.example.com/v1?key=secret",
            "https://api.example.com/v1#x",
            "https://api.example.com/\nv1",
            "https://api example.com/v1",
            "https://api.example.com:99999/v1",
            "https://[::1/v1",
        ],
    )
    def test_b12_what_is_no_base_url_is_refused(self, url: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            Client(KEY, url)
        assert "secret" not in str(caught.value)
        with Client(KEY) as client, pytest.raises(ConfigurationError):
            client.set_base_url(url)

    @pytest.mark.kinds("sync", "async")
    def test_b12_no_key_ever_stands_in_a_url(self) -> None:
        with serving(ok({"total_cost": 1})) as (server, client):
            client.get_usage("2026-01-01", "2026-02-01")
        assert server.requests[0].path == "/v1/user/usage?start_date=2026-01-01&end_date=2026-02-01"
        assert KEY not in server.logins[0].path


class TestB13Keys:
    @pytest.mark.parametrize("key", ["a\nb", "a\r\nX-Evil: 1", "a b", "a\tb", "a\x00b", "kéy", "a\u2028b", "a\x7fb"])
    def test_b13_is_refused_unshown(self, key: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            Client(key)
        assert key not in str(caught.value)
        assert key not in repr(caught.value)

    @pytest.mark.kinds("sync", "async")
    def test_b13_white_space_around_it_is_stripped(self) -> None:
        with RawServer(lambda _: [ok(chat_body())]) as server, Client(f"  {KEY}\n", server.url) as client:
            client.chat(HELLO)
            assert server.logins[0].headers["x-api-key"] == KEY

    def test_b13_a_callables_key_is_checked_too(self) -> None:
        with RawServer(lambda _: [ok(chat_body())]) as server, Client(lambda: "a\nb", server.url) as client:
            with pytest.raises(ConfigurationError):
                client.chat(HELLO)
            assert server.connections == 0

    @pytest.mark.parametrize("key", [5, b"bytes"])
    def test_b13_what_is_no_key_is_refused(self, key: Any) -> None:
        with pytest.raises(ConfigurationError):
            Client(key)

    @pytest.mark.kinds("sync", "async")
    def test_b13_an_empty_key_is_a_missing_one(self) -> None:
        with pytest.raises(MissingKeyError, match="is empty"):
            Client("   ")


WHOLE = json.dumps(chat_body("x" * 50)).encode()
PACKED = gzip.compress(WHOLE)


class TestB14CutAnswers:
    @pytest.mark.parametrize("end", [FIN, RST], ids=["FIN", "RST"])
    @pytest.mark.parametrize(
        "sent",
        [
            b"",
            b"HTT",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Ty",
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n",
            head(200, Content_Length=str(len(WHOLE))) + WHOLE[:-1],
            head(200, Content_Length=str(len(WHOLE))),
            head(200, Connection="close") + WHOLE[:-1],
            head(200, Transfer_Encoding="chunked") + chunked(WHOLE, last=False),
            head(200, Transfer_Encoding="chunked") + chunked(WHOLE)[:20],
            head(200, Content_Encoding="gzip", Connection="close") + PACKED[:-9],
            head(200, Content_Encoding="gzip", Content_Length=str(len(PACKED) - 5)) + PACKED[:-5],
        ],
    )
    def test_b14_is_never_taken_for_an_answer(self, sent: bytes, end: Action) -> None:
        with serving(sent, end) as (_, client), pytest.raises(NetworkError) as caught:
            client.chat(HELLO)
        assert caught.value.outcome == "unknown"
        assert caught.value.attempts[0].outcome == "unknown"

    @pytest.mark.parametrize(
        "sent",
        [
            head(200, Content_Encoding="gzip", Content_Length=str(len(PACKED))) + PACKED,
            head(200, Content_Encoding="gzip", Transfer_Encoding="chunked") + chunked(PACKED[:9], PACKED[9:]),
            head(200, Connection="close") + WHOLE,
        ],
    )
    def test_b14_a_whole_one_is(self, sent: bytes) -> None:
        with serving(sent, FIN) as (_, client):
            assert client.chat(HELLO).data == "x" * 50

    def test_b14_an_encoding_that_was_not_asked_for_is_typed(self) -> None:
        with serving(answer(200, b"?", Content_Encoding="br")) as (_, client), pytest.raises(NetworkError):
            client.chat(HELLO)

    def test_b14_several_gzip_members_are_one_body(self) -> None:
        decoder = Decoder("gzip", 1000)
        assert b"".join(decoder.pieces(gzip.compress(b"one, ") + gzip.compress(b"two"))) == b"one, two"
        decoder.finish()


class TestB15Informational:
    @pytest.mark.parametrize("status", [100, 102, 103, 199])
    def test_b15_is_never_the_answer_nor_shifts_the_next_one(self, status: int) -> None:
        early = f"HTTP/1.1 {status} Early\r\nLink: </x>\r\n\r\n".encode()

        def script(seen: Seen) -> list[Action]:
            return [early, early, ok(chat_body(f"answer {seen.number}"))]

        with RawServer(script) as server, Client(KEY, server.url) as client:
            assert [client.chat(HELLO).data for _ in range(3)] == ["answer 0", "answer 1", "answer 2"]


class TestB16NoAnswer:
    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize(
        ("content", "kind", "shown"),
        [
            (b"<html><title>Bad gateway</title>x</html>", "text/html", "Bad gateway"),
            (b"plain words", "text/plain", "plain words"),
            (b"", "application/json", "empty body"),
            (b"", "text/plain", "empty body"),
            (b"   ", "text/html", "empty body"),
        ],
    )
    def test_b16_200_without_json(self, stream: bool, content: bytes, kind: str, shown: str) -> None:
        with serving(answer(200, content, Content_Type=kind)) as (server, client):
            with pytest.raises(APIError, match=shown) as caught:
                client.chat(HELLO, stream=stream)
        assert caught.value.status_code == 200
        assert not caught.value.retryable
        assert len(server.requests) == 1

    @pytest.mark.parametrize("body", [b"null", b"5", b'"text"', b"[]", b"{}", b'{"strange": 1}'])
    def test_b16_json_that_is_no_answer(self, body: bytes) -> None:
        with serving(answer(200, body)) as (_, client):
            calls: list[Callable[[], Any]] = [
                lambda: client.chat(HELLO),
                lambda: client.image("x", "a/b"),
                lambda: client.embeddings("x", "a/b"),
            ]
            for call in calls:
                with pytest.raises(APIError) as caught:
                    call()
                assert caught.value.code == "not_understood"
                assert caught.value.request_id

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize(
        ("body", "cls"),
        [
            ({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, "RateLimitError"),
            ({"error": "broken"}, "APIError"),
            ({"success": False, "error": "ModelNotFoundError", "status_code": 404}, "ModelNotFoundError"),
            ({"success": False, "message": "no"}, "APIError"),
        ],
    )
    def test_b16_200_with_an_error_is_an_error(self, stream: bool, body: Any, cls: str) -> None:
        with serving(ok(body)) as (_, client), pytest.raises(APIError) as caught:
            client.chat(HELLO, stream=stream)
        assert type(caught.value).__name__ == cls

    @pytest.mark.parametrize(
        "content",
        [b"[]", b"null", b"5", b"", b"<html>no</html>", b'{"detail": {"error": {"message": "deep"}}}',
         b"\xff\xfe", b'{"detail": [5, null, {"loc": 3}]}', b'{"error": []}', b"[" * 100_000, b"9" * 5_000],
    )  # fmt: skip
    def test_b16_an_error_body_of_any_shape_is_typed(self, content: bytes) -> None:
        with serving(answer(418, content)) as (_, client), pytest.raises(APIError) as caught:
            client.chat(HELLO)
        assert caught.value.status_code == 418

    def test_b16_a_server_that_does_not_stream_is_one_event(self) -> None:
        with serving(ok(chat_body("all at once"))) as (_, client):
            stream = client.chat(HELLO, stream=True)
            assert [chunk.data for chunk in stream] == ["all at once"]
            assert (stream.state, stream.finish_reason) == ("complete", "stop")


class TestB17Bombs:
    def test_b17_a_gzip_bomb_costs_the_cap(self) -> None:
        bomb = gzip.compress(b"\0" * 80_000_000, 1)
        with serving(answer(200, bomb, Content_Encoding="gzip")) as (_, client):
            with pytest.raises(NetworkError) as caught:
                client.chat(HELLO)
        assert caught.value.code == "too_large"

    def test_b17_nothing_beyond_the_cap_is_unpacked(self) -> None:
        decoder = Decoder("gzip", 1000)
        with pytest.raises(NetworkError):
            list(decoder.pieces(gzip.compress(b"\0" * 10_000_000)))


SLOWLY = [b"HTTP/1.1 200 OK\r\n", *[action for _ in range(50) for action in (0.1, b"X-Drip: 1\r\n")]]
BODY_SLOWLY = [head(200, Content_Length="1000"), *[action for _ in range(50) for action in (0.1, b" ")]]
COMMENTS = [
    head(200, Content_Type="text/event-stream"),
    *[action for _ in range(50) for action in (0.1, b": alive\n\n")],
]


class TestB18Deadlines:
    @pytest.mark.parametrize(
        "actions",
        [[HOLD], SLOWLY, BODY_SLOWLY, [head(200, Content_Length="9"), HOLD], COMMENTS],
        ids=["silent", "dripped head", "dripped body", "silent body", "comments"],
    )
    @pytest.mark.parametrize("limit", ["deadline", "timeout"])
    def test_b18_everything_ends_in_time(self, actions: list[Action], limit: str) -> None:
        with serving(*actions) as (server, client):
            options: dict[str, Any] = {limit: 0.6}
            started = time.monotonic()
            with pytest.raises(RequestTimeoutError) as caught:
                client.chat(HELLO, stream=actions is COMMENTS, **options)
            assert time.monotonic() - started < 0.6 + 0.5
            assert isinstance(caught.value, DeadlineExceededError) == (limit == "deadline")
            assert isinstance(caught.value, TimeoutError)
            assert caught.value.outcome == "unknown"
            assert server.wait_until_closed()

    def test_b18_a_retry_after_beyond_the_deadline_is_raised_now(self) -> None:
        with serving(answer(429, {}, Retry_After="60"), max_retries=3) as (_, client):
            started = time.monotonic()
            with pytest.raises(APIError) as caught:
                client.chat(HELLO, deadline=5)
            assert time.monotonic() - started < 0.5
            assert caught.value.retry_after == 60


class TestB20Threads:
    def test_b20_no_answer_is_swapped(self, sandbox: Sandbox) -> None:
        with Client(sandbox.api_key, sandbox.url) as client:

            def ask(n: int) -> bool:
                return f"question {n}!" in (client.chat([{"role": "user", "content": f"question {n}!"}]).data or "")

            with ThreadPoolExecutor(64) as pool:
                assert all(pool.map(ask, range(640)))


class TestB21IdleConnections:
    def test_b21_a_connection_is_used_again(self) -> None:
        with serving(ok(chat_body())) as (server, client):
            for _ in range(5):
                client.chat(HELLO)
            assert server.connections == 1

    def test_b21_one_that_idled_too_long_is_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert transports.IDLE_LIMIT == 30.0
        monkeypatch.setattr(transports, "IDLE_LIMIT", 0.2)
        with serving(ok(chat_body())) as (server, client):
            client.chat(HELLO)
            time.sleep(0.3)
            client.chat(HELLO)
            assert server.connections == 2


class TestB22HeadersAndPaths:
    @pytest.mark.parametrize(
        "headers",
        [{"X-A": "b\r\nX-Evil: 1"}, {"X-A": "b\n"}, {"X A": "b"}, {"X-A:": "b"}, {"": "b"}, {"X-A": "\u2028"},
         {"X-A": 5}, {"Authorization": "Bearer x"}, {"cookie": "a=b"}, {"Content-Length": "5"}, ["X-A"]],
    )  # fmt: skip
    def test_b22_bad_headers_are_refused(self, headers: Any) -> None:
        with serving(ok(chat_body())) as (server, client):
            with pytest.raises(ValidationError):
                client.chat(HELLO, extra_headers=headers)
            assert server.connections == 0
        with pytest.raises(ConfigurationError):
            Client(KEY, default_headers=headers)

    def test_b22_good_ones_are_sent(self) -> None:
        with serving(ok(chat_body()), default_headers={"X-Team": "blue", "X-Both": "1"}) as (server, client):
            client.chat(HELLO, extra_headers={"X-Both": "2", "X-Trace": "a b\tc"})
        sent = server.requests[0].headers
        assert (sent["x-team"], sent["x-both"], sent["x-trace"]) == ("blue", "2", "a b\tc")

    @pytest.mark.parametrize("key", ["a\nb", "", "ключ", 5])
    def test_b22_an_idempotency_key_must_fit_a_header(self, key: Any) -> None:
        with serving(ok(chat_body())) as (server, client), pytest.raises(ValidationError):
            client.chat(HELLO, idempotency_key=key)
        assert server.connections == 0

    @pytest.mark.kinds("sync", "async")
    def test_b22_ids_are_one_path_segment_each(self) -> None:
        with serving(ok({"name": "m"})) as (server, client):
            client.model_info("open ai/..?x", "a/b#c%2e")
            assert server.requests[0].path == "/v1/models/open%20ai%2F..%3Fx/a%2Fb%23c%252e"
            for bad in ("", ".", "..", "\ud800", 5):
                with pytest.raises(ValidationError):
                    client.model_info("openai", bad)
            assert len(server.requests) == 1


class TestMoreThanOneConnection:
    def test_more_threads_than_connections_make_no_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        gate = threading.Barrier(8)

        def script(_: Seen) -> Iterator[Action]:
            gate.wait(5)
            yield ok(chat_body())

        with RawServer(script) as server, Client(KEY, server.url, max_connections=8) as client:
            with ThreadPoolExecutor(8) as pool:
                results = list(pool.map(lambda _: client.chat(HELLO).data, range(8)))
            assert results == ["fine"] * 8
        assert "Connection pool is full" not in caplog.text

    def test_interrupting_a_read_drops_its_connection(self) -> None:
        class Stop(BaseException):
            """Stands for Ctrl-C: no exception of ours, and no Exception."""

        with serving(head(200, Content_Length="9"), HOLD) as (server, client):

            def interrupt(*_: Any) -> None:
                raise Stop

            old = signal.signal(signal.SIGALRM, interrupt)
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            try:
                with pytest.raises(Stop):
                    client.chat(HELLO)
            finally:
                signal.signal(signal.SIGALRM, old)
            assert server.wait_until_closed()

    def test_a_dead_idle_connection_is_replaced_unnoticed(self) -> None:
        with serving(ok(chat_body()), FIN) as (server, client):
            for _ in range(3):
                assert client.chat(HELLO).data == "fine"
                time.sleep(0.05)
            assert server.connections >= 3


def test_test_connection_never_raises() -> None:
    with serving(ok({"version": "0.2"}, Set_Cookie="s=1")) as (server, client):
        found = client.test_connection()
        assert found["status"] == "connected"
        assert found["url"] == server.url
        assert found["status_code"] == 200
        assert found["server_info"] == {"version": "0.2"}
        assert "set-cookie" not in found["headers"]
        assert server.requests[0].path == "/v1"
        assert "authorization" not in server.requests[0].headers
        assert KEY not in str(server.requests[0].headers)
    with Client(KEY, server.url) as client:
        lost = client.test_connection()
    assert set(lost) == {"status", "url", "error", "error_type"}
    assert (lost["status"], lost["error_type"]) == ("error", "NetworkError")


def test_every_documented_error_has_a_request_id() -> None:
    with (
        serving(answer(500, {"detail": "no"})) as (server, client),
        pytest.raises(IndoxRouterError) as caught,
    ):
        client.chat(HELLO)
    ours = server.requests[0].headers["x-client-request-id"]
    assert caught.value.client_request_id == caught.value.request_id == ours
