"""What the published package sends and what ours sends, call by call: every difference has its reason.

The list is exact: a difference that is not in it fails, and so does one that no longer occurs.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from recorder import Recorded, Recorder

from indoxrouter import AuthenticationError, Client
from indoxrouter.streams import ChatStream

from .published import Published

pytestmark = pytest.mark.peers

KEY = "some-key"
ABSENT = "(absent)"
ANY = "(any)"
_OF_THE_CONNECTION = ("host", "connection")
_CHANGING = ("content-length", "x-client-request-id", "idempotency-key")


@dataclass(frozen=True)
class Call:
    """A call of both clients; `ours`: the method of ours where its name is another."""

    name: str
    args: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    ours: str | None = None


@dataclass(frozen=True)
class Listed:
    """A difference in one place of a request, the calls in which it occurs, and its reason."""

    where: str
    theirs: Any
    ours: Any
    calls: Collection[str]
    why: str


MESSAGES = ([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}],)
PROMPT = ("Once upon a time",)
PICTURE = ("A city by night",)
BYOK = {"byok_api_key": "sk-your-own"}
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
PROVIDERS = {"tools": TOOLS, "seed": 7, "n": 2}
SAMPLING = {"top_p": 0.9, "frequency_penalty": 0.1, "presence_penalty": 0.2}
NAMED = {"model": "anthropic/claude-3-haiku", "temperature": 0.1, "max_tokens": 9, "stream": False}
IMAGEN = {"model": "google/imagen-3.0-generate-002"}
GROK = {"model": "xai/grok-2-image"}
GPT_IMAGE = {"model": "openai/gpt-image-1"}

TEXT_OPTIONS: dict[str, dict[str, Any]] = {
    "": {},
    ", named": {**NAMED, **BYOK},
    ", provider's": {**PROVIDERS, "stop": ["."], "logit_bias": None},
    ", sampling": SAMPLING,
    ", everything": {**NAMED, **BYOK, **SAMPLING, **PROVIDERS},
    ", no temperature": {"temperature": None},
    ", generator": {"return_generator": True},
    ", streaming": {"stream": True},
    ", streaming generator": {"stream": True, "return_generator": True, "max_tokens": 9, "seed": 7},
    ", options": {"timeout": 30, "max_retries": 1},
    ", wrapped": {"additional_params": {"seed": 7}},
}
TEXT_CALLS = {
    f"{name}{suffix}": Call(name, asked, options)
    for name, asked in (("chat", MESSAGES), ("completion", PROMPT))
    for suffix, options in TEXT_OPTIONS.items()
}
EMBEDDING_CALLS = {
    "embeddings of a string": Call("embeddings", ("a text",)),
    "embeddings of a list": Call("embeddings", (["a text", "another"],)),
    "embeddings, named": Call("embeddings", ("a text",), {"model": "openai/text-embedding-3-large", **BYOK}),
    "embeddings, provider's": Call("embeddings", ("a text",), {"dimensions": 64, "user": "somebody"}),
    "embeddings, generator": Call("embeddings", ("a text",), {"return_generator": True}),
}
OPENAI_IMAGE = {"n": 1, "quality": "hd", "style": "vivid", "response_format": "url", "user": "somebody"}
IMAGEN_IMAGE = {"n": 2, "negative_prompt": "rain", "guidance_scale": 7.5, "seed": 7, "language": "en"}
IMAGE_CALLS = {
    "images": Call("images", PICTURE),
    "images, sized": Call("images", PICTURE, {"model": "openai/dall-e-3", "size": "1792x1024"}),
    "images, named": Call("images", PICTURE, {"size": "1024x1024", **OPENAI_IMAGE, **BYOK}),
    "images, provider's": Call("images", PICTURE, {"seed": 7, "made_up": True}),
    "images, generator": Call("images", PICTURE, {"return_generator": True}),
    "images, aspect": Call("images", PICTURE, {"aspect_ratio": "16:9"}),
    "images, bare": Call("images", PICTURE, {"model": "dall-e-3", "size": "1024x1024"}),
    "image, default size": Call("images", PICTURE, {"model": "openai/dall-e-2"}, ours="image"),
    "image, dall-e-3": Call("images", PICTURE, {"model": "openai/dall-e-3"}, ours="image"),
    "image, gpt-image": Call("images", PICTURE, GPT_IMAGE, ours="image"),
    "image, grok": Call("images", PICTURE, GROK, ours="image"),
    "gpt-image": Call("images", PICTURE, GPT_IMAGE),
    "gpt-image, named": Call(
        "images",
        PICTURE,
        {**GPT_IMAGE, "size": "1536x1024", "n": 2, "background": "opaque", "output_format": "webp"},
    ),
    "gpt-image, dropped": Call(
        "images", PICTURE, {**GPT_IMAGE, "response_format": "b64_json", "seed": 7, "made_up": True, **BYOK}
    ),
    "imagen": Call("images", PICTURE, IMAGEN),
    "imagen, named": Call("images", PICTURE, {**IMAGEN, "aspect_ratio": "16:9", **IMAGEN_IMAGE}),
    "imagen, sized": Call("images", PICTURE, {**IMAGEN, "size": "1792x1024"}),
    "imagen, both": Call("images", PICTURE, {**IMAGEN, "size": "1024x1024", "aspect_ratio": "3:4"}),
    "imagen, odd aspect": Call("images", PICTURE, {**IMAGEN, "aspect_ratio": "3:2"}),
    "imagen, odd size": Call("images", PICTURE, {**IMAGEN, "size": "100x300"}),
    "imagen, dropped": Call("images", PICTURE, {**IMAGEN, "size": "1:1", "user": "somebody", "made_up": True, **BYOK}),
    "image, imagen": Call("images", PICTURE, IMAGEN, ours="image"),
    "google's other": Call("images", PICTURE, {"model": "google/gemini-image", "size": "1024x1536"}),
    "grok": Call("images", PICTURE, GROK),
    "grok, named": Call("images", PICTURE, {**GROK, "n": 2, "response_format": "b64_json"}),
    "grok, sized": Call("images", PICTURE, {**GROK, "size": "1024x1024"}),
    "grok, aspect": Call("images", PICTURE, {**GROK, "aspect_ratio": "16:9"}),
    "grok, dropped": Call("images", PICTURE, {**GROK, "quality": "hd", "made_up": True, **BYOK}),
}
READING_CALLS = {
    "models": Call("models"),
    "models of one": Call("models", ("openai",)),
    "models by keyword": Call("models", (), {"provider": "openai"}),
    "model info": Call("get_model_info", ("openai", "gpt-4o-mini")),
    "model info, slash": Call("get_model_info", ("together", "meta-llama/Llama-3.3")),
    "usage": Call("get_usage"),
}
PAID_CALLS = {**TEXT_CALLS, **EMBEDDING_CALLS, **IMAGE_CALLS}
CALLS = {**PAID_CALLS, **READING_CALLS}
SENT = set(CALLS)


def having(name: str) -> set[str]:
    """The calls in which this option is given."""
    return {key for key, call in CALLS.items() if name in call.options}


def both(suffix: str) -> set[str]:
    return {f"chat{suffix}", f"completion{suffix}"}


UNASKED = "only what the caller set is sent"
DROPPED = "what the caller set is sent, not dropped in silence: the router decides"
NAMED_FIELD = "the API has a field of this name"
# Models for which the published package has a list of parameters, and drops all others:
LIMITED = {
    name
    for name in IMAGE_CALLS
    if CALLS[name].options.get("model") in ("google/imagen-3.0-generate-002", "xai/grok-2-image", "openai/gpt-image-1")
}
LISTED = [
    Listed("body.max_tokens", None, ABSENT, set(TEXT_CALLS) - having("max_tokens"), UNASKED),
    Listed("body.temperature", None, ABSENT, both(", no temperature"), UNASKED),
    Listed("body.byok_api_key", None, ABSENT, set(PAID_CALLS) - having("byok_api_key") - LIMITED, UNASKED),
    Listed(
        "body.byok_api_key",
        ABSENT,
        "sk-your-own",
        having("byok_api_key") & LIMITED,
        "without it, the platform charges credits for what the caller's own key was to pay",
    ),
    *(Listed(f"body.{name}", ABSENT, value, having("top_p"), NAMED_FIELD) for name, value in SAMPLING.items()),
    Listed("body.additional_params", SAMPLING, {}, both(", sampling"), NAMED_FIELD),
    Listed(
        "body.additional_params",
        {**SAMPLING, **PROVIDERS},
        PROVIDERS,
        both(", everything"),
        NAMED_FIELD,
    ),
    Listed(
        "body.additional_params",
        {"timeout": 30, "max_retries": 1},
        {},
        both(", options"),
        "options of ours, for the call and not for the provider",
    ),
    Listed(
        "body.additional_params",
        {"additional_params": {"seed": 7}},
        {"seed": 7},
        both(", wrapped"),
        "it is the field itself: wrapped in another, no provider would find it",
    ),
    # Images
    Listed(
        "body.size",
        ABSENT,
        "512x512",
        {"image, default size"},
        "the documented default of `image`, which the published package does not have",
    ),
    Listed("body.aspect_ratio", "1:1", ABSENT, {"imagen", "image, imagen"}, UNASKED),
    Listed(
        "body.aspect_ratio",
        "1:1",
        "3:2",
        {"imagen, odd aspect"},
        "what the caller set is sent: a picture of another form would be paid for all the same",
    ),
    Listed("body.aspect_ratio", ABSENT, "16:9", {"grok, aspect", "images, aspect"}, DROPPED),
    Listed("body.quality", ABSENT, "hd", {"grok, dropped"}, DROPPED),
    Listed("body.response_format", ABSENT, "b64_json", {"gpt-image, dropped"}, DROPPED),
    Listed("body.seed", ABSENT, 7, {"gpt-image, dropped"}, DROPPED),
    Listed("body.user", ABSENT, "somebody", {"imagen, dropped"}, DROPPED),
    Listed(
        "body.additional_params",
        ABSENT,
        {"made_up": True},
        {"gpt-image, dropped", "imagen, dropped", "grok, dropped"},
        DROPPED,
    ),
    Listed("body.size", ABSENT, "1024x1024", {"grok, sized"}, DROPPED),
    Listed("body.size", ABSENT, "100x300", {"imagen, odd size"}, DROPPED),
    Listed(
        "body.aspect_ratio",
        "1:1",
        ABSENT,
        {"imagen, odd size"},
        "a size that has no aspect ratio is not turned into another one: the router says what it takes",
    ),
    # Paths
    Listed(
        "path",
        "/api/v1/models",
        "/api/v1/models/",
        {"models"},
        "the documented path; the other one is asked after a 404",
    ),
    Listed(
        "path",
        "/api/v1/models/together/meta-llama/Llama-3.3",
        "/api/v1/models/together/meta-llama%2FLlama-3.3",
        {"model info, slash"},
        "a name is one segment of the path, whatever stands in it",
    ),
    # Headers
    Listed("header.user-agent", "python-requests", "indoxrouter-python", SENT, "who is calling"),
    Listed("header.accept", "*/*", "application/json, text/event-stream", SENT, "what is understood"),
    Listed("header.x-client-request-id", ABSENT, ANY, SENT, "so that a call can be found in the router's logs"),
    Listed(
        "header.idempotency-key",
        ABSENT,
        ANY,
        set(PAID_CALLS) & SENT,
        "so that a repeated request is not charged twice",
    ),
    Listed(
        "header.content-type",
        "application/json",
        ABSENT,
        set(READING_CALLS),
        "there is no content to have a type",
    ),
]


class Sides:
    """Both clients, before one recorder."""

    def __init__(self, recorder: Recorder, published: Published, client: Client) -> None:
        self._recorder = recorder
        self._published = published
        self._client = client

    def of_theirs(self, call: Call) -> dict[str, Any]:
        self._recorder.take()
        self._published.call(call.name, *call.args, **call.options)
        return flat(self._recorder.take())

    def of_ours(self, call: Call) -> dict[str, Any]:
        self._recorder.take()
        answer = getattr(self._client, call.ours or call.name)(*call.args, **call.options)
        if isinstance(answer, ChatStream):
            answer.response()
        return flat(self._recorder.take())


@pytest.fixture(scope="module")
def sides(published_folder: Path) -> Iterator[Sides]:
    with (
        Recorder() as recorder,
        Published(published_folder, KEY, recorder.origin) as published,
        Client(KEY, f"{recorder.origin}/api/v1") as client,
    ):
        client.models()  # logs in, as the published client does when it is constructed
        yield Sides(recorder, published, client)


def flat(recorded: list[Recorded]) -> dict[str, Any]:
    """The one request of a call: each place in it with its value."""
    [request] = recorded
    headers = {
        f"header.{name}": ANY if name in _CHANGING else value
        for name, value in request.headers.items()
        if name not in _OF_THE_CONNECTION
    }
    if "header.user-agent" in headers:
        headers["header.user-agent"] = headers["header.user-agent"].partition("/")[0]  # the version changes
    body = {f"body.{name}": value for name, value in (request.body or {}).items()}
    return {
        "method": request.method,
        "path": request.path,
        "query": request.query,
        **headers,
        **body,
    }


Difference = tuple[str, str, str]


def difference(where: str, theirs: Any, ours: Any) -> Difference:
    return where, json.dumps(theirs), json.dumps(ours)


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> set[Difference]:
    return {
        difference(where, theirs.get(where, ABSENT), ours.get(where, ABSENT))
        for where in {*theirs, *ours}
        if theirs.get(where, ABSENT) != ours.get(where, ABSENT)
    }


@pytest.mark.parametrize("name", CALLS)
def test_every_difference_is_listed_and_every_listed_one_occurs(sides: Sides, name: str) -> None:
    found = differences(sides.of_theirs(CALLS[name]), sides.of_ours(CALLS[name]))
    assert found == {difference(listed.where, listed.theirs, listed.ours) for listed in LISTED if name in listed.calls}


def test_each_listed_difference_names_calls_of_the_list() -> None:
    for listed in LISTED:
        assert listed.calls
        assert listed.why
        assert set(listed.calls) <= set(CALLS)


# --- logins

API_KEY, TOKEN = "/api/v1/auth/api-key", "/api/v1/auth/token"


def logins(recorded: list[Recorded]) -> list[tuple[str, Any]]:
    assert {request.method for request in recorded} == {"POST"}
    return [(request.path, request.headers.get("x-api-key") or request.body) for request in recorded]


def test_the_login_is_the_same(published_folder: Path) -> None:
    with Recorder() as recorder:
        with Published(published_folder, KEY, recorder.origin) as published:
            assert published.refusal is None
        [theirs] = recorder.take()
        with Client(KEY, f"{recorder.origin}/api/v1") as client:
            client.models()
        ours, _ = recorder.take()
    assert differences(flat([theirs]), flat([ours])) == {
        difference("header.accept", "*/*", "application/json, text/event-stream"),
        difference("header.user-agent", "python-requests", "indoxrouter-python"),
    }


def test_the_password_form_is_never_sent(published_folder: Path) -> None:
    """The published package sends the key as user name and password, once one login is refused.

    Ours asks another endpoint only where there is none, and with the documented body.
    """
    with Recorder(refuse={"auth/api-key": 404}) as recorder:
        with Published(published_folder, KEY, recorder.origin) as published:
            assert published.refusal is None
        assert logins(recorder.take()) == [(API_KEY, KEY), (TOKEN, f"username={KEY}&password={KEY}")]
        with Client(KEY, f"{recorder.origin}/api/v1") as client:
            client.models()
        assert logins(recorder.take()[:-1]) == [(API_KEY, KEY), (TOKEN, {"api_key": KEY})]


def test_a_refused_key_is_not_sent_again(published_folder: Path) -> None:
    with Recorder(refuse={"auth/api-key": 401, "auth/token": 401}) as recorder:
        with Published(published_folder, KEY, recorder.origin) as published:
            assert published.refusal == "AuthenticationError"
        assert logins(recorder.take()) == [
            (API_KEY, KEY),
            (TOKEN, f"username={KEY}&password={KEY}"),
            (TOKEN, f"username=pip_client&password={KEY}"),
        ]
        with (
            Client(KEY, f"{recorder.origin}/api/v1") as client,
            pytest.raises(AuthenticationError),
        ):
            client.models()
        assert logins(recorder.take()) == [(API_KEY, KEY)]


def test_the_published_base_url_works_as_it_is() -> None:
    """It names no prefix: ours asks for a login where it could be, and stays where it found one."""
    with Recorder() as recorder, Client(KEY, recorder.origin) as client:
        client.models()
        client.get_usage()
        *asked, models, usage = recorder.take()
    assert [path for path, _ in logins(asked)] == [
        "/auth/api-key",
        "/auth/token",
        "/v1/auth/api-key",
        "/v1/auth/token",
        "/api/v1/auth/api-key",
    ]
    assert [models.path, usage.path] == ["/api/v1/models/", "/api/v1/user/usage"]
