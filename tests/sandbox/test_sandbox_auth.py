"""Logins, tokens, refreshing and expiry."""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import requests

from indoxrouter.sandbox import Sandbox, database
from indoxrouter.sandbox.auth import Tokens
from indoxrouter.sandbox.errors import RouterError
from indoxrouter.sandbox.keyring import KeyRing
from indoxrouter.sandbox.settings import Settings

from .sandbox_api import Api


def claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return decoded


def refresh(api: Api, token: str) -> requests.Response:
    return requests.post(f"{api.sandbox.url}/auth/refresh", cookies={"refresh_token": token}, timeout=10)


@pytest.fixture
def anonymous(shared: Sandbox) -> Iterator[Api]:
    with Api(shared, login=False) as api:
        yield api


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
def test_login_by_header_gives_a_token_that_works(shared: Sandbox, prefix: str) -> None:
    base = shared.origin + prefix
    answer = requests.post(f"{base}/auth/api-key", headers={"X-API-Key": shared.api_key}, timeout=10)
    body = answer.json()
    assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (body["token_type"], body["expires_in"]) == ("bearer", 3600)
    assert answer.cookies["access_token"] == body["access_token"]
    assert answer.cookies["refresh_token"] == body["refresh_token"]
    bearer = {"Authorization": f"Bearer {body['access_token']}"}
    assert requests.get(f"{base}/user/me", headers=bearer, timeout=10).status_code == 200


def test_login_by_json_and_by_form(anonymous: Api) -> None:
    key = anonymous.sandbox.api_key
    url = anonymous.sandbox.url + "/auth/token"
    assert anonymous.post("auth/token", {"api_key": key}).json()["access_token"]
    form = {"username": key, "password": key}
    assert requests.post(url, data=form, timeout=10).json()["access_token"]
    assert requests.post(url, data={"username": key, "password": "no"}, timeout=10).status_code == 401
    assert requests.post(url, data={"username": key}, timeout=10).status_code == 422


def test_an_access_token_is_a_signed_jwt(api: Api) -> None:
    token = api.login()["access_token"]
    found = claims(token)
    assert found["exp"] - found["iat"] == 3600
    assert found["user"]["username"]
    assert "requests_per_minute" in found["rate_limits"]
    head, payload, signature = token.split(".")
    forged = claims(token) | {"exp": found["exp"] + 1}
    other = base64.urlsafe_b64encode(json.dumps(forged).encode()).rstrip(b"=").decode()
    api.bearer(f"{head}.{other}.{signature}")
    assert api.get("user/me").status_code == 401
    assert payload != other


@pytest.mark.parametrize("key", ["wrong", "", "clé"])
def test_a_wrong_key_is_refused(own: Api, key: str) -> None:
    answer = own.post("auth/api-key", headers={"X-API-Key": key.encode()})
    assert answer.status_code == 401
    assert isinstance(answer.json()["detail"], str)
    assert own.post("auth/token", {"api_key": key}).status_code == 401
    assert own.sandbox.stats()["refused_logins"] == 2
    assert own.sandbox.stats()["logins"] == 1


def test_a_login_without_a_key_is_invalid(anonymous: Api) -> None:
    answer = anonymous.post("auth/token", {"key": "x"})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "api_key"]


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer nonsense", "Basic abc", "Bearer a.b.c", "nonsense"])
def test_every_other_endpoint_needs_a_bearer(anonymous: Api, header: str | None) -> None:
    headers = {"Authorization": header} if header else {}
    for path in ("models/", "models/openai", "models/openai/gpt-4", "user/me", "user/usage", "providers"):
        assert anonymous.get(path, headers=headers).status_code == 401, path
    for path in ("chat/completions", "completions", "embeddings", "images/generations"):
        answer = anonymous.post(path, {}, headers=headers)
        assert answer.status_code == 401, path
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert anonymous.get("user/health", headers=headers).json()["status"] == "ok"


def test_the_key_itself_is_a_bearer_unless_switched_off(anonymous: Api) -> None:
    anonymous.bearer(anonymous.sandbox.api_key)
    assert anonymous.get("user/me").status_code == 200
    with Sandbox(accept_key=False) as sandbox, Api(sandbox) as api:
        assert api.get("user/me").status_code == 200
        api.bearer(sandbox.api_key)
        assert api.get("user/me").status_code == 401


