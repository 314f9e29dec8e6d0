"""The hosted API's videos and the jobs that make them."""

import base64
import io
import time
from typing import Any

import av
import pytest
import requests

from indoxrouter.sandbox import Sandbox

from .sandbox_api import Api

VIDEOS = "videos/generations"
BODY = {"model": "google/veo-3.0-generate-001", "prompt": "A red boat"}
SLOW = 30.0


@pytest.fixture(scope="module")
def quick() -> Any:
    """Calls to a sandbox whose jobs are done at once."""
    with Sandbox(video_seconds=0.05) as sandbox, Api(sandbox) as api:
        yield api


def start(api: Api, **fields: Any) -> dict[str, Any]:
    answer = api.post(VIDEOS, BODY | fields)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def job_of(api: Api, job_id: str) -> dict[str, Any]:
    answer = api.get(f"videos/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    job: dict[str, Any] = answer.json()
    return job


def followed(api: Api, job_id: str) -> list[dict[str, Any]]:
    """What is seen of a job until it has ended."""
    seen = [job_of(api, job_id)]
    until = time.monotonic() + 10
    while seen[-1]["status"] in ("pending", "processing"):
        assert time.monotonic() < until
        time.sleep(0.01)
        seen.append(job_of(api, job_id))
    return seen


def made(api: Api, **fields: Any) -> dict[str, Any]:
    last = followed(api, start(api, **fields)["data"]["job_id"])[-1]
    assert last["status"] == "completed", last
    result: dict[str, Any] = last["result"]
    return result


def shown(url: str) -> tuple[int, int, float]:
    """Width, height and seconds of a video that anybody gets who has its URL, and that plays."""
    answer = requests.get(url, timeout=10)
    assert answer.headers["content-type"] == "video/mp4"
    return played(answer.content)


def played(content: bytes) -> tuple[int, int, float]:
    with av.open(io.BytesIO(content), "r") as container:
        pictures = [frame.to_ndarray(format="rgb24").tobytes() for frame in container.decode(video=0)]
        assert len(set(pictures)) == len(pictures) > 1
        return container.streams.video[0].width, container.streams.video[0].height, (container.duration or 0) / 1e6


def test_a_job_waits_is_processed_and_is_completed() -> None:
    with Sandbox(video_seconds=0.4) as sandbox, Api(sandbox) as api:
        body = start(api)
        assert (body["provider"], body["model"], body["success"]) == ("google", "veo-3.0-generate-001", True)
        assert body["data"] == {"job_id": body["data"]["job_id"], "status": "pending", "is_async": True}
        seen = followed(api, body["data"]["job_id"])
        statuses = [body["data"]["status"], *(job["status"] for job in seen)]
        assert list(dict.fromkeys(statuses)) == ["pending", "processing", "completed"]
        progress = [job["progress"] for job in seen]
        assert progress == sorted(progress)
        assert progress[-1] == 100
        assert len(set(progress)) > 4
        for job in seen:
            assert set(job) == {"job_id", "status", "progress", "result", "error", "created_at"}
            assert (job["result"] is None) == (job["status"] != "completed") == (job["progress"] < 100)
        assert set(seen[-1]["result"]) == {"video_url"}
        assert shown(seen[-1]["result"]["video_url"]) == (128, 72, 8)


@pytest.mark.parametrize(
    ("fields", "video"),
    [
        ({"aspect_ratio": "9:16", "resolution": "1080p", "duration": 4}, (72, 128, 4)),
        ({"model": "openai/sora-2", "size": "720x720", "duration": 12}, (128, 128, 12)),
        ({"additional_params": {"seed": 5}, "generate_audio": True, "negative_prompt": "rain"}, (128, 72, 8)),
    ],
)
def test_a_video_is_as_was_asked(quick: Api, fields: dict[str, Any], video: tuple[int, int, float]) -> None:
    assert shown(made(quick, **fields)["video_url"]) == video


def test_a_video_depends_on_the_request_alone(quick: Api) -> None:
    first = made(quick)["video_url"]
    assert made(quick)["video_url"] == first
    changes: list[dict[str, Any]] = [
        {"prompt": "Another"},
        {"additional_params": {"seed": 5}},
        {"input_image": "data:image/png;base64,AAAA"},
        {"duration": 4},
        {"aspect_ratio": "1:1"},
    ]
    assert len({first, *(made(quick, **change)["video_url"] for change in changes)}) == 6


def test_several_videos_and_the_bytes_themselves(quick: Api) -> None:
    several = made(quick, n=3)["data"]
    assert len({requests.get(item["url"], timeout=10).content for item in several}) == 3
    [inline] = made(quick, response_format="b64_json")["data"]
    assert played(base64.b64decode(inline["b64_json"])) == (128, 72, 8)


def test_the_other_forms_of_results() -> None:
    with Sandbox(videos="data", video_seconds=0) as sandbox, Api(sandbox) as api:
        [item] = made(api)["data"]
        assert shown(item["url"]) == (128, 72, 8)
    with Sandbox(videos="sync") as sandbox, Api(sandbox) as api:
        body = start(api, n=2)
        assert [shown(item["url"]) for item in body["data"]] == [(128, 72, 8)] * 2
        assert body["usage"]["cost"] == 6.4
        assert api.usage()["total_cost"] == 6.4
    with Sandbox(answers="seed", video_seconds=0) as sandbox, Api(sandbox, login=False) as api:
        api.bearer(sandbox.api_key)
        job_id = start(api)["result"]["data"]["job_id"]
        assert job_of(api, job_id)["result"]["job_id"] == job_id


def test_a_job_is_billed_when_it_is_completed_and_not_before() -> None:
    with Sandbox(video_seconds=SLOW) as sandbox, Api(sandbox) as api:
        assert start(api, duration=4)["usage"]["cost"] == 1.6
        assert api.usage()["total_requests"] == 0
    with Sandbox(video_seconds=0) as sandbox, Api(sandbox) as api:
        made(api, duration=4)
        report = api.usage()
        assert (report["total_requests"], report["total_cost"]) == (1, 1.6)
        assert report["endpoints"][VIDEOS]["cost"] == 1.6
        assert sandbox.stats()["charges"] == 1
        made(api, byok_api_key="mine")
        assert api.usage()["total_cost"] == 1.6


def test_a_job_that_nobody_asks_about_is_billed_too(quick: Api) -> None:
    before = quick.usage()["total_cost"]
    start(quick, duration=1)
    until = time.monotonic() + 10
    while quick.usage()["total_cost"] == before:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert quick.usage()["total_cost"] == pytest.approx(before + 0.4)


def test_a_repeated_request_starts_no_second_job() -> None:
    with Sandbox(video_seconds=0.1) as sandbox, Api(sandbox) as api:
        key = {"Idempotency-Key": "k"}
        first, again = (api.post(VIDEOS, BODY, headers=key) for _ in range(2))
        assert first.content == again.content
        assert again.headers["Idempotent-Replayed"] == "true"
        assert api.post(VIDEOS, BODY | {"n": 2}, headers=key).status_code == 422
        followed(api, first.json()["data"]["job_id"])
        assert api.post(VIDEOS, BODY, headers=key).content == first.content
        assert api.get("videos/jobs").json()["total"] == 1
        assert api.usage()["total_requests"] == 1


def test_a_job_can_be_made_to_fail() -> None:
    with Sandbox(video_seconds=0.2) as sandbox, Api(sandbox) as api:
        sandbox.fault(path=VIDEOS, job_error="The provider refused the prompt.")
        seen = followed(api, start(api)["data"]["job_id"])
        assert {job["error"] for job in seen[:-1]} == {None}
        failed = seen[-1]
        assert (failed["status"], failed["result"]) == ("failed", None)
        assert failed["error"] == "The provider refused the prompt."
        assert 0 < failed["progress"] < 100
        ordered = api.post(VIDEOS, BODY, headers={"X-Sandbox-Fault": '{"job_error": "No."}'}).json()
        assert followed(api, ordered["data"]["job_id"])[-1]["error"] == "No."
        assert api.post(f"videos/jobs/{failed['job_id']}/cancel").status_code == 409
        assert api.usage()["total_requests"] == 0
        assert followed(api, start(api)["data"]["job_id"])[-1]["status"] == "completed"
        bad = api.post(VIDEOS, BODY, headers={"X-Sandbox-Fault": '{"job_error": 5}'})
        assert bad.status_code == 400


def test_a_cancelled_job_stays_cancelled_and_costs_nothing() -> None:
    with Sandbox(video_seconds=0.5) as sandbox, Api(sandbox) as api:
        cancelled = start(api)["data"]["job_id"]
        answer = api.post(f"videos/jobs/{cancelled}/cancel")
        completed = start(api)["data"]["job_id"]
        assert (answer.status_code, answer.json()["status"], answer.json()["success"]) == (200, "cancelled", True)
        assert cancelled in answer.json()["message"]
        followed(api, completed)  # by now the other would have been completed too
        job = job_of(api, cancelled)
        assert (job["status"], job["result"], job["error"]) == ("cancelled", None, None)
        assert job["progress"] < 100
        assert api.post(f"videos/jobs/{cancelled}/cancel").json()["status"] == "cancelled"
        refused = api.post(f"videos/jobs/{completed}/cancel")
        assert refused.status_code == 409
        assert "completed" in refused.json()["detail"]
        assert api.usage()["total_requests"] == 1


def test_jobs_are_listed_the_newest_first(own: Api) -> None:
    assert own.get("videos/jobs").json() == {"jobs": [], "total": 0, "limit": 20, "skip": 0}
    ids = [start(own)["data"]["job_id"] for _ in range(5)]
    pages = [own.get("videos/jobs", params=page).json() for page in ({}, {"limit": 2}, {"limit": 2, "skip": 3})]
    listed = [[job["job_id"] for job in page["jobs"]] for page in pages]
    assert listed == [ids[::-1], [ids[4], ids[3]], [ids[1], ids[0]]]
    assert [page["total"] for page in pages] == [5, 5, 5]


def test_jobs_that_are_not_known(own: Api) -> None:
    for answer in (own.get("videos/jobs/none"), own.post("videos/jobs/none/cancel")):
        assert (answer.status_code, answer.json()["detail"]) == (404, "No video job none is known.")
    for name, value in [("limit", "0"), ("limit", "101"), ("limit", "x"), ("skip", "-1"), ("skip", "9" * 5000)]:
        answer = own.get("videos/jobs", params={name: value})
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["query", name])
    assert requests.get(f"{own.sandbox.url}/videos/jobs", timeout=10).status_code == 401


