"""The hosted API's speech, transcriptions and translations."""

import io
import json
import wave
from typing import Any

import pytest
import requests

from indoxrouter.sandbox import Sandbox, sound

from .sandbox_api import Api

PHRASE = "Hello there, this is Größe and it goes on for a while, so that there are segments."
SPEECH = "audio/tts/generations"


def speech(api: Api, text: str = PHRASE, **fields: Any) -> dict[str, Any]:
    answer = api.post(SPEECH, {"model": "openai/tts-1", "input": text} | fields)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def fetched(url: str, **headers: str) -> requests.Response:
    """What anybody gets who has the URL."""
    return requests.get(url, headers=headers, timeout=10)


def audio(text: str = PHRASE) -> bytes:
    return sound.wav(sound.pcm(text, "alloy", 1), text)


def listen(api: Api, content: bytes, task: str = "transcriptions", **fields: Any) -> requests.Response:
    files = {"file": ("a.wav", content, "audio/*")}
    return api.post(f"audio/stt/{task}", files=files, data={"model": "openai/whisper-1"} | fields)


def heard(api: Api, content: bytes, task: str = "transcriptions", **fields: Any) -> dict[str, Any]:
    answer = listen(api, content, task, **fields)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_speech_is_answered_with_the_url_of_a_wav_that_plays(api: Api) -> None:
    body = speech(api)
    assert set(body["data"]) == {"url"}
    assert body["data"]["url"].startswith(api.sandbox.origin + "/sandbox/speech/")
    assert (body["provider"], body["model"], body["success"]) == ("openai", "tts-1", True)
    assert body["usage"]["characters"] == len(PHRASE)
    assert body["usage"]["cost"] == pytest.approx(0.015 * len(PHRASE) / 1000)
    answer = fetched(body["data"]["url"])
    assert answer.headers["content-type"] == "audio/wav"
    with wave.open(io.BytesIO(answer.content)) as played:
        assert (played.getnchannels(), played.getsampwidth(), played.getframerate()) == (1, 2, 24_000)
        samples = played.readframes(played.getnframes())
    assert 2 < len(samples) / 48_000 < 10
    raw = fetched(speech(api, response_format="pcm")["data"]["url"])
    assert (raw.headers["content-type"], raw.content) == ("audio/pcm", samples)
    assert fetched(body["data"]["url"][:-5] + "x.wav").status_code == 404


def test_speech_depends_on_the_whole_manner_of_speaking(api: Api) -> None:
    first = speech(api)["data"]["url"]
    assert speech(api)["data"]["url"] == first
    others = [speech(api, **how) for how in ({"voice": "nova"}, {"instructions": "Whisper."}, {"speed": 2})]
    others.append(speech(api, "Another text"))
    contents = {fetched(url).content for url in (first, *(other["data"]["url"] for other in others))}
    assert len(contents) == 5


def test_every_prefix_serves_media(api: Api) -> None:
    url, body = f"{api.sandbox.origin}/api/v1/{SPEECH}", {"model": "openai/tts-1", "input": "x"}
    answer = api.session.post(url, json=body, timeout=10)
    assert fetched(answer.json()["data"]["url"]).status_code == 200
    listed = api.session.get(f"{api.sandbox.origin}/api/v1/videos/jobs", timeout=10)
    assert listed.status_code == 200


def test_the_bytes_themselves_on_request() -> None:
    with Sandbox(speech="bytes") as sandbox, Api(sandbox) as api:
        answer = api.post(SPEECH, {"model": "openai/tts-1", "input": PHRASE}, headers={"Idempotency-Key": "k"})
        assert answer.headers["content-type"] == "audio/wav"
        assert heard(api, answer.content)["text"] == PHRASE
        again = api.post(SPEECH, {"model": "openai/tts-1", "input": PHRASE}, headers={"Idempotency-Key": "k"})
        assert (again.content, again.headers["content-type"]) == (answer.content, "audio/wav")
        assert api.usage()["endpoints"][SPEECH]["cost"] == pytest.approx(0.015 * len(PHRASE) / 1000)


@pytest.mark.parametrize(
    ("fields", "parameter"),
    [
        ({"response_format": "mp3"}, "response_format"),
        ({"input": ""}, "input"),
        ({"input": "x" * 4097}, "input"),
        ({"speed": 9}, "speed"),
        ({"model": "openai/gpt-4o"}, "model"),
    ],
)
def test_speech_that_is_refused(api: Api, fields: dict[str, Any], parameter: str) -> None:
    answer = api.post(SPEECH, {"model": "openai/tts-1", "input": "x"} | fields)
    body = answer.json()
    assert (answer.status_code, body["error"]) == (400, "InvalidParametersError")
    assert body["details"]["parameter"] == parameter


def test_speech_is_checked_before_it_is_made(api: Api) -> None:
    answer = api.post(SPEECH, {"voice": 5, "instructions": [], "speed": "fast", "additional_params": 1})
    places = [tuple(problem["loc"]) for problem in answer.json()["detail"]]
    assert answer.status_code == 422
    names = ("model", "input", "additional_params", "voice", "instructions", "speed")
    assert sorted(places) == sorted(("body", name) for name in names)
    assert requests.post(f"{api.sandbox.url}/{SPEECH}", json={}, timeout=10).status_code == 401


