"""The catalogue, the ledger, usage and credits."""

import os
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from indoxrouter import Client
from indoxrouter.sandbox import Sandbox

from .sandbox_api import MODEL, Api, chunks

DOCUMENTED = [
    *("openai/gpt-4o-mini", "openai/gpt-4o", "openai/gpt-4", "openai/gpt-3.5-turbo"),
    *("openai/gpt-3.5-turbo-instruct", "openai/text-embedding-3-small", "openai/text-embedding-3-large"),
    *("openai/text-embedding-ada-002", "openai/dall-e-3", "openai/gpt-image-1", "openai/tts-1"),
    *("openai/whisper-1", "openai/sora-2", "anthropic/claude-3-haiku", "anthropic/claude-3-opus"),
    *("anthropic/claude-3-5-sonnet-20241022", "anthropic/claude-3-sonnet", "anthropic/claude-3"),
    *("anthropic/claude-2", "google/gemini-1.5-flash", "google/gemini-1.5-pro", "mistral/mistral-large"),
    *("google/imagen-3.0-generate-002", "google/veo-3.0-generate-001", "groq/llama3-8b-8192"),
    *("xai/grok-2-image", "deepseek/deepseek-chat"),
]


def today(days: int = 0) -> str:
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


def test_models_are_listed_by_provider_with_and_without_a_slash(api: Api) -> None:
    answer = api.get("models/")
    providers = answer.json()
    assert providers == api.get("models").json()
    assert answer.history == []
    rows = {row["name"]: row for entry in providers for row in entry["models"]}
    assert set(DOCUMENTED) <= set(rows)
    assert sorted(row["number"] for row in rows.values()) == list(range(1, len(rows) + 1))
    assert rows[MODEL]["inputPricePer1KTokens"] == 0.00015
    assert rows[MODEL]["contextWindows"] == "128k Tokens"
    assert rows[MODEL]["output"] == "16384 Tokens"
    assert rows["openai/dall-e-3"]["pricePerImage"] == 0.04
    assert {row["type"] for row in rows.values()} == {
        *("chat", "text_completions", "embeddings", "image_generation"),
        *("text_to_speech", "speech_to_text", "video_generation"),
    }
    assert {entry["id"]: entry["name"] for entry in providers}["openai"] == "OpenAI"


@pytest.mark.parametrize("model", DOCUMENTED)
def test_a_model_by_provider_and_name(api: Api, model: str) -> None:
    row = api.get(f"models/{model}").json()
    assert row["name"] == model
    assert model.endswith("/" + row["modelName"])


def test_models_of_a_provider_and_of_a_kind(api: Api) -> None:
    entry = api.get("models/anthropic").json()
    assert (entry["id"], len(entry["models"])) == ("anthropic", 6)
    names = [row["modelName"] for row in api.get("models/openai/embeddings").json()]
    assert names == ["text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002"]
    completing = {row["type"] for row in api.get("models/openai/text_completions").json()}
    assert completing == {"chat", "text_completions"}
    assert {row["type"] for row in api.get("models/openai/chat").json()} == {"chat"}
    assert api.get("models/groq/video_generation").json() == []
    slashed = "meta-llama/Llama-3.3-70B-Instruct-Turbo"
    assert api.get(f"models/together/{slashed}").json()["modelName"] == slashed


@pytest.mark.parametrize(
    ("kind", "one"),
    [
        ("text_completions", "openai/gpt-3.5-turbo-instruct"),
        ("embeddings", "openai/text-embedding-3-small"),
        ("image_generation", "openai/dall-e-3"),
        ("text_to_speech", "openai/tts-1"),
        ("speech_to_text", "openai/whisper-1"),
        ("video_generation", "google/veo-3.0-generate-001"),
    ],
)
def test_every_kind_of_model_is_listed_by_provider(api: Api, kind: str, one: str) -> None:
    kinds = {kind, "chat"} if kind == "text_completions" else {kind}
    found = []
    for entry in api.get("models/").json():
        rows = api.get(f"models/{entry['id']}/{kind}").json()
        assert rows == [row for row in entry["models"] if row["type"] in kinds]
        found += [row["name"] for row in rows]
    assert one in found


CAPABLE = {
    "openai/gpt-4o-mini": ["chat", "streaming", "tools", "vision", "json_mode"],
    "openai/gpt-4": ["chat", "streaming", "tools"],
    "openai/gpt-3.5-turbo-instruct": ["completion", "streaming"],
    "openai/text-embedding-3-small": ["embeddings"],
    "openai/dall-e-3": ["image_output"],
    "openai/tts-1": ["audio_output"],
    "openai/whisper-1": ["audio_input"],
    "openai/sora-2": ["video_output", "audio_output"],
    "anthropic/claude-2": ["chat", "streaming"],
    "google/gemini-1.5-pro": ["chat", "streaming", "tools", "vision", "json_mode", "audio_input"],
    "google/gemini-2.5-flash-image-preview": ["chat", "streaming", "vision", "image_output"],
}


