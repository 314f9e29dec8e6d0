"""The `openai` package works against the sandbox, and our clients get the same from it for the same calls."""

from __future__ import annotations

import base64
import json
import struct
import urllib.request
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import pytest

import indoxrouter
from indoxrouter.sandbox import Sandbox

from .openai_package import ENVIRONMENT, OpenAIPackage, OpenAIPackageError
from .styles import OfAsyncClient, OfAsyncOpenAI, OfClient, OfOpenAI

pytestmark = [
    pytest.mark.peers,
    pytest.mark.timeout(300),  # the first test waits for the installation
]

MODEL = "openai/gpt-4o-mini"
QUESTION = [{"role": "user", "content": "What is the weather in Paris?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["C", "F"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
FORCED = {"type": "function", "function": {"name": "get_weather"}}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "weather", "schema": SCHEMA, "strict": True}}
PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


class Sides:
    """A client of the package and one of ours, both for asyncio or both not."""

    def __init__(self, package: OpenAIPackage, ours: OfOpenAI) -> None:
        self._package = package
        self._ours = ours

    def theirs(self, path: str, **arguments: Any) -> Any:
        return self._package.call(path, **arguments)

    def ours(self, path: str, **arguments: Any) -> Any:
        """What our client answers, as the package's answer is told: plain, streams and pages as lists."""
        answer = attrgetter(path)(self._ours.client)(**arguments)
        if arguments.get("stream"):
            return [chunk.to_dict() for chunk in self._ours.all(answer)]
        answer = self._ours.wait(answer)
        if hasattr(answer, "content"):
            return answer.content
        return [item.to_dict() for item in answer] if path.endswith(".list") else answer.to_dict()

    def finished(self, path: str, **arguments: Any) -> Any:
        """What our client has at the end of a stream."""
        stream = self._ours.wait(attrgetter(path)(self._ours.client)(**arguments, stream=True))
        return self._ours.wait(stream.response()).to_dict()

    def both(self, path: str, **arguments: Any) -> Any:
        """The package's answer, after ours was found to be the same; ours may name the model besides."""
        theirs, ours = self.theirs(path, **arguments), self.ours(path, **arguments)
        if isinstance(ours, dict) and "model" not in theirs:
            assert ours.pop("model", arguments.get("model")) == arguments.get("model")
        assert bare(ours) == bare(theirs)
        return theirs


@pytest.fixture(scope="module", params=["OpenAI", "AsyncOpenAI"])
def package(request: pytest.FixtureRequest, shared_sandbox: Sandbox) -> Iterator[OpenAIPackage]:
    with OpenAIPackage(request.param, shared_sandbox.api_key, shared_sandbox.openai_url) as package:
        yield package


@pytest.fixture
def sides(package: OpenAIPackage, sandbox: Sandbox) -> Iterator[Sides]:
    with kind_of(package)(sandbox.api_key, sandbox.openai_url) as ours:
        yield Sides(package, ours)


CHANGING = ("id", "created", "created_at", "_request_id")


def bare(value: Any) -> Any:
    """Without what differs between any two calls, and without what is not there."""
    match value:
        case dict():
            return {name: bare(part) for name, part in value.items() if part is not None and name not in CHANGING}
        case list():
            return [bare(part) for part in value]
        case _:
            return value


def test_it_is_the_openai_package_that_runs(package: OpenAIPackage) -> None:
    assert package.version == ENVIRONMENT.version


# --- chat


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n": 3, "seed": 7},
        {"max_tokens": 5, "temperature": 0.2, "top_p": 0.9},
        {"max_completion_tokens": 5},
        {"stop": ["not"]},
        {"logprobs": True, "top_logprobs": 2, "max_tokens": 3},
        {"tools": [WEATHER]},
        {"tools": [WEATHER], "tool_choice": "none"},
        {"tools": [WEATHER], "tool_choice": "required", "n": 2},
        {"response_format": {"type": "json_object"}},
        {"response_format": JSON_SCHEMA},
        {"user": "someone", "metadata": {"a": "b"}, "presence_penalty": 0.5},
    ],
    ids=lambda options: "-".join(options) or "defaults",
)
def test_chats(sides: Sides, options: dict[str, Any]) -> None:
    theirs = sides.both("chat.completions.create", model=MODEL, messages=QUESTION, **options)
    assert len(theirs["choices"]) == options.get("n", 1)
    assert theirs["usage"]["total_tokens"] > 0
    chunks = sides.both("chat.completions.create", model=MODEL, messages=QUESTION, stream=True, **options)
    assert [written(chunks, n) for n in range(options.get("n", 1))] == [
        choice["message"]["content"] for choice in theirs["choices"]
    ]
    assert not any(chunk["usage"] for chunk in chunks)


