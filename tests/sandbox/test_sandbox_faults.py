"""Failures on order, seen from a socket."""

import http.client
import json
import socket
import time
from typing import Any

import pytest
import requests

from .sandbox_api import Api, chat_body, chunks, events
from .test_sandbox_streams import eventually


def order(**fields: Any) -> dict[str, str]:
    return {"X-Sandbox-Fault": json.dumps(fields)}


def raw(api: Api, fault: dict[str, Any], body: dict[str, Any]) -> bytes:
    """Everything the server sends until it closes the connection."""
    content = json.dumps(body).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: {api.session.headers['Authorization']}\r\n"
        f"X-Sandbox-Fault: {json.dumps(fault)}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    received = b""
    with socket.create_connection(("127.0.0.1", api.sandbox.port), timeout=10) as connection:
        connection.sendall(head.encode() + content)
        while data := connection.recv(65536):
            received += data
    return received


def test_a_status_on_order(own: Api) -> None:
    answer = own.chat(headers=order(status=503, retry_after=1.5, headers={"X-Extra": "yes"}))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1.5"
    assert answer.headers["x-extra"] == "yes"
    assert answer.headers["x-request-id"]
    assert "Service Unavailable" in answer.json()["detail"]
    assert own.chat().status_code == 200
    stats = own.sandbox.stats()
    assert (stats["faults"], stats["charges"], stats["requests"]["chat/completions"]) == (1, 1, 2)


@pytest.mark.parametrize(
    ("body", "content", "kind"),
    [
        ({"error": {"message": "no"}}, b'{"error":{"message":"no"}}', "application/json"),
        ([1, 2], b"[1,2]", "application/json"),
        ("<html>Bad gateway</html>", b"<html>Bad gateway</html>", "text/html; charset=utf-8"),
        ("busy", b"busy", "text/plain; charset=utf-8"),
        ("", b"", "text/plain; charset=utf-8"),
    ],
)
def test_the_body_of_a_status(api: Api, body: Any, content: bytes, kind: str) -> None:
    answer = api.chat(headers=order(status=502, body=body))
    assert (answer.content, answer.headers["content-type"]) == (content, kind)


def test_a_good_status_and_an_unknown_one(api: Api) -> None:
    page = api.chat(headers=order(status=200, body="<html>Login</html>"))
    assert (page.status_code, page.text) == (200, "<html>Login</html>")
    odd = api.chat(headers=order(status=599))
    assert (odd.status_code, odd.json()) == (599, {"detail": "Unknown (a fault that was ordered)"})


@pytest.mark.parametrize(
    ("method", "path", "body", "more"),
    [
        ("POST", "chat/completions", chat_body(), {}),
        ("POST", "chat/completions", chat_body(model="openai/none"), {}),
        ("POST", "chat/completions", chat_body(), {"status": 500}),
        ("GET", "user/me", None, {}),
        ("GET", "nothing", None, {}),
        ("GET", "embeddings", None, {}),
    ],
)
def test_a_delay_comes_before_any_answer(api: Api, method: str, path: str, body: Any, more: dict[str, Any]) -> None:
    before = time.monotonic()
    url = f"{api.sandbox.url}/{path}"
    api.session.request(method, url, json=body, headers=order(delay=0.2, **more), timeout=10)
    assert time.monotonic() - before >= 0.2


def test_a_fault_works_for_logins_too(own: Api) -> None:
    own.sandbox.fault(path="auth/*", status=429, retry_after=3)
    refused = own.post("auth/api-key", headers={"X-API-Key": own.sandbox.api_key})
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "3")
    assert own.login()["access_token"]


def test_a_cut_body_ends_by_fin(own: Api) -> None:
    head, _, body = raw(own, {"cut": 20}, chat_body()).partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
    assert len(body) == 20 < length
    assert body.startswith(b'{"request_id":')
    assert own.sandbox.stats()["charges"] == 1


def test_a_cut_right_after_the_head(own: Api) -> None:
    assert raw(own, {"cut": 0}, chat_body()).endswith(b"\r\n\r\n")


def test_a_cut_stream_has_no_last_chunk(own: Api) -> None:
    received = raw(own, {"cut": 500}, chat_body(stream=True))
    assert b"transfer-encoding: chunked" in received.lower()
    assert not received.endswith(b"0\r\n\r\n")
    whole = raw(own, {"cut": 10**6}, chat_body(stream=True))
    assert b"data: [DONE]" in whole
    assert not whole.endswith(b"0\r\n\r\n")
    stats = own.sandbox.stats()
    assert (stats["charges"], stats["running"]) == (2, 0)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        own.chat_stream(headers=order(cut=500)).content  # noqa: B018 - reads


