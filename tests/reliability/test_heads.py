"""B14: heads that do not say clearly where the body ends, or are none, are refused, and told to nobody."""

from __future__ import annotations

import pytest
from clients import Client
from raw_server import FIN, HOLD, Action, RawServer, chunked

from indoxrouter import NetworkError

from .canaries import WORD, Overheard, leaks_of

KINDS = ("sync", "async")
KEY = "key-of-the-tests"
SOUND = b"ID3" + bytes([1]) * 997
CUT = SOUND[:100]
CHUNK = chunked(CUT, last=False)
STATUS = b"HTTP/1.1 200 OK"
LENGTH = b"Content-Length: 1000"
SHORT = b"Content-Length: 100"
CHUNKED = b"Transfer-Encoding: chunked"


def headed(*lines: bytes) -> bytes:
    return b"".join(line + b"\r\n" for line in (*lines, b"Content-Type: audio/mpeg", b""))


HIDDEN = {
    "no colon": headed(STATUS, b"broken line", LENGTH) + CUT,
    "no colon, chunked": headed(STATUS, b"broken line", CHUNKED) + CHUNK,
    "no name": headed(STATUS, b": value", SHORT) + CUT,
    "a space before the colon": headed(STATUS, b"Content-Length : 1000") + CUT,
    "the mark of a mailbox": headed(STATUS, b"From me", SHORT) + CUT,
    "a second status line": headed(STATUS, STATUS, LENGTH) + CUT,
    "a CR alone": headed(STATUS, b"X: a\rY: b", SHORT) + CUT,
    "a CR alone in the status line": headed(STATUS + b"\rX: a", SHORT) + CUT,
    "a CR too many": headed(STATUS, b"X: a\r", LENGTH) + CUT,
    "a NUL": headed(STATUS, b"X: a\0", SHORT) + CUT,
    "a hint without a colon": headed(b"HTTP/1.1 103 Early Hints", b"broken line") + headed(STATUS) + CUT,
    "a continue without a colon": headed(b"HTTP/1.1 100 Continue", b"broken line") + headed(STATUS) + CUT,
}
LENGTHS = {
    "letters": (b"1000x",),
    "no digits": (b"",),
    "a minus": (b"-1",),
    "a plus": (b"+100",),
    "an underscore": (b"1_00",),
    "digits of another script": ("\u0661\u0660\u0660".encode(),),
    "folded": (b"10\r\n 00",),
    "too many digits to be read": (b"9" * 5000,),
    "more than there can be": (b"9" * 25,),
    "a list": (b"100, 100",),
    "two of them": (b"100", b"100"),
    "two that differ": (b"100", b"1000"),
    "none and one": (b"", b"100"),
}
CODINGS = {
    "identity, chunked": ((b"identity, chunked",), CHUNK),
    "chunked, gzip": ((b"chunked, gzip",), CHUNK),
    "with a parameter": ((b"chunked;q=1",), CHUNK),
    "like chunked": ((b"xchunked",), CHUNK),
    "chunked twice": ((b"chunked", b"chunked"), CHUNK + b"0\r\n\r\n"),
    "chunked, then identity": ((b"chunked", b"identity"), CHUNK + b"0\r\n\r\n"),
    "empty, then chunked": ((b"", b"chunked"), CHUNK),
    "gzip": ((b"gzip",), CUT),
}
UNCLEAR = {
    **HIDDEN,
    **{
        f"length: {name}": headed(STATUS, *(b"Content-Length: " + value for value in values)) + CUT
        for name, values in LENGTHS.items()
    },
    **{
        f"coding: {name}": headed(STATUS, *(b"Transfer-Encoding: " + value for value in values)) + body
        for name, (values, body) in CODINGS.items()
    },
    "chunked and a length": headed(STATUS, CHUNKED, SHORT) + chunked(CUT),
    "identity and a length": headed(STATUS, b"Transfer-Encoding: identity", SHORT) + CUT,
}
CLEAR = {
    "length": headed(STATUS, LENGTH) + SOUND,
    "length with zeros before it": headed(STATUS, b"Content-Length: " + b"0" * 30 + b"1000") + SOUND,
    "length behind a tab": headed(STATUS, b"Content-Length:\t1000") + SOUND,
    "length in the next line": headed(STATUS, b"Content-Length:", b" 1000") + SOUND,
    "chunked": headed(STATUS, CHUNKED) + chunked(SOUND),
    "chunked in capitals": headed(STATUS, CHUNKED.upper()) + chunked(SOUND),
    "lines that end with LF": headed(STATUS, LENGTH).replace(b"\r\n", b"\n") + SOUND,
    "a value of two lines": headed(STATUS, b"X: a", b"\tb", LENGTH) + SOUND,
    "letters of no alphabet": headed(STATUS, "X-~!: \u00e9\u0085\u2028".encode() + b"\x0b\x0c\x1c", LENGTH) + SOUND,
    "no reason": headed(b"HTTP/1.1 200", LENGTH) + SOUND,
    "a hint": headed(b"HTTP/1.1 103 Early Hints", b"Link: </x>") + headed(STATUS, LENGTH) + SOUND,
    "a continue": headed(b"HTTP/1.1 100 Continue") * 3 + headed(STATUS, LENGTH) + SOUND,
}
UNTIL_CLOSE = {
    "nothing": headed(STATUS) + SOUND,
    "an empty coding": headed(STATUS, b"Transfer-Encoding:") + SOUND,
    "identity": headed(STATUS, b"Transfer-Encoding: Identity") + SOUND,
    "HTTP/1.0": headed(STATUS.replace(b"1.1", b"1.0")) + SOUND,
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_b14_what_is_unclear_is_no_answer(name: str) -> None:
    with RawServer(lambda _: [UNCLEAR[name], FIN]) as server, Client(KEY, server.url, max_retries=0) as client:
        with pytest.raises(NetworkError) as caught:
            assert not client.speech("x").content, "was taken for whole"
        assert caught.value.outcome == "unknown"
        assert server.wait_until_closed()


@pytest.mark.parametrize("name", [*CLEAR, *UNTIL_CLOSE])
def test_b14_what_is_clear_is_one(name: str) -> None:
    actions: list[Action] = [CLEAR[name], HOLD] if name in CLEAR else [UNTIL_CLOSE[name], FIN]
    with RawServer(lambda _: actions) as server, Client(KEY, server.url, max_retries=0) as client:
        assert client.speech("x").content == SOUND


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("place", [b"%s", b"X-Echo %s", b" %s", b": %s", b"X: a\r%s", b"X %s: a", b"From %s"])
def test_41_nobody_is_told_what_stood_in_a_malformed_head(place: bytes, stream: bool, overheard: Overheard) -> None:
    secret = f"{WORD}.of.a.head".encode()
    sent = headed(STATUS, place % secret, b"Content-Length: 2") + b"{}"
    with RawServer(lambda _: [sent, FIN]) as server, Client(KEY, server.url, max_retries=1) as client:
        with pytest.raises(NetworkError, match="malformed") as caught:
            client.chat([{"role": "user", "content": "x"}], stream=stream)
    assert leaks_of(caught.value) == []
    assert overheard.records
