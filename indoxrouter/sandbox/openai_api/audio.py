"""Speech, transcriptions and translations."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from indoxrouter.sandbox import audio, checks, uploads
from indoxrouter.sandbox.audio import Recording, Speech
from indoxrouter.sandbox.call import Call
from indoxrouter.sandbox.catalogue import usable
from indoxrouter.sandbox.desk import Body, Desk
from indoxrouter.sandbox.errors import refused
from indoxrouter.sandbox.settling import Slot
from indoxrouter.sandbox.transcript import FORMATS, GRANULARITIES


class OpenAIAudio:
    """The ledger knows these endpoints by the hosted API's names for them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.endpoints: dict[str, Callable[[Request], Awaitable[ASGIApp]]] = {
            "audio/speech": self._speech,
            **{f"audio/{name}": partial(self._listen, name) for name in audio.TASKS},
        }

    async def _speech(self, request: Request) -> ASGIApp:
        raw = await request.body()

        def read() -> Body:
            body = checks.checked(checks.json_object(raw), checks.SPEECH, checks.MANNER)
            return {name: body.get(name) for name in (*checks.SPEECH, *checks.MANNER)}

        return await self._desk.carry_out(request, "audio/tts/generations", raw, read, self._speak)

    def _speak(self, call: Call, body: Body, slot: Slot) -> Response:
        speech = Speech.asked(body)
        return self._desk.content(slot, speech.bill(), call, speech.spoken(), speech.media_type)

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
        bill = audio.bill(model, transcript)
        if form in ("json", "verbose_json"):
            answer: Body = {"text": transcript.text} if form == "json" else transcript.verbose(body["granularities"])
            answer["usage"] = {"type": "duration", "seconds": bill.units}
            return self._desk.answer(slot, bill, call, answer)
        return self._desk.content(slot, bill, call, transcript.plain(form), audio.PLAIN)


def _checked(fields: dict[str, Any]) -> Body:
    uploads.text(fields, "model")
    form = fields.get("response_format") or "json"
    if form not in FORMATS:
        raise refused(f"response_format must be one of {', '.join(FORMATS)}, not {form}.", "response_format")
    asked = fields.get("timestamp_granularities")
    granularities = [asked] if isinstance(asked, str) else asked or list(GRANULARITIES)
    unknown = [name for name in granularities if name not in GRANULARITIES]
    if unknown:
        raise refused(f"A timestamp granularity is segment or word, not {unknown[0]}.", "timestamp_granularities")
    audio.check_granularities(asked, form)
    return {"model": fields["model"], "response_format": form, "granularities": granularities}
