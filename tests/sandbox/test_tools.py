"""Tool calls, by both APIs."""

import json
from typing import Any

import pytest

from indoxrouter.sandbox import Sandbox

from .sandbox_api import MODEL, Api, OpenAIApi, chat_body, chunks


def tool(name: str, description: str = "", parameters: Any = None) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


WEATHER = tool(
    "get_weather",
    "Get the current weather for a location",
    {
        "type": "object",
        "properties": {
            "location": {"type": "string"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["location"],
    },
)
STOCKS = tool("stockPrice", parameters={"type": "object", "properties": {"days": {"type": "integer", "minimum": 7}}})
TOOLS = [WEATHER, STOCKS]
FORCED = {"type": "function", "function": {"name": "stockPrice"}}
PARIS = "What's the weather in Paris?"


def called(message: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    [call] = message["tool_calls"]
    assert set(call) == {"id", "type", "function"}
    assert call["id"].startswith("call_")
    return call["function"]["name"], json.loads(call["function"]["arguments"])


def test_a_tool_is_called_when_the_user_shares_a_word_with_it(openai: OpenAIApi) -> None:
    body = openai.chat(PARIS, tools=TOOLS, tool_choice="auto", parallel_tool_calls=False)
    [choice] = body["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert called(choice["message"]) == ("get_weather", {"location": PARIS, "unit": "celsius"})
    assert body["usage"]["completion_tokens"] > 5
    assert openai.chat(PARIS, tools=TOOLS)["choices"] == body["choices"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Prices, please", "stockPrice"),
        ("And my stocks?", "stockPrice"),
        ("Tell me a joke for the road", None),
        ("What is the a and of", None),
    ],
)
def test_which_tool_is_called(openai: OpenAIApi, text: str, name: str | None) -> None:
    message = openai.message(text, tools=TOOLS)
    assert (called(message)[0] if "tool_calls" in message else None) == name


def test_a_forced_tool_is_called(openai: OpenAIApi) -> None:
    assert called(openai.message("Tell me a joke", tools=TOOLS, tool_choice=FORCED)) == ("stockPrice", {"days": 7})
    assert called(openai.message("Tell me a joke", tools=TOOLS, tool_choice="required"))[0] == "get_weather"


def test_none_never_calls(openai: OpenAIApi) -> None:
    assert openai.message(PARIS, tools=TOOLS, tool_choice="none") == openai.message(PARIS)


@pytest.mark.parametrize("form", [None, {"type": "json_object"}])
def test_a_tools_result_is_quoted(openai: OpenAIApi, form: Any) -> None:
    first = openai.message(PARIS, tools=TOOLS)
    result = '{"temperature": 22, "condition": "sunny"}'
    messages = [
        {"role": "user", "content": PARIS},
        first,
        {"role": "tool", "tool_call_id": first["tool_calls"][0]["id"], "content": result},
    ]
    text = openai.message(messages=messages, tools=TOOLS, response_format=form)["content"]
    assert json.loads(text)["tool_results"] == [result] if form else result in text


def test_a_function_without_parameters_takes_none(openai: OpenAIApi) -> None:
    assert called(openai.message("x", tools=[tool("now")], tool_choice="required")) == ("now", {})


def test_a_call_is_streamed_in_pieces(openai: OpenAIApi) -> None:
    parts = [part["choices"][0] for part in openai.stream(PARIS, tools=TOOLS)]
    assert parts[0]["delta"] == {"role": "assistant", "content": None}
    first, *rest = [part["delta"]["tool_calls"][0] for part in parts if "tool_calls" in part["delta"]]
    [whole] = openai.message(PARIS, tools=TOOLS)["tool_calls"]
    assert first == {
        "index": 0,
        "id": whole["id"],
        "type": "function",
        "function": {"name": "get_weather", "arguments": ""},
    }
    assert len(rest) > 3
    assert "".join(piece["function"]["arguments"] for piece in rest) == whole["function"]["arguments"]
    assert parts[-1]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("limit", [1, 4])
def test_a_call_is_cut_at_the_limit(openai: OpenAIApi, limit: int) -> None:
    body = openai.chat(PARIS, tools=TOOLS, max_tokens=limit)
    [choice] = body["choices"]
    assert choice["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == limit
    assert '{"location"'.startswith(choice["message"]["tool_calls"][0]["function"]["arguments"])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "custom"}]}, "tools"),
        ({"tools": [5]}, "tools"),
        ({"tools": "all"}, "tools"),
        ({"tools": [tool("x", parameters=[])]}, "tools"),
        ({"tools": TOOLS, "tool_choice": "any"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"function": {"name": "z"}}}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {}}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [tool("x", parameters={"enum": []})], "tool_choice": "required"}, "schema"),
    ],
)
def test_odd_tools_are_refused(openai: OpenAIApi, fields: dict[str, Any], param: str) -> None:
    status, error = openai.refusal("chat/completions", chat_body("Hi", **fields))
    assert (status, error["param"]) == (400, param)


