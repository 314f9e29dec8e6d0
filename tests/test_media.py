"""Answers that hold media: what they hold, how they are read, and that they save and show themselves."""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import requests
from clients import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_server import DONE, FIN, STREAM_HEAD, RawServer, event, ok, piece
from small_media import JPEG, MP4, PNG, Web, b64, result

from indoxrouter import (
    APIError,
    ChatResponse,
    CompletionResponse,
    GeneratedImage,
    GeneratedVideo,
    ImageResponse,
    NetworkError,
    SpeechResponse,
    ValidationError,
    VideoJob,
    VideoResponse,
    media,
)
from indoxrouter.sandbox import Sandbox
from indoxrouter.wire import decode, video
from indoxrouter.wire.chunks import EventReader
from indoxrouter.wire.failures import Origin
from indoxrouter.wire.images import image_in, images_in

KINDS = ("sync", "async", "sync-openai", "async-openai")
ASK = [{"role": "user", "content": "Draw a cat"}]


def over_http(url: str) -> Iterator[bytes]:
    with requests.get(url, stream=True, timeout=20) as reply:
        reply.raise_for_status()
        yield from reply.iter_content(1000)


class TestContent:
    @pytest.mark.parametrize(
        "image",
        [GeneratedImage(b64_json=b64(PNG)), GeneratedImage(b64_json="\n".join([b64(PNG)[:40], b64(PNG)[40:]])),
         GeneratedImage(url="data:image/png;base64," + b64(PNG)), GeneratedImage("https://h/0", b64(PNG)),
         GeneratedImage(url="DATA:;Base64," + b64(PNG).replace("+", "%2B").replace("/", "%2f"))],
    )  # fmt: skip
    def test_that_came_along(self, image: GeneratedImage) -> None:
        assert image.content == PNG
        assert image.save("x.png").read_bytes() == PNG

    def test_of_a_data_url_without_base64(self) -> None:
        assert GeneratedImage(url="data:image/svg+xml,%3Csvg/%3E").content == b"<svg/>"

    @pytest.mark.parametrize("broken", [b64(PNG)[:-3], "QUJD*", "é", "\ud800", "="])
    def test_that_is_damaged(self, broken: str, tmp_path: Path) -> None:
        for image in (GeneratedImage(b64_json=broken), GeneratedImage(url="data:image/png;base64," + broken)):
            with pytest.raises(APIError, match="base64 of the image") as caught:
                _ = image.content
            assert (caught.value.code, caught.value.outcome) == ("undecodable", "done")
            with pytest.raises(APIError, match="base64 of the image"):
                image.save()
        with pytest.raises(APIError, match="data: URL"):
            _ = GeneratedImage(url="data:image/png;base64").content
        assert list(tmp_path.iterdir()) == []

    def test_behind_a_url_is_fetched_once_and_then_kept(self) -> None:
        web = Web(PNG)
        image = media.attach(GeneratedImage(url="https://h/0"), web.fetch)
        assert image._repr_png_() is None
        assert (image.content, image.content) == (PNG, PNG)
        assert image._repr_png_() == PNG
        assert image.save().read_bytes() == PNG
        assert web.asked == ["https://h/0"]
        image.url = "https://h/1"
        with pytest.raises(APIError, match="nothing there"):
            _ = image.content

    def test_saving_fetches_anew_and_keeps_nothing(self) -> None:
        web = Web(PNG)
        image = media.attach(GeneratedImage(url="https://h/0"), web.fetch)
        assert [image.save().name, image.save().name] == ["image-1.png", "image-2.png"]
        assert web.asked == ["https://h/0"] * 2
        assert image._repr_png_() is None

    @pytest.mark.parametrize(
        "medium", [GeneratedImage("https://h/0"), GeneratedVideo("https://h/0"), SpeechResponse(url="https://h/0")]
    )
    def test_that_nobody_can_fetch(self, medium: Any, tmp_path: Path) -> None:
        with pytest.raises(APIError, match="behind a URL") as caught:
            medium.save()
        assert (caught.value.code, caught.value.outcome) == ("no_fetcher", "done")
        with pytest.raises(APIError, match="behind a URL"):
            _ = medium.audio if isinstance(medium, SpeechResponse) else medium.content
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        "medium",
        [GeneratedImage(), GeneratedImage("", ""), GeneratedVideo(), SpeechResponse(), SpeechResponse(content=b"")],
    )
    def test_that_is_not_there(self, medium: Any) -> None:
        media.attach(medium, Web().fetch)
        with pytest.raises(APIError, match="neither its bytes nor a URL") as caught:
            medium.save()
        assert caught.value.code == "no_content"

    def test_that_is_empty(self, tmp_path: Path) -> None:
        image = media.attach(GeneratedImage("https://h/0"), Web(b"").fetch)
        for read in (lambda: image.content, image.save):
            with pytest.raises(APIError) as caught:
                read()
            assert caught.value.code == "no_content"
        assert list(tmp_path.iterdir()) == []

    def test_errors_leave_without_frames_of_ours(self) -> None:
        image = GeneratedImage(url="https://h/secret-signature", revised_prompt="a canary")
        for read in (lambda: image.content, image.save, ImageResponse(data=[image]).save):
            with pytest.raises(APIError) as caught:
                read()
            assert "secret" not in str(caught.value)
            frames = [frame.name for frame in traceback.extract_tb(caught.tb)]
            assert "wrapper" in frames[-1:]


