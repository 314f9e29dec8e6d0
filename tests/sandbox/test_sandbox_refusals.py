"""What a real router refuses, the sandbox refuses too: files, voices, prompts, pictures."""

import base64
import json
from typing import Any

import pytest
import requests

from indoxrouter.sandbox import sound
from indoxrouter.sandbox.audio import VOICES

from .sandbox_api import Api, OpenAIApi, chat_body

SPOKEN = sound.wav(sound.pcm("Hello", "alloy", 1), "Hello")
SPEECH = {"model": "openai/tts-1", "input": "Hello"}
VIDEO = {"model": "google/veo-3.0-generate-001", "prompt": "A red boat", "duration": 1}
DRAWER = "google/gemini-2.5-flash-image-preview"
PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(50)).decode()

AUDIO = {
    "wav": SPOKEN[:44],
    "mp3 with tags": b"ID3\x04" + bytes(40),
    "mp3": b"\xff\xfb\x90\x64" + bytes(40),
    "mp2": b"\xff\xfd\x90\x64" + bytes(40),
    "aac": b"\xff\xf1\x50\x80" + bytes(40),
    "aac, adif": b"ADIF" + bytes(40),
    "ogg": b"OggS" + bytes(40),
    "flac": b"fLaC" + bytes(40),
    "m4a": b"\0\0\0\x20ftypM4A " + bytes(40),
    "webm": b"\x1aE\xdf\xa3" + bytes(40),
}
NO_AUDIO = {
    "empty": b"",
    "text": b"this is no audio",
    "text in UTF-16": "this is no audio".encode("utf-16"),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(40),
    "another RIFF": b"RIFF\0\0\0\0AVI " + bytes(40),
    "zeros": bytes(1000),
    "ones": b"\xff" * 1000,
    "one byte": b"\xff",
    "an ID": b"ID",
}


def refused(answer: requests.Response, parameter: str) -> str:
    """The message of a refusal of either API."""
    assert answer.status_code == 400, answer.text
    body = answer.json()
    if isinstance(body["error"], dict):
        assert body["error"]["param"] == parameter
        return str(body["error"]["message"])
    assert (body["error"], body["details"]["parameter"]) == ("InvalidParametersError", parameter)
    return str(body["message"])


def listen(api: Api, content: bytes, task: str = "transcriptions", **fields: Any) -> requests.Response:
    return api.post(f"audio/stt/{task}", files={"file": ("a.wav", content)}, data={"model": "whisper-1"} | fields)


def hear(openai: OpenAIApi, content: bytes, task: str = "transcriptions", **fields: Any) -> requests.Response:
    return openai.post(f"audio/{task}", files={"file": ("a.wav", content)}, data={"model": "whisper-1"} | fields)


@pytest.mark.parametrize("content", AUDIO.values(), ids=list(AUDIO))
def test_every_known_container_is_listened_to(api: Api, openai: OpenAIApi, content: bytes) -> None:
    assert listen(api, content).status_code == hear(openai, content).status_code == 200


@pytest.mark.parametrize("content", NO_AUDIO.values(), ids=list(NO_AUDIO))
@pytest.mark.parametrize("task", ["transcriptions", "translations"])
def test_what_is_no_audio_is_refused(api: Api, openai: OpenAIApi, content: bytes, task: str) -> None:
    for answer in (listen(api, content, task), hear(openai, content, task)):
        assert refused(answer, "file").startswith("Invalid file format. Supported formats: flac, m4a, mp3, ")


def test_what_is_no_audio_costs_nothing(own: Api) -> None:
    listen(own, b"no audio")
    assert (own.usage()["total_requests"], own.sandbox.stats()["charges"]) == (0, 0)


@pytest.mark.parametrize("form", ["json", "text", "srt", "vtt", None])
def test_granularities_are_for_verbose_transcripts_alone(api: Api, openai: OpenAIApi, form: str | None) -> None:
    chosen = {} if form is None else {"response_format": form}
    words: dict[str, Any] = {"timestamp_granularities[]": ["word"]}
    answers = [
        listen(api, SPOKEN, timestamp_granularities='["word"]', **chosen),
        hear(openai, SPOKEN, **words, **chosen),
        hear(openai, SPOKEN, timestamp_granularities="segment", **chosen),
    ]
    for answer in answers:
        told = f"timestamp_granularities need the response_format verbose_json, not {form or 'json'}."
        assert refused(answer, "timestamp_granularities") == told
    assert listen(api, SPOKEN, timestamp_granularities="[]", **chosen).status_code == 200
    assert listen(api, SPOKEN, timestamp_granularities='["word"]', response_format="verbose_json").json()["words"]