def test_the_hosted_api_calls_tools_too(api: Api, openai: OpenAIApi) -> None:
    body = api.chat(PARIS, additional_params={"tools": TOOLS}).json()
    assert (body["data"], body["finish_reason"]) == ("", "tool_calls")
    assert body["tool_calls"] == openai.message(PARIS, tools=TOOLS)["tool_calls"]
    assert body["raw_response"]["choices"][0]["message"]["tool_calls"] == body["tool_calls"]
    assert "tool_calls" not in api.chat("A joke", additional_params={"tools": TOOLS}).json()


def test_the_hosted_api_gives_several_choices(api: Api) -> None:
    body = api.chat("Hi", additional_params={"n": 3}).json()
    choices = body["raw_response"]["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2]
    assert body["data"] == choices[0]["message"]["content"] == api.chat("Hi").json()["data"]
    one = api.chat("Hi").json()["usage"]["tokens_completion"]
    assert body["usage"]["tokens_completion"] > 2 * one * 0.8
    assert api.chat("Hi", additional_params={"max_tokens": 3}).json()["finish_reason"] == "length"
    text = api.post("completions", {"model": MODEL, "prompt": "Hi", "additional_params": {"n": 2}}).json()
    assert len(text["raw_response"]["choices"]) == 2


def test_the_hosted_apis_chunks_carry_choices_and_calls(api: Api) -> None:
    parts = chunks(api.chat_stream(PARIS, additional_params={"n": 2, "tools": TOOLS}))
    for index in (0, 1):
        own = [part["choices"][0] for part in parts if part["choices"][0]["index"] == index]
        pieces = [choice["delta"]["tool_calls"][0] for choice in own if "tool_calls" in choice["delta"]]
        assert json.loads("".join(piece["function"]["arguments"] for piece in pieces))["location"] == PARIS
        assert own[-1]["finish_reason"] == "tool_calls"
    assert ["usage" in part for part in parts].count(True) == 1
    assert parts[-1]["usage"]["cost"] > 0


def test_the_other_generations_of_answers() -> None:
    with Sandbox(answers="hub") as sandbox, Api(sandbox) as api:
        [item] = api.chat(PARIS, additional_params={"tools": TOOLS}).json()["output"]
        assert (item["type"], item["name"]) == ("function_call", "get_weather")
        assert json.loads(item["arguments"])["location"] == PARIS
        refused = api.chat(PARIS, additional_params={"n": 2})
        assert (refused.status_code, refused.json()["details"]["parameter"]) == (400, "n")
        assert sandbox.stats()["charges"] == 1
    with Sandbox(answers="openai") as sandbox, Api(sandbox) as api:
        assert len(api.chat("Hi", additional_params={"n": 2}).json()["choices"]) == 2


def test_typed_events_carry_a_call() -> None:
    with Sandbox(streams="typed") as sandbox, Api(sandbox) as api:
        parts = chunks(api.chat_stream(PARIS, additional_params={"tools": TOOLS}))
        kinds = [part["type"] for part in parts]
        deltas = [part["delta"] for part in parts if part["type"] == "response.function_call_arguments.delta"]
        assert kinds[:2] == ["response.created", "response.output_item.added"]
        assert kinds[-2:] == ["response.output_item.done", "response.done"]
        assert parts[1]["item"]["arguments"] == ""
        assert "".join(deltas) == parts[-2]["item"]["arguments"]
        assert json.loads("".join(deltas))["location"] == PARIS
        assert parts[-1]["response"]["status"] == "completed"
        assert parts[-1]["response"]["usage"]["output_tokens"] == len(deltas) + 1
        assert api.chat_stream(PARIS, additional_params={"n": 2}).status_code == 400


def test_bare_text_carries_no_calls() -> None:
    with Sandbox(streams="bare") as sandbox, Api(sandbox) as api:
        assert api.chat_stream(PARIS, additional_params={"tools": TOOLS}).status_code == 400
        assert b"joke" in api.chat_stream("A joke", additional_params={"tools": TOOLS}).content
        assert sandbox.stats()["open_streams"] == 0