class TestTheFetcher:
    ANSWERS = (
        GeneratedImage("https://h/0", revised_prompt="r"),
        GeneratedVideo("https://h/0"),
        SpeechResponse(url="https://h/0"),
        ImageResponse(data=[GeneratedImage("https://h/0")]),
        ChatResponse(images=[GeneratedImage("https://h/0")]),
        VideoResponse(data=[GeneratedVideo("https://h/0")]),
        VideoJob("j", "completed", videos=[GeneratedVideo("https://h/0")]),
    )

    @pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
    def test_is_nowhere_to_be_seen(self, answer: Any) -> None:
        plain, held = copy.deepcopy(answer), copy.deepcopy(answer)
        assert media.attach(held, Web(PNG).fetch) is held
        assert held == plain
        assert repr(held) == repr(plain)
        assert held.to_dict() == plain.to_dict()
        assert list(held) == list(plain) == [item.name for item in dataclasses.fields(answer)]
        assert json.loads(json.dumps(held.to_dict())) == held.to_dict()
        assert not hasattr(held, "__dict__")

    @pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
    def test_stays_with_copies_and_leaves_pickles(self, answer: Any, tmp_path: Path) -> None:
        held = media.attach(copy.deepcopy(answer), Web(PNG).fetch)
        for n, again in enumerate((held, copy.copy(held), copy.deepcopy(held))):
            saved(again, tmp_path / str(n))
            assert [path.read_bytes() for path in (tmp_path / str(n)).iterdir()] == [PNG]
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            again = pickle.loads(pickle.dumps(held, protocol))
            assert again == held
            with pytest.raises(APIError, match="unpickled"):
                saved(again, tmp_path / f"pickled-{protocol}")

    def test_reaches_the_items_of_a_list(self, tmp_path: Path) -> None:
        jobs = [VideoJob("j", "completed", videos=[GeneratedVideo("https://h/0")]), VideoJob("k", "failed")]
        media.attach(jobs, Web(MP4).fetch)[0].save(tmp_path / "x.mp4")
        assert (tmp_path / "x.mp4").read_bytes() == MP4
        for other in (None, {"data": [1]}, [[1.0]], "text", 5):
            assert media.attach(other, Web().fetch) is other


def saved(answer: Any, folder: Path) -> None:
    folder.mkdir()
    (answer.save_images if isinstance(answer, ChatResponse) else answer.save)(folder)