def written(chunks: list[dict[str, Any]], index: int) -> str | None:
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
    return "".join(delta["content"] or "" for delta in deltas) or None


def test_streams_with_usage(sides: Sides) -> None:
    asked: dict[str, Any] = {"model": MODEL, "messages": QUESTION, "n": 2}
    whole = sides.theirs("chat.completions.create", **asked)
    options = {"include_usage": True}
    *chunks, last = sides.both("chat.completions.create", **asked, stream=True, stream_options=options)
    assert (last["choices"], bare(last["usage"])) == ([], bare(whole["usage"]))
    assert not any(chunk["usage"] for chunk in chunks)
    for choice in whole["choices"]:
        assert written(chunks, choice["index"]) == choice["message"]["content"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n": 2},
        {"logprobs": True, "top_logprobs": 2, "max_tokens": 3},
        {"tools": [WEATHER], "tool_choice": "required", "n": 2},
    ],
    ids=lambda options: "-".join(options) or "defaults",
)
def test_a_finished_stream_is_the_whole_answer(sides: Sides, options: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"model": MODEL, "messages": QUESTION, **options}
    theirs = bare(sides.theirs("chat.completions.create", **asked))
    ours = bare(sides.finished("chat.completions.create", **asked))
    assert ours["choices"] == theirs["choices"]
    for name, count in theirs["usage"].items():
        if name.endswith("_tokens"):
            assert ours["usage"][name] == count
    assert ours["model"] == theirs["model"]


def test_a_forced_tool_and_its_result(sides: Sides) -> None:
    asked: dict[str, Any] = {"model": MODEL, "tools": [WEATHER]}
    [choice] = sides.both("chat.completions.create", **asked, messages=QUESTION, tool_choice=FORCED)["choices"]
    [call] = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    arguments = json.loads(call["function"]["arguments"])
    assert isinstance(arguments["city"], str)
    assert arguments["unit"] in ("C", "F")

    streamed = sides.both("chat.completions.create", **asked, messages=QUESTION, tool_choice=FORCED, stream=True)
    pieces = [piece for chunk in streamed for piece in chunk["choices"][0]["delta"]["tool_calls"] or ()]
    assert pieces[0]["function"]["name"] == "get_weather"
    assert "".join(piece["function"]["arguments"] or "" for piece in pieces) == call["function"]["arguments"]

    result = {"role": "tool", "tool_call_id": call["id"], "content": "Rain, 12 degrees"}
    said = {name: value for name, value in choice["message"].items() if value is not None}
    [answer] = sides.both("chat.completions.create", **asked, messages=[*QUESTION, said, result])["choices"]
    assert answer["finish_reason"] == "stop"
    assert "Rain, 12 degrees" in answer["message"]["content"]


def test_json_that_fits_a_schema(sides: Sides) -> None:
    asked: dict[str, Any] = {"model": MODEL, "messages": QUESTION, "response_format": JSON_SCHEMA}
    [choice] = sides.both("chat.completions.create", **asked)["choices"]
    found = json.loads(choice["message"]["content"])
    assert found.keys() == {"city", "degrees"}
    assert isinstance(found["degrees"], int)


def test_a_conversation_with_an_image(sides: Sides) -> None:
    looked = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": looked},
    ]
    [choice] = sides.both("chat.completions.create", model=MODEL, messages=messages)["choices"]
    assert "What is this?" in choice["message"]["content"]


# --- other generations


@pytest.mark.parametrize("options", [{}, {"n": 2, "max_tokens": 6}, {"logprobs": 2, "max_tokens": 3}])
def test_completions(sides: Sides, options: dict[str, Any]) -> None:
    asked = {"model": "openai/gpt-3.5-turbo-instruct", "prompt": "Once upon a time", **options}
    theirs = sides.both("completions.create", **asked)
    assert [choice["index"] for choice in theirs["choices"]] == list(range(options.get("n", 1)))
    usage = {"include_usage": True}
    *chunks, last = sides.both("completions.create", **asked, stream=True, stream_options=usage)
    assert bare(last["usage"]) == bare(theirs["usage"])
    for choice in theirs["choices"]:
        pieces = [piece for chunk in chunks for piece in chunk["choices"] if piece["index"] == choice["index"]]
        assert "".join(piece["text"] for piece in pieces) == choice["text"]