def test_a_token_expires_to_the_fraction_of_a_second() -> None:
    with Sandbox(token_lifetime=0.4) as sandbox, Api(sandbox) as api:
        login = api.login()
        assert login["expires_in"] == 0.4
        found = claims(login["access_token"])
        assert found["exp"] - found["iat"] == pytest.approx(0.4, abs=0.002)
        assert api.get("user/me").status_code == 200
        time.sleep(0.45)
        expired = api.get("user/me")
        assert (expired.status_code, expired.json()) == (401, {"detail": "Token has expired"})
        assert sandbox.stats()["unauthorized"] == 1


def test_refreshing_gives_a_new_pair_each_time(own: Api) -> None:
    first = own.login()
    second = refresh(own, first["refresh_token"]).json()
    third = refresh(own, second["refresh_token"]).json()
    pairs = [(pair["access_token"], pair["refresh_token"]) for pair in (first, second, third)]
    assert len(set(pairs)) == 3
    for access, _ in pairs:
        own.bearer(access)
        assert own.get("user/me").status_code == 200
    stats = own.sandbox.stats()
    assert (stats["refreshes"], stats["logins"], stats["tokens_issued"]) == (2, 2, 4)


def test_a_refresh_token_sent_twice_revokes_its_family(own: Api) -> None:
    first, other = own.login(), own.login()
    second = refresh(own, first["refresh_token"]).json()
    assert refresh(own, first["refresh_token"]).status_code == 401
    assert refresh(own, second["refresh_token"]).status_code == 401
    for token, status in ((first, 401), (second, 401), (other, 200)):
        own.bearer(token["access_token"])
        assert own.get("user/me").status_code == status
    assert refresh(own, other["refresh_token"]).status_code == 200
    assert own.sandbox.stats()["refused_refreshes"] == 2


def test_refreshing_needs_a_known_cookie(anonymous: Api) -> None:
    assert anonymous.post("auth/refresh").status_code == 401
    assert refresh(anonymous, "made-up").status_code == 401


def test_logins_without_jwt_expiry_or_refresh_token() -> None:
    with Sandbox(jwt=False, expires_in=False, refresh_tokens=False) as sandbox, Api(sandbox) as api:
        body = api.login()
        assert set(body) == {"access_token", "token_type"}
        assert "." not in body["access_token"]
        assert api.get("user/me").status_code == 200
        assert set(api.session.cookies.keys()) == {"access_token"}
        assert api.post("auth/refresh").status_code == 404


@pytest.mark.parametrize(("kept", "gone"), [("api-key", "token"), ("token", "api-key")])
def test_a_login_endpoint_can_be_missing(kept: str, gone: str) -> None:
    with Sandbox(logins=(kept,)) as sandbox, Api(sandbox, login=False) as api:
        body, headers = {"api_key": sandbox.api_key}, {"X-API-Key": sandbox.api_key}
        assert api.post(f"auth/{kept}", body, headers=headers).status_code == 200
        assert api.post(f"auth/{gone}", body, headers=headers).status_code == 404


def test_prefixes_can_be_chosen() -> None:
    with Sandbox(prefixes=["/router/v2"]) as sandbox, Api(sandbox) as api:
        assert sandbox.url.endswith("/router/v2")
        assert api.chat().status_code == 200
        assert requests.get(sandbox.origin + "/v1/user/health", timeout=10).status_code == 404


def test_a_login_can_be_slow() -> None:
    with Sandbox(login_delay=0.3) as sandbox:
        before = time.monotonic()
        with Api(sandbox):
            assert time.monotonic() - before >= 0.3


def test_expired_tokens_are_forgotten_when_they_are_many() -> None:
    settings = Settings(api_key="k", token_lifetime=0.001, jwt=False, refresh_tokens=False)
    with closing(database.opened(None)) as db:
        tokens = Tokens(settings, KeyRing(db, "k"))
        bearer = "Bearer " + tokens.login("k")["access_token"]
        time.sleep(0.01)
        with pytest.raises(RouterError) as expired:
            tokens.check(bearer)
        for _ in range(10_002):
            tokens.login("k")
        with pytest.raises(RouterError) as forgotten:
            tokens.check(bearer)
    assert expired.value.body["detail"] == "Token has expired"
    assert forgotten.value.body["detail"] == "Could not validate credentials"
