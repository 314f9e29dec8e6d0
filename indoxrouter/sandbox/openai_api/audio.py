"""Speech, transcriptions and translations."""

import math
from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import blake2b
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from indoxrouter.sandbox import checks, sound
from indoxrouter.sandbox.billing import Bill
from indoxrouter.sandbox.call import Call
from indoxrouter.sandbox.catalogue import usable
from indoxrouter.sandbox.desk import Body, Desk
from indoxrouter.sandbox.errors import refused
from indoxrouter.sandbox.openai_api import uploads
from indoxrouter.sandbox.settling import Slot
from indoxrouter.sandbox.sound import Sound
from indoxrouter.sandbox.transcript import FORMATS, GRANULARITIES, Transcript

_LONGEST = 4096  # characters of a speech
_LARGEST = 25 << 20  # bytes of an audio file
_PLAIN = "text/plain; charset=utf-8"
_SPEECH: tuple[checks.Checks, checks.Checks] = (
    {"model": checks.string, "input": checks.string},
    {"voice": checks.string, "response_format": checks.string, "speed": checks.number},
)


class OpenAIAudio:
    """The ledger knows these endpoints by the hosted API's names for them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.endpoints: dict[str, Callable[[Request], Awaitable[ASGIApp]]] = {
            "audio/speech": self._speech,
            "audio/transcriptions": partial(self._listen, "audio/stt/transcriptions", self._transcribe),
            "audio/translations": partial(self._listen, "audio/stt/translations", self._translate),
        }

    async def _speech(self, request: Request) -> ASGIApp:
        raw = await request.body()

        def read() -> Body:
            return checks.checked(checks.json_object(raw), *_SPEECH)

        return await self._desk.carry_out(request, "audio/tts/generations", raw, read, self._speak)

    def _speak(self, call: Call, body: Body, slot: Slot) -> Response:
        model = usable(body["model"], "text_to_speech")
        text, speed, form = body["input"], body.get("speed") or 1.0, body.get("response_format") or "wav"
        if not 0 < len(text) <= _LONGEST:
            raise refused(f"input must have from 1 to {_LONGEST} characters, not {len(text)}.", "input")
        if not 0.25 <= speed <= 4:
            raise refused(f"speed must be from 0.25 to 4, not {speed}.", "speed")
        if form not in ("wav", "pcm"):
            raise refused(f"response_format cannot be {form}: the sandbox makes wav and pcm.", "response_format")
        content = sound.pcm(text, body.get("voice") or "alloy", speed)
        if form == "wav":
            content = sound.wav(content, text)
        return self._desk.content(slot, Bill(model, 0, units=len(text)), call, content, f"audio/{form}")

    async def _listen(self, endpoint: str, hear: Callable[[Body], Transcript], request: Request) -> ASGIApp:
        async with uploads.form(request, _LARGEST) as form:
            file = uploads.the_file(form, _LARGEST)
            content, fields = await file.read(), uploads.texts(form)
            raw = uploads.fingerprint(fields, file.filename, content)

        def read() -> Body:
            return _checked(fields) | {"content": content}

        def carry(call: Call, body: Body, slot: Slot) -> Response:
            return self._write(hear(body), call, body, slot)

        return await self._desk.carry_out(request, endpoint, raw, read, carry)

    def _transcribe(self, body: Body) -> Transcript:
        audio = Sound.of(body["content"])
        return Transcript(_heard(audio, body["content"]), audio.seconds, body.get("language") or "english")

    def _translate(self, body: Body) -> Transcript:
        audio = Sound.of(body["content"])
        return Transcript(_heard(audio, body["content"]), audio.seconds, "english", "translate")

    def _write(self, transcript: Transcript, call: Call, body: Body, slot: Slot) -> Response:
        model = usable(body["model"], "speech_to_text")
        seconds = math.ceil(transcript.seconds)
        bill, form = Bill(model, 0, units=seconds), body["response_format"]
        if form in ("json", "verbose_json"):
            answer: Body = {"text": transcript.text} if form == "json" else transcript.verbose(body["granularities"])
            answer["usage"] = {"type": "duration", "seconds": seconds}
            return self._desk.answer(slot, bill, call, answer)
        plain = {"text": lambda: transcript.text + "\n", "srt": transcript.srt, "vtt": transcript.vtt}[form]()
        return self._desk.content(slot, bill, call, plain.encode(errors="replace"), _PLAIN)


def _heard(audio: Sound, content: bytes) -> str:
    if audio.phrase is not None:
        return audio.phrase
    mark = blake2b(content, digest_size=4).hexdigest()
    return f"Sandbox transcript {mark}: nobody listened to these {len(content)} bytes, for this is not a model."


def _checked(fields: dict[str, Any]) -> Body:
    uploads.text(fields, "model")
    form = fields.get("response_format") or "json"
    if form not in FORMATS:
        raise refused(f"response_format must be one of {', '.join(FORMATS)}, not {form}.", "response_format")
    asked = fields.get("timestamp_granularities") or list(GRANULARITIES)
    granularities = [asked] if isinstance(asked, str) else asked
    unknown = [name for name in granularities if name not in GRANULARITIES]
    if unknown:
        raise refused(f"A timestamp granularity is segment or word, not {unknown[0]}.", "timestamp_granularities")
    return fields | {"response_format": form, "granularities": granularities}
