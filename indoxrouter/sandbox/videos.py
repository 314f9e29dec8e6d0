"""The hosted API's videos: what a request may ask for, and the jobs that make them."""

import base64
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from indoxrouter.sandbox import answers, checks, film, shapes, sources
from indoxrouter.sandbox.billing import Bill
from indoxrouter.sandbox.call import Call
from indoxrouter.sandbox.catalogue import Model, usable
from indoxrouter.sandbox.desk import JSON, Body, Desk
from indoxrouter.sandbox.encoding import to_json
from indoxrouter.sandbox.errors import detail, invalid, refused
from indoxrouter.sandbox.settings import Settings
from indoxrouter.sandbox.settling import Slot
from indoxrouter.sandbox.shelf import Shelf
from indoxrouter.sandbox.video_jobs import Job, Jobs

_ENDPOINT = "videos/generations"
_LONGEST = 32_000  # characters of a prompt
_MOST = 4  # videos of one request
_SECONDS, _MOST_SECONDS = 8, 60
_SIZE = re.compile(r"([1-9]\d{1,3})x([1-9]\d{1,3})")
_RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9", "9:21")
_RESOLUTION = re.compile(r"\d{3,4}p|4k", re.IGNORECASE)
_SOURCES = ("input_image", "reference_image", "reference_images", "last_frame", "video")
_INFLUENCES = ("negative_prompt", *_SOURCES, "person_generation")
_PAGE = 100


@dataclass(frozen=True)
class Order:
    """The videos that are asked for."""

    model: Model
    prompt: str
    variation: str
    count: int
    width: int
    height: int
    seconds: int
    inline: bool
    byok: bool

    @classmethod
    def of(cls, body: Body) -> "Order":
        model, prompt = usable(body["model"], "video_generation"), body["prompt"]
        count, seconds = body.get("n") or 1, body.get("duration") or _SECONDS
        form = body.get("response_format") or "url"
        if len(prompt) > _LONGEST:
            raise refused(f"prompt must have at most {_LONGEST} characters, not {len(prompt)}.", "prompt")
        if count > _MOST:
            raise refused(f"{model.id} does not make {count} videos at once.", "n")
        if seconds > _MOST_SECONDS:
            raise refused(f"duration must be from 1 to {_MOST_SECONDS} seconds, not {seconds}.", "duration")
        if form not in ("url", "b64_json"):
            raise refused(f"response_format must be url or b64_json, not {form}.", "response_format")
        sources.check(body, *_SOURCES)
        seed = (body.get("additional_params") or {}).get("seed")
        variation = answers.digest(seed, *map(body.get, _INFLUENCES)).hex()
        byok = bool(body.get("byok_api_key"))
        return cls(model, prompt, variation, count, *_measures(body), seconds, form == "b64_json", byok)

    def bill(self) -> Bill:
        return Bill(self.model, len(answers.tokens(self.prompt)), units=self.count * self.seconds, byok=self.byok)

    def films(self, shelf: Shelf, origin: str) -> list[dict[str, str]]:
        measures = film.measures(self.width, self.height)
        films = [
            partial(film.shoot, self.prompt, self.variation, index, *measures, self.seconds)
            for index in range(self.count)
        ]
        if self.inline:
            return [{"b64_json": base64.b64encode(make()).decode()} for make in films]
        return [{"url": shelf.keep(origin, "mp4", make)} for make in films]


def _measures(body: Body) -> tuple[int, int]:
    """The shape that is asked for; the sandbox's videos have it in small, whatever the resolution."""
    if not _RESOLUTION.fullmatch(body.get("resolution") or "720p"):
        raise refused(f"resolution must be like 720p, not {body['resolution']}.", "resolution")
    size, ratio = body.get("size"), body.get("aspect_ratio")
    if ratio not in (None, *_RATIOS):
        raise refused(f"aspect_ratio must be one of {', '.join(_RATIOS)}, not {ratio}.", "aspect_ratio")
    match = _SIZE.fullmatch("1280x720" if size is None else size)
    if match is None:
        raise refused(f"size must be like 1280x720, not {size}.", "size")
    width, height = match.groups() if ratio is None or size is not None else ratio.split(":")
    return int(width), int(height)