@pytest.mark.parametrize("text", ["A short text.", ["A short text.", "Another, longer text."]], ids=["one", "two"])
@pytest.mark.parametrize("options", [{}, {"encoding_format": "float"}, {"dimensions": 16}], ids=str)
def test_embeddings(sides: Sides, text: str | list[str], options: dict[str, Any]) -> None:
    asked = {"model": "openai/text-embedding-3-small", "input": text, **options}
    theirs, ours = sides.theirs("embeddings.create", **asked), sides.ours("embeddings.create", **asked)
    size = options.get("dimensions", 1536)
    assert [len(row["embedding"]) for row in theirs["data"]] == [size] * (1 if isinstance(text, str) else 2)
    assert bare(ours) == bare(theirs)


def test_embeddings_as_base64(sides: Sides) -> None:
    """Who asks for base64 gets it from the package as it came; from us it is decoded."""
    asked = {"model": "openai/text-embedding-3-small", "input": "A text.", "encoding_format": "base64"}
    [theirs] = sides.theirs("embeddings.create", **asked)["data"]
    [ours] = sides.ours("embeddings.create", **asked)["data"]
    assert list(struct.unpack("<1536f", base64.b64decode(theirs["embedding"]))) == ours["embedding"]


@pytest.mark.parametrize("options", [{}, {"model": "openai/gpt-image-1", "n": 2, "size": "1536x1024"}], ids=str)
def test_images_by_url(sides: Sides, options: dict[str, Any]) -> None:
    asked = {"model": "openai/dall-e-3", "prompt": "A city by night", **options}
    theirs = sides.both("images.generate", **asked)
    assert len(theirs["data"]) == options.get("n", 1)
    for image in theirs["data"]:
        if image["url"] is not None:
            with urllib.request.urlopen(image["url"], timeout=10) as reply:
                assert reply.read().startswith(b"\x89PNG")
        else:
            assert base64.b64decode(image["b64_json"]).startswith(b"\x89PNG")


def test_images_as_base64(sides: Sides) -> None:
    asked = {"model": "openai/dall-e-3", "prompt": "A city by night", "response_format": "b64_json"}
    [image] = sides.both("images.generate", **asked)["data"]
    assert base64.b64decode(image["b64_json"]).startswith(b"\x89PNG")


def test_speech_and_what_is_heard(sides: Sides) -> None:
    text = "Sandbox speech is heard as it was said."
    asked = {"model": "openai/tts-1", "voice": "alloy", "input": text, "response_format": "wav"}
    audio = sides.both("audio.speech.create", **asked)
    assert audio.startswith(b"RIFF")
    heard: dict[str, Any] = {"model": "openai/whisper-1", "file": ("speech.wav", audio)}
    assert sides.both("audio.transcriptions.create", **heard)["text"] == text
    verbose = sides.both("audio.transcriptions.create", **heard, response_format="verbose_json")
    assert (verbose["text"], verbose["segments"][0]["id"]) == (text, 0)
    assert sides.both("audio.translations.create", **heard)["text"] == text


def test_a_transcript_as_text(sides: Sides) -> None:
    audio = sides.theirs("audio.speech.create", model="openai/tts-1", voice="alloy", input="Said.")
    heard: dict[str, Any] = {"model": "openai/whisper-1", "file": ("speech.wav", audio)}
    for form in ("text", "srt", "vtt"):
        theirs = sides.theirs("audio.transcriptions.create", **heard, response_format=form)
        ours = sides.ours("audio.transcriptions.create", **heard, response_format=form)
        assert "Said." in theirs
        assert ours["text"] == theirs


# --- the catalogue and files


def test_models(sides: Sides) -> None:
    theirs = sides.theirs("models.list")
    ours = sides.ours("models.list")
    assert sorted(map(named, ours)) == sorted(map(named, theirs))
    assert MODEL in {model["id"] for model in theirs}
    one = sides.both("models.retrieve", model=MODEL)
    assert (one["id"], one["object"]) == (MODEL, "model")


