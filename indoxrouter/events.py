"""What `on_event` is told: one event for each call, when it has ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from indoxrouter.errors import Attempt, Outcome
from indoxrouter.generation import Answer, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEvent(Answer):
    """A call that has ended: answered, failed, or a stream that was read or left. It holds no contents."""

    operation: str
    """chat, completion, embeddings, image, speech, transcription, video, file, catalogue or account."""
    model: str | None = None
    """The one that was asked first; each attempt names its own."""
    response_model: str | None = None
    provider: str | None = None
    server_address: str | None = None
    server_port: int | None = None
    started: float
    """Seconds since 1970."""
    seconds: float
    outcome: Outcome = "done"
    state: str | None = None
    """How a stream ended: complete, truncated, failed or cancelled; None: it was no stream."""
    error_type: str | None = None
    """The class of the exception that the call raised."""
    status_code: int | None = None
    request_id: str | None = None
    client_request_id: str | None = None
    usage: Usage | None = None
    finish_reason: str | None = None
    cached: bool = False
    attempts: tuple[Attempt, ...] = field(default=(), repr=False)
    """The same records as on the answer, or on the error."""

    @property
    def cost(self) -> float | None:
        """US dollars, where the server told: `usage.cost`."""
        return None if self.usage is None else self.usage.cost

    def attributes(self) -> dict[str, Any]:
        """What is known, under the names of OpenTelemetry's semantic conventions for generative AI.

        https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
        """
        used = self.usage or Usage()
        found = {
            "gen_ai.operation.name": _OPERATIONS.get(self.operation, self.operation),
            "gen_ai.provider.name": self.provider,
            "gen_ai.request.model": self.model,
            "gen_ai.response.model": self.response_model,
            "gen_ai.response.id": self.request_id,
            "gen_ai.response.finish_reasons": [self.finish_reason] if self.finish_reason else None,
            "gen_ai.usage.input_tokens": used.tokens_prompt,
            "gen_ai.usage.output_tokens": used.tokens_completion,
            "server.address": self.server_address,
            "server.port": self.server_port,
            "error.type": self.error_type,
            "http.response.status_code": self.status_code,
            "indoxrouter.outcome": self.outcome,
            "indoxrouter.attempts": len(self.attempts),
            "indoxrouter.cost": used.cost,
            "indoxrouter.cached": self.cached,
            "indoxrouter.stream.state": self.state,
            "indoxrouter.client_request_id": self.client_request_id,
        }
        return {name: value for name, value in found.items() if value is not None}


_OPERATIONS = {"completion": "text_completion", "image": "generate_content", "video": "generate_content"}
"""The conventions' own words, where they have one that is not ours."""