def test_every_model_says_what_it_can_do(api: Api) -> None:
    rows = {row["name"]: row["capabilities"] for entry in api.get("models/").json() for row in entry["models"]}
    assert all(rows.values())
    assert {name: rows[name] for name in CAPABLE} == CAPABLE


@pytest.mark.parametrize(
    ("kind", "capability", "found", "not_found"),
    [
        ("chat", "vision", "anthropic/claude-3-opus", "openai/gpt-4"),
        ("chat", "tools", "openai/gpt-4", "anthropic/claude-2"),
        ("chat", "JSON mode", "mistral/mistral-large", "openai/gpt-4"),
        ("chat", "image-output", "google/gemini-2.5-flash-image-preview", "openai/gpt-4o"),
        (None, "audio_input", "openai/whisper-1", "openai/tts-1"),
    ],
)
def test_models_are_found_by_what_they_can_do(
    shared: Sandbox, kind: str | None, capability: str, found: str, not_found: str
) -> None:
    with Client(shared.api_key, shared.url) as client:
        names = {model.id for model in client.find_models(kind, capability=capability)}
    assert found in names
    assert not_found not in names


def test_the_seed_form_of_models_and_providers(api: Api) -> None:
    found = api.get("models", params={"provider": "mistral"}).json()
    assert list(found) == ["mistral"]
    assert found["mistral"][0]["modelName"] == "mistral-large"
    assert {"id": "xai", "name": "xAI"} in api.get("providers").json()


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("models/nobody", "ProviderNotFoundError"),
        ("models?provider=nobody", "ProviderNotFoundError"),
        ("models/nobody/chat", "ProviderNotFoundError"),
        ("models/nobody/gpt-4", "ProviderNotFoundError"),
        ("models/openai/gpt-99", "ModelNotFoundError"),
        ("models/anthropic/gpt-4", "ModelNotFoundError"),
    ],
)
def test_what_the_catalogue_does_not_have(api: Api, path: str, error: str) -> None:
    answer = api.get(path)
    assert (answer.status_code, answer.json()["error"]) == (404, error)


def test_usage_adds_up_by_endpoint_provider_model_and_day(own: Api) -> None:
    costs = [own.chat().json()["usage"]["cost"]]
    costs.append(chunks(own.chat_stream(model="anthropic/claude-3-opus"))[-1]["usage"]["cost"])
    costs.append(own.post("completions", {"model": MODEL, "prompt": "x"}).json()["usage"]["cost"])
    costs.append(own.post("embeddings", {"model": "text-embedding-3-small", "text": ["x"]}).json()["usage"]["cost"])
    total = sum(Decimal(str(cost)) for cost in costs)
    report = own.usage()
    assert report["total_requests"] == 4
    assert Decimal(str(report["total_cost"])) == total
    assert Decimal(str(report["remaining_credits"])) == 1000 - total
    assert set(report["endpoints"]) == {"chat/completions", "completions", "embeddings"}
    assert report["endpoints"]["chat/completions"]["requests"] == 2
    assert report["providers"]["anthropic"]["cost"] == costs[1]
    assert report["models"][MODEL]["requests"] == 2
    [day] = report["daily_usage"]
    assert (day["date"], day["requests"], day["cost"]) == (today(), 4, float(total))
    for group in ("endpoints", "providers", "models"):
        assert sum(entry["tokens"]["total"] for entry in report[group].values()) == report["total_tokens"]["total"]
    tokens = report["total_tokens"]
    assert tokens["input"] + tokens["output"] == tokens["total"]
    assert report == own.get("usage").json()


def test_dates_are_inclusive(own: Api) -> None:
    own.chat()
    assert own.usage(start_date=today(), end_date=today())["total_requests"] == 1
    assert own.usage(start_date=today(-1))["total_requests"] == 1
    assert own.usage(end_date=today(1))["total_requests"] == 1
    assert own.usage(end_date=today(-1))["total_requests"] == 0
    assert own.usage(start_date=today(1))["daily_usage"] == []
    assert own.usage(start_date="", end_date="")["total_requests"] == 1


@pytest.mark.parametrize("value", ["yesterday", "2026-13-01", "20260101", "2026-1-1", "2026-01-01T00:00"])
def test_a_bad_date_is_invalid(api: Api, value: str) -> None:
    for name in ("start_date", "end_date"):
        answer = api.get("user/usage", params={name: value})
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["query", name]


def test_a_range_that_ends_before_it_starts_is_invalid(api: Api) -> None:
    answer = api.get("user/usage", params={"start_date": "2026-02-01", "end_date": "2026-01-01"})
    assert answer.status_code == 422


