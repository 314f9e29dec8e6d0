"""A sandbox that serves https: what it is trusted by, and certificates that no call may follow."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from clients import Client
from cryptography.hazmat.primitives import serialization
from downloading import fetched

from indoxrouter import ConfigurationError, NetworkError
from indoxrouter.sandbox import Sandbox

from .certificates import BAD, Bad, Certificates, Pair
from .relay import Relay

KINDS = ("sync", "async")
MESSAGES = [{"role": "user", "content": "Hello"}]
CALLS: dict[str, Callable[[Any], Any]] = {
    "chat": lambda client: client.chat(MESSAGES),
    "stream": lambda client: client.chat(MESSAGES, stream=True),
    "image": lambda client: client.image("a kite"),
    "upload": lambda client: client.transcribe(b"RIFF" + bytes(500_000)),
    "models": lambda client: client.models(),
    "usage": lambda client: client.get_usage(),
}
EAGER: dict[str, Any] = {"max_retries": 3, "fallback_models": ("openai/gpt-4o", "openai/gpt-3.5-turbo")}
"""Settings of a client that would come again."""


@pytest.fixture(autouse=True)
def _no_authorities_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secure(certificates: Certificates) -> Iterator[Sandbox]:
    with serving(certificates.good()) as sandbox:
        yield sandbox


def serving(pair: Pair, **settings: Any) -> Sandbox:
    return Sandbox(certificate=pair.certificate, private_key=pair.private_key, **settings)


def through(relay: Relay) -> str:
    return f"https://127.0.0.1:{relay.port}/v1"


def test_it_serves_https_alone(secure: Sandbox, certificates: Certificates) -> None:
    for url in (secure.origin, secure.url, secure.openai_url):
        assert url.startswith(f"https://127.0.0.1:{secure.port}")
    answer = requests.get(f"{secure.url}/user/health", timeout=5, verify=str(certificates.authority))
    assert answer.status_code == 200
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{secure.port}/v1/user/health", timeout=5)


@pytest.mark.parametrize("how", ["verify", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "folder", "unverified"])
def test_what_trusts_it(
    how: str, secure: Sandbox, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify: Any = True
    match how:
        case "verify":
            verify = certificates.authority
        case "folder":
            verify = tmp_path
            shutil.copy(certificates.authority, tmp_path / f"{hash_of(certificates.authority)}.0")
        case "unverified":
            verify = False
        case _:
            monkeypatch.setenv(how, str(certificates.authority))
    with Client(secure.api_key, secure.url, verify=verify) as client:
        assert client.completion("Good morning").success
        assert client.test_connection()["status"] == "connected"


def hash_of(certificate: Path) -> str:
    """What OpenSSL names the file of an authority by."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("OpenSSL's command is not installed")
    command = [openssl, "x509", "-hash", "-noout", "-in", str(certificate)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_an_empty_folder_of_authorities_trusts_nobody(secure: Sandbox, tmp_path: Path) -> None:
    with Client(secure.api_key, secure.url, verify=tmp_path, **EAGER) as client:
        with pytest.raises(NetworkError, match="unable to get local issuer certificate"):
            client.completion("x")


def test_everything_works_over_tls(secure: Sandbox, certificates: Certificates, tmp_path: Path) -> None:
    with Client(secure.api_key, secure.url, verify=certificates.authority) as client:
        assert "Hello" in client.chat(MESSAGES).data
        with client.chat(MESSAGES, stream=True) as stream:
            pieces = [chunk.data for chunk in stream]
        assert stream.state == "complete"
        assert len(pieces) > 1
        spoken = client.speech("Good morning")
        assert spoken.url.startswith(secure.origin)
        path = spoken.save(tmp_path / "spoken")
        assert path.stat().st_size > 1000
        [picture] = client.image("a kite").save(tmp_path)
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert client.transcribe(path).text
        large = bytes(path.read_bytes()) + bytes(3_000_000)  # more than any buffer on the way holds
        assert client.transcribe(large).duration
        assert client.models()


def test_the_openai_dialect_over_tls(secure: Sandbox, certificates: Certificates) -> None:
    settings = {"dialect": "openai", "verify": certificates.authority, "default_model": "openai/gpt-4o-mini"}
    with Client(secure.api_key, secure.openai_url, **settings) as client:
        assert "Hello" in client.chat(MESSAGES).data
        assert "Hello" in client.chat(MESSAGES, stream=True).response().data


@pytest.fixture(scope="module", params=list(BAD))
def bad(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[tuple[Bad, Sandbox, Relay]]:
    """A bad certificate, a sandbox that serves it, and what counts the connections to that."""
    one = BAD[request.param]
    with serving(one.make(certificates)) as sandbox, Relay(sandbox.port) as relay:
        yield one, sandbox, relay


@pytest.mark.parametrize("auth", ["login", "key"])
@pytest.mark.parametrize("call", list(CALLS))
def test_a_bad_certificate_is_met_once(
    call: str, auth: str, bad: tuple[Bad, Sandbox, Relay], certificates: Certificates
) -> None:
    one, sandbox, relay = bad
    sandbox.reset_stats()
    before = relay.connections
    with Client(sandbox.api_key, through(relay), auth=auth, verify=certificates.authority, **EAGER) as client:
        with pytest.raises(NetworkError) as caught:
            CALLS[call](client)
    error = caught.value
    assert (error.code, error.outcome, error.retryable) == ("certificate", "not_sent", False)
    assert one.reason in error.message
    assert one.advice in error.message
    assert f"127.0.0.1:{relay.port}" in error.message
    assert sandbox.api_key not in repr(error)
    assert [attempt.outcome for attempt in error.attempts] == (["not_sent"] if auth == "key" else [])
    assert relay.connections - before == 1
    assert sandbox.stats()["requests"] == {}


def test_a_file_is_not_fetched_from_a_bad_certificate(
    bad: tuple[Bad, Sandbox, Relay], certificates: Certificates
) -> None:
    one, _, relay = bad
    before = relay.connections
    with pytest.raises(NetworkError, match=one.reason) as caught:
        fetched(through(relay), f"{through(relay)}/images/x.png", verify=certificates.authority, max_retries=3)
    assert (caught.value.code, caught.value.outcome) == ("certificate", "not_sent")
    assert relay.connections - before == 1


def test_the_publics_authorities_do_not_know_it(secure: Sandbox) -> None:
    with Relay(secure.port) as relay, Client(secure.api_key, through(relay), **EAGER) as client:
        with pytest.raises(NetworkError, match="SSL_CERT_FILE") as caught:
            client.completion("x")
        assert caught.value.code == "certificate"
        found = client.test_connection()
        assert found["status"] == "error"
        assert "certificate" in found["error"]
        assert relay.connections == 2


@pytest.mark.parametrize("name", ["self-signed", "another address", "expired"])
def test_an_unverified_certificate_may_be_any(name: str, certificates: Certificates) -> None:
    with serving(BAD[name].make(certificates)) as sandbox:
        with Client(sandbox.api_key, sandbox.url, verify=False) as client:
            assert client.completion("x").success


@pytest.mark.parametrize("lifetime", [0.2, 3600.0], ids=["expired token", "valid token"])
def test_a_certificate_that_goes_bad_while_a_client_is_in_use(lifetime: float, certificates: Certificates) -> None:
    """Neither the refresh token nor the key is tried on another server after it."""
    good = serving(certificates.good(), token_lifetime=lifetime)
    later = serving(certificates.expired(), api_key=good.api_key)
    with good, later, Relay(good.port) as relay:
        with Client(good.api_key, through(relay), verify=certificates.authority, **EAGER) as client:
            assert client.completion("x").success
            relay.target = later.port
            relay.sever()
            before = relay.connections
            time.sleep(lifetime if lifetime < 1 else 0)
            with pytest.raises(NetworkError, match="expired") as caught:
                client.completion("x")
            assert caught.value.code == "certificate"
            assert relay.connections - before == 1
        assert later.stats()["requests"] == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"certificate": "/nowhere.pem"}, "No such file"),
        ({"private_key": "another"}, "mismatch"),
        ({"private_key": None}, "certificate and private_key"),
        ({"certificate": None}, "needs a certificate"),
        ({"certificate": 5}, "certificate must be a path"),
        ({"private_key": 5}, "private_key must be a path"),
        ({"private_key": "encrypted"}, "encrypted"),
    ],
)
def test_files_that_cannot_be_served(
    change: dict[str, Any], message: str, certificates: Certificates, tmp_path: Path
) -> None:
    given: dict[str, Any] = {**certificates.good()._asdict(), **change}
    if given["private_key"] == "another":
        given["private_key"] = certificates.self_signed().private_key
    if given["private_key"] == "encrypted":
        given["private_key"] = tmp_path / "encrypted.key"
        given["private_key"].write_bytes(encrypted(certificates.good().private_key.read_bytes()))
    with pytest.raises(ValueError, match=message):
        Sandbox(**given)


