"""What a message may repeat of a server's words: no secret, whole or begun, whatever the server wrote it with."""

from __future__ import annotations

import html
import itertools
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from indoxrouter.wire.masking import clean

SECRET = 'canary: it\'s a "quoted" path/with + signs,\n50% é <b> & \\ more 😀'
WRITERS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON without ASCII": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON of PHP": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON of Go": lambda text: json.dumps(text)[1:-1].replace("<", "\\u003c").replace(">", "\\u003e"),
    "Python": lambda text: repr(text)[1:-1],
    "HTML": html.escape,
    "HTML of Jinja and Go": lambda text: html.escape(text, quote=False).replace("'", "&#39;").replace('"', "&#34;"),
    "HTML in numbers": lambda text: "".join(f"&#x{ord(letter):X};" for letter in text),
    "a URL": quote,
    "a part of a URL": lambda text: quote(text, safe=""),
    "a query": quote_plus,
    "one line": lambda text: " ".join(text.split()),
}


@pytest.mark.parametrize("name", WRITERS)
def test_however_it_is_written(name: str) -> None:
    said = clean(f"bad input: <{WRITERS[name](SECRET)}>, try again", ["another secret", SECRET])
    assert said == "bad input: <***>, try again"


TWICE = list(itertools.permutations(["JSON", "HTML", "HTML of Jinja and Go", "a query"], 2))


@pytest.mark.parametrize(("outer", "inner"), TWICE)
def test_written_twice(outer: str, inner: str) -> None:
    said = clean("bad input: " + WRITERS[outer](f"<{WRITERS[inner](SECRET)}>"), [SECRET])
    assert "***" in said
    assert not any(word in said for word in ("canary", "quoted", "path", "signs", "more"))


def test_several_in_one_text_each_in_its_own_way() -> None:
    others = ["canary-number-2/a", "canary-number-3'b"]
    said = clean(f"{SECRET} and {quote(others[0], safe='')} and {html.escape(others[1])}", [*others, SECRET])
    assert said == "*** and *** and ***"


def test_words_are_left_as_the_server_wrote_them_where_there_is_no_secret() -> None:
    said = "50%25 &amp; a\\nb + c"
    assert clean(said, [SECRET, "canary"]) == said


LONG = "canary " + "a long prompt, " * 200_000


@pytest.mark.parametrize("name", WRITERS)
def test_a_long_one_is_known_by_its_beginning(name: str) -> None:
    written = WRITERS[name](LONG)
    assert clean(f"bad input: {written}", [LONG]) == "bad input: ***…"
    assert clean(f"bad input: {written[:20_000]}", [LONG]) == "bad input: ***…"


@pytest.mark.parametrize("blank", [" ", "\n", "\u2003"])
def test_white_space_hides_none(blank: str) -> None:
    for secret in (blank * 5000 + "canary-1", "canary-1" + blank * 5000 + "the rest of it"):
        assert "canary" not in clean(blank * 50_000 + secret, [secret])


def test_many_of_them() -> None:
    """A conversation has thousands of texts, and a message five that are searched for them."""
    secrets = [f"canary {number} {SECRET}" for number in range(3000)]
    assert clean(f"no: {html.escape(secrets[1500])} &amp; %20 \\n", secrets) == "no: *** & %20 \\n"


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.text(st.sampled_from("ab \n\"'\\/<>&%+;#é\u2028\x00😀\ud800"), max_size=9), min_size=1, max_size=3),
    st.sampled_from(list(WRITERS)),
    st.text(max_size=20),
    st.text(max_size=20),
)
def test_any_secret(tails: list[str], name: str, before: str, after: str) -> None:
    secrets = [f"canary-{number}-{tail}z" for number, tail in enumerate(tails)]
    try:
        written = WRITERS[name](secrets[0])
    except UnicodeEncodeError:  # a lone surrogate has no percent-encoding
        return
    assume(name != "HTML in numbers" or html.unescape(written) == secrets[0])  # it has none for NUL, say
    said = clean(f"{before} {written} {after}", secrets)
    assert not ({secrets[0], written} - {""}) & {said}
    assert "canary-0" not in said


@settings(max_examples=300, deadline=None)
@given(st.text(), st.lists(st.text(max_size=8), max_size=4), st.integers(2, 400))
def test_any_text(text: str, secrets: list[str], limit: int) -> None:
    said = clean(text, secrets, limit)
    assert len(said) <= limit
    assert said == said.strip() or "***" in said or len(said) == limit
    assert "\n" not in said


@pytest.mark.parametrize("ways", [("JSON", "JSON", "JSON"), ("a query", "a query", "JSON"), ("HTML", "JSON", "JSON")])
def test_written_three_times(ways: tuple[str, ...]) -> None:
    written = SECRET
    for name in ways:
        written = WRITERS[name](f"<{written}>")
    said = clean(f"bad input: {written}", [SECRET])
    assert "***" in said
    assert "canary" not in said


def test_bytes_in_python() -> None:
    assert clean(f"bad body {SECRET.encode()!r}", [SECRET]).replace('"', "'") == "bad body b'***'"


def test_the_end_of_what_is_looked_at_shows_no_part_of_a_secret() -> None:
    secret = "canary-" + "k" * 33
    for said in ("bad key " + " " * 16_340 + secret, f"<{'canary of a prompt ' * 20}>" * 60, "x" * 16_360 + secret):
        assert "canary" not in clean(said, [secret, "canary of a prompt " * 20])


def test_what_follows_a_secret_is_shown_though_white_space_ends_it() -> None:
    assert clean('field "a question" is too long', ["a question\n\n"]) == 'field "***" is too long'


def test_of_secrets_that_overlap_none_is_left_in_part() -> None:
    assert clean("see abcdefghijkl, and cdef", ["abcdef", "defghijkl", "ijkl"]) == "see ***, and cdef"


def test_each_of_thousands_that_begin_alike() -> None:
    secrets = [f"passage: {'of the same book, ' * (n % 40)}{n}" for n in range(3000)]
    for secret in secrets[::50]:
        assert clean(f"no: {html.escape(secret)} &amp; more", secrets) == "no: *** &amp; more"
    assert clean("no: passage: of the same", secrets) == "no: passage: of the same"
