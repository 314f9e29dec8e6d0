"""The OpenAI-compatible API: models, embeddings, images and audio."""

import base64
import io
import struct
import wave
from itertools import pairwise
from typing import Any

import pytest
import requests
from PIL import Image

from indoxrouter.sandbox import Sandbox, sound
from indoxrouter.sandbox.catalogue import MODELS

from .sandbox_api import Api, OpenAIApi

PHRASE = "Hello there, this is Größe and it goes on for a while, so that there are segments."
EMBEDDER = "text-embedding-3-small"


def test_the_models(openai: OpenAIApi) -> None:
    body = openai.get("models").json()
    assert (body["object"], len(body["data"])) == ("list", len(MODELS))
    assert all(set(row) == {"id", "object", "created", "owned_by"} for row in body["data"])
    for name in ("openai/gpt-4o-mini", "gpt-4o-mini"):
        row = openai.get(f"models/{name}").json()
        assert row in body["data"]
        assert (row["id"], row["object"], row["owned_by"]) == ("openai/gpt-4o-mini", "model", "openai")
    longest = "together/meta-llama/Llama-3.3-70B-Instruct-Turbo"
    assert openai.get(f"models/{longest}").json()["id"] == longest
    answer = openai.get("models/openai/gpt-99")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


def embed(openai: OpenAIApi, value: Any, **fields: Any) -> dict[str, Any]:
    answer = openai.post("embeddings", {"model": EMBEDDER, "input": value} | fields)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_embeddings_of_one_text_and_of_several(openai: OpenAIApi, api: Api) -> None:
    one, several = embed(openai, "blue sky"), embed(openai, ["blue sky", "green sea"])
    assert set(one) == {"object", "data", "model", "usage"}
    assert one["data"][0] == several["data"][0]
    assert [(row["object"], row["index"]) for row in several["data"]] == [("embedding", 0), ("embedding", 1)]
    assert several["usage"] == {"prompt_tokens": 4, "total_tokens": 4}
    hosted = api.post("embeddings", {"model": EMBEDDER, "text": ["blue sky"]}).json()["data"]
    assert one["data"][0]["embedding"] == hosted[0]


def test_embeddings_as_base64(openai: OpenAIApi) -> None:
    floats = embed(openai, "blue", encoding_format="float", dimensions=64)["data"][0]["embedding"]
    packed = embed(openai, "blue", encoding_format="base64", dimensions=64)["data"][0]["embedding"]
    assert struct.unpack("<64f", base64.b64decode(packed)) == pytest.approx(floats, abs=1e-6)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": [1, 2, 3]}, "input"),
        ({"input": [[1], [2]]}, "input"),
        ({"input": []}, "input"),
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"dimensions": 5000}, "dimensions"),
        ({"model": "gpt-4o"}, "model"),
    ],
)
def test_embeddings_that_are_refused(openai: OpenAIApi, fields: dict[str, Any], param: str) -> None:
    status, error = openai.refusal("embeddings", {"model": EMBEDDER, "input": "x"} | fields)
    assert (status, error["param"]) == (400, param)


def test_images(openai: OpenAIApi) -> None:
    body = openai.post("images/generations", {"prompt": "A boat"}).json()
    assert set(body) == {"created", "data"}
    content = requests.get(body["data"][0]["url"], timeout=10).content
    assert Image.open(io.BytesIO(content)).size == (1024, 1024)
    wanted = {"prompt": "A boat", "model": "gpt-image-1", "n": 2}
    items = openai.post("images/generations", wanted).json()["data"]
    assert [base64.b64decode(item["b64_json"])[:4] for item in items] == [b"\x89PNG"] * 2
    assert openai.refusal("images/generations", wanted | {"n": 50})[1]["param"] == "n"


def speech(openai: OpenAIApi, text: str = PHRASE, **fields: Any) -> requests.Response:
    answer = openai.post("audio/speech", {"model": "tts-1", "input": text, "voice": "alloy"} | fields)
    assert answer.status_code == 200, answer.text
    return answer


def test_speech_is_a_wav_that_plays(openai: OpenAIApi) -> None:
    answer = speech(openai)
    assert answer.headers["content-type"] == "audio/wav"
    with wave.open(io.BytesIO(answer.content)) as played:
        assert (played.getnchannels(), played.getsampwidth(), played.getframerate()) == (1, 2, 24_000)
        samples = played.readframes(played.getnframes())
    assert 2 < len(samples) / 48_000 < 10
    raw = speech(openai, response_format="pcm")
    assert raw.headers["content-type"] == "audio/pcm"
    assert raw.content == samples
    loudest = max(abs(value) for (value,) in struct.iter_unpack("<h", samples))
    assert 4_000 < loudest < 32_767


def test_speech_depends_on_text_voice_and_speed(openai: OpenAIApi) -> None:
    first = speech(openai).content
    assert speech(openai).content == first
    assert speech(openai, voice="nova").content != first
    assert len(speech(openai, speed=2).content) < 0.6 * len(first)
    assert speech(openai, " ").content


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "mp3"}, "response_format"),
        ({"input": ""}, "input"),
        ({"input": "x" * 4097}, "input"),
        ({"speed": 9}, "speed"),
        ({"model": "gpt-4o"}, "model"),
        ({"voice": 5}, "voice"),
    ],
)
def test_speech_that_is_refused(openai: OpenAIApi, fields: dict[str, Any], param: str) -> None:
    status, error = openai.refusal("audio/speech", {"model": "tts-1", "input": "x"} | fields)
    assert (status, error["param"]) == (400, param)


