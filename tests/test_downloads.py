"""Rule G39: what is behind a result URL is fetched under guard, whole or not at all."""

from __future__ import annotations

import gzip
import logging
import random
import socket
import time
import tracemalloc
import zlib

import clients
import pytest
from downloading import CONTENT, KEY, QUERY, SECRET, WHOLE, downloads, fetched, serving, whole
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
    RateLimitError,
    RequestTimeoutError,
    ServiceUnavailableError,
)
from indoxrouter.core import policy


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
        with serving(whole(b"x", Set_Cookie="session=1")) as server:
            with Client(KEY, server.url, default_headers={"X-Team": "blue"}) as client:
                client.test_connection()
                client.models  # noqa: B018 - nothing is asked by looking
                found = client._driver.downloads
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
            whole(gzip.compress(CONTENT), Content_Encoding="gzip"),
            head(200, Transfer_Encoding="chunked", Content_Encoding="gzip") + chunked(gzip.compress(CONTENT)),
        ],
    )
    def test_every_form_of_a_body(self, sent: bytes) -> None:
        with serving(sent, FIN) as server:
            assert fetched(server.url, f"{server.origin}/a") == CONTENT

    @pytest.mark.parametrize("told", ["audio/pcm; rate=24000", None])
    def test_its_type_is_known_with_the_first_piece(self, told: str | None) -> None:
        headers = {} if told is None else {"Content_Type": told}
        with serving(head(200, Content_Length="256000", **headers) + CONTENT) as server:
            pieces = downloads(server.url).fetch(f"{server.origin}/a")
            assert pieces.content_type is None
            next(pieces)
            assert pieces.content_type == told
            pieces.close()

    @pytest.mark.parametrize(
        ("given", "asked"), [("/files/x.mp4?a=1", "/files/x.mp4?a=1"), ("files/x.mp4", "/files/x.mp4")]
    )
    def test_a_path_alone_is_of_base_urls_host(self, given: str, asked: str) -> None:
        with serving(whole(b"x")) as server:
            assert fetched(server.url, given) == b"x"
            assert fetched(server.url, f"//127.0.0.1:{server.port}{asked}") == b"x"
        assert [seen.path for seen in server.requests] == [asked] * 2

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
        with serving(whole(b"x")) as server:
            assert fetched(server.url, f" {server.origin.upper().replace('HTTP', 'http')}{given}\n") == b"x"
        assert server.requests[0].path == asked

    def test_leaving_early_drops_the_connection(self) -> None:
        with serving(head(200, Content_Length="1000000"), CONTENT, HOLD) as server:
            pieces = downloads(server.url).fetch(f"{server.origin}/a")
            assert next(pieces)
            assert server.open_connections == 1
            pieces.close()
            assert server.wait_until_closed()

    def test_so_does_losing_it(self) -> None:
        with serving(head(200, Content_Length="1000000"), CONTENT, HOLD) as server:
            pieces = downloads(server.url).fetch(f"{server.origin}/a")
            assert next(pieces)
            del pieces
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
        ],
    )
    def test_it_is_never_taken_for_the_file(self, sent: bytes, end: Action) -> None:
        with serving(sent, 0.05, end) as server:
            with pytest.raises(NetworkError) as caught:
                fetched(server.url, f"{server.origin}/files/a{QUERY}")
            assert server.wait_until_closed()
        assert caught.value.code == "truncated"
        assert "/files/a: " in caught.value.message

    def test_nor_is_what_was_packed_wrongly(self) -> None:
        with serving(whole(b"x" * 100, Content_Encoding="gzip")) as server:
            with pytest.raises(NetworkError) as caught:
                fetched(server.url, f"{server.origin}/files/a{QUERY}")
            assert server.wait_until_closed()
        assert (caught.value.code, caught.value.retryable) == ("undecodable", False)

    @pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Ty"])
    def test_nor_is_half_a_head(self, sent: bytes) -> None:
        with serving(sent, FIN) as server, pytest.raises(NetworkError):
            fetched(server.url, f"{server.origin}/a")

    def test_an_encoding_that_was_not_asked_for(self) -> None:
        with serving(whole(b"?", Content_Encoding="br")) as server:
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
            whole(gzip.compress(bytes(50_000_000), 1), Content_Encoding="gzip"),
        ],
    )
    def test_by_what_comes(self, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(policy, "MEDIA_CAP", 1000)
        with serving(sent, FIN) as server, pytest.raises(NetworkError) as caught:
            fetched(server.url, f"{server.origin}/a")
        assert caught.value.code == "too_large"
        assert not caught.value.retryable

    def test_a_bomb_is_unpacked_a_little_at_a_time(self) -> None:
        with serving(whole(gzip.compress(bytes(100_000_000)), Content_Encoding="gzip")) as server:
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
        with serving(whole(b"x" * 1000)) as server:
            assert len(fetched(server.url, f"{server.origin}/a")) == 1000


class TestUnpacksToNothing:
    """Each gzip member is whole and empty, and there is no end to them."""

    @pytest.mark.parametrize("begun", [b"", gzip.compress(b"some of the file")], ids=["nothing", "little"])
    def test_it_is_left_when_much_has_come_and_little_came_of_it(self, begun: bytes) -> None:
        members = gzip.compress(b"") * 3000
        sent = 0

        def serve(taken: Taken) -> bool:
            nonlocal sent
            taken.send(head(200, Content_Encoding="gzip", Connection="close") + begun)
            while True:
                taken.send(members)
                sent += len(members)

        with UploadServer(serve) as server, pytest.raises(NetworkError, match="next to nothing") as caught:
            fetched(server.url, f"{server.url}/a", max_retries=2)
        assert (caught.value.code, caught.value.retryable) == ("too_large", False)
        assert sent < 50_000_000
        assert len(server.taken) == 1

    def test_what_only_does_not_shrink_is_fetched(self) -> None:
        content = random.Random(1).randbytes(3_000_000)
        compressor = zlib.compressobj(wbits=31)
        packed = [
            compressor.compress(content[n : n + 20]) + compressor.flush(zlib.Z_SYNC_FLUSH)
            for n in range(0, len(content), 20)
        ]
        sent = b"".join(packed) + compressor.flush()
        assert len(sent) > 1.2 * len(content)
        with serving(whole(sent, Content_Encoding="gzip")) as server:
            assert fetched(server.url, f"{server.origin}/a") == content


PAGE = b"<html><head><title>This link has expired</title></head></html>"


class TestNoFile:
    """Rule B16, for files: a good status alone makes none."""

    @pytest.mark.parametrize(
        ("content", "kind", "said"),
        [
            (PAGE, "text/html; charset=utf-8", r"answered 200 without the file \(text/html\): This link has expired$"),
            (PAGE, "application/xhtml+xml", "This link has expired"),
            (b'{"error": {"message": "the link is too old"}}', "application/json", "an error: the link is too old"),
            (b'{"success": false, "message": "no"}', "application/problem+json", "answered an error: no"),
            (b'{"url": "https://elsewhere"}', "Application/JSON", "without the file"),
            (b"[" * 100_000, "text/json", "without the file"),
            (b"", "text/html", "an empty body"),
        ],
    )
    def test_a_page_and_json(self, content: bytes, kind: str, said: str) -> None:
        with serving(whole(content, Content_Type=kind)) as server:
            with pytest.raises(APIError, match=said) as caught:
                fetched(server.url, f"{server.origin}/a{QUERY}", max_retries=2)
            assert server.wait_until_closed()
        assert len(server.requests) == 1
        assert SECRET not in str(caught.value)

    def test_an_error_in_it_is_the_one_that_it_says(self) -> None:
        said = {"error": {"message": "too many", "code": "rate_limit_exceeded"}}
        with serving(answer(200, said)) as server, pytest.raises(RateLimitError):
            fetched(server.url, f"{server.origin}/a")

    @pytest.mark.parametrize(
        "sent",
        [
            whole(b""),
            whole(gzip.compress(b""), Content_Encoding="gzip"),
            head(200, Content_Type="video/mp4", Transfer_Encoding="chunked") + chunked(),
            head(200, Content_Type="video/mp4", Connection="close"),
        ],
        ids=["length", "gzip", "chunked", "close"],
    )
    def test_an_empty_body(self, sent: bytes) -> None:
        with serving(sent, FIN) as server, pytest.raises(APIError, match=r"without the file.*an empty body") as caught:
            fetched(server.url, f"{server.origin}/a", max_retries=2)
        assert caught.value.code == "no_content"
        assert len(server.requests) == 1


class TestAgain:
    """Until its first byte was handed out, a file is asked for again by the usual rules."""

    BUSY = answer(503, {"detail": "busy"}, Retry_After="0")

    @pytest.mark.parametrize(
        "actions",
        [
            [BUSY],
            [answer(429, {"detail": "slow down"}, Retry_After="0.1")],
            [answer(502, b"bad gateway")],
            [FIN],
            [RST],
            [b"HTTP/1.1 200 OK\r\nContent-Ty", FIN],
            [head(200, Content_Length="256000"), FIN],
            [head(200, Transfer_Encoding="chunked"), RST],
            [head(200, Content_Length="256000"), HOLD],
            [answer(200, {"error": {"type": "server_error"}})],
        ],
        ids=["503", "429", "502", "FIN", "RST", "half a head", "no body", "no chunk", "silence", "an error in it"],
    )
    def test_what_may_pass(self, actions: list[Action]) -> None:
        with RawServer(lambda seen: [WHOLE] if seen.number else actions) as server:
            assert fetched(server.url, f"{server.origin}/a{QUERY}", max_retries=1, timeout=0.5) == CONTENT
        assert [seen.path for seen in server.requests] == [f"/a{QUERY}"] * 2

    def test_from_the_url_of_the_answer_on(self) -> None:
        def script(seen: Seen) -> list[Action]:
            if seen.path == "/a":
                return [head(302, Location="/signed", Content_Length="0")]
            return [WHOLE] if seen.number == 3 else [self.BUSY]

        with RawServer(script) as server:
            assert fetched(server.url, f"{server.origin}/a", max_retries=1) == CONTENT
        assert [seen.path for seen in server.requests] == ["/a", "/signed"] * 2

    def test_as_often_as_max_retries_says(self) -> None:
        with serving(self.BUSY) as server:
            with pytest.raises(ServiceUnavailableError) as caught:
                fetched(server.url, f"{server.origin}/a{QUERY}", max_retries=2)
        assert len(server.requests) == 3
        assert [(attempt.status, attempt.outcome) for attempt in caught.value.attempts] == [(503, "rejected")] * 3
        assert [attempt.wait for attempt in caught.value.attempts] == [0, 0, None]

    @pytest.mark.parametrize(
        "actions",
        [
            [answer(404, {"detail": "gone"})],
            [answer(403, {"detail": "expired"})],
            [answer(503, {"detail": "busy"}, Retry_After="3600")],
            [whole(b"?", Content_Encoding="br")],
            [head(302, Location="https://127.0.0.1/a", Content_Length="0")],
        ],
        ids=["404", "403", "an hour", "encoding", "unsafe"],
    )
    def test_what_will_not_pass(self, actions: list[Action]) -> None:
        with serving(*actions) as server, pytest.raises(IndoxRouterError):
            fetched(server.url, f"{server.origin}/a", max_retries=2)
        assert len(server.requests) == 1

    def test_never_once_some_of_it_was_handed_out(self) -> None:
        with serving(head(200, Content_Length="256001"), CONTENT, FIN) as server:
            pieces = downloads(server.url, max_retries=2).fetch(f"{server.origin}/a")
            assert next(pieces)
            with pytest.raises(NetworkError) as caught:
                list(pieces)
        assert caught.value.code == "truncated"
        assert len(server.requests) == 1

    @pytest.mark.kinds("sync", "async")
    def test_their_retries_are_the_clients(self) -> None:
        """They draw from the bucket that its calls' retries draw from."""
        down = True

        def script(seen: Seen) -> list[Action]:
            if down and seen.number:
                return [answer(503, {"detail": "busy"}, retry_after_ms="1")]
            return [WHOLE] if seen.path == "/a" else [answer(200, {"data": [{"url": "/a"}], "success": True})]

        with RawServer(script) as server, clients.Client(KEY, server.url, max_retries=2) as client:
            image = client.image("x").data[0]
            for _ in range(60):
                with pytest.raises(ServiceUnavailableError):
                    image.save()
            assert len(server.requests) == 1 + 60 + 100
            with pytest.raises(ServiceUnavailableError) as caught:
                client.models()
            assert len(caught.value.attempts) == 1
            down = False
            for n in range(5):
                image.save(f"{n}.mp4")
            down = True
            with pytest.raises(ServiceUnavailableError) as caught:
                image.save()
            assert len(caught.value.attempts) == 2

    def test_not_past_the_deadline(self) -> None:
        with serving(answer(503, {"detail": "busy"}, Retry_After="30")) as server:
            started = time.monotonic()
            with pytest.raises(ServiceUnavailableError):
                fetched(server.url, f"{server.origin}/a", max_retries=2, deadline=1)
            assert time.monotonic() - started < 1 + 0.5
        assert len(server.requests) == 1

    def test_where_nothing_listens_yet(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
            with pytest.raises(NetworkError) as caught:
                fetched(f"http://127.0.0.1:{port}/v1", f"http://127.0.0.1:{port}/a", max_retries=1)
        assert [attempt.outcome for attempt in caught.value.attempts] == ["not_sent"] * 2
        assert (caught.value.attempts[0].wait or 0) >= 0.25


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
         [whole(b"?", Content_Encoding="br")], [head(302, Location=f"/a{QUERY}", Content_Length="0")],
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
