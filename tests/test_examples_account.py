"""The examples that read the bill and change API keys: their figures are the ledger's, and no key is shown."""

from __future__ import annotations

import csv
import datetime
import re
import signal
import time
from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from example_runs import Ended, Router, ended, run, start

from indoxrouter import ApiKey, Client
from indoxrouter.sandbox import Sandbox

TODAY = datetime.datetime.now(datetime.UTC).date()


@pytest.fixture
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    with Router.opened(tmp_path_factory.mktemp("router")) as router:
        yield router


def table(output: str) -> dict[str, tuple[str, str, str]]:
    """Requests, tokens and US dollars by model, as they are shown."""
    rows = re.findall(r"^(\S+) +([\d,]+|unknown) +([\d,]+|unknown) +([\d,.]+|unknown)$", output, re.MULTILINE)
    return {model: tuple(cell.replace(",", "") for cell in cells) for model, *cells in rows}


def exported(output: str, folder: Path) -> list[dict[str, str]]:
    """The rows of the CSV file that the output names."""
    path = folder / "demo-output" / "billing.csv"
    rows, shown = re.findall(r"^(\d+) rows, \S+ to \S+: (.+)$", output, re.MULTILINE)[0]
    assert shown == str(path)
    with path.open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == int(rows)
    return found


def days(output: str) -> tuple[str, str]:
    """The first and the last day of the export: midnight may pass during a test."""
    first, last = re.findall(r"rows, (\S+) to (\S+):", output)[0]
    return first, last


def use(sandbox: Sandbox) -> None:
    """Usage within the week and outside it, at costs that no float adds up exactly."""
    for ago in (0, 1, 2, 5, 9, 40):
        day = TODAY - datetime.timedelta(days=ago)
        sandbox.add_usage(day, model="openai/gpt-4o", requests=3, input_tokens=11, output_tokens=7, cost="0.1")
        sandbox.add_usage(day, model="openai/gpt-4o", requests=1200, input_tokens=5, cost="0.000000000001")
        sandbox.add_usage(day, model="acme/new-model", endpoint="completions", cost="12345.6789")


