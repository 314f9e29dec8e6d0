"""The OpenAI-compatible API: files."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from indoxrouter.sandbox import Sandbox
from indoxrouter.sandbox.openai_api import files

from .sandbox_api import OpenAIApi
from .test_sandbox_streams import eventually

HEAD = "POST /openai/v1/files HTTP/1.1\r\nHost: localhost\r\n"
KIND = "Content-Type: multipart/form-data; boundary=b\r\n"
CONTENT = bytes(range(256)) * 10_000  # more than is kept in memory


@pytest.fixture
def openai(sandbox: Sandbox) -> Iterator[OpenAIApi]:
    """A sandbox without files."""
    with OpenAIApi(sandbox) as api:
        yield api


def upload(openai: OpenAIApi, content: bytes = b"{}\n", name: str = "a.jsonl", purpose: str = "batch") -> Any:
    answer = openai.post("files", files={"file": (name, content)}, data={"purpose": purpose})
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(openai: OpenAIApi, query: str = "") -> list[str]:
    return [row["filename"] for row in openai.get(f"files{query}").json()["data"]]


def test_a_file_is_kept(openai: OpenAIApi) -> None:
    stored = upload(openai, CONTENT)
    assert set(stored) == {"id", "object", "bytes", "created_at", "filename", "purpose", "status"}
    assert (stored["object"], stored["bytes"], stored["filename"]) == ("file", len(CONTENT), "a.jsonl")
    assert openai.get(f"files/{stored['id']}").json() == stored
    for _ in range(2):
        answer = openai.get(f"files/{stored['id']}/content")
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.content == CONTENT
    assert openai.get("files").json()["data"] == [stored]
    empty = upload(openai, b"")
    assert openai.get(f"files/{empty['id']}/content").content == b""


def test_a_file_is_deleted(openai: OpenAIApi) -> None:
    name = upload(openai)["id"]
    assert openai.delete(f"files/{name}").json() == {"id": name, "object": "file", "deleted": True}
    for answer in (openai.get(f"files/{name}"), openai.get(f"files/{name}/content"), openai.delete(f"files/{name}")):
        assert answer.status_code == 404
        assert name in answer.json()["error"]["message"]


def test_files_are_listed_page_by_page(openai: OpenAIApi) -> None:
    assert openai.get("files").json() == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }
    for number in range(5):
        upload(openai, name=f"{number}", purpose="batch" if number % 2 else "assistants")
    assert names(openai) == ["4", "3", "2", "1", "0"]
    assert names(openai, "?order=asc&purpose=batch") == ["1", "3"]
    page = openai.get("files?limit=2").json()
    assert page["has_more"] is True
    assert names(openai, f"?limit=3&after={page['last_id']}") == ["2", "1", "0"]
    for limit in ("0", "x", "10001"):
        assert openai.get(f"files?limit={limit}").json()["error"]["param"] == "limit"


@pytest.mark.parametrize(
    ("parts", "param"), [({"data": {"purpose": "batch"}}, "file"), ({"files": {"file": b"x"}}, "purpose")]
)
def test_what_a_file_needs(openai: OpenAIApi, parts: dict[str, Any], param: str) -> None:
    answer = openai.post("files", **parts)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_a_download_ends_unfinished_when_its_file_is_deleted(openai: OpenAIApi) -> None:
    name = upload(openai, CONTENT * 8)["id"]
    slow = {"X-Sandbox-Fault": '{"drip": 60000, "interval": 0.05}'}
    with openai.get(f"files/{name}/content", headers=slow, stream=True) as answer:
        next(answer.iter_content(1000))
        assert openai.delete(f"files/{name}").status_code == 200
        with pytest.raises(requests.RequestException):
            list(answer.iter_content(100_000))


def test_a_file_that_is_too_large(openai: OpenAIApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST", 1_500_000)
    too_large = openai.post("files", files={"file": bytes(1_600_000)}, data={"purpose": "batch"})
    assert too_large.status_code == 413
    assert "1500000" in too_large.json()["error"]["message"]
    # not a byte more than the limit and one is sent: what a server leaves unread can reset the connection
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    body = part + bytes(1_500_000 + (1 << 20) + 1 - len(part))
    head = f"{HEAD}Authorization: Bearer {openai.sandbox.api_key}\r\n{KIND}Transfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", openai.sandbox.port), timeout=10) as connection:
        connection.sendall(head.encode() + f"{len(body):x}\r\n".encode() + body)
        assert connection.recv(12) == b"HTTP/1.1 400"
    assert names(openai) == []


def test_a_file_larger_than_any_is_refused_before_it_is_sent(openai: OpenAIApi) -> None:
    head = f"{HEAD}Authorization: Bearer {openai.sandbox.api_key}\r\n"
    with socket.create_connection(("127.0.0.1", openai.sandbox.port), timeout=10) as connection:
        connection.sendall(f"{head}Content-Length: {600 << 20}\r\n\r\n".encode())
        assert connection.recv(12) == b"HTTP/1.1 413"


def test_an_upload_that_is_left_is_let_go(openai: OpenAIApi) -> None:
    head = f"{HEAD}Authorization: Bearer {openai.sandbox.api_key}\r\n{KIND}Content-Length: 3000000\r\n\r\n"
    part = '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    with socket.create_connection(("127.0.0.1", openai.sandbox.port), timeout=10) as connection:
        connection.sendall((head + part).encode() + bytes(2_000_000))
        eventually(lambda: openai.sandbox.stats()["running"] == 1)
    eventually(lambda: openai.sandbox.stats()["running"] == 0)
    assert names(openai) == []
