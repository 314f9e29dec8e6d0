"""B17: what JSON may hold at most, and that what is honest stays below."""

from __future__ import annotations

import json

import pytest

from indoxrouter.wire import openai_compat
from indoxrouter.wire.parsing import TooLargeError, loads

HELLO = [{"role": "user", "content": "Hello"}]


def test_b17_what_is_honest_is_within_the_bounds_of_its_call() -> None:
    assert openai_compat.embeddings(["x"] * 2048, model="m", params={}).values > 2048 * 3072
    asked = openai_compat.chat(HELLO, model="m", temperature=None, max_tokens=None, stream=False, params={})
    likely = [{"token": " the", "logprob": -0.1234567, "bytes": [32, 116, 104, 101]}] * 20
    place = json.dumps({"token": " the", "logprob": -0.1, "bytes": [32], "top_logprobs": likely})
    assert len(loads(f"[{','.join([place] * 16_000)}]".encode(), values=asked.values)) == 16_000


def test_b17_one_text_has_no_embedding_of_millions_of_numbers() -> None:
    asked = openai_compat.embeddings("x", model="m", params={})
    with pytest.raises(TooLargeError):
        loads(b"[" + b"1," * 600_000 + b"1]", values=asked.values)


@pytest.mark.parametrize("number", ["9" * 4000, "1.2345678901234567890123456789e-300", "-0." + "1" * 40])
def test_b17_numbers_that_are_slow_to_read_may_be_few(number: str) -> None:
    assert len(loads(f"[{','.join([number] * 100)}]")) == 100
    many = f"[{','.join([number] * (4_000_000 // len(number)))}]"
    for content in (many, many.encode(), many.encode("utf-16-le")):
        with pytest.raises(TooLargeError):
            loads(content)


def test_b17_numbers_as_servers_write_them_are_none_of_those() -> None:
    for number in ("-0.12345678901234567", "-1.2345678901234567e-05", "-0.0000012345678901234567"):
        assert len(loads(f"[{','.join([number] * 200_000)}]")) == 200_000


def test_b17_fields_of_a_million_names_are_refused() -> None:
    with pytest.raises(TooLargeError):
        loads(b"{" + b",".join(b'"%d":0' % n for n in range(1_100_000)) + b"}")
