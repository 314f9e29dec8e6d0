"""Videos and their jobs as answers: every form that servers write them in, and what can be done with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from clients import Client
from raw_server import RawServer, ok
from small_media import MP4, Web, result

from indoxrouter import APIError, GeneratedVideo, ValidationError, VideoJob, VideoResponse, media
from indoxrouter.wire import video

KINDS = ("sync", "async")


class TestVideos:
    def test_a_job_says_what_it_is_about(self) -> None:
        running = VideoJob("j1", "processing", 40)
        assert (running.done, running.url) == (False, None)
        with pytest.raises(APIError, match="'j1' has no video to save: its status is 'processing'") as caught:
            running.save()
        assert caught.value.code == "not_completed"
        failed = VideoJob("j1", "failed", error="the prompt\nwas refused " + "x" * 5000)
        assert failed.done
        with pytest.raises(APIError, match=r"'failed': the prompt was refused x+$") as caught:
            failed.save()
        assert len(str(caught.value)) < 500
        assert VideoJob(status="cancelled").done
        assert VideoJob(status="completed").done
        for odd in (VideoJob(), VideoJob(status="completed"), VideoJob("j", "resting", videos=[GeneratedVideo("u")])):
            assert odd.done == (odd.status == "completed")
            with pytest.raises(APIError, match="no video"):
                odd.save()

    def test_a_completed_one_is_saved(self, tmp_path: Path) -> None:
        videos = [GeneratedVideo("https://h/0"), GeneratedVideo("https://h/1")]
        job = media.attach(VideoJob("j", "completed", 100, videos), Web(MP4, MP4 + b"2").fetch)
        assert (job.url, str(job.videos[1])) == ("https://h/0", "https://h/1")
        assert job.save("clip.mp4").read_bytes() == MP4
        assert job.save() == Path("video-1.mp4")
        with pytest.raises(ValidationError, match="exists"):
            job.save("clip.mp4")
        answer = media.attach(VideoResponse(data=videos), Web(MP4, MP4 + b"2").fetch)
        assert [path.name for path in answer.save(tmp_path)] == ["video-2.mp4", "video-3.mp4"]
        with pytest.raises(APIError, match="the job 'j' has no video to save: its status is 'pending'"):
            VideoResponse(job_id="j", status="pending").save()

    @pytest.mark.parametrize(
        ("body", "urls", "job"),
        [
            ({"data": {"job_id": "j", "status": "pending", "is_async": True}}, [], ("j", "pending", True)),
            ({"data": {"job_id": 7, "status": None, "is_async": "x"}}, [], ("7", None, None)),
            ({"data": [{"url": "https://a"}, {"url": "https://b"}]}, ["https://a", "https://b"], (None, None, None)),
            ({"data": {"url": "https://a"}}, ["https://a"], (None, None, None)),
            ({"data": "https://a"}, ["https://a"], (None, None, None)),
            ({"data": {"video_url": "https://a"}}, ["https://a"], (None, None, None)),
            ({"data": [{"b64_json": "QUJD"}, None, 5, {}]}, ["QUJD"], (None, None, None)),
            ({"job_id": "j", "status": "resting"}, [], ("j", "resting", None)),
            ({"job_id": "j", "status": "completed", "result": {"video_url": "https://a"}}, ["https://a"],
             ("j", "completed", None)),
            ({"result": {"data": {"job_id": "j", "status": "pending"}}, "metadata": {}}, [], ("j", "pending", None)),
        ],
    )  # fmt: skip
    def test_every_form_of_an_answer(self, body: Any, urls: list[str], job: tuple[Any, ...]) -> None:
        found = video.video(result(body))
        assert [str(each) for each in found.data] == urls
        assert (found.job_id, found.status, found.is_async) == job
        assert found.raw == body

    @pytest.mark.parametrize(
        ("more", "urls"),
        [
            ({"result": {"video_url": "https://a"}}, ["https://a"]),
            ({"result": {"data": [{"url": "https://a"}, {"url": "https://b"}]}}, ["https://a", "https://b"]),
            ({"result": "https://a"}, ["https://a"]),
            ({"result": {"data": None, "video_url": {"url": "https://a"}}}, ["https://a"]),
            ({"result": None, "url": "https://a"}, ["https://a"]),
            ({"result": {"data": "x"}}, []),
            ({"result": 5}, []),
            ({}, []),
        ],
    )
    def test_every_form_of_a_result(self, more: Any, urls: list[str]) -> None:
        body = {"job_id": "j", "status": "completed", "progress": 99.5, "created_at": "2026-01-01", "model": "veo"}
        for form in ({**body, **more}, {"data": {**body, **more}}, {"result": {**body, **more}, "metadata": {}}):
            found = video.video_job(result(form))
            assert [each.url for each in found.videos] == urls
            assert (found.job_id, found.status, found.progress) == ("j", "completed", 99.5)
            assert (found.created_at, found.model, found.raw) == ("2026-01-01", "veo", form)

    @pytest.mark.parametrize(
        ("error", "said"),
        [("no", "no"), ({"message": "no"}, "no"), ({"detail": "no"}, "no"), ({"code": 5}, None), (None, None),
         (7, None)],
    )  # fmt: skip
    def test_every_form_of_its_error(self, error: Any, said: str | None) -> None:
        assert video.video_job(result({"status": "failed", "error": error})).error == said

    @pytest.mark.parametrize(
        ("more", "said"),
        [
            ({"status": "failed", "message": "boom"}, "boom"),
            ({"status": "Error", "detail": "boom"}, "boom"),
            ({"status": "failed", "message": "", "error": {"message": "boom"}}, "boom"),
            ({"status": "expired"}, "expired"),
            ({"status": "timeout", "message": "too long"}, "too long"),
            ({"status": "processing", "message": "soon"}, None),
            ({"status": "completed", "message": "Done"}, None),
            ({"status": "failed"}, None),
        ],
    )
    def test_a_failed_ones_message_is_its_error(self, more: Any, said: str | None) -> None:
        with RawServer(lambda _: [ok({"job_id": "j", **more})]) as server, Client("k", server.url) as client:
            assert client.video_job("j").error == said

    @pytest.mark.parametrize(
        ("word", "status"),
        [
            *((word, word.lower()) for word in ("pending", "PROCESSING", "Completed", "failed", "Cancelled")),
            *((word, "cancelled") for word in ("canceled", "CANCELED")),
            *((word, "completed") for word in ("succeeded", "Success", "done", "finished")),
            *((word, "failed") for word in ("error", "expired", "Timeout")),
            *((word, word) for word in ("queued", "in_progress", "Resting", "")),
        ],
    )
    def test_every_word_for_its_status(self, word: str, status: str) -> None:
        job = video.video_job(result({"job_id": "j", "status": word, "result": {"video_url": "https://a"}}))
        assert (job.status, job.done) == (status, status in ("completed", "failed", "cancelled"))
        assert video.video(result({"data": {"job_id": "j", "status": word}})).status == status
        assert video.video_jobs(result([{"job_id": "j", "status": word}]))[0].status == status

    def test_a_status_of_the_answer_is_none_of_a_job(self) -> None:
        job = {"job_id": "j", "status": "processing"}
        assert video.video_job(result({"status": "success", "data": job})).status == "processing"
        assert video.video(result({"status": "success", "data": [{"url": "https://a"}]})).status is None
        alone = video.video_job(result({"status": "done", "video_url": "https://a"}))
        assert (alone.status, alone.url) == ("completed", "https://a")

    @pytest.mark.parametrize("where", ["/files/x.mp4?y=1", "files/x.mp4?y=1"])
    def test_a_path_is_of_the_routers_own_host(self, where: str) -> None:
        job = ok({"job_id": "j", "status": "completed", "result": {"video_url": where}})
        with RawServer(lambda seen: [ok(MP4, Content_Type="video/mp4")] if "files" in seen.path else [job]) as server:
            with Client("k", server.url) as client:
                assert client.video_job("j").save().read_bytes() == MP4
        assert server.requests[1].path == "/files/x.mp4?y=1"
        assert "authorization" not in server.requests[1].headers
        assert video.video(result({"data": "/files/x.mp4"})).data[0].url == "/files/x.mp4"

    @pytest.mark.parametrize(
        ("params", "said"),
        [
            ({"input_image": b"\x89PNG"}, "input_image: type bytes has no JSON form"),
            ({"made_up": {"a": {1}}}, "made_up: type set has no JSON form"),
            ({"additional_params": {"made_up": b"x"}}, "made_up: type bytes has no JSON form"),
            ({"duration": float("inf")}, "duration: Out of range float values are not JSON compliant"),
            ({"extra_body": {"late": b"x"}}, "late: type bytes has no JSON form"),
        ],
    )
    def test_a_parameter_without_a_json_form_is_named(self, params: Any, said: str) -> None:
        with RawServer(lambda _: []) as server, Client("k", server.url) as client:
            with pytest.raises(ValidationError, match=f"^{said}") as caught:
                client.video("a cat", **params)
        assert server.connections == 0
        assert caught.value.outcome == "not_sent"

    @pytest.mark.parametrize("body", [None, [], {}, {"status": "ok"}, {"id": "r"}, {"data": []}, {"status": ["x"]}, 5])
    def test_what_is_no_job(self, body: Any) -> None:
        for read in (video.video, video.video_job):
            with pytest.raises(APIError) as caught:
                read(result(body))
            assert caught.value.code == "not_understood"

    def test_lists(self) -> None:
        rows = [{"job_id": "a", "status": "pending"}, None, {"id": "b", "status": "queued"}, {"job_id": None}, 5]
        for body in (rows, {"jobs": rows}, {"data": rows, "total": 2}, {"data": {"jobs": rows}}, {"result": rows}):
            found = video.video_jobs(result(body))
            assert [(job.job_id, job.status, job.raw) for job in found] == [
                ("a", "pending", rows[0]),
                ("b", "queued", rows[2]),
            ]
        assert video.video_jobs(result({"jobs": []})) == []
        unusable: list[Any] = [None, "x", {}, {"jobs": None}, {"data": {"x": 1}}, [None], [{}], {"jobs": [[rows[0]]]}]
        for body in unusable:
            with pytest.raises(APIError) as caught:
                video.video_jobs(result(body))
            assert caught.value.code == "not_understood"
