"""The models on offer, with prices in the hosted router's field names."""

from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from indoxrouter.sandbox.errors import named, refused

ENDPOINTS = {
    "chat": "chat/completions",
    "text_completions": "completions",
    "embeddings": "embeddings",
    "image_generation": "images/generations",
    "text_to_speech": "audio/tts/generations",
    "speech_to_text": "audio/stt/transcriptions",
    "video_generation": "videos/generations",
}
"""The kinds of models, and where each is asked."""
_CAPABILITIES = {
    "chat": ("chat", "streaming"),
    "text_completions": ("completion", "streaming"),
    "embeddings": ("embeddings",),
    "image_generation": ("image_output",),
    "text_to_speech": ("audio_output",),
    "speech_to_text": ("audio_input",),
    "video_generation": ("video_output", "audio_output"),
}
"""What every model of a kind can do."""
COMPANIES = {
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "google": "Google",
    "mistral": "Mistral AI",
    "groq": "Groq",
    "xai": "xAI",
    "deepseek": "DeepSeek",
    "together": "Together AI",
}
DALL_E_SIZES = ("1024x1024", "1792x1024", "1024x1792")
_UNIT_SIZES = {"1KCharacters": 1000, "Minute": 60}
GPT_IMAGE_SIZES = ("1024x1024", "1536x1024", "1024x1536", "auto")


@dataclass(frozen=True)
class Model:
    """One model; prices are US dollars for 1,000 tokens, or for one of `unit`."""

    provider: str
    name: str
    kind: str
    context: int = 0
    output: int = 0
    input_price: Decimal = Decimal(0)
    output_price: Decimal = Decimal(0)
    unit: str = ""
    unit_price: Decimal = Decimal(0)
    unit_size: int = 1  # how many of what is counted (characters, seconds) make a unit
    dimensions: int = 0
    sizes: tuple[str, ...] = ()
    talents: tuple[str, ...] = ()  # what it can do besides what all of its kind can

    @property
    def id(self) -> str:
        return f"{self.provider}/{self.name}"

    @property
    def capabilities(self) -> tuple[str, ...]:
        return _CAPABILITIES[self.kind] + self.talents

    @property
    def draws(self) -> bool:
        """Whether its chat answers have images, without being asked for them."""
        return "image_output" in self.talents

    def row(self, number: int) -> dict[str, Any]:
        """The model as the catalogue endpoints show it."""
        row: dict[str, Any] = {
            "number": number,
            "modelName": self.name,
            "name": self.id,
            "type": self.kind,
            "inputPricePer1KTokens": float(self.input_price),
            "outputPricePer1KTokens": float(self.output_price),
            "description": f"{self.name} as the sandbox imitates it: no model answers here.",
            "contextWindows": _tokens(self.context),
            "output": f"{self.output} Tokens" if self.output else None,
            "capabilities": list(self.capabilities),
            "recommended": self.name in ("gpt-4o-mini", "text-embedding-3-small"),
            "commercial": self.provider not in ("groq", "together"),
            "pricey": self.output_price >= Decimal("0.03"),
            "companyModelName": f"{COMPANIES[self.provider]}: {self.name}",
        }
        if self.unit:
            row[f"pricePer{self.unit}"] = float(self.unit_price)
        if self.dimensions:
            row["dimensions"] = self.dimensions
        return row


def _tokens(context: int) -> str | None:
    if not context:
        return None
    return f"{context // 1000}k Tokens" if context >= 1000 else f"{context} Tokens"


def _text(
    provider: str, name: str, context: int, output: int, prices: str, talents: str = "", kind: str = "chat"
) -> tuple[Model, ...]:
    input_price, output_price = map(Decimal, prices.split())
    can = tuple(talents.split())
    return (Model(provider, name, kind, context, output, input_price, output_price, talents=can),)


def _embedding(name: str, dimensions: int, price: str) -> tuple[Model, ...]:
    return (Model("openai", name, "embeddings", 8191, 0, Decimal(price), dimensions=dimensions),)


def _priced(
    provider: str, name: str, kind: str, unit: str, price: str, sizes: tuple[str, ...] = ()
) -> tuple[Model, ...]:
    return (
        Model(
            provider, name, kind, unit=unit, unit_price=Decimal(price), unit_size=_UNIT_SIZES.get(unit, 1), sizes=sizes
        ),
    )