class TestG39OurNames:
    HOSTILE = "../../etc/evil\0.sh"

    def test_g39_nothing_of_the_servers_is_in_a_name(self, tmp_path: Path) -> None:
        url = f"https://h/0/{self.HOSTILE}?name=/etc/passwd"
        web = Web()
        web.contents[url] = MP4
        answers: list[Any] = [
            GeneratedImage(url, revised_prompt=self.HOSTILE),
            GeneratedVideo(url),
            SpeechResponse(url=url, content_type=self.HOSTILE, request_id=self.HOSTILE),
            ImageResponse(data=[GeneratedImage(url)], request_id=self.HOSTILE),
            VideoJob(self.HOSTILE, "completed", videos=[GeneratedVideo(url)], model=self.HOSTILE),
        ]
        folder = tmp_path / "a" / "b"
        folder.mkdir(parents=True)
        for answer in answers:
            media.attach(answer, web.fetch).save(folder)
        names = {"image-1.mp4", "image-2.mp4", "video-1.mp4", "video-2.mp4", "speech-1.mp4"}
        assert {path.name for path in folder.iterdir()} == names
        assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == names

    def test_g39_of_several_all_are_saved_or_none(self, tmp_path: Path) -> None:
        answer = ImageResponse(data=[GeneratedImage(b64_json=b64(PNG)), GeneratedImage("https://h/5")])
        with pytest.raises(APIError, match="nothing there"):
            media.attach(answer, Web().fetch).save("out")
        assert list(tmp_path.iterdir()) == []
        answer.data[1] = GeneratedImage(b64_json=b64(JPEG))
        assert [str(path) for path in answer.save("out")] == ["out/image-1.png", "out/image-2.jpg"]
        assert answer.images == [PNG, JPEG]
        with pytest.raises(ValidationError, match="looks like a file"):
            answer.save("cats.png")

    def test_g39_without_any_there_is_an_error_and_no_folder(self, tmp_path: Path) -> None:
        for answer in (ImageResponse(), VideoResponse()):
            with pytest.raises(APIError, match=r"no (image|video) to save"):
                answer.save("none")
        assert list(tmp_path.iterdir()) == []

    def test_g39_a_cut_download_leaves_nothing(self, tmp_path: Path) -> None:
        def cut(url: str) -> Iterator[bytes]:
            yield PNG
            raise NetworkError("the download was cut", code="truncated")

        image = media.attach(GeneratedImage("https://h/0"), cut)
        for read in (lambda: image.content, image.save, lambda: image.save("x.png")):
            with pytest.raises(NetworkError, match="cut"):
                read()
        assert list(tmp_path.iterdir()) == []
        assert image._repr_png_() is None

    def test_g39_speech_is_named_by_what_it_is(self) -> None:
        speech = SpeechResponse(content=b"\x01\x02samples", content_type="audio/pcm;rate=24000")
        assert (speech.save().name, speech.audio) == ("speech-1.pcm", b"\x01\x02samples")
        assert SpeechResponse(url="data:audio/mpeg;base64," + b64(b"ID3tag")).save().name == "speech-2.mp3"
        assert SpeechResponse(url="data:audio/pcm;base64," + b64(b"\x01\x02samples")).save("s").name == "s.pcm"

    @pytest.mark.parametrize("begins", [b"\x01\x02", b"\xff\xfb"], ids=["samples", "like a frame"])
    @pytest.mark.parametrize(
        ("kind", "path", "name"),
        [
            ("audio/pcm; rate=24000", "/said", "speech-1.pcm"),
            ("application/octet-stream", "/said.pcm?x=1", "speech-1.pcm"),
            ("audio/aac", "/said.mp3", "speech-1.aac"),
            ("audio/pcm", "/said.mp3", "speech-1.pcm"),
        ],
    )
    @pytest.mark.kinds("sync", "async")
    def test_g39_what_a_url_leads_to_is_named_by_its_servers_word(
        self, begins: bytes, kind: str, path: str, name: str
    ) -> None:
        if "aac" in kind and begins == b"\xff\xfb":
            begins = b"\xff\xf1"
        found = ok(begins + b"samples", Content_Type=kind)
        with RawServer(lambda seen: [ok({"data": {"url": path}}) if seen.method == "POST" else found]) as server:
            with Client("k", server.url) as client:
                speech = client.speech("Hello", "a/b")
            assert speech.save().name == name
            assert speech.audio == begins + b"samples"
            assert speech.save("again").name == name.replace("speech-1", "again")


