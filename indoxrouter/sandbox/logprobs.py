"""Log probabilities of tokens: invented, but always the same for the same token at the same place."""

import math
from collections.abc import Sequence
from typing import Any
from zlib import crc32

_OTHERS: tuple[str, ...] = (
    " the",
    " a",
    " of",
    " and",
    ".",
    ",",
    " sandbox",
    " not",
    " you",
    " it",
    "!",
    "?",
    " is",
    " to",
)
_OTHERS += (" in", " or", " I", ":", ";", "\n")


def of_chat(tokens: Sequence[str], start: int, top: int) -> dict[str, Any]:
    """The `logprobs` of a chat choice, or of a chunk of it, for the tokens from a place on."""
    content = [
        _entry(token, _first(token, place)) | {"top_logprobs": [_entry(*pair) for pair in _likely(token, place, top)]}
        for place, token in enumerate(tokens, start)
    ]
    return {"content": content, "refusal": None}


def of_completion(tokens: Sequence[str], start: int, offset: int, top: int) -> dict[str, Any]:
    """The older form, which completions have; the text of the tokens begins at an offset."""
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token)
    places = list(enumerate(tokens, start))
    return {
        "tokens": list(tokens),
        "token_logprobs": [_first(token, place) for place, token in places],
        "top_logprobs": [dict(_likely(token, place, top)) for place, token in places] if top else None,
        "text_offset": offsets,
    }


def _entry(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode(errors="replace"))}


def _first(token: str, place: int) -> float:
    """From a probability of 0.5 to 1, as the token that was chosen has."""
    share = crc32(f"{place} {token}".encode(errors="replace")) / 2**32
    return round(math.log(0.5 + share / 2), 6)


def _likely(token: str, place: int, top: int) -> list[tuple[str, float]]:
    """The likeliest tokens, the chosen one first; the others share half of what it leaves, and so on."""
    first = _first(token, place)
    left = max(1 - math.exp(first), 1e-6)
    others = [other for other in _OTHERS if other != token][: top - 1] if top else []
    pairs = [(token, first)] if top else []
    return pairs + [(other, round(math.log(left / 2**step), 6)) for step, other in enumerate(others, 1)]
