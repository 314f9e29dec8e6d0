"""Bodies that are refused, and where the refusal says they are wrong."""

from typing import Any

import pytest
import requests

from .sandbox_api import MODEL, Api, chat_body


def problems(answer: requests.Response) -> list[tuple[list[Any], str]]:
    assert answer.status_code == 422, answer.text
    found = answer.json()["detail"]
    assert all(set(problem) == {"loc", "msg", "type"} for problem in found)
    return [(problem["loc"], problem["type"]) for problem in found]


@pytest.mark.parametrize(
    ("change", "loc", "kind"),
    [
        ({"messages": []}, ["body", "messages"], "too_short"),
        ({"messages": None}, ["body", "messages"], "list_type"),
        ({"messages": "Hello"}, ["body", "messages"], "list_type"),
        ({"messages": ["Hello"]}, ["body", "messages", 0], "dict_type"),
        ({"messages": [{"content": "x"}]}, ["body", "messages", 0, "role"], "missing"),
        ({"messages": [{"role": 1, "content": "x"}]}, ["body", "messages", 0, "role"], "string_type"),
        ({"messages": [{"role": "user"}]}, ["body", "messages", 0, "content"], "missing"),
        ({"messages": [{"role": "user", "content": 5}]}, ["body", "messages", 0, "content"], "string_type"),
        (
            {"messages": [{"role": "user", "content": ["x"]}]},
            ["body", "messages", 0, "content", 0],
            "dict_type",
        ),
        ({"model": None}, ["body", "model"], "string_type"),
        ({"model": {"provider": "openai"}}, ["body", "model"], "string_type"),
        ({"temperature": "hot"}, ["body", "temperature"], "float_type"),
        ({"messages": [{"role": "usr", "content": "x"}]}, ["body", "messages", 0, "role"], "literal_error"),
        ({"temperature": -0.1}, ["body", "temperature"], "greater_than_equal"),
        ({"temperature": 2.1}, ["body", "temperature"], "less_than_equal"),
        ({"top_p": 1.5}, ["body", "top_p"], "less_than_equal"),
        ({"temperature": True}, ["body", "temperature"], "float_type"),
        ({"max_tokens": 0}, ["body", "max_tokens"], "greater_than_equal"),
        ({"max_tokens": 1.5}, ["body", "max_tokens"], "int_type"),
        ({"stream": "yes"}, ["body", "stream"], "bool_type"),
        ({"byok_api_key": 7}, ["body", "byok_api_key"], "string_type"),
        ({"additional_params": []}, ["body", "additional_params"], "dict_type"),
        ({"additional_params": {"seed": "x"}}, ["body", "additional_params", "seed"], "int_type"),
    ],
)
def test_an_ill_typed_chat_field(api: Api, change: dict[str, Any], loc: list[Any], kind: str) -> None:
    answer = api.post("chat/completions", chat_body() | change)
    assert problems(answer) == [(loc, kind)]


def test_everything_that_is_wrong_is_listed(api: Api) -> None:
    answer = api.post("chat/completions", {"temperature": "x"})
    assert problems(answer) == [
        (["body", "model"], "missing"),
        (["body", "messages"], "missing"),
        (["body", "temperature"], "float_type"),
    ]


@pytest.mark.parametrize(
    ("path", "body", "loc"),
    [
        ("completions", {"model": MODEL}, ["body", "prompt"]),
        ("completions", {"model": MODEL, "prompt": ["a"]}, ["body", "prompt"]),
        ("embeddings", {"model": "text-embedding-3-small", "text": "a"}, ["body", "text"]),
        ("embeddings", {"model": "text-embedding-3-small", "text": []}, ["body", "text"]),
        ("embeddings", {"model": "text-embedding-3-small", "text": ["a", 1]}, ["body", "text", 1]),
        ("images/generations", {"model": "dall-e-3"}, ["body", "prompt"]),
        ("images/generations", {"model": "dall-e-3", "prompt": "x", "n": 0}, ["body", "n"]),
        ("images/generations", {"model": "dall-e-3", "prompt": "x", "size": 5}, ["body", "size"]),
    ],
)
def test_the_other_endpoints(api: Api, path: str, body: dict[str, Any], loc: list[Any]) -> None:
    assert problems(api.post(path, body))[0][0] == loc


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 100_000, b'{"model": ' + b"9" * 5000 + b"}"])
def test_a_body_that_is_not_json(api: Api, raw: bytes) -> None:
    answer = api.session.post(f"{api.sandbox.url}/chat/completions", data=raw, timeout=10)
    assert problems(answer)[0][1] == "json_invalid"


@pytest.mark.parametrize("body", [[], "text", 5, [1]])
def test_a_body_that_is_not_an_object(api: Api, body: Any) -> None:
    assert problems(api.post("chat/completions", body)) == [(["body"], "dict_type")]


def test_nulls_for_optional_fields_are_accepted(api: Api) -> None:
    fields = ("temperature", "max_tokens", "stream", "byok_api_key", "additional_params", "top_p")
    assert api.post("chat/completions", chat_body() | dict.fromkeys(fields)).status_code == 200


def test_unknown_paths_and_wrong_methods(api: Api) -> None:
    for answer in (api.get("nothing"), api.post("chat"), api.get("chat/completions/")):
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    for answer in (api.get("chat/completions"), api.post("models"), api.post("user/me")):
        assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
        assert answer.headers["allow"]
        assert answer.headers["x-request-id"]