class TestBillingExport:
    def test_the_file_and_the_table_are_the_ledgers(self, tmp_path: Path, router: Router) -> None:
        use(router.sandbox)
        output = run("billing_export", tmp_path, router.environment)
        booked = router.look_up(
            "SELECT model, sum(requests), sum(tokens_prompt + tokens_completion), sum(cost) FROM charges"
            " WHERE day BETWEEN ? AND ? GROUP BY model",
            *days(output),
        )
        ledger = {model: (requests, tokens, Decimal(cost).scaleb(-12)) for model, requests, tokens, cost in booked}
        assert ledger["openai/gpt-4o"] == (4812, 92, Decimal("0.400000000004"))
        assert ledger["acme/new-model"][2] == Decimal("49382.7156")
        rows = exported(output, tmp_path)
        for model, found in ledger.items():
            of_model = [row for row in rows if row["model"] == model]
            assert len(of_model) == 4
            assert found == (
                sum(int(row["requests"]) for row in of_model),
                sum(int(row["total_tokens"]) for row in of_model),
                sum(Decimal(row["cost"]) for row in of_model),
            )
        ledger["Total"] = (4816, 92, Decimal("49383.115600000004"))
        shown = {model: (int(n), int(tokens), Decimal(cost)) for model, (n, tokens, cost) in table(output).items()}
        assert shown == ledger
        assert "Rows without a price: 0\n" in output

    def test_it_asks_for_seven_days_and_generates_nothing(self, tmp_path: Path, router: Router) -> None:
        output = run("billing_export", tmp_path, router.environment)
        first, last = map(datetime.date.fromisoformat, days(output))
        assert (last - first).days == 6
        assert TODAY <= last <= datetime.datetime.now(datetime.UTC).date()
        assert router.sandbox.stats()["requests"]["analytics/usage"] == 7
        assert exported(output, tmp_path) == []
        assert table(output) == {"Total": ("0", "0", "0")}

    def test_the_sandbox_has_a_history_to_export(self, tmp_path: Path) -> None:
        output = run("billing_export", tmp_path)
        rows = exported(output, tmp_path)
        assert len(rows) == len({(row["date"], row["model"]) for row in rows}) == 12
        assert Decimal(table(output)["Total"][2]) == sum(Decimal(row["cost"]) for row in rows) > 0
        assert run("billing_export", tmp_path) == output
        assert [path.name for path in (tmp_path / "demo-output").iterdir()] == ["billing.csv"]

    def test_the_points_are_one_below_the_other(self, tmp_path: Path, router: Router) -> None:
        use(router.sandbox)
        output = run("billing_export", tmp_path, router.environment)
        lines = [line for line in output.splitlines() if re.search(r"\d\.\d+$", line)]
        assert len(lines) == 3
        assert len({line.rindex(".") for line in lines}) == 1

    def test_rows_without_a_price_are_counted(self, tmp_path: Path, router: Router) -> None:
        rows: list[dict[str, Any]] = [
            {"model": "openai/gpt-4o", "requests": 2, "total_tokens": 9, "cost": 0.25},
            {"model": "openai/gpt-4o", "requests": 1, "total_tokens": 4, "cost": None},
            {"model": "acme/new-model", "requests": None, "total_tokens": None, "cost": None},
            {"requests": 1, "cost": 0.5},
        ]
        router.sandbox.fault(path="analytics/usage", status=200, body=rows)
        output = run("billing_export", tmp_path, router.environment)
        assert table(output) == {
            "acme/new-model": ("unknown", "unknown", "unknown"),
            "openai/gpt-4o": ("3", "13", "0.25"),
            "unknown": ("1", "unknown", "0.5"),
            "Total": ("4", "13", "0.75"),
        }
        assert "Rows without a price: 2, of which the sums say nothing\n" in output
        assert [row["cost"] for row in exported(output, tmp_path)] == ["0.25", "", "", "0.5"]


def rotate(folder: Path, router: Router) -> Ended:
    return ended(start("key_rotation", folder, router.environment))


def keys_of(router: Router) -> list[ApiKey]:
    with Client(router.sandbox.api_key, router.sandbox.url) as client:
        return client.api_keys()


def same(left: list[ApiKey], keys: list[ApiKey]) -> bool:
    """Whether nothing was done to the keys but using them."""
    told = ("id", "name", "key", "is_active", "created_at", "expires_at")
    return [[key[name] for name in told] for key in left] == [[key[name] for name in told] for key in keys]


def check_no_secret(result: Ended, router: Router, created: int) -> None:
    """No key that the sandbox ever knew, the deleted ones included, stands anywhere in what was said."""
    digests = {digest for (digest,) in router.look_up("SELECT digest FROM api_keys")}
    assert len(digests) == 3 + created
    assert sha256(router.sandbox.api_key.encode()).digest() in digests
    said, length = result.output + result.errors, len(router.sandbox.api_key)
    assert all(sha256(said[first : first + length].encode()).digest() not in digests for first in range(len(said)))


