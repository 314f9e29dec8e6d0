"""The answers that hold media: images, speech, videos.

What the calls of a client return can fetch the files that it names URLs of; an answer that was
unpickled or made by hand can't. Saving and fetching block: in asyncio code, hand them to
`asyncio.to_thread`.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from indoxrouter import formats
from indoxrouter.errors import APIError, public
from indoxrouter.generation import Answer, Generation
from indoxrouter.medium import Encoded, Fetch, Medium, Source, save_all, unusable
from indoxrouter.saving import StrPath

__all__ = [
    "Fetch",
    "GeneratedImage",
    "GeneratedVideo",
    "ImageResponse",
    "SpeechResponse",
    "VideoJob",
    "VideoResponse",
    "attach",
]

AnswerT = TypeVar("AnswerT")


class _FetchingAnswer(Answer):
    __slots__ = ("_source",)  # beside the fields: keys, repr, comparisons and to_dict() don't have it
    _source: Source


class _FetchingGeneration(Generation):
    __slots__ = ("_source",)
    _source: Source


def attach(answer: AnswerT, fetch: Fetch) -> AnswerT:
    """Let an answer, or each of a list, fetch the files that it names URLs of; returns what it was given."""
    for medium in _media_in(answer):
        medium._source = Source(fetch)
    return answer


def _media_in(answer: Any) -> Iterator[_FetchingAnswer | _FetchingGeneration]:
    if isinstance(answer, _FetchingAnswer | _FetchingGeneration):
        yield answer
    elif isinstance(answer, list):
        for item in answer:
            if isinstance(item, Answer):
                yield from _media_in(item)
    elif isinstance(answer, Answer):
        for name in ("data", "images", "partial_images", "videos"):
            if isinstance(found := answer.get(name), list):
                yield from (item for item in found if isinstance(item, _FetchingAnswer))


@dataclass(slots=True, repr=False)
class GeneratedImage(Encoded, _FetchingAnswer):
    """One image; `str()` is its URL, or its base64 text where there is none."""

    NAME = "image"

    url: str | None = None
    b64_json: str | None = None
    revised_prompt: str | None = None

    def _repr_png_(self) -> bytes | None:
        return self._displayable("image/png")

    def _repr_jpeg_(self) -> bytes | None:
        return self._displayable("image/jpeg")

    def _repr_html_(self) -> str:
        shown = str(self).encode("utf-8", "replace").decode()
        if (content := self._displayable()) is not None:
            shown = f"data:{formats.image_type(content)};base64,{base64.b64encode(content).decode()}"
        elif not shown.lower().startswith(("http://", "https://", "data:image/")):
            return html.escape(shown[:200])
        return f'<img src="{html.escape(shown)}" style="max-width: 100%">'

    def _displayable(self, kind: str | None = None) -> bytes | None:
        """The bytes, if they are at hand and an image of that type: display neither fetches nor raises."""
        try:
            content = self._at_hand() or b""
        except APIError:
            return None
        found = formats.image_type(content)
        return content if found is not None and kind in (None, found) else None


@dataclass(slots=True, kw_only=True)
class ImageResponse(Generation):
    """The generated images."""

    data: list[GeneratedImage] = field(default_factory=list)

    @property
    @public
    def images(self) -> list[bytes]:
        """The bytes of each image."""
        return [image.content for image in self.data]

    @public
    def save(self, folder: StrPath = ".", overwrite: bool = False) -> list[Path]:
        """Save all images in the folder, made if it is missing, as `image-1.png` and so on; one also as a file."""
        if not self.data:
            raise unusable("the answer has no image to save", "no_content")
        return save_all(self.data, folder, overwrite)

    def _repr_png_(self) -> bytes | None:
        return self.data[0]._repr_png_() if self.data else None

    def _repr_html_(self) -> str | None:
        return "\n".join(image._repr_html_() for image in self.data) or None


@dataclass(slots=True, kw_only=True)
class SpeechResponse(Medium, _FetchingGeneration):
    """Spoken text: the audio itself, or where to fetch it."""

    NAME = "speech"

    data: Any = field(default=None, repr=False)
    content: bytes | None = field(default=None, repr=False)
    """The audio, if it came along; `audio` fetches it too."""
    url: str | None = None
    content_type: str | None = None

    @property
    @public
    def audio(self) -> bytes:
        """The audio. Fetched from the URL at the first look and then kept, if it did not come along."""
        return self._whole()

    def _sent(self) -> bytes | None:
        return self.content or None

    def _type(self) -> str | None:
        return self.content_type or Medium._type(self)

    def _repr_html_(self) -> str | None:
        """A player of the audio, if it is at hand and a browser plays it: display neither fetches nor raises."""
        try:
            content = self._at_hand() or b""
        except APIError:
            return None
        kind = formats.audio_type(content, self._type())
        return kind and f'<audio controls src="data:{kind};base64,{base64.b64encode(content).decode()}"></audio>'


@dataclass(slots=True, repr=False)
class GeneratedVideo(Encoded, _FetchingAnswer):
    """One video; `str()` is its URL, or its base64 text where there is none."""

    NAME = "video"

    url: str | None = None
    b64_json: str | None = None


@dataclass(slots=True, kw_only=True)
class VideoResponse(Generation):
    """The generated videos, or the job that makes them."""

    data: list[GeneratedVideo] = field(default_factory=list)
    """Empty while the job runs."""
    job_id: str | None = None
    status: str | None = None
    is_async: bool | None = None

    @public
    def save(self, folder: StrPath = ".", overwrite: bool = False) -> list[Path]:
        """Save all videos in the folder, made if it is missing, as `video-1.mp4` and so on; one also as a file."""
        if not self.data:
            raise _no_video(self.job_id, self.status)
        return save_all(self.data, folder, overwrite)


@dataclass(slots=True)
class VideoJob(Answer):
    """A job that makes videos, as it stood at this answer."""

    job_id: str | None = None
    status: str | None = None
    """pending, processing, completed, failed, cancelled, or whatever else the server calls it."""
    progress: int | float | None = None
    """0 to 100."""
    videos: list[GeneratedVideo] = field(default_factory=list)
    error: str | None = None
    """Why it failed, in the server's words."""
    created_at: str | None = None
    model: str | None = None
    raw: Any = field(default=None, repr=False)

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self.status in ("completed", "failed", "cancelled")

    @property
    def url(self) -> str | None:
        """Where the first video is."""
        return self.videos[0].url if self.videos else None

    @public
    def save(self, path: StrPath = ".", overwrite: bool = False) -> Path:
        """Save the first video, as `GeneratedVideo.save` does; only a completed job has one."""
        if self.status != "completed" or not self.videos:
            raise _no_video(self.job_id, self.status, self.error)
        return self.videos[0].save(path, overwrite)


def _no_video(job_id: str | None, status: str | None, error: str | None = None) -> APIError:
    job = f"the job {job_id[:100]!r}" if job_id else "the answer"
    state = f"its status is {status[:50]!r}" if status else "its status is unknown"
    why = f": {' '.join(error[:1000].split())[:300]}" if error else ""
    return unusable(f"{job} has no video to save: {state}{why}", "not_completed")