def test_the_account(own: Api) -> None:
    assert own.get("user/me").json()["credits"] == 1000
    cost = own.chat().json()["usage"]["cost"]
    account = own.get("user/me").json()
    assert account["credits"] == float(1000 - Decimal(str(cost)))
    assert {
        *("id", "username", "email", "first_name", "last_name", "is_active", "app_credit"),
        *("account_tier", "created_at", "metadata", "avatar_url"),
    } <= set(account)


def test_without_credits_only_the_callers_own_key_works() -> None:
    with Sandbox(credits="0.00001") as sandbox, Api(sandbox) as api:
        assert api.chat().status_code == 200
        answer = api.chat()
        assert (answer.status_code, answer.json()["error"]) == (402, "InsufficientCreditsError")
        assert chunks(api.chat_stream(byok_api_key="sk-mine"))[-1]["usage"]["cost"] == 0
        own = api.chat(byok_api_key="sk-mine").json()["usage"]
        assert (own["cost"], own["cost_breakdown"]["total_cost"]) == (0, 0)
        assert api.usage()["total_requests"] == 3
        assert sandbox.stats()["charges"] == 1


def test_the_ledger_is_a_private_file_that_outlives_the_server(tmp_path: Path) -> None:
    database = tmp_path / "ledger.sqlite"
    umask = os.umask(0)  # the mode must not depend on it
    with Sandbox(database=database, credits=1) as sandbox, Api(sandbox) as api:
        first = api.chat(headers={"Idempotency-Key": "k"})
        left = api.get("user/me").json()["credits"]
        modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        assert modes == {0o600}
    os.umask(umask)
    with Sandbox(database=str(database), credits=1) as sandbox, Api(sandbox) as api:
        assert api.get("user/me").json()["credits"] == left < 1
        assert api.usage()["total_requests"] == 1
        assert api.chat(headers={"Idempotency-Key": "k"}).content == first.content
        assert sandbox.stats()["charges"] == 0


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    database = tmp_path / "notes.txt"
    database.write_text("These are notes, not a database, and rather long ones at that." * 10)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        Sandbox(database=database).start()
    with pytest.raises(FileNotFoundError):
        Sandbox(database=tmp_path / "none" / "ledger").start()


OLD = """
    CREATE TABLE charges (
        id INTEGER PRIMARY KEY, request_id TEXT NOT NULL, at REAL NOT NULL, day TEXT NOT NULL,
        endpoint TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
        tokens_prompt INTEGER NOT NULL, tokens_completion INTEGER NOT NULL,
        units INTEGER NOT NULL, cost INTEGER NOT NULL, byok INTEGER NOT NULL
    );
    INSERT INTO charges VALUES
        (1, 'req_1', 1763640000.0, '2025-11-20', 'chat/completions', 'openai', 'openai/gpt-4o', 3, 4, 0, 5000, 0);
"""


def test_a_ledger_of_an_older_version_is_brought_up_to_date(tmp_path: Path) -> None:
    database = tmp_path / "ledger"
    old = sqlite3.connect(database)
    old.executescript(OLD)
    old.close()
    for calls in (1, 2):
        with Sandbox(database=database) as sandbox, Api(sandbox) as api:
            api.chat()
            assert api.usage()["total_requests"] == calls + 1
            assert api.usage(end_date="2025-11-20")["total_cost"] == 5e-09
            assert api.get("user/transactions").json()["total_count"] == 1


def test_a_ledger_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    database = tmp_path / "ledger"
    new = sqlite3.connect(database)
    new.execute("PRAGMA user_version = 99")
    new.close()
    with pytest.raises(ValueError, match="newer version"):
        Sandbox(database=database).start()
    process = subprocess.run(
        [sys.executable, "-m", "indoxrouter.sandbox", "--database", str(database)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert process.returncode == 2
    [line] = process.stderr.splitlines()
    assert line.endswith(": the database was written by a newer version of the sandbox (see --help)")


def test_many_threads_are_all_billed_exactly(own: Api) -> None:
    def calls(number: int) -> list[str]:
        with Api(own.sandbox, login=False) as api:
            api.bearer(own.sandbox.api_key)
            return [api.chat(f"Call {number} {n}").json()["data"] for n in range(10)]

    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(calls, range(64)))
    for number, texts in enumerate(answers):
        assert all(f'"Call {number} {n}"' in text for n, text in enumerate(texts))
    report = own.usage()
    assert report["total_requests"] == own.sandbox.stats()["charges"] == 640
    tokens = report["total_tokens"]
    exact = (tokens["input"] * Decimal("0.00015") + tokens["output"] * Decimal("0.0006")) / 1000
    assert Decimal(str(report["total_cost"])) == exact
    assert own.sandbox.stats()["running"] == 0