class TestImagesInChats:
    @pytest.mark.parametrize(
        ("row", "image"),
        [
            ("https://h/i.png", GeneratedImage("https://h/i.png")),
            ("data:image/png;base64,QUJD", GeneratedImage("data:image/png;base64,QUJD")),
            ("/9j/4AAQ", GeneratedImage(b64_json="/9j/4AAQ")),
            ({"url": "https://h/i.png", "revised_prompt": "r"}, GeneratedImage("https://h/i.png", None, "r")),
            ({"b64_json": "QUJD"}, GeneratedImage(b64_json="QUJD")),
            ({"image_url": {"url": "data:,x"}}, GeneratedImage("data:,x")),
            ({"type": "image_url", "image_url": "https://h/i.png"}, GeneratedImage("https://h/i.png")),
            ({"type": "image_generation_call", "result": "QUJD"}, GeneratedImage(b64_json="QUJD")),
            (None, GeneratedImage()),
            ({"url": None, "b64_json": 5, "image_url": []}, GeneratedImage()),
            ("", GeneratedImage()),
        ],
    )
    def test_every_form(self, row: Any, image: GeneratedImage) -> None:
        assert image_in(row) == image
        present = [image] if image.url or image.b64_json else None
        assert images_in(row) == images_in([row]) == images_in([None, row, {}]) == present
        for body in (
            {"data": "x", "images": [row]},
            {"choices": [{"message": {"content": "x", "images": [row]}}]},
            {"choices": [{"text": "x", "images": [row]}]},
        ):
            assert decode.chat(result(body)).images == present
        for told in ({"images": [row]}, {"choices": [{"delta": {"images": [row]}}]}, {"choices": [{"images": [row]}]}):
            found = EventReader(Origin("POST h/v1/chat")).read(json.dumps(told)).chunks
            assert [image for chunk in found for image in chunk.images or ()] == (present or [])

    def test_of_a_whole_answer_are_saved(self, tmp_path: Path) -> None:
        body = {"data": "Here:", "images": [{"image_url": {"url": "data:image/png;base64," + b64(PNG)}}, b64(JPEG)]}
        with RawServer(lambda _: [ok(body)]) as server, Client("k", server.url) as client:
            answer = client.chat(ASK)
        assert [path.name for path in answer.save_images("out")] == ["image-1.png", "image-2.jpg"]
        assert (tmp_path / "out" / "image-2.jpg").read_bytes() == JPEG
        assert json.loads(json.dumps(answer.to_dict()))["images"][1]["b64_json"] == b64(JPEG)
        assert ChatResponse(data="no images").save_images("none") == []

    def test_of_a_stream_and_its_previews(self) -> None:
        step = "response.image_generation_call."
        events = [
            event({"type": step + "partial_image", "partial_image_b64": b64(JPEG)}),
            event({"type": step + "completed", "data": b64(PNG)}),
            event({"type": "response.done", "response": {"status": "completed"}}),
        ]
        with RawServer(lambda _: [STREAM_HEAD, *events, FIN]) as server, Client("k", server.url) as client:
            stream = client.chat(ASK, stream=True)
            chunks = list(stream)
            answer = stream.response()
        assert [chunk.partial_images for chunk in chunks if chunk.partial_images] == [
            [GeneratedImage(b64_json=b64(JPEG))]
        ]
        assert [chunk.images for chunk in chunks if chunk.images] == [[GeneratedImage(b64_json=b64(PNG))]]
        assert answer.images == [GeneratedImage(b64_json=b64(PNG))]
        assert answer.raw["choices"][0]["message"]["images"] == [{"b64_json": b64(PNG)}]

    def test_of_an_openai_stream_stay_as_written_in_its_body(self) -> None:
        row = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + b64(PNG)}}
        told = event({"choices": [{"index": 0, "delta": {"images": [row]}}]})
        with RawServer(lambda _: [STREAM_HEAD, piece("a"), told, piece("", "stop"), DONE, FIN]) as server:
            with Client("k", server.url) as client:
                answer = client.chat(ASK, stream=True).response()
        assert [image.content for image in answer.images] == [PNG]
        assert answer.raw["choices"][0]["message"]["images"] == [row]


