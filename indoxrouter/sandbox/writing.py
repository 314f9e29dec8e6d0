"""Writing the answer to a prompt: texts, JSON and tool calls, one choice or several.

Both APIs come here, the hosted one with its `additional_params`, the OpenAI-compatible one with its body.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from indoxrouter.sandbox import answers, tooling
from indoxrouter.sandbox.catalogue import Model
from indoxrouter.sandbox.conversation import Said
from indoxrouter.sandbox.errors import context_exceeded, refused
from indoxrouter.sandbox.instances import instance
from indoxrouter.sandbox.reply import Choice

_MOST_CHOICES = 128
_MOST_LOGPROBS = 20  # told of each token
Params = Mapping[str, Any]


@dataclass(frozen=True)
class Written:
    """The choices of an answer, and the tokens that its prompts count."""

    choices: list[Choice]
    tokens_prompt: int


def chat(model: Model, messages: list[dict[str, Any]], params: Params) -> Written:
    _check_modalities(model, params)
    asked = answers.chat_tokens(messages)
    limit = _limit(model, asked, params)
    said = Said.in_messages(messages)
    function = tooling.chosen(params.get("tools"), params.get("tool_choice"), messages)
    top = _top(params, "top_logprobs") or 0 if params.get("logprobs") else None
    choices: list[Choice] = []
    for index in range(_count(params)):
        if function is None:
            choices.append(_texts(model, messages, said, params, index, index, limit, top))
            continue
        call = tooling.call(function, said.last, messages, model.id, params.get("seed"), index)
        choices.append(Choice.of_call(index, call, limit))
    return Written(choices, asked)


def completion(model: Model, prompts: list[str], params: Params) -> Written:
    """Choices for each prompt in turn."""
    _check_modalities(model, params)
    counts = [len(answers.tokens(prompt)) for prompt in prompts]
    limit = _limit(model, max(counts), params)
    top = _top(params, "logprobs")
    choices: list[Choice] = []
    for prompt in prompts:
        for number in range(_count(params)):
            text = _texts(model, prompt, Said(prompt), params, len(choices), number, limit, top)
            choices.append(text.echoing(prompt) if params.get("echo") else text)
    return Written(choices, sum(counts))


def _texts(
    model: Model, prompt: Any, said: Said, params: Params, index: int, number: int, limit: int, top: int | None
) -> Choice:
    """One choice in the asked format; `number` tells the choices of one prompt apart."""
    form = params.get("response_format") or {"type": "text"}
    seeds = (model.id, params.get("seed"), number)
    match form.get("type"):
        case "text":
            text = answers.answer_text(prompt, said, *seeds)
        case "json_object":
            text = json.dumps(answers.answer_object(prompt, said, *seeds), ensure_ascii=False)
        case "json_schema":
            text = json.dumps(instance(_schema(form), said.last), ensure_ascii=False)
        case other:
            raise refused(f"response_format cannot be of type {other!r}.", "response_format")
    pieces, reason = answers.cut(text, _stop_sequences(params), limit)
    return Choice(index, pieces, reason, top=top)


def _schema(form: Params) -> Any:
    named = form.get("json_schema")
    if not isinstance(named, dict) or not isinstance(named.get("schema"), dict | bool):
        raise refused("response_format needs a json_schema with a schema.", "response_format")
    return named["schema"]


def _check_modalities(model: Model, params: Params) -> None:
    can = ("text", "image") if model.draws else ("text",)
    for wanted in params.get("modalities") or ():
        if wanted not in can:
            raise refused(f"{model.id} answers with {' and '.join(can)}, not with {wanted}.", "modalities")


def _limit(model: Model, asked: int, params: Params) -> int:
    limit = params.get("max_completion_tokens") or params.get("max_tokens")
    wanted: int = asked + (limit or 1)
    if wanted > model.context:
        raise context_exceeded(model.id, model.context, wanted)
    return min(limit or model.output, model.output)


def _count(params: Params) -> int:
    count: int = params.get("n") or 1
    if count > _MOST_CHOICES:
        raise refused(f"n must be at most {_MOST_CHOICES}, not {count}.", "n")
    return count


def _top(params: Params, name: str) -> int | None:
    top = params.get(name)
    if top is None:
        return None
    if not isinstance(top, int) or not 0 <= top <= _MOST_LOGPROBS:
        raise refused(f"{name} must be from 0 to {_MOST_LOGPROBS}, not {top!r}.", name)
    return int(top)


def _stop_sequences(params: Params) -> list[str]:
    stop = params.get("stop") or []
    sequences = [stop] if isinstance(stop, str) else stop
    if not isinstance(sequences, list) or not all(isinstance(sequence, str) for sequence in sequences):
        raise refused("stop must be a string or a list of strings.", "stop")
    return sequences