MODELS: tuple[Model, ...] = (
    *_text("openai", "gpt-4o-mini", 128_000, 16_384, "0.00015 0.0006", "tools vision json_mode"),
    *_text("openai", "gpt-4o", 128_000, 16_384, "0.0025 0.01", "tools vision json_mode"),
    *_text("openai", "gpt-4", 8_192, 8_192, "0.03 0.06", "tools"),
    *_text("openai", "gpt-3.5-turbo", 16_385, 4_096, "0.0005 0.0015", "tools json_mode"),
    *_text("openai", "gpt-3.5-turbo-instruct", 4_096, 4_096, "0.0015 0.002", kind="text_completions"),
    *_embedding("text-embedding-3-small", 1536, "0.00002"),
    *_embedding("text-embedding-3-large", 3072, "0.00013"),
    *_embedding("text-embedding-ada-002", 1536, "0.0001"),
    *_priced("openai", "dall-e-3", "image_generation", "Image", "0.04", DALL_E_SIZES),
    *_priced("openai", "gpt-image-1", "image_generation", "Image", "0.042", GPT_IMAGE_SIZES),
    *_priced("openai", "tts-1", "text_to_speech", "1KCharacters", "0.015"),
    *_priced("openai", "whisper-1", "speech_to_text", "Minute", "0.006"),
    *_priced("openai", "sora-2", "video_generation", "Second", "0.1"),
    *_text("anthropic", "claude-3-5-sonnet-20241022", 200_000, 8_192, "0.003 0.015", "tools vision"),
    *_text("anthropic", "claude-3-haiku", 200_000, 4_096, "0.00025 0.00125", "tools vision"),
    *_text("anthropic", "claude-3-opus", 200_000, 4_096, "0.015 0.075", "tools vision"),
    *_text("anthropic", "claude-3-sonnet", 200_000, 4_096, "0.003 0.015", "tools vision"),
    *_text("anthropic", "claude-3", 200_000, 4_096, "0.003 0.015", "tools vision"),
    *_text("anthropic", "claude-2", 100_000, 4_096, "0.008 0.024"),
    *_text("google", "gemini-1.5-flash", 1_000_000, 8_192, "0.000075 0.0003", "tools vision json_mode audio_input"),
    *_text("google", "gemini-1.5-pro", 2_000_000, 8_192, "0.00125 0.005", "tools vision json_mode audio_input"),
    *_text("google", "gemini-2.5-flash-image-preview", 32_768, 32_768, "0.0003 0.03", "vision image_output"),
    *_priced("google", "imagen-3.0-generate-002", "image_generation", "Image", "0.03"),
    *_priced("google", "veo-3.0-generate-001", "video_generation", "Second", "0.4"),
    *_text("mistral", "mistral-large", 128_000, 4_096, "0.002 0.006", "tools json_mode"),
    *_text("groq", "llama3-8b-8192", 8_192, 8_192, "0.00005 0.00008", "tools json_mode"),
    *_priced("xai", "grok-2-image", "image_generation", "Image", "0.07"),
    *_text("deepseek", "deepseek-chat", 64_000, 8_192, "0.00027 0.0011", "tools json_mode"),
    *_text("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", 131_072, 8_192, "0.00088 0.00088", "tools json_mode"),
)
_BY_ID = {model.id: model for model in MODELS}
_BY_NAME = {model.name: model for model in reversed(MODELS)}
_NUMBERS = {model.id: number for number, model in enumerate(MODELS, 1)}
_USABLE = {"text_completions": ("text_completions", "chat")}


def find(name: str) -> Model | None:
    """The model of an id or of a bare name."""
    return _BY_ID.get(name) or _BY_NAME.get(name)


def resolve(name: str) -> Model:
    """The same, or a refusal."""
    model = find(name)
    if model is not None:
        return model
    provider, slash, _ = name.partition("/")
    if slash:
        check_provider(provider)
    message = f"Model '{name}' was not found."
    raise named(404, "ModelNotFoundError", message, model=name, available_models=list(_BY_ID))


def usable(name: str, *kinds: str) -> Model:
    """The model, if it is of one of the kinds."""
    model = resolve(name)
    if model.kind not in kinds:
        message = f"{model.id} is for {model.kind}, not for {' or '.join(kinds)}."
        raise refused(message, "model", model=model.id)
    return model


def check_provider(provider: str) -> None:
    if provider not in COMPANIES:
        message = f"Provider '{provider}' was not found."
        raise named(404, "ProviderNotFoundError", message, provider=provider, available_providers=list(COMPANIES))


@cache
def rows(provider: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """The rows of every provider, or of one."""
    found: dict[str, list[dict[str, Any]]] = {}
    for model in MODELS:
        if provider in (None, model.provider):
            found.setdefault(model.provider, []).append(model.row(_NUMBERS[model.id]))
    return found


def provider_rows(provider: str) -> dict[str, Any]:
    check_provider(provider)
    return {"id": provider, "name": COMPANIES[provider], "models": rows(provider)[provider]}


def kind_rows(provider: str, kind: str) -> list[dict[str, Any]]:
    """A provider's models of a kind; those that complete text include the chat models."""
    check_provider(provider)
    return [row for row in rows(provider)[provider] if row["type"] in _USABLE.get(kind, (kind,))]


def model_row(provider: str, name: str) -> dict[str, Any]:
    check_provider(provider)
    model = resolve(f"{provider}/{name}")
    return model.row(_NUMBERS[model.id])
