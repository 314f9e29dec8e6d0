"""A transcript in the formats that are asked for, its words spread evenly over the time."""

from dataclasses import dataclass
from typing import Any

from indoxrouter.sandbox.answers import tokens

_WORDS = 8  # of a segment
FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
GRANULARITIES = ("segment", "word")


@dataclass(frozen=True)
class Span:
    """A word or a segment, in seconds."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Transcript:
    text: str
    seconds: float
    language: str
    task: str = "transcribe"

    @property
    def words(self) -> list[Span]:
        words = self.text.split()
        whole = sum(len(word) + 1 for word in words)
        spans, done = [], 0
        for word in words:
            start, done = done, done + len(word) + 1
            spans.append(Span(word, self._at(start / whole), self._at(done / whole)))
        return spans

    @property
    def segments(self) -> list[Span]:
        words = self.words
        groups = [words[first : first + _WORDS] for first in range(0, len(words), _WORDS)]
        return [Span(" ".join(word.text for word in group), group[0].start, group[-1].end) for group in groups]

    def verbose(self, granularities: list[str]) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "task": self.task,
            "language": self.language,
            "duration": round(self.seconds, 3),
            "text": self.text,
        }
        if "segment" in granularities:
            answer["segments"] = [_segment(number, span) for number, span in enumerate(self.segments)]
        if "word" in granularities:
            answer["words"] = [{"word": span.text, "start": span.start, "end": span.end} for span in self.words]
        return answer

    def plain(self, form: str) -> bytes:
        """One of the formats that are not JSON."""
        written = {"srt": self._srt, "vtt": self._vtt}.get(form, lambda: self.text + "\n")
        return written().encode(errors="replace")

    def _srt(self) -> str:
        return "".join(
            f"{number}\n{_clock(span.start, ',')} --> {_clock(span.end, ',')}\n{span.text}\n\n"
            for number, span in enumerate(self.segments, 1)
        )

    def _vtt(self) -> str:
        cues = (f"{_clock(span.start, '.')} --> {_clock(span.end, '.')}\n{span.text}\n\n" for span in self.segments)
        return "WEBVTT\n\n" + "".join(cues)

    def _at(self, share: float) -> float:
        return round(share * self.seconds, 3)


def _segment(number: int, span: Span) -> dict[str, Any]:
    return {
        "id": number,
        "seek": 0,
        "start": span.start,
        "end": span.end,
        "text": span.text,
        "tokens": list(range(len(tokens(span.text)))),
        "temperature": 0.0,
        "avg_logprob": -0.1,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.01,
    }


def _clock(seconds: float, point: str) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{thousandths:03}"
