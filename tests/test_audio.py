"""Speech and transcription, in both dialects' words."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from clients import Client, chosen
from raw_server import Action, RawServer, Seen, answer, ok
from upload_server import UploadServer, accepting

from indoxrouter import APIError, RateLimitError, ValidationError
from indoxrouter.sandbox import Sandbox

KEY = "key-of-the-tests"
KINDS = ("sync", "async", "sync-openai", "async-openai")


def hosted() -> bool:
    return chosen[0].dialect == "indox"


def fields(seen: Seen) -> dict[str, str]:
    """The parts of a multipart body; of the file, its name too."""
    boundary = seen.headers["content-type"].partition("boundary=")[2]
    found = {}
    for part in seen.body.decode().split(f"--{boundary}")[1:-1]:
        head, _, content = part.strip("\r\n").partition("\r\n\r\n")
        name = head.partition('name="')[2].partition('"')[0]
        assert name not in found, "a field that comes twice"
        found[name] = content
        if 'filename="' in head:
            found["filename"] = head.partition('filename="')[2].partition('"')[0]
    return found


class TestSpeech:
    def test_what_is_sent(self) -> None:
        with RawServer(lambda _: [answer(200, b"RIFF", Content_Type="audio/wav")]) as server:
            with Client(KEY, server.url) as client:
                found = client.speech("hello", "openai/tts-1", voice="alloy", speed=1.5, made_up=1)
        sent = server.requests[0]
        assert (found.content, found.content_type, found.url) == (b"RIFF", "audio/wav", None)
        named = {"input": "hello", "model": "openai/tts-1", "voice": "alloy", "speed": 1.5}
        if hosted():
            assert sent.path == "/v1/audio/tts/generations"
            assert sent.json() == {**named, "additional_params": {"made_up": 1}}
        else:
            assert sent.path == "/v1/audio/speech"
            assert sent.json() == {**named, "made_up": 1}

    @pytest.mark.parametrize("data", [{"url": "https://h/a.mp3"}, "https://h/a.mp3"])
    def test_a_url_instead_of_the_bytes(self, data: Any) -> None:
        with RawServer(lambda _: [ok({"data": data, "usage": {"cost": 0.1}})]) as server:
            with Client(KEY, server.url) as client:
                found = client.speech("hello", "a/b")
        assert (found.url, found.content, found.usage.cost) == ("https://h/a.mp3", None, 0.1)

    @pytest.mark.parametrize("data", ["UklGRg==", "UklG\nRg==\n", {"b64_json": "UklGRg=="}])
    def test_base64_instead_of_them(self, data: Any) -> None:
        with RawServer(lambda _: [ok({"data": data})]) as server, Client(KEY, server.url) as client:
            found = client.speech("hello", "a/b")
        assert (found.content, found.audio, found.url, found.data) == (b"RIFF", b"RIFF", None, data)
        assert "UklG" not in repr(found)

    def test_a_path_of_the_servers_own(self) -> None:
        def script(seen: Seen) -> list[Action]:
            wav = answer(200, b"RIFF----WAVEfmt ", Content_Type="audio/wav")
            return [ok({"data": "/files/said.wav"})] if seen.method == "POST" else [wav]

        with RawServer(script) as server, Client(KEY, server.url) as client:
            found = client.speech("hello", "a/b")
            assert (found.url, found.content) == ("/files/said.wav", None)
            assert found.audio == b"RIFF----WAVEfmt "
        assert server.requests[1].path == "/files/said.wav"

    @pytest.mark.parametrize("data", [None, "", "no base64 at all!", {"b64_json": "cut"}, {"url": None}, [], 5])
    def test_neither(self, data: Any) -> None:
        with RawServer(lambda _: [ok({"data": data})]) as server, Client(KEY, server.url) as client:
            with pytest.raises(APIError, match="documented shapes"):
                client.speech("hello", "a/b")

    @pytest.mark.kinds("sync", "async")
    def test_the_default_model(self) -> None:
        with RawServer(lambda _: [answer(200, b"x", Content_Type="audio/mpeg")]) as server:
            with Client(KEY, server.url) as client:
                client.text_to_speech("hello")
        assert server.requests[0].json()["model"] == "openai/tts-1"


class TestWhatIsNoContent:
    @pytest.mark.parametrize("kind", ["", "application/octet-stream", "audio/mpeg", "text/plain"])
    @pytest.mark.parametrize("call", ["speech", "transcribe"])
    def test_b16_an_error_is_one_whatever_it_is_called(self, call: str, kind: str) -> None:
        body = json.dumps({"error": {"message": "overloaded", "code": "rate_limit_exceeded"}}).encode()
        with RawServer(lambda _: [answer(200, body, Content_Type=kind)]) as server:
            with Client(KEY, server.url, max_retries=0) as client:
                with pytest.raises(RateLimitError, match="overloaded"):
                    client.speech("x", "a/b") if call == "speech" else client.transcribe(
                        b"sound", "a/b", response_format="text"
                    )

    def test_a_sound_may_begin_as_json_does(self) -> None:
        sound = b'{"' + bytes(range(256))
        with RawServer(lambda _: [answer(200, sound, Content_Type="audio/pcm")]) as server:
            with Client(KEY, server.url) as client:
                assert client.speech("x", "a/b").content == sound

    @pytest.mark.parametrize("call", ["speech", "completion"])
    def test_a_part_is_no_answer(self, call: str) -> None:
        kind = "audio/mpeg" if call == "speech" else "application/json"
        part = answer(206, b'{"data": "a"}', Content_Type=kind, Content_Range="bytes 0-12/4000")
        with RawServer(lambda _: [part]) as server, Client(KEY, server.url) as client:
            with pytest.raises(APIError, match="without all of it") as caught:
                getattr(client, call)("x", "a/b")
        assert (caught.value.status_code, caught.value.outcome) == (206, "unknown")
        assert len(server.requests) == 1


class TestListening:
    @pytest.mark.parametrize("method", ["transcribe", "translate_audio"])
    @pytest.mark.parametrize("form", ["path", "bytes", "open file", "memory"])
    def test_what_is_sent(self, method: str, form: str, tmp_path: Path) -> None:
        path = tmp_path / "said.wav"
        path.write_bytes(b"sound")
        with RawServer(lambda _: [ok({"text": "said", "language": "en"})]) as server, path.open("rb") as opened:
            file: Any = {"path": path, "bytes": b"sound", "open file": opened, "memory": io.BytesIO(b"sound")}[form]
            with Client(KEY, server.url) as client:
                found = getattr(client, method)(file, "openai/whisper-1", prompt="p", temperature=0.5)
        assert (found.data, found.text, found.language) == ("said", "said", "en")
        sent = fields(server.requests[0])
        named = "said.wav" if form in ("path", "open file") else "audio_file"
        assert sent.pop("filename") == named
        assert sent == {"file": "sound", "model": "openai/whisper-1", "prompt": "p", "temperature": "0.5"}
        folder = "/v1/audio/stt/" if hosted() else "/v1/audio/"
        assert server.requests[0].path == folder + ("transcriptions" if method == "transcribe" else "translations")
        assert server.requests[0].headers["idempotency-key"]

    @pytest.mark.kinds("sync", "async")
    def test_granularities_are_a_json_string_on_the_hosted_router(self) -> None:
        with RawServer(lambda _: [ok({"text": "said"})]) as server, Client(KEY, server.url) as client:
            client.speech_to_text(b"sound", timestamp_granularities=["word", "segment"], filename="a.wav")
        sent = fields(server.requests[0])
        assert sent["timestamp_granularities"] == '["word", "segment"]'
        assert (sent["model"], sent["filename"]) == ("openai/whisper-1", "a.wav")

    @pytest.mark.parametrize("given", ["word", ["word"], ("word",)])
    def test_one_granularity_is_a_list_of_one(self, given: Any) -> None:
        with RawServer(lambda _: [ok({"text": "said"})]) as server, Client(KEY, server.url) as client:
            client.transcribe(b"sound", "a/b", timestamp_granularities=given)
        sent = fields(server.requests[0])
        if hosted():
            assert sent["timestamp_granularities"] == '["word"]'
        else:
            assert sent["timestamp_granularities[]"] == "word"

    @pytest.mark.parametrize(
        ("given", "sent"),
        [
            (None, None),
            (True, "true"),
            (False, "false"),
            (5, "5"),
            (0.5, "0.5"),
            ("a é", "a é"),
            ("", ""),
            ({"type": "server_vad", "threshold": 0.5}, '{"type":"server_vad","threshold":0.5}'),
            ([True], "true"),
            ([{"a": None}], '{"a":null}'),
            ([None], None),
            ([], None),
        ],
    )
    def test_fields_are_written_as_forms_and_json_have_them(self, given: Any, sent: str | None) -> None:
        with RawServer(lambda _: [ok({"text": "said"})]) as server, Client(KEY, server.url) as client:
            client.transcribe(b"sound", "a/b", a_param=given)
        name = "a_param[]" if isinstance(given, list) else "a_param"
        assert fields(server.requests[0]).get(name) == sent
        assert set(fields(server.requests[0])) == {"file", "filename", "model"} | (
            {name} if sent is not None else set()
        )

    @pytest.mark.parametrize("given", [{1, 2}, b"bytes", [object()], float("nan"), {"a": b""}])
    def test_what_has_no_form_is_named_and_not_sent(self, given: Any) -> None:
        with RawServer(lambda _: [ok({"text": "said"})]) as server, Client(KEY, server.url) as client:
            with pytest.raises(ValidationError, match=r"^a_param: .*JSON") as caught:
                client.transcribe(b"sound", "a/b", a_param=given)
        assert server.connections == 0
        assert caught.value.outcome == "not_sent"

    @pytest.mark.parametrize(
        ("content", "name"),
        [
            (b"RIFF\0\0\0\0WAVEfmt ", "audio.wav"),
            (b"ID3\x04", "audio.mp3"),
            (b"fLaC\0", "audio.flac"),
            (b"OggS" + bytes(24) + b"OpusHead", "audio.ogg"),
            (b"\x89PNG\r\n\x1a\n", "image.png"),
            (b"sound", "audio_file"),
            (b"", "audio_file"),
        ],
    )
    @pytest.mark.parametrize("form", [bytes, bytearray, memoryview, io.BytesIO])
    def test_what_has_no_name_is_named_by_what_it_is(self, form: Any, content: bytes, name: str) -> None:
        with UploadServer(accepting) as server, Client(KEY, server.url) as client:
            client.transcribe(form(content), "a/b")
            client.transcribe(form(content), "a/b", filename="mine.wav")
        first, second = server.taken
        assert (first.file, second.file) == (content, content)
        assert f'filename="{name}"'.encode() in first.body
        assert b'filename="mine.wav"' in second.body

    def test_an_open_file_without_a_name_is_sent_from_where_it_stands(self) -> None:
        file = io.BytesIO(b"before" + b"ID3\x04")
        file.seek(6)
        with UploadServer(accepting) as server, Client(KEY, server.url) as client:
            client.transcribe(file, "a/b")
        assert server.taken[0].file == b"ID3\x04"
        assert b'filename="audio.mp3"' in server.taken[0].body

    def test_a_text_is_one(self) -> None:
        with RawServer(lambda _: [answer(200, b"1\n00:00 --> 00:01\nsaid", Content_Type="text/plain")]) as server:
            with Client(KEY, server.url) as client:
                assert client.transcribe(b"s", "a/b", response_format="srt").data.endswith("said")

    @pytest.mark.parametrize("file", ["/no/such/file", 5, None, io.StringIO("text")])
    def test_what_is_no_file_is_refused(self, file: Any) -> None:
        with Client(KEY, "http://127.0.0.1:9/v1") as client, pytest.raises(ValidationError, match="file"):
            client.transcribe(file, "a/b")

    def test_it_is_not_repeated(self) -> None:
        with RawServer(lambda _: [answer(500, {})]) as server, Client(KEY, server.url) as client:
            with pytest.raises(APIError):
                client.transcribe(b"s", "a/b")
        assert len(server.requests) == 1

    @pytest.mark.kinds("sync-openai", "async-openai")
    def test_there_and_back(self, client: Any) -> None:
        spoken = client.speech("The quick brown fox", "openai/tts-1", voice="alloy")
        heard = client.transcribe(spoken.content, "openai/whisper-1", response_format="verbose_json", filename="a.wav")
        assert "quick brown fox" in heard.text
        assert heard.duration > 0
        assert heard.segments


def test_rate_limits_and_costs_of_the_headers() -> None:
    headers = {
        "X_RateLimit_Limit_Requests": "60",
        "X_RateLimit_Remaining_Requests": "59",
        "X_RateLimit_Reset_Requests": "1m0.5s",
        "X_RateLimit_Remaining_Tokens": "many",
        "X_RateLimit_Reset_Tokens": "20ms",
        "X_LiteLLM_Response_Cost": "0.25",
        "X_LiteLLM_Call_Id": "call-1",
    }
    with RawServer(lambda _: [ok({"data": "a"}, **headers)]) as server, Client(KEY, server.url) as client:
        found = client.completion("x")
    assert (found.rate_limit.limit_requests, found.rate_limit.remaining_requests) == (60, 59)
    assert (found.rate_limit.reset_requests, found.rate_limit.reset_tokens) == (60.5, 0.02)
    assert (found.rate_limit.limit_tokens, found.rate_limit.remaining_tokens) == (None, None)
    assert (found.usage.cost, found.request_id) == (0.25, "call-1")


class TestPickyServers:
    @pytest.mark.kinds("sync-openai", "async-openai")
    def test_stream_options_are_dropped_once_they_are_refused(self) -> None:
        with Sandbox(refuse_stream_options=True) as picky, Client(picky.api_key, picky.openai_url) as client:
            for _ in range(4):
                assert client.chat([{"role": "user", "content": "x"}], stream=True).data
            assert picky.stats()["requests"]["chat/completions"] == 4 + 2  # after two refusals it is known

    @pytest.mark.kinds("sync-openai", "async-openai")
    @pytest.mark.parametrize("setting", ["refuse_base64", "ignore_base64"])
    def test_vectors_come_as_numbers_where_base64_is_refused_or_ignored(self, setting: str) -> None:
        with Sandbox(**{setting: True}) as picky, Sandbox() as plain:
            found = []
            for sandbox in (picky, plain):
                with Client(sandbox.api_key, sandbox.openai_url) as client:
                    found.append(client.embeddings(["one text", "another"], "openai/text-embedding-3-small").data)
        assert found[0] == [pytest.approx(vector, abs=1e-6) for vector in found[1]]

    @pytest.mark.kinds("sync-openai", "async-openai")
    def test_what_such_servers_cannot_do_is_refused_before_any_io(self) -> None:
        with RawServer(lambda _: []) as server, Client(KEY, server.url, default_model=None) as client:
            for ask in (
                client.get_usage,
                client.get_user_info,
                lambda: client.completion("x"),
                lambda: client.completion("x", "a/b", byok_api_key="k"),
            ):
                with pytest.raises(ValueError, match="server"):
                    ask()
            assert server.connections == 0

    @pytest.mark.kinds("sync-openai", "async-openai")
    @pytest.mark.parametrize("key", [None, "EMPTY", ""])
    def test_servers_without_keys(self, key: str | None) -> None:
        with Sandbox(openai_key_required=False) as open_to_all, Client(key, open_to_all.openai_url) as client:
            assert client.completion("x").data
        with RawServer(lambda _: [ok({"data": "a"})]) as server, Client(key, server.url) as client:
            client.completion("x")
        assert "authorization" not in server.requests[0].headers
