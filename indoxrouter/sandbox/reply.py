"""A generated text on its way out: what the shapes and the streams are told."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from indoxrouter.sandbox.billing import Bill
from indoxrouter.sandbox.catalogue import Model


@dataclass(frozen=True)
class TextReply:
    """A chat or completion answer, as its tokens."""

    request_id: str
    chat: bool
    model: Model
    pieces: list[str]
    finish_reason: str
    tokens_prompt: int
    byok: bool
    started: float  # time.perf_counter
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def created_seconds(self) -> int:
        return int(self.created.timestamp())

    def bill(self, pieces: int | None = None) -> Bill:
        """The bill for the whole text, or for its first pieces."""
        generated = len(self.pieces) if pieces is None else pieces
        return Bill(self.model, self.tokens_prompt, generated, byok=self.byok)
