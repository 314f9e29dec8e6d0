"""The hosted API's audio: speech by URL or as bytes, transcriptions and translations."""

import json
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from indoxrouter.sandbox import audio, checks, shapes
from indoxrouter.sandbox.audio import Recording, Speech
from indoxrouter.sandbox.call import Call
from indoxrouter.sandbox.catalogue import usable
from indoxrouter.sandbox.checks import Problem
from indoxrouter.sandbox.desk import Body, Desk
from indoxrouter.sandbox.errors import invalid
from indoxrouter.sandbox.settings import Settings
from indoxrouter.sandbox.settling import Slot
from indoxrouter.sandbox.shelf import Shelf
from indoxrouter.sandbox.transcript import FORMATS, GRANULARITIES

_SPEECH = "audio/tts/generations"
_TEXTS = ("model", "language", "prompt", "byok_api_key")


class HostedAudio:
    """What the audio endpoints do."""

    def __init__(self, settings: Settings, desk: Desk, shelf: Shelf) -> None:
        self._answers = settings.answers
        self._bytes = settings.speech == "bytes"
        self._desk = desk
        self._shelf = shelf
        self.endpoints: list[tuple[str, str, Callable[[Request], Awaitable[ASGIApp]]]] = [
            ("POST", _SPEECH, self._speech),
            *(("POST", f"audio/stt/{name}", partial(self._listen, name)) for name in audio.TASKS),
        ]

    async def _speech(self, request: Request) -> ASGIApp:
        raw = await request.body()
        return await self._desk.carry_out(request, _SPEECH, raw, lambda: checks.body(raw, _SPEECH), self._speak)

    def _speak(self, call: Call, body: Body, slot: Slot) -> Response:
        speech = Speech.asked(body)
        bill = speech.bill()
        if self._bytes:
            return self._desk.content(slot, bill, call, speech.spoken(), speech.media_type)
        data = {"url": self._shelf.keep(call.origin, speech.form, speech.spoken)}
        answer = shapes.envelope(call.request_id, bill, call.started, data)
        answer["usage"]["characters"] = bill.units
        return self._desk.answer(slot, bill, call, shapes.wrapped(self._answers, answer, call.request_id))

    async def _listen(self, name: str, request: Request) -> ASGIApp:
        recording = await Recording.of(request)

        def carry(call: Call, body: Body, slot: Slot) -> Response:
            return self._write(recording, audio.TASKS[name], call, body, slot)

        def read() -> Body:
            return _checked(recording.fields)

        return await self._desk.carry_out(request, f"audio/stt/{name}", recording.fingerprint, read, carry)

    def _write(self, recording: Recording, task: str, call: Call, body: Body, slot: Slot) -> Response:
        model, form = usable(body["model"], "speech_to_text"), body["response_format"]
        transcript = recording.transcript(task)
        bill = audio.bill(model, transcript, byok=bool(body.get("byok_api_key")))
        if form not in ("json", "verbose_json"):
            return self._desk.content(slot, bill, call, transcript.plain(form), audio.PLAIN)
        heard: Body = {"text": transcript.text, "language": transcript.language}
        if form == "verbose_json":
            heard = transcript.verbose(["segment", *body["granularities"]])
        answer = shapes.envelope(call.request_id, bill, call.started, None, **heard)
        answer["usage"]["duration_seconds"] = round(transcript.seconds, 3)
        return self._desk.answer(slot, bill, call, shapes.wrapped(self._answers, answer, call.request_id))


def _checked(fields: dict[str, Any]) -> Body:
    """The fields of a form, all of them text, or a refusal that lists everything wrong with them."""
    form = fields.get("response_format") or "json"
    granularities = _granularities(fields.get("timestamp_granularities") or "[]")
    problems = list(_problems(fields, form, granularities))
    if problems:
        raise invalid(problems)
    audio.check_granularities(granularities, form)
    known = {name: fields.get(name) for name in _TEXTS}
    return known | {"response_format": form, "granularities": granularities}


def _granularities(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None


def _problems(fields: dict[str, Any], form: str, granularities: Any) -> Iterator[Problem]:
    if not fields.get("model"):
        yield ("body", "model"), "Field required", "missing"
    for name in _TEXTS:
        yield from checks.string(fields.get(name, ""), ("body", name))
    if form not in FORMATS:
        yield ("body", "response_format"), f"Input should be one of {', '.join(FORMATS)}", "enum"
    try:
        float(fields.get("temperature") or 0)
    except (TypeError, ValueError):
        yield ("body", "temperature"), "Input should be a valid number", "float_parsing"
    if not isinstance(granularities, list) or any(name not in GRANULARITIES for name in granularities):
        message = f"Input should be a JSON list of {' and '.join(GRANULARITIES)}"
        yield ("body", "timestamp_granularities"), message, "json_invalid"
