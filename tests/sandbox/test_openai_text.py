"""The OpenAI-compatible API: chat and completion."""

import json
from typing import Any

import pytest

from indoxrouter.sandbox.answers import tokens

from .sandbox_api import MODEL, Api, OpenAIApi, chunks, text_of

ALICE = [
    {"role": "user", "content": "My name is Alice"},
    {"role": "assistant", "content": "Hello!"},
    {"role": "user", "content": "What's my name?"},
]


def test_a_chat_answer_has_openais_shape(openai: OpenAIApi) -> None:
    body = openai.chat("How are you?")
    assert set(body) == {"id", "object", "created", "model", "choices", "usage", "system_fingerprint"}
    assert (body["object"], body["model"]) == ("chat.completion", MODEL)
    [choice] = body["choices"]
    assert set(choice) == {"index", "message", "finish_reason", "logprobs"}
    assert (choice["index"], choice["finish_reason"], choice["logprobs"]) == (0, "stop", None)
    assert set(choice["message"]) == {"role", "content"}
    assert '"How are you?"' in choice["message"]["content"]
    usage = body["usage"]
    assert usage["completion_tokens"] == len(tokens(choice["message"]["content"]))
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == 0
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 0
    assert "cost" not in usage


def test_both_apis_write_the_same_text(openai: OpenAIApi, api: Api) -> None:
    assert openai.message("Hi", seed=3)["content"] == api.chat("Hi", additional_params={"seed": 3}).json()["data"]


def test_the_model_is_named_as_it_was_asked(openai: OpenAIApi) -> None:
    assert openai.chat(model="gpt-4o-mini")["model"] == "gpt-4o-mini"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_both_limits_cut(openai: OpenAIApi, name: str) -> None:
    limit: dict[str, Any] = {name: 5}
    body = openai.chat(**limit)
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 5


def test_stop_ends_every_choice(openai: OpenAIApi) -> None:
    choices = openai.chat(stop="not", n=2)["choices"]
    assert all(choice["message"]["content"].endswith("this is ") for choice in choices)


def test_choices_differ_and_are_all_charged(openai: OpenAIApi) -> None:
    body = openai.chat(n=3)
    texts = [choice["message"]["content"] for choice in body["choices"]]
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert len(set(texts)) == 3
    assert texts[0] == openai.message()["content"]
    assert body["usage"]["completion_tokens"] == sum(len(tokens(text)) for text in texts)


def test_logprobs_are_told_of_each_token(openai: OpenAIApi) -> None:
    body = openai.chat(logprobs=True, top_logprobs=3)
    [choice] = body["choices"]
    entries = choice["logprobs"]["content"]
    assert "".join(entry["token"] for entry in entries) == choice["message"]["content"]
    for entry in entries:
        assert bytes(entry["bytes"]).decode() == entry["token"]
        assert -0.7 < entry["logprob"] <= 0
        top = entry["top_logprobs"]
        assert top[0]["token"] == entry["token"]
        assert len({other["token"] for other in top}) == 3
        assert [other["logprob"] for other in top] == sorted((o["logprob"] for o in top), reverse=True)
    again = openai.chat(logprobs=True)["choices"][0]["logprobs"]["content"]
    assert [entry["logprob"] for entry in again] == [entry["logprob"] for entry in entries]
    assert again[0]["top_logprobs"] == []


def test_a_conversation_is_remembered(openai: OpenAIApi) -> None:
    assert "Alice" in openai.message(messages=ALICE)["content"]
    answer = openai.message(messages=ALICE, response_format={"type": "json_object"})["content"]
    assert json.loads(answer)["earlier"] == ["My name is Alice"]


def test_other_parts_are_counted_and_named(openai: OpenAIApi) -> None:
    parts = [
        {"type": "text", "text": "Look and listen"},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        {"type": "image_url", "image_url": {"url": "https://x/z.png"}},
        {"type": "audio_url", "audio_url": {"url": "https://x/y.mp3"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]
    messages = [{"role": "user", "content": parts}]
    text = openai.message(messages=messages)["content"]
    assert '"Look and listen"' in text
    assert "2 image_url, 1 audio_url, 1 input_audio, 1 file" in text
    answer = json.loads(openai.message(messages=messages, response_format={"type": "json_object"})["content"])
    assert answer["attached"]["image_url"] == 2


def test_json_mode_quotes_the_prompt(openai: OpenAIApi) -> None:
    answer = json.loads(openai.message('List "three" colours', response_format={"type": "json_object"})["content"])
    assert answer["prompt"] == 'List "three" colours'
    assert openai.message(response_format={"type": "text"}) == openai.message()


def test_a_json_schema_is_fitted(openai: OpenAIApi) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 18}},
        "required": ["name", "age"],
    }
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": True}}
    answer = json.loads(openai.message("John, 30", response_format=form)["content"])
    assert answer == {"name": "John, 30", "age": 18}


