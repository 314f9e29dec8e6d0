"""API keys: made, used, revoked, enabled, deleted and expired."""

import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from indoxrouter import Client
from indoxrouter.sandbox import Sandbox

from .sandbox_api import Api, OpenAIApi

FIELDS = {"id", "api_key", "name", "is_active", "created_at", "expires_at", "last_used_at"}


def keys(api: Api) -> list[dict[str, Any]]:
    answer = api.get("user/api-keys")
    assert answer.status_code == 200
    body: dict[str, list[dict[str, Any]]] = answer.json()
    assert set(body) == {"keys"}
    return body["keys"]


def create(api: Api, **body: Any) -> dict[str, Any]:
    answer = api.post("user/api-keys", body)
    assert answer.status_code == 200, answer.text
    created: dict[str, Any] = answer.json()
    return created


def delete(api: Api, number: Any) -> requests.Response:
    return api.session.delete(f"{api.sandbox.url}/user/api-keys/{number}", timeout=10)


def login(sandbox: Sandbox, key: str) -> requests.Response:
    return requests.post(f"{sandbox.url}/auth/api-key", headers={"X-API-Key": key}, timeout=10)


def status(sandbox: Sandbox, bearer: str) -> int:
    headers = {"Authorization": f"Bearer {bearer}"}
    return requests.get(f"{sandbox.url}/user/me", headers=headers, timeout=10).status_code


def refresh_status(sandbox: Sandbox, token: str) -> int:
    return requests.post(f"{sandbox.url}/auth/refresh", cookies={"refresh_token": token}, timeout=10).status_code


def test_the_sandboxs_own_key_is_the_first(own: Api) -> None:
    [key] = keys(own)
    assert set(key) == FIELDS
    assert (key["id"], key["is_active"], key["expires_at"]) == (1, True, None)
    assert key["api_key"] != own.sandbox.api_key
    assert key["api_key"] == f"{own.sandbox.api_key[:4]}…{own.sandbox.api_key[-4:]}"


@pytest.mark.parametrize(
    ("key", "shown"),
    [("k", "…"), ("local-key", "…"), ("0123456789ab", "…89ab"), ("0123456789abcdef012", "…f012")],
)
def test_a_short_key_is_masked_as_well(key: str, shown: str) -> None:
    with Sandbox(api_key=key) as sandbox, Api(sandbox) as api:
        [row] = keys(api)
        assert row["api_key"] == shown


def test_a_key_is_shown_the_same_when_it_is_created_and_when_it_is_listed(tmp_path: Path) -> None:
    database = tmp_path / "ledger"
    with Sandbox(database=database, api_key="own-key-of-24-characters") as sandbox:
        with Client(sandbox.api_key, sandbox.url) as client:
            created = client.create_api_key("mine")
            assert created.secret is not None
            listed = {key.id: key.key for key in client.api_keys()}
            assert listed == {1: "own-…ters", created.id: created.key}
            for change in (client.revoke_api_key, client.enable_api_key):
                change(created)
                assert {key.id: key.key for key in client.api_keys()} == listed
    with Sandbox(database=database, api_key="own-key-of-24-characters") as sandbox:
        with Client(created.secret, sandbox.url) as client:
            assert {key.id: key.key for key in client.api_keys()} == listed


def test_a_new_key_is_told_once_and_works(own: Api) -> None:
    created = create(own, name="My key", expiration_time=30)
    assert set(created) == FIELDS
    assert (created["id"], created["name"], created["is_active"], created["last_used_at"]) == (2, "My key", True, None)
    lifetime = datetime.fromisoformat(created["expires_at"]) - datetime.fromisoformat(created["created_at"])
    assert lifetime == timedelta(days=30)
    assert created["api_key"] not in own.get("user/api-keys").text
    assert [key["id"] for key in keys(own)] == [1, 2]
    tokens = login(own.sandbox, created["api_key"]).json()
    assert status(own.sandbox, tokens["access_token"]) == 200
    assert status(own.sandbox, created["api_key"]) == 200
    with OpenAIApi(own.sandbox, created["api_key"]) as openai:
        assert openai.get("models").status_code == 200