def listen(openai: OpenAIApi, content: bytes, task: str = "transcriptions", **fields: Any) -> requests.Response:
    files = {"file": ("a.wav", content)}
    return openai.post(f"audio/{task}", files=files, data={"model": "whisper-1"} | fields)


@pytest.mark.parametrize("phrase", [PHRASE, "one", "", "even"])
def test_the_sandboxs_own_speech_is_understood(openai: OpenAIApi, phrase: str) -> None:
    content = sound.wav(sound.pcm(phrase, "alloy", 1), phrase)
    body = listen(openai, content).json()
    assert body["text"] == phrase
    assert body["usage"]["type"] == "duration"
    for form in ("text", "srt", "vtt", "verbose_json"):
        assert listen(openai, content, response_format=form).status_code == 200


def test_a_verbose_transcript_has_segments_and_words(openai: OpenAIApi) -> None:
    content = speech(openai).content
    body = listen(openai, content, response_format="verbose_json", language="german").json()
    assert (body["task"], body["language"], body["text"]) == ("transcribe", "german", PHRASE)
    assert " ".join(segment["text"] for segment in body["segments"]) == PHRASE
    assert [word["word"] for word in body["words"]] == PHRASE.split()
    for spans in (body["segments"], body["words"]):
        assert (spans[0]["start"], spans[-1]["end"]) == (0, body["duration"])
        assert all(one["start"] < one["end"] == other["start"] for one, other in pairwise(spans))
    words: dict[str, Any] = {"timestamp_granularities[]": ["word"]}
    only = listen(openai, content, response_format="verbose_json", **words).json()
    assert ("words" in only, "segments" in only) == (True, False)
    plain = listen(openai, content, response_format="verbose_json", timestamp_granularities="segment").json()
    assert ("words" in plain, "segments" in plain) == (False, True)


def test_plain_transcripts(openai: OpenAIApi) -> None:
    content = speech(openai).content
    text, srt, vtt = (listen(openai, content, response_format=form) for form in ("text", "srt", "vtt"))
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.content.decode() == PHRASE + "\n"
    assert srt.content.decode().startswith("1\n00:00:00,000 --> 00:00:0")
    assert "\n\n2\n" in srt.text
    assert vtt.content.decode().startswith("WEBVTT\n\n00:00:00.000 --> ")


def test_audio_of_others_gets_a_text_that_says_its_size(openai: OpenAIApi) -> None:
    text = listen(openai, b"ID3" + bytes(997)).json()["text"]
    assert "1000 bytes" in text
    assert "not a model" in text
    assert listen(openai, b"ID3" + bytes(997)).json()["text"] == text
    own = sound.wav(bytes(96_000), "A comment")
    others = own.replace(sound.MAKER, b"somebody else sound")
    body = listen(openai, others, response_format="verbose_json").json()
    assert "A comment" not in body["text"]
    assert body["duration"] == 2
    for broken in (own[:20], own[:30], b"RIFF1234WAVE", own.replace(b"INFO", b"ODD ")):
        assert "bytes" in listen(openai, broken).json()["text"]


def test_translations_are_into_english(openai: OpenAIApi) -> None:
    body = listen(openai, speech(openai).content, "translations", response_format="verbose_json").json()
    assert (body["task"], body["language"], body["text"]) == ("translate", "english", PHRASE)


def test_transcriptions_that_are_refused(openai: OpenAIApi) -> None:
    answers = [
        (listen(openai, b"x", model=""), "model"),
        (listen(openai, b"x", model="gpt-4o"), "model"),
        (listen(openai, b"x", response_format="xml"), "response_format"),
        (listen(openai, b"x", **{"timestamp_granularities[]": "line"}), "timestamp_granularities"),
        (openai.post("audio/transcriptions", data={"model": "whisper-1", "file": "x"}), "file"),
        (openai.post("audio/transcriptions", {"model": "whisper-1"}), "file"),
    ]
    for answer, param in answers:
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    odd = openai.post("audio/transcriptions", data=b"x", headers={"Content-Type": "multipart/form-data"})
    assert odd.status_code == 400
    assert odd.json()["error"]["type"] == "invalid_request_error"
    assert listen(openai, bytes((25 << 20) + 1)).status_code == 413


def test_audio_is_billed_under_the_hosted_names() -> None:
    with Sandbox() as sandbox, OpenAIApi(sandbox) as openai, Api(sandbox) as api:
        content = speech(openai, "x" * 100).content
        listen(openai, sound.wav(bytes(48_000 * 60), "x"))
        listen(openai, content, "translations")
        endpoints = api.usage()["endpoints"]
        assert endpoints["audio/tts/generations"]["cost"] == 0.0015
        assert endpoints["audio/stt/transcriptions"]["cost"] == 0.006
        assert endpoints["audio/stt/translations"]["cost"] == 0.0001


def test_an_upload_is_repeated_under_its_key_however_it_is_packed(own: Api) -> None:
    with OpenAIApi(own.sandbox) as openai:
        url, key = f"{own.sandbox.openai_url}/audio/transcriptions", {"Idempotency-Key": "k"}
        answers = [
            openai.session.post(url, files={"file": ("a.mp3", b"ID3")}, data={"model": model}, headers=key, timeout=10)
            for model in ("whisper-1", "whisper-1", "openai/whisper-1")
        ]
        assert answers[0].content == answers[1].content
        assert answers[1].headers["Idempotent-Replayed"] == "true"
        assert answers[2].status_code == 400
        first, again = (
            openai.post("audio/speech", {"model": "tts-1", "input": "x"}, headers={"Idempotency-Key": "s"})
            for _ in range(2)
        )
        assert first.content == again.content
        assert again.headers["content-type"] == "audio/wav"
        assert own.sandbox.stats()["charges"] == 2