class TestKeyRotation:
    @pytest.fixture
    def keys(self, router: Router) -> list[ApiKey]:
        """The account's keys: the sandbox's own, one that is switched off, and one named like the example's."""
        with Client(router.sandbox.api_key, router.sandbox.url) as client:
            client.create_api_key("rotation-example")
            client.revoke_api_key(client.create_api_key("nightly job", expiration_days=30).id or "")
            keys = client.api_keys()
        router.sandbox.reset_stats()
        return keys

    def test_it_rotates_and_leaves_the_keys_that_were_there(
        self, tmp_path: Path, router: Router, keys: list[ApiKey]
    ) -> None:
        result = rotate(tmp_path, router)
        assert (result.code, result.errors) == (0, "")
        assert re.findall(r"^The (\w+) key (works for sandbox|works no more)", result.output, re.MULTILINE) == [
            ("old", "works for sandbox"),
            ("new", "works for sandbox"),
            ("old", "works no more"),
        ]
        assert "answered 401: API key has been revoked" in result.output
        before, now, after = re.split(r"\nKeys (?:before|now|after):\n", result.output)[1:]
        assert re.findall(r"^  rotation-example-\w{8}-(\w+) .* (active|off) ", now, re.MULTILINE) == [
            ("old", "off"),
            ("new", "active"),
        ]
        assert before.partition("\n\n")[0].strip() == after.strip()
        assert len(after.splitlines()) == len(keys) == 3
        assert same(keys_of(router), keys)
        check_no_secret(result, router, 2)
        assert router.charges() == {}

    def test_the_sandbox_of_an_offline_run_is_rotated_too(self, tmp_path: Path) -> None:
        output = run("key_rotation", tmp_path)
        assert "The old key works no more: " in output
        assert not re.search(r"sandbox-[0-9a-f]{8}", output)  # as the keys of a sandbox begin

    @pytest.mark.parametrize(
        ("fault", "said", "created"),
        [
            ({"path": "user/api-keys", "method": "POST", "cut": 20}, "NetworkError", 1),
            ({"path": "user/api-keys", "method": "POST", "cut": 20, "after": 1}, "NetworkError", 2),
            ({"path": "user/me", "status": 500, "times": 9}, "RequestError", 1),
            ({"path": "user/api-keys/*/revoke", "status": 500, "times": 9}, "RequestError", 2),
            ({"path": "user/api-keys/*", "method": "DELETE", "status": 403}, "PermissionDeniedError", 2),
        ],
        ids=["first key lost", "second key lost", "not to be tried", "not to be revoked", "not to be deleted"],
    )
    def test_a_failure_leaves_no_key(
        self,
        tmp_path: Path,
        router: Router,
        keys: list[ApiKey],
        fault: dict[str, Any],
        said: str,
        created: int,
    ) -> None:
        router.sandbox.fault(**fault)
        result = rotate(tmp_path, router)
        assert result.code == 1
        assert said in result.errors
        assert same(keys_of(router), keys)
        check_no_secret(result, router, created)

    def test_a_key_that_cannot_be_deleted_is_named(self, tmp_path: Path, router: Router, keys: list[ApiKey]) -> None:
        router.sandbox.fault(path="user/api-keys/*", method="DELETE", status=403, times=9)
        result = rotate(tmp_path, router)
        assert result.code == 1
        left = [key.name for key in keys_of(router)[len(keys) :]]
        assert re.findall(r"^(\S+) is left, for a day at most: ", result.output, re.MULTILINE) == left
        assert len(left) == 2

    def test_a_router_that_still_lets_the_old_key_in(self, tmp_path: Path, router: Router, keys: list[ApiKey]) -> None:
        router.sandbox.fault(path="user/api-keys/*/revoke", status=200, body={"success": True})
        result = rotate(tmp_path, router)
        assert (result.code, result.errors) == (0, "")
        assert "The old key is switched off, but the router still lets sandbox in" in result.output
        assert same(keys_of(router), keys)

    def test_a_router_that_does_not_tell_the_key(self, tmp_path: Path, router: Router, keys: list[ApiKey]) -> None:
        body = {"id": 99, "name": "x", "api_key": "sandbox-...abcd"}
        router.sandbox.fault(path="user/api-keys", method="POST", status=200, body=body)
        result = rotate(tmp_path, router)
        assert result.code == 1
        assert "was created, but not told whole" in result.errors
        assert same(keys_of(router), keys)

    def test_ctrl_c_leaves_no_key(self, tmp_path: Path, router: Router, keys: list[ApiKey]) -> None:
        router.sandbox.fault(path="user/api-keys/*/revoke", hang=60, times=9)
        process = start("key_rotation", tmp_path, router.environment)
        limit = time.monotonic() + 30
        while not any(path.endswith("/revoke") for path in router.sandbox.stats()["requests"]):
            assert time.monotonic() < limit
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        result = ended(process, 10)
        assert result.code == -signal.SIGINT
        assert same(keys_of(router), keys)
        check_no_secret(result, router, 2)