@pytest.mark.parametrize(
    ("fields", "parameter"),
    [
        ({"model": "openai/dall-e-3"}, "model"),
        ({"n": 5}, "n"),
        ({"duration": 61}, "duration"),
        ({"response_format": "gif"}, "response_format"),
        ({"aspect_ratio": "wide"}, "aspect_ratio"),
        ({"aspect_ratio": "16:0"}, "aspect_ratio"),
        ({"size": "large"}, "size"),
        ({"resolution": "high"}, "resolution"),
        ({"prompt": "x" * 32_001}, "prompt"),
    ],
)
def test_videos_that_are_refused(quick: Api, fields: dict[str, Any], parameter: str) -> None:
    answer = quick.post(VIDEOS, BODY | fields)
    body = answer.json()
    assert (answer.status_code, body["error"]) == (400, "InvalidParametersError")
    assert body["details"]["parameter"] == parameter


def test_what_is_no_request_for_a_video_is_refused(quick: Api) -> None:
    answer = quick.post(VIDEOS, {"n": 0, "duration": "long", "reference_images": "x", "generate_audio": 1, "video": 2})
    assert answer.status_code == 422
    places = {problem["loc"][1] for problem in answer.json()["detail"]}
    assert places == {"model", "prompt", "n", "duration", "reference_images", "generate_audio", "video"}


def test_without_credits_no_job_is_started() -> None:
    with Sandbox(credits=0) as sandbox, Api(sandbox) as api:
        assert api.post(VIDEOS, BODY).status_code == 402
        assert api.get("videos/jobs").json()["total"] == 0


def test_a_sandbox_can_be_closed_over_its_jobs() -> None:
    with Sandbox(video_seconds=SLOW) as sandbox, Api(sandbox) as api:
        start(api)
