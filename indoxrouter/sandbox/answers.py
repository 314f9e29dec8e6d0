"""Texts and vectors as deterministic functions of the request.

A token is a word, or a piece of at most eight of its letters, or one other sign, each with the white space
before it. A chat message counts four tokens more than its text, an image or another part in it 85.
"""

import json
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from indoxrouter.sandbox.conversation import Said, message_text, parts_besides_text

_TOKEN = re.compile(r"\s*(?:\w{1,8}|[^\w\s])|\s+")
_WORD = re.compile(r"\w+")
_MESSAGE_TOKENS = 4
_IMAGE_TOKENS = 85

_REMARKS = (
    "A real router would have asked a provider; the sandbox only counts the words and sends some back.",
    "The same request always gets this same answer, whatever the temperature.",
    "Nothing was spent but the sandbox's own play money.",
    "Tokens, cost and credits are booked as a router books them.",
    "Ask again with another seed, and these remarks will differ.",
    "If you need a longer text, write a longer prompt: it is quoted up to a point.",
    "No provider was called, and no network was touched.",
    "Everything you read here was made on this machine, from your own words.",
)


def tokens(text: str) -> list[str]:
    """The text cut into its tokens; joined, they are the text again."""
    return _TOKEN.findall(text)


def chat_tokens(messages: Sequence[dict[str, Any]]) -> int:
    count = 0
    for message in messages:
        count += _MESSAGE_TOKENS + len(tokens(message_text(message)))
        count += _IMAGE_TOKENS * len(parts_besides_text(message))
    return count


def digest(*parts: Any) -> bytes:
    return blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=16).digest()


def answer_text(prompt: Any, said: Said, model: str, seed: Any, choice: int = 0) -> str:
    """The answer to a prompt or to messages; it quotes what was said."""
    key = digest(prompt, model, seed, choice)
    opening = f"Sandbox answer {key[:4].hex()}: this is not a model."
    return " ".join([opening, *said.sentences(), *_remarks(key)])


def answer_object(prompt: Any, said: Said, model: str, seed: Any, choice: int = 0) -> dict[str, Any]:
    """The same as a JSON object."""
    key = digest(prompt, model, seed, choice)
    answer: dict[str, Any] = {"sandbox": key[:4].hex(), "is_a_model": False, "prompt": said.quote}
    if said.attached:
        answer["attached"] = dict(said.attached)
    if said.earlier:
        answer["earlier"] = list(said.earlier)
    if said.results:
        answer["tool_results"] = list(said.results)
    return answer | {"remarks": _remarks(key)}


def _remarks(key: bytes) -> list[str]:
    count = len(_REMARKS)
    return [_REMARKS[(key[0] + step * (1 + 2 * (key[1] % 4))) % count] for step in range(2 + key[2] % 3)]


def cut(text: str, stop: Sequence[str], max_tokens: int | None) -> tuple[list[str], str]:
    """The tokens up to the first stop sequence or the limit, and why they end there."""
    ends = [end for end in (text.find(sequence) for sequence in stop if sequence) if end >= 0]
    pieces = tokens(text[: min(ends)] if ends else text)
    if max_tokens is not None and len(pieces) > max_tokens:
        return pieces[:max_tokens], "length"
    return pieces, "stop"


COMMON = frozenset(
    """a an and are as at be but by for from has have he her his i in is it its my not of on or our she so
    that the their them they this to was we were what which who will with you your""".split()  # noqa: SIM905
)
_ENDINGS = ("ingly", "edly", "ing", "ies", "ed", "es", "ly", "s", "y", "e")


def stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


@lru_cache(maxsize=50_000)
def _features(word: str) -> tuple[tuple[int, float], ...]:
    """Hashes and weights of a word's stem and of its three-letter pieces."""
    root = stem(word)
    weight = 0.25 if word in COMMON else 1.0
    padded = f"^{root}$"
    pieces = [padded[i : i + 3] for i in range(len(padded) - 2)]
    features = [(f"word {root}", weight)]
    features += [(f"piece {piece}", 0.4 * weight / math.sqrt(len(pieces))) for piece in pieces]
    return tuple(
        (int.from_bytes(blake2b(name.encode(errors="replace"), digest_size=8).digest()), weight)
        for name, weight in features
    )


def embedding(text: str, dimensions: int) -> list[float]:
    """A vector of length 1, near those of texts that share words with this one."""
    vector = [0.0] * dimensions
    for word in _WORD.findall(text.lower()) or [text or "(empty)"]:
        for number, weight in _features(word):
            vector[(number >> 1) % dimensions] += weight if number & 1 else -weight
    length = math.sqrt(sum(x * x for x in vector))
    if length < 1e-9:  # every weight met its opposite, as two words in one dimension can
        return [1.0] + [0.0] * (dimensions - 1)
    return [round(x / length, 8) if x else 0.0 for x in vector]
