"""Calls of the tools that a request offers: whether one is made, which, and its arguments."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from indoxrouter.sandbox.answers import COMMON, digest, stem
from indoxrouter.sandbox.conversation import message_text
from indoxrouter.sandbox.errors import refused
from indoxrouter.sandbox.instances import instance

Function = dict[str, Any]
_PART = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+|\d+")


@dataclass(frozen=True)
class ToolCall:
    """One call, its arguments as the JSON text that goes over the wire."""

    id: str
    name: str
    arguments: str

    def shape(self) -> dict[str, Any]:
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}


def chosen(tools: Any, choice: Any, messages: Sequence[dict[str, Any]]) -> Function | None:
    """The function to call, if one is to be called."""
    functions = [_function(tool) for tool in tools or ()]
    if isinstance(choice, dict):
        return _named(functions, choice)
    if choice not in (None, "auto", "none", "required"):
        raise refused(f"tool_choice must be none, auto, required or a function, not {choice!r}.", "tool_choice")
    if choice == "required":
        if not functions:
            raise refused("tool_choice is required, but there are no tools.", "tool_choice")
        return functions[0]
    if choice == "none" or messages[-1]["role"] != "user":
        return None
    said = _words(message_text(messages[-1]))
    return next((function for function in functions if said & _subject(function)), None)


def call(function: Function, quote: str, *seeds: Any) -> ToolCall:
    """A call that depends on the function and the seeds alone; free texts among its arguments quote."""
    arguments = instance(function.get("parameters") or {"type": "object"}, quote)
    key = digest(function["name"], *seeds)
    return ToolCall("call_" + key.hex()[:24], function["name"], json.dumps(arguments, ensure_ascii=False))


def _function(tool: Any) -> Function:
    function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise refused('A tool is {"type": "function", "function": {"name": ...}}.', "tools")
    if not isinstance(function.get("parameters"), dict | None):
        raise refused(f"The parameters of {function['name']} must be a JSON schema.", "tools")
    return function


def _named(functions: list[Function], choice: dict[str, Any]) -> Function:
    wanted = choice.get("function")
    name = wanted.get("name") if isinstance(wanted, dict) else None
    for function in functions:
        if function["name"] == name:
            return function
    raise refused(f"tool_choice names {name!r}, which is not among the tools.", "tool_choice")


def _subject(function: Function) -> set[str]:
    return _words(f"{function['name']} {function.get('description') or ''}")


def _words(text: str) -> set[str]:
    """The words that carry a meaning, without their endings; getWeather and get_weather are two words."""
    words = {word.lower() for word in _PART.findall(text)}
    return {stem(word) for word in words - COMMON if len(word) > 1}