class TestDisplay:
    def test_of_what_is_at_hand(self) -> None:
        png, jpeg = GeneratedImage(b64_json=b64(PNG)), GeneratedImage(url="data:image/jpeg;base64," + b64(JPEG))
        assert (png._repr_png_(), png._repr_jpeg_()) == (PNG, None)
        assert (jpeg._repr_png_(), jpeg._repr_jpeg_()) == (None, JPEG)
        assert png._repr_html_() == f'<img src="data:image/png;base64,{b64(PNG)}" style="max-width: 100%">'
        both = ImageResponse(data=[png, jpeg])
        assert both._repr_png_() == PNG
        assert (both._repr_html_() or "").count("<img ") == 2
        assert (ImageResponse()._repr_png_(), ImageResponse()._repr_html_()) == (None, None)

    def test_in_a_line_of_what_is_large(self) -> None:
        image = GeneratedImage(b64_json="A" * 12737, revised_prompt="a cat")
        assert repr(image) == "GeneratedImage(url=None, b64_json=<12,737 characters>)"
        assert repr(GeneratedImage("https://h/1")) == "GeneratedImage(url='https://h/1')"
        assert repr(GeneratedVideo("DATA:" + "A" * 5000)) == "GeneratedVideo(url=<a data: URL of 5,005 characters>)"
        speech = SpeechResponse(data="A" * 5000, content=b"A" * 5000)
        assert "AAA" not in repr(speech)
        assert len(repr(ImageResponse(data=[image] * 2))) < 1000

    @pytest.mark.parametrize("cls", [ChatResponse, CompletionResponse])
    def test_of_a_text_with_images(self, cls: type[ChatResponse]) -> None:
        web = Web(PNG)
        answer = cls(data="<b>A cat\ud800", images=[GeneratedImage(b64_json=b64(PNG)), GeneratedImage("https://h/0")])
        shown = media.attach(answer, web.fetch)._repr_html_() or ""
        assert shown.startswith(
            '<p style="white-space: pre-wrap">&lt;b&gt;A cat?</p>\n<img src="data:image/png;base64,'
        )
        assert shown.count("<img ") == 2
        assert web.asked == []
        assert cls(data="no images")._repr_html_() is None

    def test_of_sound_is_a_player(self) -> None:
        wav = b"RIFF\0\0\0\0WAVEfmt "
        speech = SpeechResponse(content=wav, content_type='audio/mpeg"><script>')
        player = f'<audio controls src="data:audio/wav;base64,{b64(wav)}"></audio>'
        assert speech._repr_html_() == player
        web = Web(wav)
        held = media.attach(SpeechResponse(url="https://h/0"), web.fetch)
        assert held._repr_html_() is None
        assert held.audio == wav
        assert held._repr_html_() == player
        assert web.asked == ["https://h/0"]
        for other in (SpeechResponse(), SpeechResponse(content=b"\1\2", content_type="audio/pcm"),
                      SpeechResponse(url="data:audio/wav;base64,?")):  # fmt: skip
            assert other._repr_html_() is None

    @pytest.mark.parametrize("url", ['https://h/"><script>alert(1)</script>', "data:image/svg+xml,<svg onload='x'>"])
    def test_of_a_url_is_escaped_and_never_fetched(self, url: str) -> None:
        web = Web(PNG)
        shown = media.attach(GeneratedImage(url), web.fetch)._repr_html_()
        assert shown.startswith('<img src="')
        assert shown.count("<") == shown.count(">") == 1
        assert shown.count('"') == 4
        assert web.asked == []

    @pytest.mark.parametrize(
        "text", ["javascript:alert(1)", "data:text/html,<script>", "<b>", "file:///etc/passwd", "\ud800<", " https://h"]
    )
    def test_of_anything_else_is_text(self, text: str) -> None:
        for image in (GeneratedImage(url=text), GeneratedImage(b64_json=text)):
            shown = image._repr_html_()
            shown.encode()
            assert not {"<", ">", '"'} & set(shown)

    @settings(max_examples=300, deadline=None)
    @given(st.none() | st.text() | st.text("data:image/png;base64,QUJD=%").map("data:".__add__), st.none() | st.text())
    def test_never_raises(self, url: str | None, encoded: str | None) -> None:
        image = GeneratedImage(url, encoded)
        answer = ImageResponse(data=[image])
        for show in (image._repr_png_, image._repr_jpeg_, image._repr_html_, answer._repr_png_, answer._repr_html_):
            show()


NAMES = (
    *("job_id", "id", "status", "progress", "result", "data", "videos", "jobs", "video_url", "url", "b64_json"),
    *("error", "message", "created_at", "model", "is_async", "image_url", "images", "choices", "delta", "metadata"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["completed", "failed", "https://h", ""])
    | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=15,
)  # fmt: skip


