"""Speech and transcripts, as both APIs make them."""

import math
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any

from starlette.requests import Request

from indoxrouter.sandbox import sound, uploads
from indoxrouter.sandbox.billing import Bill
from indoxrouter.sandbox.catalogue import Model, usable
from indoxrouter.sandbox.desk import Body
from indoxrouter.sandbox.errors import refused
from indoxrouter.sandbox.sound import Sound
from indoxrouter.sandbox.transcript import Transcript

PLAIN = "text/plain; charset=utf-8"
TASKS = {"transcriptions": "transcribe", "translations": "translate"}
VOICES = (
    *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable"),
    *("marin", "nova", "onyx", "sage", "shimmer", "verse"),
)
_FILES = "flac, m4a, mp3, mp4, mpeg, mpga, oga, ogg, wav, webm, aac"
_LONGEST = 4096  # characters of a speech
_LARGEST = 25 << 20  # bytes of an audio file


@dataclass(frozen=True)
class Speech:
    """A text that is to be spoken, and how."""

    model: Model
    text: str
    voice: str
    speed: float
    form: str
    byok: bool

    @classmethod
    def asked(cls, body: Body) -> "Speech":
        model, text = usable(body["model"], "text_to_speech"), body["input"]
        speed, form = body.get("speed") or 1.0, body.get("response_format") or "wav"
        if not 0 < len(text) <= _LONGEST:
            raise refused(f"input must have from 1 to {_LONGEST} characters, not {len(text)}.", "input")
        if not 0.25 <= speed <= 4:
            raise refused(f"speed must be from 0.25 to 4, not {speed}.", "speed")
        if form not in ("wav", "pcm"):
            message = f"response_format cannot be {form}: this sandbox makes wav and pcm only;"
            raise refused(f"{message} a real router also makes mp3, opus, aac and flac.", "response_format")
        voice = "alloy" if body.get("voice") is None else body["voice"]
        if voice not in VOICES:
            raise refused(f"voice must be one of {', '.join(VOICES)}, not {voice}.", "voice")
        voice = "\n".join(filter(None, [voice, body.get("instructions")]))
        return cls(model, text, voice, speed, form, bool(body.get("byok_api_key")))

    @property
    def spoken(self) -> "partial[bytes]":
        return partial(sound.speech, self.text, self.voice, self.speed, self.form)

    @property
    def media_type(self) -> str:
        return f"audio/{self.form}"

    def bill(self) -> Bill:
        return Bill(self.model, 0, units=len(self.text), byok=self.byok)


@dataclass(frozen=True)
class Recording:
    """An uploaded file, the fields that came with it, and what tells a repeated upload."""

    content: bytes
    fields: dict[str, Any]
    fingerprint: bytes

    @classmethod
    async def of(cls, request: Request) -> "Recording":
        async with uploads.form(request, _LARGEST) as form:
            file = uploads.the_file(form, _LARGEST)
            content, fields = await file.read(), uploads.texts(form)
            return cls(content, fields, uploads.fingerprint(fields, file.filename, content))

    def transcript(self, task: str) -> Transcript:
        """What is heard in it, if it is audio; a translation is into English."""
        if not sound.is_audio(self.content):
            raise refused(f"Invalid file format. Supported formats: {_FILES}.", "file")
        audio = Sound.of(self.content)
        language = None if task == "translate" else self.fields.get("language")
        return Transcript(self._text(audio), audio.seconds, language or "english", task)

    def _text(self, audio: Sound) -> str:
        if audio.phrase is not None:
            return audio.phrase
        mark, size = blake2b(self.content, digest_size=4).hexdigest(), len(self.content)
        return f"Sandbox transcript {mark}: nobody listened to these {size} bytes, for this is not a model."


def check_granularities(granularities: Any, form: str) -> None:
    if granularities and form != "verbose_json":
        message = f"timestamp_granularities need the response_format verbose_json, not {form}."
        raise refused(message, "timestamp_granularities")


def bill(model: Model, transcript: Transcript, *, byok: bool = False) -> Bill:
    """The bill for listening, by whole seconds."""
    return Bill(model, 0, units=math.ceil(transcript.seconds), byok=byok)