@pytest.mark.parametrize(
    "form",
    [
        {"type": "xml"},
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": {"schema": 5}},
        {"type": "json_schema", "json_schema": {"schema": {"enum": []}}},
    ],
)
def test_an_odd_response_format_is_refused(openai: OpenAIApi, form: Any) -> None:
    assert openai.refusal("chat/completions", {"model": MODEL, "messages": ALICE, "response_format": form})[0] == 400


def test_completions_of_several_prompts(openai: OpenAIApi) -> None:
    body = openai.post(
        "completions", {"model": "gpt-3.5-turbo-instruct", "prompt": ["one", "two"], "n": 2, "max_tokens": 30}
    ).json()
    assert body["object"] == "text_completion"
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2, 3]
    assert ['"one"' in choice["text"] for choice in body["choices"]] == [True, True, False, False]
    assert len({choice["text"] for choice in body["choices"]}) == 4
    assert body["usage"]["prompt_tokens"] == 2
    assert body["usage"]["completion_tokens"] == 120


def test_a_completion_with_echo_and_logprobs(openai: OpenAIApi) -> None:
    body = {"model": MODEL, "prompt": "Once upon", "echo": True, "logprobs": 2, "max_tokens": 4}
    answer = openai.post("completions", body).json()
    [choice] = answer["choices"]
    assert choice["text"].startswith("Once uponSandbox answer")
    assert answer["usage"]["completion_tokens"] == 4
    told = choice["logprobs"]
    for token, offset in zip(told["tokens"], told["text_offset"], strict=True):
        assert choice["text"][offset : offset + len(token)] == token
    assert [len(top) for top in told["top_logprobs"]] == [2] * 4
    parts = chunks(openai.post("completions", body | {"stream": True}))
    assert "".join(part["choices"][0]["text"] for part in parts) == choice["text"]
    streamed = [part["choices"][0]["logprobs"] for part in parts if part["choices"][0].get("logprobs")]
    assert [one["tokens"][0] for one in streamed] == told["tokens"]
    assert [one["text_offset"][0] for one in streamed] == told["text_offset"]
    assert openai.post("completions", body | {"logprobs": 0}).json()["choices"][0]["logprobs"]["top_logprobs"] is None


def test_a_stream_has_usage_when_asked(openai: OpenAIApi) -> None:
    *parts, last = openai.stream("Hi", stream_options={"include_usage": True})
    whole = openai.chat("Hi")
    assert text_of(parts) == whole["choices"][0]["message"]["content"]
    assert parts[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert parts[-1]["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop"}
    assert all(part["usage"] is None for part in parts)
    assert (last["choices"], last["usage"]) == ([], whole["usage"])
    assert {part["object"] for part in parts} == {"chat.completion.chunk"}
    assert len({part["id"] for part in [*parts, last]}) == 1


def test_a_stream_has_no_usage_unless_asked(openai: OpenAIApi) -> None:
    for options in ({}, {"stream_options": {"include_usage": False}}):
        parts = openai.stream("Hi", **options)
        assert not any("usage" in part for part in parts)
        assert parts[-1]["choices"][0]["finish_reason"] == "stop"


def test_a_stream_of_several_choices(openai: OpenAIApi) -> None:
    parts = openai.stream("Hi", n=2, logprobs=True)
    whole = openai.chat("Hi", n=2)["choices"]
    for index in (0, 1):
        own = [part["choices"][0] for part in parts if part["choices"][0]["index"] == index]
        assert "".join(c["delta"].get("content", "") for c in own) == whole[index]["message"]["content"]
        assert [c["finish_reason"] for c in own if c["finish_reason"]] == ["stop"]
        told = [c["logprobs"]["content"][0]["token"] for c in own if c.get("logprobs")]
        assert "".join(told) == whole[index]["message"]["content"]
    turns = [part["choices"][0]["index"] for part in parts[:6]]
    assert turns == [0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 500}, "n"),
        ({"n": 0}, "n"),
        ({"top_logprobs": 50, "logprobs": True}, "top_logprobs"),
        ({"stop": 5}, "stop"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"temperature": "hot"}, "temperature"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"max_tokens": 1_000_000}, "max_tokens"),
        ({"model": "openai/dall-e-3"}, "model"),
    ],
)
def test_what_is_refused_names_its_parameter(openai: OpenAIApi, fields: dict[str, Any], param: str) -> None:
    status, error = openai.refusal("chat/completions", {"model": MODEL, "messages": ALICE} | fields)
    assert (status, error["type"], error["param"]) == (400, "invalid_request_error", param)


@pytest.mark.parametrize("prompt", [[1, 2, 3], [[1, 2], [3]], 5, [], ["a", None]])
def test_prompts_are_text(openai: OpenAIApi, prompt: Any) -> None:
    status, error = openai.refusal("completions", {"model": MODEL, "prompt": prompt})
    assert status == 400
    assert error["param"].startswith("prompt")


def test_a_context_that_is_exceeded_has_openais_code(openai: OpenAIApi) -> None:
    status, error = openai.refusal("completions", {"model": "llama3-8b-8192", "prompt": "word " * 8300})
    assert (status, error["code"]) == (400, "context_length_exceeded")