def test_the_sandboxs_own_speech_is_understood(api: Api) -> None:
    content = fetched(speech(api)["data"]["url"]).content
    body = heard(api, content)
    assert (body["text"], body["language"], body["success"]) == (PHRASE, "english", True)
    assert "segments" not in body
    assert (body["provider"], body["model"]) == ("openai", "whisper-1")
    with wave.open(io.BytesIO(content)) as played:
        seconds = played.getnframes() / played.getframerate()
    assert body["usage"]["duration_seconds"] == pytest.approx(seconds, abs=0.001)
    assert heard(api, content, language="de")["language"] == "de"
    assert heard(api, audio(""))["text"] == ""


def test_a_verbose_transcript_has_segments_and_on_request_words(api: Api) -> None:
    content = audio()
    body = heard(api, content, response_format="verbose_json")
    assert (body["task"], body["text"]) == ("transcribe", PHRASE)
    assert " ".join(segment["text"] for segment in body["segments"]) == PHRASE
    assert "words" not in body
    assert body["duration"] == body["usage"]["duration_seconds"]
    for granularities in (["word"], ["word", "segment"]):
        asked = {"response_format": "verbose_json", "timestamp_granularities": json.dumps(granularities)}
        body = heard(api, content, **asked)
        assert [word["word"] for word in body["words"]] == PHRASE.split()
        assert body["segments"][-1]["end"] == body["words"][-1]["end"] == body["duration"]


def test_plain_transcripts(api: Api) -> None:
    content = audio()
    text, srt, vtt = (listen(api, content, response_format=form) for form in ("text", "srt", "vtt"))
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.content.decode() == PHRASE + "\n"
    assert srt.content.decode().startswith("1\n00:00:00,000 --> 00:00:0")
    assert vtt.content.decode().startswith("WEBVTT\n\n00:00:00.000 --> ")


def test_translations_are_into_english(api: Api) -> None:
    body = heard(api, audio(), "translations", response_format="verbose_json", language="de")
    assert (body["task"], body["language"], body["text"]) == ("translate", "english", PHRASE)


def test_audio_of_others_gets_a_text_that_says_its_size(api: Api) -> None:
    text = heard(api, b"ID3" + bytes(997))["text"]
    assert "1000 bytes" in text
    assert "not a model" in text


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"model": ""}, "model"),
        ({"response_format": "xml"}, "response_format"),
        ({"temperature": "warm"}, "temperature"),
        ({"timestamp_granularities": "word"}, "timestamp_granularities"),
        ({"timestamp_granularities": '{"word": 1}'}, "timestamp_granularities"),
        ({"timestamp_granularities": '["line"]'}, "timestamp_granularities"),
        ({"timestamp_granularities": "[" * 100_000}, "timestamp_granularities"),
        ({"timestamp_granularities[]": "word"}, "timestamp_granularities"),
        ({"language[]": "de"}, "language"),
    ],
)
@pytest.mark.parametrize("task", ["transcriptions", "translations"])
def test_forms_that_are_refused(api: Api, fields: dict[str, str], name: str, task: str) -> None:
    answer = listen(api, b"x", task, **fields)
    assert answer.status_code == 422
    [problem] = answer.json()["detail"]
    assert problem["loc"] == ["body", name]


def test_what_is_no_form_with_a_file_is_refused(api: Api) -> None:
    for options in ({"data": {"model": "openai/whisper-1", "file": "x"}}, {"body": {"model": "openai/whisper-1"}}):
        answer = api.post("audio/stt/transcriptions", **options)
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", "file"])
    assert listen(api, b"x", model="openai/gpt-4o").json()["error"] == "InvalidParametersError"
    assert listen(api, b"x", model="openai/whisper-9").status_code == 404
    assert listen(api, bytes((25 << 20) + 1)).status_code == 413


def test_listening_is_billed_once_for_a_key_and_not_with_the_callers_own(own: Api) -> None:
    url, key = f"{own.sandbox.url}/audio/stt/transcriptions", {"Idempotency-Key": "k"}
    content = sound.wav(bytes(48_000 * 60), "x")
    fields = {"model": "openai/whisper-1", "additional_params": "5"}
    first, again = (
        own.session.post(url, files={"file": ("a.wav", content)}, data=fields, headers=key, timeout=10)
        for _ in range(2)
    )
    assert first.content == again.content
    assert again.headers["Idempotent-Replayed"] == "true"
    heard(own, content, byok_api_key="sk-mine")
    entry = own.usage()["endpoints"]["audio/stt/transcriptions"]
    assert (entry["requests"], entry["cost"]) == (2, 0.006)
    assert own.sandbox.stats()["charges"] == 1


def test_fields_that_an_endpoint_does_not_know_do_no_harm(api: Api) -> None:
    odd = {"additional_params": "5", "byok_api_key": "x", "session_id": "y"}
    assert heard(api, audio(), **odd)["text"] == PHRASE
    url, files = f"{api.sandbox.openai_url}/audio/transcriptions", {"file": ("a.wav", audio())}
    key = {"Authorization": f"Bearer {api.sandbox.api_key}"}
    answer = requests.post(url, files=files, data={"model": "whisper-1"} | odd, headers=key, timeout=10)
    assert answer.json()["text"] == PHRASE
    speech_url, body = f"{api.sandbox.openai_url}/audio/speech", {"model": "tts-1", "input": "x"} | odd
    assert requests.post(speech_url, json=body, headers=key, timeout=10).status_code == 200


def test_the_seed_era_wraps_media_too() -> None:
    with Sandbox(answers="seed") as sandbox, Api(sandbox, login=False) as api:
        api.bearer(sandbox.api_key)
        assert set(speech(api)["result"]["data"]) == {"url"}
        assert heard(api, audio())["result"]["text"] == PHRASE