def test_a_key_needs_neither_a_name_nor_an_end(own: Api) -> None:
    created = create(own)
    assert created["name"]
    assert created["expires_at"] is None
    assert create(own, name=None, expiration_time=None)["expires_at"] is None


NAMES: list[Any] = [5, "", "  ", "x" * 101, "\ud800"]
LIVES: list[Any] = [0, -1, "30", True, 36501, []]


@pytest.mark.parametrize(
    ("field", "value"), [("name", value) for value in NAMES] + [("expiration_time", value) for value in LIVES]
)
def test_a_key_that_cannot_be_made(own: Api, field: str, value: Any) -> None:
    answer = own.post("user/api-keys", {field: value})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", field]
    assert len(keys(own)) == 1


@pytest.mark.parametrize("end", ["revoke", "delete"])
def test_a_revoked_or_deleted_key_stops_at_once_with_all_its_tokens(own: Api, end: str) -> None:
    sandbox = own.sandbox
    key = create(own, name="short-lived")
    first, other = login(sandbox, key["api_key"]).json(), login(sandbox, sandbox.api_key).json()
    path = f"user/api-keys/{key['id']}"
    answer = own.post(f"{path}/revoke") if end == "revoke" else delete(own, key["id"])
    assert (answer.status_code, answer.json()["success"]) == (200, True)
    assert login(sandbox, key["api_key"]).status_code == 401
    assert requests.post(f"{sandbox.url}/auth/token", json={"api_key": key["api_key"]}, timeout=10).status_code == 401
    assert status(sandbox, key["api_key"]) == status(sandbox, first["access_token"]) == 401
    assert refresh_status(sandbox, first["refresh_token"]) == 401
    with OpenAIApi(sandbox, key["api_key"]) as openai:
        assert openai.get("models").status_code == 401
    assert status(sandbox, other["access_token"]) == refresh_status(sandbox, other["refresh_token"]) == 200
    left = {row["id"]: row["is_active"] for row in keys(own)}
    assert left == ({1: True, 2: False} if end == "revoke" else {1: True})
    stats = sandbox.stats()
    assert (stats["refused_logins"], stats["refused_refreshes"]) == (2, 1)


def test_an_enabled_key_works_again_but_its_old_tokens_do_not(own: Api) -> None:
    key = create(own)
    before = login(own.sandbox, key["api_key"]).json()
    path = f"user/api-keys/{key['id']}"
    assert own.post(f"{path}/revoke").json()["is_active"] is False
    assert own.post(f"{path}/revoke").status_code == 200
    assert own.post(f"{path}/enable").json()["is_active"] is True
    assert status(own.sandbox, key["api_key"]) == 200
    assert status(own.sandbox, before["access_token"]) == 401
    assert refresh_status(own.sandbox, before["refresh_token"]) == 401
    assert status(own.sandbox, login(own.sandbox, key["api_key"]).json()["access_token"]) == 200


def test_the_own_key_can_be_revoked_and_brought_back_with_another(own: Api) -> None:
    other = create(own)["api_key"]
    assert own.post("user/api-keys/1/revoke").status_code == 200
    assert own.get("user/me").status_code == 401
    assert login(own.sandbox, own.sandbox.api_key).json() == {"detail": "API key has been revoked"}
    own.bearer(other)
    assert own.post("user/api-keys/1/enable").status_code == 200
    own.login()
    assert own.get("user/me").status_code == 200


def test_a_key_ends_at_its_time_and_enabling_does_not_prolong_it(own: Api) -> None:
    key = create(own, expiration_time=1.5 / 86400)
    tokens = login(own.sandbox, key["api_key"]).json()
    assert status(own.sandbox, tokens["access_token"]) == 200
    time.sleep(1.6)
    assert status(own.sandbox, tokens["access_token"]) == status(own.sandbox, key["api_key"]) == 401
    assert refresh_status(own.sandbox, tokens["refresh_token"]) == 401
    own.post(f"user/api-keys/{key['id']}/enable")
    assert login(own.sandbox, key["api_key"]).json() == {"detail": "API key has expired"}


