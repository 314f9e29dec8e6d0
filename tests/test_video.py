"""Videos: their jobs, and waiting for one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from clients import Client
from raw_server import Action, RawServer, Seen, answer, ok

from indoxrouter import (
    APIError,
    AuthenticationError,
    DeadlineExceededError,
    RequestError,
    ServiceUnavailableError,
    ValidationError,
    VideoJob,
)

KEY = "key-of-the-tests"
KINDS = ("sync", "async")
URL = "https://videos.example/1.mp4"


def job(status: str, progress: int | None = None, **more: Any) -> bytes:
    return ok({"job_id": "j/1", "status": status, "progress": progress, **more})


class Job:
    """A job that takes one step at each look; the last one lasts."""

    def __init__(self, *steps: bytes) -> None:
        self._steps = steps

    def __call__(self, seen: Seen) -> Iterable[Action]:
        return [self._steps[min(seen.number, len(self._steps) - 1)]]


class TestJobs:
    def test_a_job_is_begun(self) -> None:
        body = {"success": True, "data": {"job_id": "j/1", "status": "pending", "is_async": True}}
        with RawServer(lambda _: [ok(body)]) as server, Client(KEY, server.url) as client:
            begun = client.video("a cat", duration=4, aspect_ratio="16:9", colours=3)
        (seen,) = server.requests
        assert (seen.path, seen.json()) == (
            "/v1/videos/generations",
            {
                "prompt": "a cat",
                "model": "google/veo-3.0-generate-001",
                "duration": 4,
                "aspect_ratio": "16:9",
                "additional_params": {"colours": 3},
            },
        )
        assert (begun.job_id, begun.status, begun.is_async, begun.data) == ("j/1", "pending", True, [])
        assert "idempotency-key" in seen.headers

    def test_a_video_that_was_made_at_once(self) -> None:
        with RawServer(lambda _: [ok({"success": True, "data": [{"url": URL}]})]) as server:
            with Client(KEY, server.url) as client:
                assert [str(video) for video in client.videos("a cat").data] == [URL]

    def test_a_begun_video_is_never_begun_again_by_itself(self) -> None:
        with RawServer(lambda _: [answer(502, {"detail": "lost"})]) as server, Client(KEY, server.url) as client:
            with pytest.raises(RequestError):
                client.video("a cat")
            assert len(server.requests) == 1

    def test_lists_and_single_ones(self) -> None:
        rows = [{"job_id": "j/1", "status": "failed", "error": "no"}, {"job_id": "j2", "status": "processing"}]
        with RawServer(lambda seen: [ok(rows)] if "?" in seen.path else [job("cancelled")]) as server:
            with Client(KEY, server.url) as client:
                first, second = client.video_jobs(limit=2, skip=4)
                assert (first.error, first.done, second.done) == ("no", True, False)
                assert client.cancel_video_job("j/1").status == "cancelled"
                assert client.get_video_job_status("j/1").done
        assert [(seen.method, seen.path) for seen in server.requests] == [
            ("GET", "/v1/videos/jobs?limit=2&skip=4"),
            ("POST", "/v1/videos/jobs/j%2F1/cancel"),
            ("GET", "/v1/videos/jobs/j%2F1"),
        ]

    @pytest.mark.parametrize("body", [{"status": "failed", "error": {"message": "no"}, "job_id": "j/1"}])
    def test_a_failed_job_is_an_answer_not_a_failed_call(self, body: Any) -> None:
        with RawServer(lambda _: [ok(body)]) as server, Client(KEY, server.url) as client:
            found = client.video_job("j/1")
        assert (found.status, found.error, found.done) == ("failed", "no", True)

    @pytest.mark.parametrize(
        "body", [{"error": {"message": "broken"}}, {"success": False, "message": "broken"}, {"detail": "broken"}, []]
    )
    def test_what_is_no_job_is_an_error(self, body: Any) -> None:
        with RawServer(lambda _: [ok(body)]) as server, Client(KEY, server.url) as client:
            with pytest.raises(APIError):
                client.video_job("j/1")

    def test_bad_input(self) -> None:
        with RawServer(lambda _: []) as server, Client(KEY, server.url) as client:
            calls: list[Callable[[], object]] = [
                lambda: client.video(3),
                lambda: client.video("a cat", model=""),
                lambda: client.video_job(""),
                lambda: client.video_job(None),
                lambda: client.cancel_video_job(".."),
                lambda: client.video_jobs(limit=0),
                lambda: client.video_jobs(skip=-1),
                lambda: client.wait_for_video_job("j", poll=0),
                lambda: client.wait_for_video_job("j", deadline=-1),
                lambda: client.wait_for_video_job("j", on_update=3),
            ]
            for call in calls:
                with pytest.raises(ValidationError):
                    call()
            assert not server.requests


class TestWaiting:
    @pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
    def test_it_ends_in_any_of_three_ways(self, end: str) -> None:
        steps = (job("pending"), job("processing", 10), job("processing", 10), job("processing", 60), job(end, 100))
        shown: list[tuple[str | None, Any]] = []
        with RawServer(Job(*steps)) as server, Client(KEY, server.url) as client:
            found = client.wait_for_video_job(
                "j/1", poll=0.05, on_update=lambda job: shown.append((job.status, job.progress))
            )
        assert isinstance(found, VideoJob)
        assert found.status == end
        assert shown == [("pending", None), ("processing", 10), ("processing", 60), (end, 100)]
        assert len(server.requests) == 5

    def test_it_waits_between_two_looks(self) -> None:
        with RawServer(Job(job("pending"), job("pending"), job("completed"))) as server:
            with Client(KEY, server.url) as client:
                began = time.monotonic()
                client.wait_for_video_job("j/1", poll=0.2)
                assert time.monotonic() - began >= 0.4
        assert len(server.requests) == 3

    def test_what_began_the_job_names_it(self) -> None:
        begun = ok({"success": True, "data": {"job_id": "j/1", "status": "pending", "is_async": True}})
        with RawServer(lambda seen: [begun if seen.method == "POST" else job("completed")]) as server:
            with Client(KEY, server.url) as client:
                ended = client.wait_for_video_job(client.video("a cat"))
                assert client.video_job(ended).status == "completed"
        assert [seen.path for seen in server.requests[1:]] == ["/v1/videos/jobs/j%2F1"] * 2

    def test_a_video_that_was_made_at_once_has_no_job(self) -> None:
        with RawServer(lambda _: [ok({"success": True, "data": [{"url": URL}]})]) as server:
            with Client(KEY, server.url) as client:
                with pytest.raises(ValidationError, match="in its data"):
                    client.wait_for_video_job(client.video("a cat"))

    def test_a_finished_job_is_looked_at_once(self) -> None:
        with RawServer(Job(job("completed", 100, result={"video_url": URL}))) as server:
            with Client(KEY, server.url) as client:
                assert client.wait_for_video_job("j/1").url == URL
        assert len(server.requests) == 1

    @pytest.mark.parametrize("own", [True, False])
    def test_the_deadline_ends_the_waiting_and_says_that_the_job_goes_on(self, own: bool) -> None:
        with RawServer(Job(job("processing", 40))) as server:
            with Client(KEY, server.url, deadline=None if own else 0.5) as client:
                began = time.monotonic()
                with pytest.raises(DeadlineExceededError, match=r"processing.*goes on"):
                    client.wait_for_video_job("j/1", poll=0.1, deadline=0.5 if own else None)
                assert 0.4 < time.monotonic() - began < 1.0
        assert 2 <= len(server.requests) <= 6

    def test_a_deadline_shorter_than_the_poll_is_waited_for(self) -> None:
        with RawServer(Job(job("pending"), job("completed"))) as server, Client(KEY, server.url) as client:
            assert client.wait_for_video_job("j/1", poll=30, deadline=1).status == "completed"

    def test_a_look_that_fails_is_not_followed_by_more_waiting_than_the_deadline_has(self) -> None:
        busy = answer(503, {"detail": "busy"}, Retry_After="300")
        with RawServer(Job(busy)) as server, Client(KEY, server.url) as client:
            began = time.monotonic()
            with pytest.raises(ServiceUnavailableError):
                client.wait_for_video_job("j/1", poll=6, deadline=1)
            assert 0.8 < time.monotonic() - began < 1.5
        assert len(server.requests) == 2
        with RawServer(Job(busy, job("completed"))) as server, Client(KEY, server.url) as client:
            assert client.wait_for_video_job("j/1", poll=30, deadline=1).status == "completed"

    def test_a_few_failing_looks_are_passed_over(self) -> None:
        down = answer(502, {"detail": "away"})
        with RawServer(Job(job("pending"), down, down, down, job("completed"))) as server:
            with Client(KEY, server.url, max_retries=0) as client:
                assert client.wait_for_video_job("j/1", poll=0.05).status == "completed"

    def test_many_failing_looks_are_not(self) -> None:
        with RawServer(Job(job("pending"), answer(502, {"detail": "away"}))) as server:
            with Client(KEY, server.url, max_retries=0) as client, pytest.raises(RequestError):
                client.wait_for_video_job("j/1", poll=0.05)
        assert len(server.requests) == 6

    @pytest.mark.parametrize("body", [{"job_id": "j/1"}, {"success": False, "error": "not found", "job_id": "j/1"}])
    def test_a_job_without_a_status_is_not_waited_for(self, body: dict[str, Any]) -> None:
        with RawServer(lambda _: [ok(body)]) as server, Client(KEY, server.url) as client, pytest.raises(APIError):
            client.wait_for_video_job("j/1", poll=0.05)

    def test_a_look_that_hangs_ends_with_the_deadline_too(self) -> None:
        with RawServer(lambda seen: [job("pending")] if seen.number < 1 else [3.0]) as server:
            with Client(KEY, server.url) as client:
                began = time.monotonic()
                with pytest.raises(DeadlineExceededError):
                    client.wait_for_video_job("j/1", poll=0.05, deadline=0.6)
                assert time.monotonic() - began < 1.1

    def test_a_look_that_fails_is_repeated(self) -> None:
        hiccup = answer(503, {"detail": "busy"}, Retry_After="0.05")
        with RawServer(Job(job("pending"), hiccup, hiccup, job("completed"))) as server:
            with Client(KEY, server.url) as client:
                assert client.wait_for_video_job("j/1", poll=0.05).status == "completed"

    def test_a_job_that_is_gone_ends_it(self) -> None:
        with RawServer(Job(job("pending"), answer(404, {"detail": "no such job"}))) as server:
            with Client(KEY, server.url) as client, pytest.raises(APIError, match="no such job") as caught:
                client.wait_for_video_job("j/1", poll=0.05)
        assert caught.value.status_code == 404

    def test_so_does_a_key_that_is_refused(self) -> None:
        with RawServer(lambda _: [answer(401, {"detail": "revoked"})], logins=False) as server:
            with Client(KEY, server.url) as client, pytest.raises(AuthenticationError, match="revoked") as caught:
                client.wait_for_video_job("j/1", poll=0.05)
        assert (caught.value.outcome, len(server.requests)) == ("not_sent", 1)

    def test_what_on_update_raises_reaches_the_caller(self) -> None:
        def stop(_: VideoJob) -> None:
            raise ZeroDivisionError

        with RawServer(Job(job("pending"))) as server, Client(KEY, server.url) as client:
            with pytest.raises(ZeroDivisionError):
                client.wait_for_video_job("j/1", on_update=stop)