def named(model: dict[str, Any]) -> tuple[str, str, int]:
    return model["id"], model["owned_by"], model["created"]


@pytest.mark.parametrize("content", [b'{"a": 1}\n', bytes(range(256)) * 400, b""], ids=["text", "binary", "empty"])
def test_files(sides: Sides, content: bytes) -> None:
    stored = sides.both("files.create", file=("data.jsonl", content), purpose="batch")
    assert (stored["filename"], stored["bytes"], stored["purpose"]) == ("data.jsonl", len(content), "batch")
    file_id = stored["id"]
    assert sides.both("files.retrieve", file_id=file_id) == stored
    listed = sides.both("files.list")
    assert stored in listed
    assert sides.both("files.content", file_id=file_id) == content
    deleted = sides.theirs("files.delete", file_id=file_id)
    assert (deleted["id"], deleted["deleted"]) == (file_id, True)
    with pytest.raises(OpenAIPackageError) as theirs:
        sides.theirs("files.retrieve", file_id=file_id)
    with pytest.raises(indoxrouter.APIError) as ours:
        sides.ours("files.retrieve", file_id=file_id)
    assert theirs.value.status_code == ours.value.status_code == 404


def test_files_of_one_are_seen_and_deleted_by_the_other(sides: Sides) -> None:
    stored = sides.ours("files.create", file=("ours.txt", b"Ours"), purpose="user_data")
    assert sides.theirs("files.content", file_id=stored["id"]) == b"Ours"
    assert sides.ours("files.delete", file_id=stored["id"])["deleted"] is True
    assert stored["id"] not in {file["id"] for file in sides.theirs("files.list")}


# --- errors


WRONG_MODEL = indoxrouter.ModelNotFoundError
BAD = indoxrouter.BadRequestError


@pytest.mark.parametrize(
    ("path", "arguments", "their_class", "our_class"),
    [
        ("chat.completions.create", {"messages": QUESTION, "model": "no-such-model"}, "NotFoundError", WRONG_MODEL),
        ("chat.completions.create", {"messages": QUESTION, "model": "openai/dall-e-3"}, "BadRequestError", BAD),
        ("chat.completions.create", {"messages": QUESTION, "model": MODEL, "seed": "x"}, "BadRequestError", BAD),
        ("chat.completions.create", {"messages": QUESTION, "model": MODEL, "tools": [{}]}, "BadRequestError", BAD),
        ("embeddings.create", {"model": MODEL, "input": "A text."}, "BadRequestError", BAD),
        ("images.generate", {"model": "openai/dall-e-3", "prompt": "A city", "size": "1x1"}, "BadRequestError", BAD),
        ("models.retrieve", {"model": "no-such-model"}, "NotFoundError", WRONG_MODEL),
        ("files.retrieve", {"file_id": "file-none"}, "NotFoundError", indoxrouter.APIError),
    ],
)
def test_errors(
    sides: Sides,
    path: str,
    arguments: dict[str, Any],
    their_class: str,
    our_class: type[indoxrouter.IndoxRouterError],
) -> None:
    same_error(sides, path, arguments, their_class, our_class)
    if path.startswith("chat."):
        same_error(sides, path, {**arguments, "stream": True}, their_class, our_class)


def same_error(
    sides: Sides,
    path: str,
    arguments: dict[str, Any],
    their_class: str,
    our_class: type[indoxrouter.IndoxRouterError],
) -> None:
    with pytest.raises(OpenAIPackageError) as theirs:
        sides.theirs(path, **arguments)
    assert theirs.value.names[0] == their_class
    assert theirs.value.request_id
    with pytest.raises(our_class) as ours:
        sides.ours(path, **arguments)
    assert (ours.value.status_code, ours.value.code) == (theirs.value.status_code, theirs.value.code)
    # Ours looks a model up in the list, which many servers have and nothing else: that answer was no error.
    assert ours.value.request_id or path == "models.retrieve"
    assert not ours.value.retryable