def test_the_last_use_is_kept(own: Api) -> None:
    key = create(own)
    assert keys(own)[1]["last_used_at"] is None
    moments = []
    for _ in range(2):
        assert status(own.sandbox, key["api_key"]) == 200
        moments.append(datetime.fromisoformat(keys(own)[1]["last_used_at"]))
        time.sleep(0.01)
    assert datetime.fromisoformat(key["created_at"]) < moments[0] < moments[1]
    assert datetime.fromisoformat(keys(own)[0]["last_used_at"]) > moments[0]


@pytest.mark.parametrize(("number", "expected"), [("9", 404), ("-1", 404), ("two", 422), ("1.0", 422), ("9" * 30, 422)])
def test_a_key_that_is_not_there(own: Api, number: str, expected: int) -> None:
    assert delete(own, number).status_code == expected
    for verb in ("revoke", "enable"):
        assert own.post(f"user/api-keys/{number}/{verb}").status_code == expected


def test_ids_are_not_given_again(own: Api) -> None:
    assert delete(own, create(own)["id"]).status_code == 200
    assert delete(own, 2).status_code == 404
    assert create(own)["id"] == 3


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
def test_keys_need_a_login_under_every_prefix(own: Api, prefix: str) -> None:
    url = f"{own.sandbox.origin}{prefix}/user/api-keys"
    assert requests.get(url, timeout=10).status_code == 401
    assert requests.post(url, json={"name": "x"}, timeout=10).status_code == 401
    assert requests.delete(f"{url}/1", timeout=10).status_code == 401
    assert own.session.get(url, timeout=10).status_code == 200


def test_keys_outlive_the_server_and_their_texts_are_not_in_its_file(tmp_path: Path) -> None:
    database = tmp_path / "ledger"
    with Sandbox(database=database, api_key="own-key-of-the-sandbox") as sandbox, Api(sandbox) as api:
        kept, revoked, deleted = (create(api, name=name)["api_key"] for name in ("kept", "revoked", "deleted"))
        assert status(sandbox, kept) == 200
        api.post("user/api-keys/3/revoke")
        delete(api, 4)
        rows = keys(api)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not any(key.encode() in stored for key in (kept, revoked, deleted, "own-key-of-the-sandbox"))
    with Sandbox(database=database, api_key="own-key-of-the-sandbox") as sandbox, Api(sandbox) as api:
        again = keys(api)
        assert [row | {"last_used_at": None} for row in again] == [row | {"last_used_at": None} for row in rows]
        assert again[1]["last_used_at"] == rows[1]["last_used_at"] is not None
        assert [status(sandbox, key) for key in (kept, revoked, deleted)] == [200, 401, 401]
        assert create(api)["id"] == 5


def test_a_start_with_another_key_replaces_the_own_one(tmp_path: Path) -> None:
    with Sandbox(database=tmp_path / "ledger") as sandbox, Api(sandbox) as api:
        first, second = sandbox.api_key, create(api)["api_key"]
        api.post("user/api-keys/1/revoke")
    with Sandbox(database=tmp_path / "ledger") as sandbox, Api(sandbox) as api:
        assert sandbox.api_key != first
        assert [status(sandbox, key) for key in (sandbox.api_key, first, second)] == [200, 401, 200]
        assert [(row["id"], row["is_active"]) for row in keys(api)] == [(1, True), (2, True)]


def test_an_own_key_that_was_revoked_or_deleted_stays_so(tmp_path: Path) -> None:
    for number, end in enumerate(("revoke", "delete")):
        database = tmp_path / f"ledger {number}"
        with Sandbox(database=database, api_key="own") as sandbox, Api(sandbox) as api:
            other = create(api)["api_key"]
            _ = api.post("user/api-keys/1/revoke") if end == "revoke" else delete(api, 1)
        with Sandbox(database=database, api_key="own") as sandbox:
            assert login(sandbox, "own").status_code == 401
            assert login(sandbox, other).status_code == 200


def test_the_books_know_which_key_asked(own: Api) -> None:
    other = create(own)
    own.chat()
    own.bearer(other["api_key"])
    own.chat()
    asked = own.sandbox._running_app().ledger._db.execute("SELECT api_key FROM charges ORDER BY id").fetchall()
    assert [masked for (masked,) in asked] == [row["api_key"] for row in keys(own)]
    assert own.usage()["total_requests"] == 2
