"""The methods that the proof calls, and how each one's answer shows whose it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .canaries import Secrets


@dataclass(frozen=True)
class Method:
    """A way to call the router."""

    name: str
    method: str
    """Of the client."""
    ask: Callable[[Secrets, str], dict[str, Any]]
    """Its arguments: full of secrets, and with a nonce for the answer to quote."""
    quoted: Callable[[Any], Any]
    """What of an answer must be `due`."""
    due: Callable[[Secrets, str], Any]
    stream: bool = False
    paid: bool = True
    repeatable: bool = True
    """Whether it may be sent again, once, where the first may have been carried out."""
    paths: int = 1
    """How many are asked in turn as long as they answer 404."""
    fresh_tokens: int = 1
    """How many a call may fetch because of a 401."""

    def __repr__(self) -> str:
        return self.name


def _messages(secrets: Secrets, nonce: str) -> list[dict[str, Any]]:
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": secrets("tool arguments")}}
    return [
        {"role": "system", "content": secrets("system prompt")},
        {"role": "user", "content": [{"type": "text", "text": secrets("part of a message")}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": secrets("tool result")},
        {"role": "user", "content": _prompt(secrets, nonce)},
    ]


def _prompt(secrets: Secrets, nonce: str) -> str:
    return f"{nonce}: {secrets('prompt')}"


def _chat(secrets: Secrets, nonce: str) -> dict[str, Any]:
    return {"messages": _messages(secrets, nonce), "byok_api_key": secrets("byok key"), **_text(secrets)}


def _completion(secrets: Secrets, nonce: str) -> dict[str, Any]:
    return {"prompt": _prompt(secrets, nonce), "byok_api_key": secrets("byok key"), **_text(secrets)}


def _text(secrets: Secrets) -> dict[str, Any]:
    return {
        "model": "openai/gpt-4o-mini",
        "additional_params": {"stop": [secrets("stop sequence")], "user": secrets("end user")},
        "extra_body": {"metadata": secrets("extra body")},
    }


def _said(secrets: Secrets, nonce: str) -> str:
    return f"{nonce} <{_prompt(secrets, nonce)}> {nonce}"


def _number(nonce: str) -> int:
    return int(nonce.partition("-")[2])


def _text_method(name: str, ask: Callable[[Secrets, str], dict[str, Any]], stream: bool) -> Method:
    def asked(secrets: Secrets, nonce: str) -> dict[str, Any]:
        return {**ask(secrets, nonce), "stream": stream}

    return Method(name + "-stream" * stream, name, asked, lambda answer: answer.data, _said, stream)


METHODS = [
    _text_method("chat", _chat, False),
    _text_method("chat", _chat, True),
    _text_method("completion", _completion, False),
    _text_method("completion", _completion, True),
    Method(
        "embeddings",
        "embeddings",
        lambda secrets, nonce: {"text": [_prompt(secrets, nonce)], "byok_api_key": secrets("byok key")},
        lambda answer: answer.data,
        lambda _, nonce: [[float(_number(nonce)), 0.5]],
    ),
    Method(
        "image",
        "image",
        lambda secrets, nonce: {"prompt": _prompt(secrets, nonce), "negative_prompt": secrets("negative prompt")},
        lambda answer: [item.url for item in answer.data],
        lambda _, nonce: [f"https://img.test/{nonce}.png"],
        repeatable=False,
    ),
    Method(
        "speech",
        "speech",
        lambda secrets, nonce: {"input": _prompt(secrets, nonce), "instructions": secrets("instructions")},
        lambda answer: answer.url,
        lambda _, nonce: f"https://audio.test/{nonce}.mp3",
        repeatable=False,
    ),
    Method(
        "transcribe",
        "transcribe",
        lambda secrets, nonce: {"file": secrets("file content").encode(), "prompt": _prompt(secrets, nonce)},
        lambda answer: answer.data,
        lambda _, nonce: f"heard {nonce}",
        repeatable=False,
    ),
    Method("models", "models", lambda *_: {}, list, lambda _, nonce: [nonce], paid=False, paths=2),
    Method(
        "get_usage",
        "get_usage",
        lambda *_: {},
        lambda answer: answer["total_requests"],
        lambda _, nonce: _number(nonce),
        paid=False,
        paths=2,
    ),
]
LOGIN = replace(METHODS[0], name="login", paid=False, paths=2, fresh_tokens=0)
"""A chat whose login is what meets the fault."""
