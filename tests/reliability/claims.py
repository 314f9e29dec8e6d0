"""What holds for any bytes a server may send. Each claim takes the bytes and fails where it does not hold."""

from __future__ import annotations

import json
import math
import pickle
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any

from indoxrouter.core.assembly import Assembly
from indoxrouter.core.exchange import parsed
from indoxrouter.errors import APIError, IndoxRouterError
from indoxrouter.wire import decode
from indoxrouter.wire.chunks import EventReader
from indoxrouter.wire.failures import Origin, from_body, from_reply, unusable
from indoxrouter.wire.messages import Reply, Result
from indoxrouter.wire.sse import Framer

from .decoders import DECODERS, HEADERS, TARGET, decoded, look_at
from .event_streams import by_the_framer, by_the_specification, cut

SECRETS = ("canary-key-0001", 'canary "prompt" of é\n<the user> 0002', "canary/token/\u200b\\0003")
"""What stands for keys and prompts in the corpus."""
WALL = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What a terminal would obey, or could not show."""
ORIGIN = Origin(TARGET, "model", lambda: SECRETS, WALL)


def framer(content: bytes) -> None:
    """However an event stream is cut, its events are those of the specification's reading."""
    expected = by_the_specification(content)
    random = Random(zlib.crc32(content))
    single = [content[n : n + 1] for n in range(len(content))]
    for pieces in ([content], cut(content, random), single if len(content) < 300 else cut(content, random)):
        found = by_the_framer(pieces)
        assert found == expected, f"{pieces} should read as {expected}, not {found}"


def failures(content: bytes) -> None:
    """An error answer (its status, its headers, an empty line, its body) is one typed error that tells no secret."""
    head, _, body = content.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    fields = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in fields}
    status = int(first) if len(first) == 3 and first.isascii() and first.isdigit() else 400
    check_error(from_reply(ORIGIN, status, headers, body), ORIGIN)
    check_error(unusable(ORIGIN, status, headers, body), ORIGIN)
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return
    check_error(from_body(ORIGIN, None, headers, event), ORIGIN)


def check_error(error: APIError, origin: Origin) -> None:
    """It says where, and at most 300 characters of the server's; no secret is in it, however it was quoted."""
    said = str(error)
    assert isinstance(error, APIError)
    assert said.startswith(f"{origin.target} answered "), said
    assert len(said) <= len(origin.target) + 450, said
    assert not _CONTROLS.search(said), ascii(said)
    assert error.retry_after is None or (math.isfinite(error.retry_after) and error.retry_after >= 0)
    assert error.reset_time is None or error.reset_time.tzinfo is not None
    again = pickle.loads(pickle.dumps(error))
    told = {name: value for name, value in vars(error).items() if name != "details"}
    assert str(again) == said
    for shown in (said, repr(error), repr(error.args), repr(told), repr(vars(again))):
        for secret in origin.secrets():
            assert not any(form in shown for form in forms(secret)), f"{secret!r} is in {shown!r}"


def forms(secret: str) -> Iterator[str]:
    """A secret as it may be quoted: as it is, on one line, in JSON, in Python."""
    yield secret
    yield " ".join(secret.split())
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]


def answers(content: bytes) -> None:
    """Any bytes of a good answer make, in every decoder, an answer that can be used or one typed error."""
    bodies: dict[tuple[bool, bool], Any] = {}
    for name, decoder in DECODERS.items():
        kind = (decoder.request.exact, decoder.request.job)
        if kind not in bodies:
            bodies[kind] = _parsed(content, *kind)
        if not isinstance(bodies[kind], IndoxRouterError):
            decoded(name, bodies[kind])
    for name in ("speech", "transcription", "content"):
        decoded(name, content)


def _parsed(content: bytes, exact: bool, job: bool) -> Any:
    try:
        return parsed(ORIGIN, Reply(200, HEADERS), content, exact=exact, job=job)
    except IndoxRouterError as error:
        return error


def stream_events(content: bytes) -> None:
    """Any bytes of a stream make chunks that can be used, and at any moment an answer, up to one typed error."""
    reader, assembly = EventReader(ORIGIN), Assembly()
    choices: set[int] = set()
    try:
        for data in Framer().feed(content):
            event = reader.read(data)
            assembly.note(event.facts)
            assert event.stream_id is None or isinstance(event.stream_id, str)
            for chunk in event.chunks:
                assert isinstance(chunk.data, str)
                look_at(chunk)
                assembly.add(chunk)
                choices.add(chunk.index)
            if event.done:
                break
    except IndoxRouterError as error:
        _check_end_of_stream(error)
    whole = decode.chat(assembly.result(Result(None, DECODERS["chat"].request, TARGET, HEADERS, "ours")))
    look_at(whole)
    if min(choices, default=0) == 0:
        assert assembly.text == (whole.data or "")


def _check_end_of_stream(error: IndoxRouterError) -> None:
    if isinstance(error, APIError):
        check_error(error, ORIGIN)
    else:
        assert error.code in ("undecodable", "event_too_large")


CLAIMS: Mapping[str, Callable[[bytes], None]] = {
    "framer": framer,
    "failures": failures,
    "decode": answers,
    "stream_events": stream_events,
}
"""By the names of the fuzz targets and of the folders of their corpus."""
