"""What an answer quotes of a prompt: the last words, and what a conversation holds besides."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_LONGEST = 240  # characters quoted of the last words, and of a tool's result
_EARLIER = 80  # of each earlier message
_REMEMBERED = 10  # earlier messages


def message_text(message: dict[str, Any]) -> str:
    """The text of a message, whose content may be a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if part.get("type") == "text")
    return content or ""


def parts_besides_text(message: dict[str, Any]) -> list[str]:
    """The kinds of a message's other parts: image_url, input_audio, file and whatever else is sent."""
    content = message.get("content")
    parts = content if isinstance(content, list) else ()
    return [str(part.get("type", "part")) for part in parts if part.get("type") != "text"]


@dataclass(frozen=True)
class Said:
    """The last words, how many other parts came with them, what was said earlier, and tools' results."""

    last: str
    attached: tuple[tuple[str, int], ...] = ()
    earlier: tuple[str, ...] = ()
    results: tuple[str, ...] = ()

    @classmethod
    def in_messages(cls, messages: Sequence[dict[str, Any]]) -> "Said":
        by_user = [message for message in messages if message["role"] == "user"]
        last = (by_user or messages)[-1]
        earlier = [message_text(message) for message in by_user[:-1]]
        results: list[str] = []
        for message in reversed(messages):
            if message["role"] not in ("tool", "function"):
                break
            results.insert(0, message_text(message))
        attached = Counter(parts_besides_text(last))
        return cls(message_text(last), tuple(attached.items()), tuple(earlier[-_REMEMBERED:]), tuple(results))

    @property
    def quote(self) -> str:
        return _short(self.last, _LONGEST)

    def sentences(self) -> list[str]:
        """The sentences that quote all of it."""
        told = [f'You wrote: "{self.quote}".']
        if self.attached:
            told.append(f"With it came {', '.join(f'{count} {kind}' for kind, count in self.attached)}.")
        if self.earlier:
            quotes = ", ".join(f'"{_short(text, _EARLIER)}"' for text in self.earlier)
            told.append(f"Earlier you wrote: {quotes}.")
        if self.results:
            quotes = ", ".join(f'"{_short(text, _LONGEST)}"' for text in self.results)
            told.append(f"The tool answered: {quotes}.")
        return told


def _short(text: str, most: int) -> str:
    quote = " ".join(text.split())
    return quote[:most] + "…" if len(quote) > most else quote
