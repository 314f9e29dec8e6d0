"""Files go out as they are, without being held in memory, and again only if they can be read again."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import socket
import tempfile
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clients import Client
from raw_server import answer, ok
from upload_server import SAID, Taken, UploadServer, accepting, piped
from urllib3.filepost import encode_multipart_formdata

from indoxrouter import (
    APIError,
    AuthenticationError,
    OpenAI,
    RateLimitError,
    ServiceUnavailableError,
    ValidationError,
)

KEY = "key-of-the-tests"
KINDS = ("sync", "async")
MODEL = "openai/whisper-1"
CONTENT = bytes(range(256)) * 4000
"""About a megabyte: several pieces."""
NOT_TWICE = "can't be read twice"


def answering(*answers: bytes) -> Callable[[Taken], None]:
    """Read each upload whole; the last answer is for all that follow."""

    def serve(taken: Taken) -> None:
        taken.read_all()
        taken.send(answers[min(taken.number, len(answers) - 1)])

    return serve


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "said.wav"
    found.write_bytes(CONTENT)
    return found


class TestWhatIsSent:
    @pytest.mark.parametrize(
        "form", ["path", "text path", "bytes", "bytearray", "open file", "unbuffered", "memory", "spooled", "zipped"]
    )
    def test_the_same_bytes_as_urllib3_joins_of_a_whole_file(self, form: str, path: Path, tmp_path: Path) -> None:
        with contextlib.ExitStack() as stack:
            file: Any
            match form:
                case "path" | "text path":
                    file = path if form == "path" else str(path)
                case "bytes" | "bytearray":
                    file = CONTENT if form == "bytes" else bytearray(CONTENT)
                case "open file" | "unbuffered":
                    file = stack.enter_context(path.open("rb", -1 if form == "open file" else 0))
                case "memory":
                    file = io.BytesIO(CONTENT)
                case "spooled":
                    file = stack.enter_context(tempfile.SpooledTemporaryFile(100))
                    file.write(CONTENT)
                    file.seek(0)
                case _:
                    (tmp_path / "zipped").write_bytes(gzip.compress(CONTENT))
                    file = stack.enter_context(gzip.open(tmp_path / "zipped"))
            with UploadServer(accepting) as server, Client(KEY, server.url) as client:
                found = client.transcribe(file, MODEL, prompt="p", filename="a.wav")
        assert found.text == "said"
        taken = server.taken[0]
        boundary = taken.headers["content-type"].partition("boundary=")[2]
        whole, kind = encode_multipart_formdata(
            [("file", ("a.wav", CONTENT, "application/octet-stream")), ("model", MODEL), ("prompt", "p")], boundary
        )
        assert (taken.body, taken.headers["content-type"]) == (whole, kind)
        assert taken.headers["content-length"] == str(len(whole))
        assert "transfer-encoding" not in taken.headers

    def test_an_open_file_is_sent_from_where_it_stands(self, path: Path) -> None:
        with UploadServer(accepting) as server, Client(KEY, server.url) as client, path.open("rb") as file:
            file.read(1000)
            client.transcribe(file, MODEL)
            assert server.taken[0].file == CONTENT[1000:]
            client.transcribe(file, MODEL)  # it has been read, as whoever reads one leaves it
            assert server.taken[1].file == b""

    def test_a_pipe_is_sent_as_it_comes_in_chunks(self) -> None:
        with UploadServer(accepting) as server, Client(KEY, server.url) as client, piped(CONTENT) as file:
            client.transcribe(file, MODEL, prompt="p")
        taken = server.taken[0]
        assert (taken.file, taken.whole) == (CONTENT, True)
        assert taken.headers["transfer-encoding"] == "chunked"
        assert "content-length" not in taken.headers

    def test_a_named_pipe_is_too(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo")
        writer = threading.Thread(target=(tmp_path / "fifo").write_bytes, args=(CONTENT,))
        with UploadServer(accepting) as server, Client(KEY, server.url) as client:
            threading.Timer(0.2, writer.start).start()
            client.transcribe(tmp_path / "fifo", MODEL)
        writer.join(5)
        assert (server.taken[0].file, server.taken[0].whole) == (CONTENT, True)

    def test_what_only_reads_is_enough(self) -> None:
        class Reads:
            def __init__(self) -> None:
                self.inner = io.BytesIO(CONTENT)

            def read(self, most: int) -> bytes:
                return self.inner.read(min(most, 1000))

        with UploadServer(accepting) as server, Client(KEY, server.url) as client:
            client.transcribe(Reads(), MODEL)
        assert server.taken[0].file == CONTENT

    def test_an_empty_file(self) -> None:
        with UploadServer(accepting) as server, Client(KEY, server.url) as client:
            client.transcribe(b"", MODEL)
        assert (server.taken[0].file, server.taken[0].whole) == (b"", True)

    @pytest.mark.kinds("sync")
    def test_the_openai_styles_files(self, path: Path) -> None:
        with UploadServer(answering(ok({"id": "file-1", "object": "file"}))) as server:
            with OpenAI(KEY, server.url) as client:
                client.files.create(file=path, purpose="batch")
        assert (server.taken[0].path, server.taken[0].file) == ("/v1/files", CONTENT)

    def test_the_connection_is_used_again(self, path: Path) -> None:
        with UploadServer(accepting) as server, Client(KEY, server.url, auth="key") as client:
            for _ in range(3):
                client.transcribe(path, MODEL)
            assert server.connections == 1


class TestBadInput:
    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (lambda folder: folder / "missing.wav", "missing.wav' can't be read: No such file"),
            (lambda folder: str(folder), "can't be read: Is a directory"),
            (lambda folder: folder / "a\0b", "null"),
            (lambda _: io.StringIO("text"), "binary mode"),
            (lambda folder: (folder / "text").open("w+"), "text' must be open in binary mode"),
            (lambda folder: (folder / "new").open("wb"), "new' can't be read: it is not open for reading"),
            (lambda folder: closed(folder / "closed"), "closed' can't be read"),
            (lambda _: 5, "not int"),
            (lambda _: None, "not NoneType"),
            (lambda _: [b"a"], "not list"),
        ],
    )
    def test_is_refused_before_anything_is_sent(self, make: Any, said: str, tmp_path: Path) -> None:
        file = make(tmp_path)
        with UploadServer(accepting) as server, Client(KEY, server.url) as client:
            with pytest.raises(ValidationError, match=said) as caught:
                client.transcribe(file, MODEL)
        assert caught.value.outcome == "not_sent"
        assert server.connections == 0, "a login was sent"
        if hasattr(file, "close"):
            file.close()

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_an_unreadable_file(self, path: Path) -> None:
        path.chmod(0)
        with Client(KEY, "http://127.0.0.1:9/v1") as client:
            with pytest.raises(ValidationError, match="Permission denied"):
                client.transcribe(path, MODEL)

    @pytest.mark.parametrize("name", [5, "\ud800", b"a.wav"])
    def test_a_filename_that_cannot_be_sent(self, name: Any) -> None:
        with UploadServer(accepting) as server, Client(KEY, server.url) as client:
            with pytest.raises(ValidationError, match="name"):
                client.transcribe(b"s", MODEL, filename=name)
        assert server.connections == 0

    def test_a_filename_cannot_break_out_of_its_header(self) -> None:
        with UploadServer(accepting) as server, Client(KEY, server.url) as client:
            client.transcribe(b"s", MODEL, filename='a"\r\n\r\nb.wav')
        assert server.taken[0].file == b"s"


def closed(path: Path) -> Any:
    path.touch()
    with path.open("rb") as file:
        return file


class TestAgain:
    @pytest.mark.parametrize("form", ["path", "bytes", "open file"])
    def test_the_same_bytes_under_the_same_key(self, form: str, path: Path) -> None:
        busy = answer(429, {"detail": "busy"}, Retry_After="0")
        with path.open("rb") as opened, UploadServer(answering(busy, busy, SAID)) as server:
            opened.seek(7)
            file: Any = {"path": path, "bytes": CONTENT, "open file": opened}[form]
            with Client(KEY, server.url) as client:
                assert client.transcribe(file, MODEL).text == "said"
        first, second, third = server.taken
        assert first.file == (CONTENT[7:] if form == "open file" else CONTENT)
        assert first.body == second.body == third.body
        assert len({taken.headers["content-type"] for taken in server.taken}) == 1
        assert len({taken.headers["idempotency-key"] for taken in server.taken}) == 1

    def test_a_fresh_token_and_the_next_model_get_the_file_too(self, path: Path) -> None:
        answers = answer(401, {"detail": "expired"}), answer(503, {"detail": "down"}), SAID
        with UploadServer(answering(*answers)) as server, Client(KEY, server.url, max_retries=0) as client:
            with path.open("rb") as file:
                client.transcribe(file, MODEL, fallback_models=["a/b"])
        assert [taken.file for taken in server.taken] == [CONTENT] * 3
        assert b"a/b" in server.taken[2].body
        assert server.logins == 2


class TestOnce:
    """What can't be read twice is sent once; the error says why there was no other try."""

    @pytest.mark.parametrize(
        ("refusal", "cls"),
        [
            (answer(429, {"detail": "busy"}, Retry_After="0"), RateLimitError),
            (answer(503, {"detail": "down"}), ServiceUnavailableError),
        ],
    )
    @pytest.mark.parametrize("fallbacks", [[], ["a/b"]])
    def test_neither_a_retry_nor_another_model(self, refusal: bytes, cls: type[APIError], fallbacks: list[str]) -> None:
        with UploadServer(answering(refusal, SAID)) as server, Client(KEY, server.url) as client:
            with piped(CONTENT) as file, pytest.raises(cls, match=NOT_TWICE) as caught:
                client.transcribe(file, MODEL, fallback_models=fallbacks)
        assert len(server.taken) == len(caught.value.attempts) == 1
        assert caught.value.message.count(NOT_TWICE) == 1

    def test_what_would_not_have_been_retried_says_nothing_of_it(self) -> None:
        with UploadServer(answering(answer(400, {"detail": "no"}))) as server, Client(KEY, server.url) as client:
            with piped(CONTENT) as file, pytest.raises(APIError) as caught:
                client.transcribe(file, MODEL)
        assert NOT_TWICE not in caught.value.message

    def test_a_401_is_final_for_it_but_not_for_the_next_call(self) -> None:
        answers = answer(401, {"detail": "expired"}), SAID
        with UploadServer(answering(*answers)) as server, Client(KEY, server.url) as client:
            with piped(CONTENT) as file, pytest.raises(AuthenticationError, match=NOT_TWICE):
                client.transcribe(file, MODEL)
            assert len(server.taken) == 1
            with piped(CONTENT) as file:
                client.transcribe(file, MODEL)
        assert server.taken[1].file == CONTENT
        assert server.taken[1].headers["authorization"] != server.taken[0].headers["authorization"]

    def test_no_connection_is_no_reading(self) -> None:
        with socket.socket() as later:
            later.bind(("127.0.0.1", 0))  # and refuses, as long as it does not listen
            url = f"http://127.0.0.1:{later.getsockname()[1]}/v1"
            received: list[bytes] = []

            def listen() -> None:
                later.listen()
                connection, _ = later.accept()
                with connection, connection.makefile("rb") as reader:
                    for line in reader:
                        received.append(line)
                        if line == b"0\r\n":
                            break
                    connection.sendall(SAID)

            listener = threading.Timer(0.2, listen)
            listener.start()
            with Client(KEY, url, auth="key", max_retries=3) as client, piped(b"the sound") as file:
                found = client.transcribe(file, MODEL)
            listener.join(5)
        assert [attempt.outcome for attempt in found.attempts] == ["not_sent", "done"]
        assert any(b"the sound" in line for line in received)


def test_memory_does_not_grow_with_the_file(path: Path) -> None:
    os.truncate(path, 100_000_000)

    def serve(taken: Taken) -> None:
        left = int(taken.headers["content-length"])
        while left:
            left -= len(taken.reader.read(min(left, 65536)))
        taken.send(SAID)

    with UploadServer(serve) as server, Client(KEY, server.url) as client:
        client.transcribe(b"sound", MODEL)
        tracemalloc.start()
        try:
            client.transcribe(path, MODEL)
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert most < 20_000_000
