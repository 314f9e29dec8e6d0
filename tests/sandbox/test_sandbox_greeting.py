"""What answers at the base URLs themselves."""

import pytest
import requests

import indoxrouter
from indoxrouter import Client
from indoxrouter.sandbox import Sandbox


@pytest.mark.parametrize("base", ["/v1", "/v1/", "/api/v1", "/api/v1/", "/openai/v1", "/openai/v1/"])
def test_a_base_url_names_the_sandbox_and_its_version(shared: Sandbox, base: str) -> None:
    answer = requests.get(shared.origin + base, timeout=10, allow_redirects=False)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {
        "name": "indoxrouter sandbox",
        "version": indoxrouter.__version__,
        "status": "ok",
        "api": "openai" if base.startswith("/openai") else "indoxrouter",
    }
    assert answer.headers["x-request-id"]
    assert ("openai-processing-ms" in answer.headers) == base.startswith("/openai")


def test_a_test_of_the_connection_finds_it(shared: Sandbox) -> None:
    with Client(shared.api_key, shared.url) as client, Client("any", shared.openai_url, dialect="openai") as other:
        for found, url in ((client.test_connection(), shared.url), (other.test_connection(), shared.openai_url)):
            assert (found["status"], found["status_code"], found["url"]) == ("connected", 200, url)
            assert found["server_info"]["name"] == "indoxrouter sandbox"


def test_it_is_counted_and_fails_on_order(sandbox: Sandbox) -> None:
    sandbox.fault(path="/", status=503)
    assert [requests.get(sandbox.url, timeout=10).status_code for _ in range(2)] == [503, 200]
    assert sandbox.stats()["requests"] == {"/": 2}
    assert requests.post(sandbox.url, timeout=10).status_code == 405


def test_other_prefixes_have_it_too() -> None:
    with Sandbox(prefixes=("/router/v2",)) as sandbox:
        assert requests.get(sandbox.url, timeout=10).json()["status"] == "ok"
        assert requests.get(f"{sandbox.origin}/v1", timeout=10).status_code == 404