class TestD29AnyJson:
    @settings(max_examples=1000, deadline=None)
    @given(JSON)
    def test_d29_is_an_answer_or_a_typed_error(self, body: Any) -> None:
        for read in (video.video, video.video_job, video.video_jobs, decode.image, decode.chat):
            try:
                found: Any = read(result(body))
            except APIError:
                continue
            for answer in found if isinstance(found, list) else [found]:
                repr(answer)
                assert list(answer.to_dict()) == list(answer)
                if isinstance(answer, VideoJob | VideoResponse):
                    assert isinstance(answer.job_id, str | None)
                    assert isinstance(answer.status, str | None)
                    videos = answer.videos if isinstance(answer, VideoJob) else answer.data
                    assert all(each.url or each.b64_json for each in videos)

    @settings(max_examples=500, deadline=None)
    @given(JSON)
    def test_d29_so_is_an_image(self, body: Any) -> None:
        image = image_in(body)
        assert all(isinstance(value, str | None) for value in image.values())
        assert all(each.url or each.b64_json for each in images_in(body) or ())


class TestOverHttp:
    def test_images_inline_and_by_url(self, client: Any, tmp_path: Path) -> None:
        inline = client.image("A cat", "openai/gpt-image-1", size=None, n=2)
        assert [path.name for path in inline.save("inline")] == ["image-1.png", "image-2.png"]
        linked = media.attach(client.image("A cat", "openai/gpt-image-1", size=None, response_format="url"), over_http)
        for content in [*inline.images, (tmp_path / "inline" / "image-1.png").read_bytes()]:
            PIL.Image.open(io.BytesIO(content)).verify()
        assert linked.save()[0].read_bytes() == inline.images[0]

    def test_by_url(self, client: Any) -> None:
        answer = media.attach(client.image("A cat", "openai/dall-e-3", size=None), over_http)
        image = answer.data[0]
        assert str(image).startswith("http://127.0.0.1:")
        assert image.content == image.save("cat.png").read_bytes()
        PIL.Image.open("cat.png").verify()
        assert "<img" in (answer._repr_html_() or "")

    def test_speech(self, client: Any) -> None:
        answer = media.attach(client.speech("A cat sat", "openai/tts-1", "alloy", response_format="wav"), over_http)
        path = answer.save()
        assert (path.name, path.read_bytes()[:4]) == ("speech-1.wav", b"RIFF")
        assert answer.audio == path.read_bytes()

    @pytest.mark.kinds("sync", "async")
    @pytest.mark.parametrize("answers", ["envelope", "seed", "hub", "openai"])
    @pytest.mark.parametrize("streams", ["chunks", "typed", "bare"])
    @pytest.mark.parametrize("form", ["url", "b64_json"])
    def test_chats_that_draw(self, answers: str, streams: str, form: str, tmp_path: Path) -> None:
        model = "google/gemini-2.5-flash-image-preview"
        with Sandbox(answers=answers, streams=streams, chat_images=form) as sandbox:
            with Client(sandbox.api_key, sandbox.url) as client:
                whole = media.attach(client.chat(ASK, model), over_http)
                with client.chat(ASK, model, stream=True) as stream:
                    streamed = media.attach(stream.response(), over_http)
            assert whole.save_images("a")[0].read_bytes() == streamed.save_images("b")[0].read_bytes()
        assert [path.name for path in sorted(tmp_path.rglob("*.png"))] == ["image-1.png"] * 2

    @pytest.mark.kinds("sync", "async")
    @pytest.mark.parametrize("videos", ["job", "data", "sync"])
    def test_videos(self, videos: str) -> None:
        with Sandbox(videos=videos, video_seconds=0.0) as sandbox, Client(sandbox.api_key, sandbox.url) as client:
            begun = client.video("A cat", duration=1)
            if begun.job_id is not None:
                begun = client.wait_for_video_job(begun.job_id, poll=0.01)
            found = media.attach(begun, over_http).save()
        (path,) = found if isinstance(found, list) else [found]
        assert (path.name, path.read_bytes()[4:8]) == ("video-1.mp4", b"ftyp")