def encrypted(key: bytes) -> bytes:
    loaded = serialization.load_pem_private_key(key, None)
    return loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )


def test_one_file_may_hold_both(certificates: Certificates, tmp_path: Path) -> None:
    pair = certificates.good()
    both = tmp_path / "both.pem"
    both.write_bytes(pair.private_key.read_bytes() + pair.certificate.read_bytes())
    with Sandbox(certificate=both) as sandbox:
        with Client(sandbox.api_key, sandbox.url, verify=certificates.authority) as client:
            assert client.completion("x").success


def test_the_command_serves_https(certificates: Certificates) -> None:
    pair = certificates.good()
    flags = ["--certificate", str(pair.certificate), "--private-key", str(pair.private_key), "--api-key", "mine"]
    command = [sys.executable, "-W", "error", "-m", "indoxrouter.sandbox", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with Client("mine", url, verify=certificates.authority) as client:
            assert client.completion("x").success
        process.terminate()
        assert process.wait(10) == 0
    assert url.startswith("https://127.0.0.1:")


def test_a_file_without_authorities_is_refused_at_construction(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for path, message in ((empty, "without certificates"), (tmp_path / "missing.pem", "does not exist")):
        with pytest.raises(ConfigurationError, match=message):
            Client("key", "https://127.0.0.1:1/v1", verify=path)
