"""Videos and the jobs that make them, in any of the forms that servers write them in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from indoxrouter.media import GeneratedVideo, VideoJob, VideoResponse
from indoxrouter.wire.decode import not_understood, shared, unwrapped
from indoxrouter.wire.fields import few, mapping, moment, number, objects, text
from indoxrouter.wire.images import is_url
from indoxrouter.wire.messages import Result

_STATES = frozenset({"pending", "processing", "completed", "failed", "cancelled"})
_WORDS = {
    **{state: state for state in _STATES},
    "canceled": "cancelled",
    **dict.fromkeys(("succeeded", "success", "done", "finished"), "completed"),
    **dict.fromkeys(("error", "expired", "timeout"), "failed"),
}
"""What servers call the states; those of their own stay as they write them."""
_OF_JOBS = _STATES | {"canceled", "succeeded"}
"""Words that tell a job; answers of other kinds have the rest for a status too."""
_LISTS = ("jobs", "data", "result", "results", "videos", "items")
_MOST = 10**18


def video(result: Result) -> VideoResponse:
    """The videos, or the job that makes them."""
    whole = mapping(result.body)
    body = whole if whole.get("job_id") is not None else unwrapped(result)
    data = mapping(body.get("data"))
    job: Mapping[str, Any] = {}
    if _is_job(data):
        job = data
    elif body.get("job_id") is not None or _told(body) in _OF_JOBS:
        job = body
    videos = _videos(job.get("result")) or _videos(body.get("data")) or _videos(body)
    if not job and not videos:
        raise not_understood(result)
    asynchronous = job.get("is_async")
    return VideoResponse(
        data=videos,
        job_id=_id(job),
        status=_status(job),
        is_async=asynchronous if isinstance(asynchronous, bool) else None,
        **shared(result, body),
    )


def video_job(result: Result) -> VideoJob:
    body = mapping(result.body)
    places = [body, *(mapping(body.get(name)) for name in ("data", "result", "job"))]
    for found in (*filter(_is_job, places), *(place for place in places if _status(place) in _STATES)):
        return _job(found, result.body)
    raise not_understood(result)


def video_jobs(result: Result) -> list[VideoJob]:
    """The jobs of a list; what is none is passed over, unless there is nothing else."""
    rows = result.body
    while isinstance(rows, dict) and (name := next((name for name in _LISTS if name in rows), None)):
        rows = rows[name]
    if not isinstance(rows, list):
        raise not_understood(result)
    found = [_job(row, row) for row in objects(few(rows)) if _is_job(row)]
    if rows and not found:
        raise not_understood(result)
    return found


def _is_job(found: Mapping[str, Any]) -> bool:
    return _id(found) is not None or _told(found) in _OF_JOBS


def _told(found: Mapping[str, Any]) -> str:
    return (text(found.get("status")) or "").lower()


def _status(found: Mapping[str, Any]) -> str | None:
    return _WORDS.get(_told(found), text(found.get("status")))


def _id(found: Mapping[str, Any]) -> str | None:
    """Its `job_id`; where there is none, the `id` of something that has a status."""
    value = found.get("job_id")
    if value is None and text(found.get("status")) is not None:
        value = found.get("id")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MOST:
        return str(value)
    return text(value) or None


def _job(found: Mapping[str, Any], raw: Any) -> VideoJob:
    status = _status(found)
    return VideoJob(
        job_id=_id(found),
        status=status,
        progress=number(found.get("progress")),
        videos=_videos(found.get("result")) or _videos(found),
        error=_said(found.get("error")) or (_said(found) or _why(found) if status == "failed" else None),
        created_at=moment(found.get("created_at")),
        model=text(found.get("model")),
        raw=raw,
    )


def _said(value: Any) -> str | None:
    within = mapping(value)
    return text(value) or text(within.get("message")) or text(within.get("detail"))


def _why(found: Mapping[str, Any]) -> str | None:
    """Where the server says no more than how it ended, that."""
    return _told(found) if _told(found) in ("expired", "timeout") else None


def _videos(value: Any) -> list[GeneratedVideo]:
    """The videos that a result holds: a list of them, one of them, or an object around either."""
    if isinstance(value, list):
        return [found for row in few(value) if (found := _video(row)) is not None]
    if (found := _video(value)) is not None:
        return [found]
    within = mapping(value)
    rows = next((within[name] for name in ("data", "videos") if name in within), None)
    return [found for row in few(rows) if (found := _video(row)) is not None] if isinstance(rows, list) else []


def _video(row: Any) -> GeneratedVideo | None:
    if isinstance(row, str):
        return GeneratedVideo(url=row) if is_url(row) or row.startswith("/") else None
    found = mapping(row)
    inner = found.get("video_url")
    url = text(found.get("url")) or text(inner) or text(mapping(inner).get("url"))
    encoded = text(found.get("b64_json"))
    return GeneratedVideo(url or None, encoded or None) if url or encoded else None