class Videos:
    """What the video endpoints do."""

    def __init__(self, settings: Settings, desk: Desk, shelf: Shelf) -> None:
        self._answers = settings.answers
        self._form = settings.videos
        self._seconds = settings.video_seconds
        self._desk = desk
        self._shelf = shelf
        self._jobs = Jobs()
        self.endpoints: list[tuple[str, str, Callable[[Request], Awaitable[Any]]]] = [
            ("POST", _ENDPOINT, self._generate),
            ("GET", "videos/jobs", self._list),
            ("GET", "videos/jobs/{job}", self._status),
            ("POST", "videos/jobs/{job}/cancel", self._cancel),
        ]

    async def _generate(self, request: Request) -> Any:
        raw = await request.body()
        return await self._desk.carry_out(request, _ENDPOINT, raw, lambda: checks.body(raw, _ENDPOINT), self._make)

    def _make(self, call: Call, body: Body, slot: Slot) -> Response:
        order = Order.of(body)
        bill = order.bill()
        if self._form == "sync":
            answer = self._envelope(call, bill, order.films(self._shelf, call.origin))
            return self._desk.answer(slot, bill, call, answer)
        slot.promise(bill)
        finish = partial(self._finish, order, call.request_id, call.origin, slot)
        job = Job(self._seconds, call.fault.job_error, finish, on_end=slot.release)
        data = {"job_id": job.id, "status": job.status, "is_async": True}
        content = to_json(self._envelope(call, bill, data))
        # what a repeated request gets is known now, what is owed only when the job is completed: a job that
        # fails or is cancelled costs nothing, so the usage of this answer is what a completed one will cost
        slot.remember(call.request_id, JSON, content)
        self._jobs.start(job)
        return Response(content, media_type=JSON)

    def _envelope(self, call: Call, bill: Bill, data: Any) -> Any:
        answer = shapes.envelope(call.request_id, bill, call.started, data)
        return shapes.wrapped(self._answers, answer, call.request_id)

    def _finish(self, order: Order, request_id: str, origin: str, slot: Slot) -> dict[str, Any]:
        """The result of a completed job, which is billed with it."""
        films = order.films(self._shelf, origin)
        slot.settle(request_id, order.bill(), JSON, b"")
        if self._form == "job" and len(films) == 1 and not order.inline:
            return {"video_url": films[0]["url"]}
        return {"data": films}  # the other form has no room for several, or for the bytes

    async def _list(self, request: Request) -> Response:
        limit, skip = _whole(request, "limit", 20, 1, _PAGE), _whole(request, "skip", 0, 0, None)
        jobs = [job.shape() for job in self._jobs.page(skip, limit)]
        return self._answer(request, {"jobs": jobs, "total": len(self._jobs), "limit": limit, "skip": skip})

    async def _status(self, request: Request) -> Response:
        return self._answer(request, self._find(request).shape())

    async def _cancel(self, request: Request) -> Response:
        job = self._find(request)
        if not job.cancel():
            raise detail(409, f"The job {job.id} is {job.status}: it cannot be cancelled any more.")
        told = {"success": True, "message": f"The job {job.id} is cancelled."}
        return self._answer(request, job.shape() | told)

    def _find(self, request: Request) -> Job:
        name = request.path_params["job"]
        job = self._jobs.find(name)
        if job is None:
            raise detail(404, f"No video job {name} is known.")
        return job

    def _answer(self, request: Request, value: Any) -> Response:
        return Response(to_json(shapes.wrapped(self._answers, value, Call.of(request).request_id)), media_type=JSON)


def _whole(request: Request, name: str, default: int, least: int, most: int | None) -> int:
    """A whole number of the query."""
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or len(text) > 9:
        raise invalid([(("query", name), "Input should be a valid integer", "int_parsing")])
    value = int(text)
    if value < least or (most is not None and value > most):
        bound = f"greater than or equal to {least}" if value < least else f"less than or equal to {most}"
        raise invalid([(("query", name), f"Input should be {bound}", "out_of_range")])
    return value