@pytest.mark.parametrize(
    ("status", "name", "attempts"),
    [(429, "RateLimitError", 3), (500, "InternalServerError", 2)],  # what may have been paid for is repeated once
)
def test_errors_that_pass(sides: Sides, sandbox: Sandbox, status: int, name: str, attempts: int) -> None:
    """Both come again, and both say at last what they were told."""
    asked: dict[str, Any] = {"model": MODEL, "messages": QUESTION}
    fault: dict[str, Any] = {"path": "chat/completions", "status": status, "headers": {"retry-after-ms": "10"}}
    sandbox.fault(**fault)
    theirs = sides.theirs("chat.completions.create", **asked)
    sandbox.fault(**fault)
    assert bare(sides.ours("chat.completions.create", **asked)) == bare(theirs)
    sandbox.fault(**fault, times=10)
    with pytest.raises(OpenAIPackageError) as their_error:
        sides.theirs("chat.completions.create", **asked)
    with pytest.raises(getattr(indoxrouter, name)) as our_error:
        sides.ours("chat.completions.create", **asked)
    assert their_error.value.names[0] == name
    assert our_error.value.status_code == their_error.value.status_code == status
    assert len(our_error.value.attempts) == attempts


def test_a_wrong_key(package: OpenAIPackage, sandbox: Sandbox) -> None:
    with OpenAIPackage(package.kind, "not-the-key", sandbox.openai_url) as refused:
        with pytest.raises(OpenAIPackageError) as theirs:
            refused.call("models.list")
    assert (theirs.value.names[0], theirs.value.status_code) == ("AuthenticationError", 401)
    with kind_of(package)("not-the-key", sandbox.openai_url) as ours:
        with pytest.raises(indoxrouter.AuthenticationError) as error:
            list(ours.wait(ours.client.models.list()))
    assert (error.value.status_code, error.value.code) == (401, theirs.value.code)


def kind_of(package: OpenAIPackage) -> type[OfOpenAI]:
    return OfOpenAI if package.kind == "OpenAI" else OfAsyncOpenAI


# --- our own style


@pytest.mark.parametrize("kind", [OfClient, OfAsyncClient])
def test_our_clients_get_the_same_data(package: OpenAIPackage, sandbox: Sandbox, kind: type[OfClient]) -> None:
    with kind(sandbox.api_key, sandbox.openai_url) as style:
        same_data(package, style)


def same_data(package: OpenAIPackage, style: OfClient) -> None:
    ours, wait = style.client, style.wait
    asked: dict[str, Any] = {"model": MODEL, "messages": QUESTION, "temperature": None}
    chat = package.call("chat.completions.create", **asked)
    answer = wait(ours.chat(**asked))
    assert (answer.data, answer.finish_reason) == (chat["choices"][0]["message"]["content"], "stop")
    used = chat["usage"]["prompt_tokens"], chat["usage"]["completion_tokens"], chat["usage"]["total_tokens"]
    assert (answer.usage.tokens_prompt, answer.usage.tokens_completion, answer.usage.tokens_total) == used

    stream = wait(ours.chat(**asked, stream=True))
    assert "".join(chunk.data for chunk in style.all(stream)) == answer.data
    assert (stream.usage.tokens_prompt, stream.usage.tokens_completion, stream.usage.tokens_total) == used

    forced = package.call("chat.completions.create", **asked, tools=[WEATHER], tool_choice=FORCED)
    assert wait(ours.chat(**asked, tools=[WEATHER], tool_choice=FORCED)).tool_calls == bare_calls(forced)

    embedded = {"model": "openai/text-embedding-3-small"}
    vectors = package.call("embeddings.create", input=["A", "B"], **embedded)["data"]
    assert wait(ours.embeddings(["A", "B"], **embedded)).data == [row["embedding"] for row in vectors]

    drawn = {"model": "openai/dall-e-3", "prompt": "A city by night"}
    [image] = package.call("images.generate", **drawn)["data"]
    assert wait(ours.images(**drawn)).data[0].url == image["url"]

    said = {"model": "openai/tts-1", "voice": "alloy", "input": "Said."}
    audio = package.call("audio.speech.create", **said)
    assert wait(ours.speech(**said)).content == audio
    heard = package.call("audio.transcriptions.create", model="openai/whisper-1", file=("speech.wav", audio))
    assert wait(ours.transcribe(audio, "openai/whisper-1", filename="speech.wav")).text == heard["text"] == "Said."

    ids = {model["id"] for model in package.call("models.list")}
    assert {entry["id"] for entries in wait(ours.models()).values() for entry in entries} == ids


def bare_calls(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in call.items() if value is not None}
        for call in answer["choices"][0]["message"]["tool_calls"]
    ]