@pytest.mark.parametrize("prompt", ["", " \n"])
def test_an_empty_prompt_makes_no_picture(api: Api, openai: OpenAIApi, prompt: str) -> None:
    for path, model in (("images/generations", "openai/dall-e-3"), ("videos/generations", VIDEO["model"])):
        answer = api.post(path, {"model": model, "prompt": prompt})
        [problem] = answer.json()["detail"]
        assert (answer.status_code, problem["loc"], problem["type"]) == (422, ["body", "prompt"], "string_too_short")
    refused(openai.post("images/generations", {"prompt": prompt}), "prompt")


@pytest.mark.parametrize("voice", [*VOICES, None])
def test_every_published_voice_speaks(api: Api, openai: OpenAIApi, voice: str | None) -> None:
    assert api.post("audio/tts/generations", SPEECH | {"voice": voice}).status_code == 200
    assert openai.post("audio/speech", SPEECH | {"voice": voice}).status_code == 200


@pytest.mark.parametrize("voice", ["rachel", "Alloy", ""])
def test_a_voice_that_nobody_has_is_refused(api: Api, openai: OpenAIApi, voice: str) -> None:
    for answer in (
        api.post("audio/tts/generations", SPEECH | {"voice": voice}),
        openai.post("audio/speech", SPEECH | {"voice": voice}),
    ):
        message = refused(answer, "voice")
        assert message.startswith("voice must be one of alloy, ash, ballad, ")
        assert message.endswith(f", not {voice}.")


@pytest.mark.parametrize("form", ["mp3", "opus", "aac", "flac", "xyz"])
def test_a_format_that_the_sandbox_does_not_make_is_told_of(api: Api, openai: OpenAIApi, form: str) -> None:
    for answer in (
        api.post("audio/tts/generations", SPEECH | {"response_format": form}),
        openai.post("audio/speech", SPEECH | {"response_format": form}),
    ):
        assert refused(answer, "response_format") == (
            f"response_format cannot be {form}: this sandbox makes wav and pcm only;"
            " a real router also makes mp3, opus, aac and flac."
        )


@pytest.mark.parametrize("ratio", ["16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9", "9:21"])
def test_the_usual_shapes_of_videos(api: Api, ratio: str) -> None:
    assert api.post("videos/generations", VIDEO | {"aspect_ratio": ratio}).status_code == 200


@pytest.mark.parametrize("ratio", ["wide", "16x9", "16:0", "17:13", "1.78:1", "16:9 ", "", "16/9"])
def test_a_shape_that_no_model_makes_is_refused(api: Api, ratio: str) -> None:
    message = refused(api.post("videos/generations", VIDEO | {"aspect_ratio": ratio}), "aspect_ratio")
    assert message.startswith("aspect_ratio must be one of 16:9, 9:16, ")
    image = {"model": "google/imagen-3.0-generate-002", "prompt": "x", "aspect_ratio": ratio}
    refused(api.post("images/generations", image), "aspect_ratio")


SOURCES = ["input_image", "reference_image", "reference_images", "last_frame", "video"]


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize(
    "source",
    [
        "https://example.com/a.png",
        "HTTP://example.com/a%20b.png",
        f"data:image/png;base64,{PICTURE}",
        "data:image/svg+xml;charset=utf-8,%3Csvg%3E",
        PICTURE,
        PICTURE[:40] + "\n" + PICTURE[40:],
    ],
)
def test_pictures_come_by_url_or_inline(api: Api, name: str, source: str) -> None:
    value = [source] if name == "reference_images" else source
    assert api.post("videos/generations", VIDEO | {name: value}).status_code == 200


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize(
    "source",
    [
        "",
        "boat.png",
        "not a picture",
        "ftp://example.com/a.png",
        "https://",
        "https://[::1",
        "https://example.com/a b.png",
        "data:image/png;base64,",
        "data:image/png;base64,no base64!",
        "data:,x",
        "\ud800",
        PICTURE[:-1],
    ],
)
def test_what_is_no_picture_is_refused(api: Api, name: str, source: str) -> None:
    value = [PICTURE, source] if name == "reference_images" else source
    body = json.dumps(VIDEO | {name: value})
    answer = api.post("videos/generations", data=body, headers={"Content-Type": "application/json"})
    assert refused(answer, name) == f"{name} must be an http(s) URL, a data: URL or base64."


@pytest.mark.parametrize("wanted", ["image", "audio"])
def test_a_model_of_text_makes_nothing_else(api: Api, openai: OpenAIApi, wanted: str) -> None:
    asked = {"modalities": ["text", wanted]}
    for answer in (
        api.chat(additional_params=asked),
        api.chat_stream(additional_params=asked),
        api.post("completions", {"model": "openai/gpt-4o", "prompt": "x", "additional_params": asked}),
        openai.post("chat/completions", chat_body() | asked),
    ):
        assert refused(answer, "modalities").endswith(f" answers with text, not with {wanted}.")
    both = api.chat(model=DRAWER, additional_params={"modalities": ["text", "audio"]})
    assert refused(both, "modalities") == f"{DRAWER} answers with text and image, not with audio."
