"""Rule G39: what is behind a result URL is fetched under guard, whole or not at all."""

from __future__ import annotations

import gzip
import logging
import time
import tracemalloc

import pytest
from downloading import CONTENT, KEY, QUERY, SECRET, WHOLE, downloads, fetched, serving
from raw_server import FIN, HOLD, RST, Action, answer, chunked, head
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
)
from indoxrouter.core import policy
from indoxrouter.downloads import Downloads


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

    def test_a_bomb_is_unpacked_a_little_at_a_time(self) -> None:
        with serving(answer(200, gzip.compress(bytes(100_000_000)), Content_Encoding="gzip")) as server:
            found = downloads(server.url)
            tracemalloc.start()
            try:
                assert sum(len(piece) for piece in found.fetch(f"{server.url}/a")) == 100_000_000
                most = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert most < 30_000_000

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
