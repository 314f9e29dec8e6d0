"""What a generation costs, in whole 1e-12 US dollars, so that sums are exact."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from indoxrouter.sandbox.catalogue import Model

PICO = 10**12


def dollars(pico: int) -> float:
    return pico / PICO


def exact_dollars(pico: int) -> Decimal:
    return Decimal(pico).scaleb(-12)


def pico(amount: Decimal) -> int:
    return int(amount * PICO)


@dataclass(frozen=True)
class Bill:
    """Tokens and units of one generation; with the caller's own provider key nothing is charged."""

    model: Model
    tokens_prompt: int
    tokens_completion: int = 0
    units: int = 0
    byok: bool = False

    @property
    def prompt_cost(self) -> int:
        return 0 if self.byok else self.tokens_prompt * pico(self.model.input_price) // 1000

    @property
    def completion_cost(self) -> int:
        if self.byok:
            return 0
        units = self.units * pico(self.model.unit_price) // self.model.unit_size
        return self.tokens_completion * pico(self.model.output_price) // 1000 + units

    @property
    def cost(self) -> int:
        return self.prompt_cost + self.completion_cost

    def breakdown(self) -> dict[str, float]:
        return {
            "prompt_cost": dollars(self.prompt_cost),
            "completion_cost": dollars(self.completion_cost),
            "total_cost": dollars(self.cost),
        }

    def usage(self, latency: float, timestamp: str) -> dict[str, Any]:
        """The `usage` of the standard envelope."""
        return {
            "tokens_prompt": self.tokens_prompt,
            "tokens_completion": self.tokens_completion,
            "tokens_total": self.tokens_prompt + self.tokens_completion,
            "cost": dollars(self.cost),
            "latency": round(latency, 6),
            "timestamp": timestamp,
            "cache_read_tokens": 0,
            "cache_write_tokens": 0,
            "reasoning_tokens": 0,
            "web_search_count": 0,
            "request_count": 1,
            "cost_breakdown": self.breakdown(),
        }

    def openai_usage(self, *, cost: bool = True) -> dict[str, Any]:
        """The usage of an OpenAI-shaped answer, with the cost that routers add."""
        usage: dict[str, Any] = {
            "prompt_tokens": self.tokens_prompt,
            "completion_tokens": self.tokens_completion,
            "total_tokens": self.tokens_prompt + self.tokens_completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }
        return usage | {"cost": dollars(self.cost)} if cost else usage

    def hub_usage(self) -> dict[str, Any]:
        """The hub generation's usage, which has no cost."""
        return {
            "input_tokens": self.tokens_prompt,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": self.tokens_completion,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": self.tokens_prompt + self.tokens_completion,
        }