def test_a_cut_may_be_uncharged(own: Api) -> None:
    for stream in (False, True):
        raw(own, {"cut": 40, "charge": False}, chat_body(stream=stream))
    assert own.sandbox.stats()["charges"] == 0


def test_a_dripped_body_arrives_whole_and_slowly(own: Api) -> None:
    expected = len(own.chat().content)
    before = time.monotonic()
    answer = own.chat(headers=order(drip=200, interval=0.05))
    took = time.monotonic() - before
    assert abs(len(answer.content) - expected) < 20
    assert took >= 0.05 * (len(answer.content) // 200 - 1)
    assert chunks(own.chat_stream(headers=order(drip=400, interval=0.001)))


def test_a_drip_ends_when_nobody_listens(own: Api) -> None:
    with own.chat_stream(headers=order(drip=1, interval=0.5)) as answer:
        assert answer.raw.read(1) == b"d"
    eventually(lambda: own.sandbox.stats()["running"] == 0, seconds=2)
    assert own.sandbox.stats()["charges"] == 1


def test_a_hang_is_silent_and_then_goes_on(own: Api) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", own.sandbox.port, timeout=10)
    headers = order(hang=0.4, hang_after=10) | {"Authorization": str(own.session.headers["Authorization"])}
    before = time.monotonic()
    connection.request("POST", "/v1/chat/completions", json.dumps(chat_body()), headers)
    answer = connection.getresponse()
    start = answer.read(10)
    assert time.monotonic() - before < 0.35
    assert json.loads(start + answer.read())["success"] is True
    assert time.monotonic() - before >= 0.4
    connection.close()


def test_a_hang_with_a_status_passes_over_the_body(own: Api) -> None:
    before = time.monotonic()
    answer = own.chat("word " * 100_000, headers=order(status=500, hang=0.3))
    assert answer.status_code == 500
    assert time.monotonic() - before >= 0.3


def test_a_hang_ends_when_nobody_listens(own: Api) -> None:
    for stream in (False, True):
        with pytest.raises(requests.RequestException):
            own.post("chat/completions", chat_body(stream=stream), headers=order(hang=60), timeout=0.2)
    eventually(lambda: own.sandbox.stats()["running"] == 0, seconds=2)
    assert own.sandbox.stats()["charges"] == 2


def test_a_malformed_event_is_put_before_the_one_that_was_named(own: Api) -> None:
    found = events(own.chat_stream(headers=order(malformed=2)))
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(found[2])
    assert json.loads(found[1])
    assert json.loads(found[3])
    content = own.chat_stream(headers=order(malformed=0, malformed_as="utf-8")).content
    with pytest.raises(UnicodeDecodeError):
        content.decode()
    assert own.sandbox.stats()["charges"] == 2


def test_an_error_event_ends_the_stream_uncharged(own: Api) -> None:
    *parts, error = [json.loads(event) for event in events(own.chat_stream(headers=order(error_event=3)))]
    assert len(parts) == 3
    assert error["error"]["code"] == "provider_error"
    assert own.sandbox.stats()["charges"] == 0
    [only] = events(own.chat_stream(headers=order(error_event=0, error="text alone")))
    assert json.loads(only) == {"error": "text alone"}


def test_an_error_event_may_be_charged_up_to_there(own: Api) -> None:
    assert len(events(own.chat_stream(headers=order(error_event=4, charge=True)))) == 5
    assert own.sandbox.stats()["charges"] == 1
    assert own.usage()["total_tokens"]["output"] == 3


def test_a_charged_status_of_a_stream(own: Api) -> None:
    assert own.chat_stream(headers=order(status=504, charge=True)).status_code == 504
    assert own.sandbox.stats()["charges"] == 1


def test_expiry_refuses_every_token_until_a_new_login(own: Api) -> None:
    own.sandbox.fault(path="user/me", expire=True)
    with Api(own.sandbox) as other:
        assert own.get("user/me").status_code == 401
        assert own.chat().status_code == 401
        assert other.chat().status_code == 401
        other.login()
        assert other.chat().status_code == 200
        assert own.chat().status_code == 401


def test_kinds_combine(own: Api) -> None:
    before = time.monotonic()
    received = raw(own, {"delay": 0.2, "status": 500, "body": "x" * 100, "cut": 7}, chat_body())
    assert time.monotonic() - before >= 0.2
    assert received.startswith(b"HTTP/1.1 500 ")
    assert received.partition(b"\r\n\r\n")[2] == b"x" * 7
    slow = raw(own, {"drip": 5, "interval": 0.01, "hang": 0.1, "hang_after": 12, "cut": 23}, chat_body())
    assert len(slow.partition(b"\r\n\r\n")[2]) == 23


def test_orders_count_times_and_after(own: Api) -> None:
    own.sandbox.fault(path="chat/completions", times=2, after=1, status=503)
    assert [own.chat().status_code for _ in range(5)] == [200, 503, 503, 200, 200]
    own.sandbox.fault(path="user/*", method="get", times=None, status=500)
    assert [own.get("user/me").status_code for _ in range(3)] == [500] * 3
    assert own.chat().status_code == 200
    own.sandbox.clear_faults()
    assert own.get("user/me").status_code == 200
    own.sandbox.fault(status=418)
    assert own.get("models").status_code == 418
    assert own.get("models").status_code == 200


def test_a_header_comes_before_an_order_and_leaves_it(own: Api) -> None:
    own.sandbox.fault(status=500)
    assert own.chat(headers=order(status=503)).status_code == 503
    assert own.chat().status_code == 500


def test_orders_over_http(own: Api) -> None:
    url = own.sandbox.origin + "/sandbox/faults"
    assert requests.post(url, json={"path": "chat/completions", "status": 503}, timeout=10).status_code == 201
    assert own.chat().status_code == 503
    requests.post(url, json={"status": 503, "times": 5}, timeout=10)
    assert requests.delete(url, timeout=10).status_code == 200
    assert own.chat().status_code == 200
    for bad in (b"{", b"[]", b'{"stat": 1}', b'{"times": 0}', b'{"path": 5}', b'{"after": -1}'):
        assert requests.post(url, data=bad, timeout=10).status_code == 400


@pytest.mark.parametrize(
    "fault",
    [
        "nonsense",
        "[" * 10_000,
        "[]",
        '{"statsu": 503}',
        '{"times": 2}',
        '{"status": 99}',
        '{"status": 600}',
        '{"status": "503"}',
        '{"delay": -1}',
        '{"delay": true}',
        '{"delay": NaN}',
        '{"cut": 1.5}',
        '{"drip": 0}',
        '{"malformed_as": "xml"}',
        '{"charge": 1}',
        '{"expire": "yes"}',
        '{"status": 500, "headers": []}',
        '{"status": 500, "headers": {"A B": "x"}}',
        '{"status": 500, "headers": {"A": "x\\r\\nB: y"}}',
    ],
)
def test_a_fault_that_cannot_be_is_refused(api: Api, fault: str) -> None:
    answer = api.chat(headers={"X-Sandbox-Fault": fault})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("X-Sandbox-Fault: ")


def test_stats_count_and_are_reset(own: Api) -> None:
    own.chat()
    own.chat(headers={"Authorization": "Bearer no"})
    url = own.sandbox.origin + "/sandbox/stats"
    stats = requests.get(url, timeout=10).json()
    assert stats == own.sandbox.stats()
    assert set(stats) == {
        *("logins", "refused_logins", "refreshes", "refused_refreshes", "tokens_issued", "unauthorized"),
        *("rate_limited", "charges", "replays", "cancelled_streams", "stopped_streams", "stops", "faults"),
        *("running", "open_streams", "requests"),
    }
    assert (stats["logins"], stats["charges"], stats["unauthorized"], stats["running"]) == (1, 1, 1, 0)
    assert stats["requests"] == {"auth/api-key": 1, "chat/completions": 2}
    assert requests.delete(url, timeout=10).json()["charges"] == 0
    assert own.sandbox.stats()["requests"] == {}
    own.chat()
    own.sandbox.reset_stats()
    assert own.sandbox.stats()["charges"] == 0
    assert own.usage()["total_requests"] == 2


@pytest.mark.parametrize("host", ["example.com", "localhost.example.com", "127.0.0.1.nip.io:80", "[::2]", "0.0.0.0"])
def test_only_loopback_names_are_answered(api: Api, host: str) -> None:
    for path in ("/v1/user/health", "/sandbox/stats", "/sandbox/images/x.png"):
        answer = requests.get(api.sandbox.origin + path, headers={"Host": host}, timeout=10)
        assert answer.status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:1", "[::1]", "[::1]:8000"])
def test_every_loopback_name_is_answered(api: Api, host: str) -> None:
    answer = requests.get(api.sandbox.url + "/user/health", headers={"Host": host}, timeout=10)
    assert answer.status_code == 200
