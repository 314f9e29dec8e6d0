"""Every decoder of the library, with the request whose answer it reads, and what callers do with what comes out."""

from __future__ import annotations

import copy
import datetime
import io
import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy

from indoxrouter.errors import APIError, IndoxRouterError
from indoxrouter.generation import Answer
from indoxrouter.media import SpeechResponse
from indoxrouter.medium import Encoded
from indoxrouter.records import Record
from indoxrouter.responses import EmbeddingResponse
from indoxrouter.usage_rows import UsageRows
from indoxrouter.wire import account, analytics, catalogue, chunks, decode, hosted, hosted_account, video
from indoxrouter.wire.messages import FilePart, Request, Result, Source

TARGET = "POST h/v1/x"
HEADERS = {"x-ratelimit-remaining-requests": "7", "x-litellm-response-cost": "0.5", "content-type": "application/json"}
CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"
_TEXT: dict[str, Any] = {"model": "a/b", "temperature": None, "max_tokens": None, "stream": False, "params": {}}
_DAY = datetime.date(2026, 1, 31)


class Decoder(NamedTuple):
    read: Callable[[Result], Any]
    request: Request


def _rows(group_by: str, day: datetime.date | None = None) -> Callable[[Result], UsageRows]:
    return lambda result: UsageRows(analytics.usage_rows(result, group_by, day), (group_by,))


_CHAT = hosted.chat([{"role": "user", "content": "x"}], **_TEXT)
_HEARD = hosted.transcribe(FilePart("a.wav", Source(b""), "boundary"), model="a/b", params={})
_MODELS = hosted_account.models()
_USAGE = hosted_account.analytics_usage(None, None, group_by="model")
_ANYTHING = catalogue.Wanted.check(None, None, None, None)
_CHEAP = catalogue.Wanted.check("vision", 5, "10.5", 1000)

DECODERS: Mapping[str, Decoder] = {
    "chat": Decoder(decode.chat, _CHAT),
    "whole_answer": Decoder(chunks.whole_answer, _CHAT),
    "completion": Decoder(decode.completion, hosted.completion("x", **_TEXT)),
    "embeddings": Decoder(decode.embeddings, hosted.embeddings(["x", "y"], model="a/b", params={})),
    "embedding_of_one": Decoder(decode.embeddings, hosted.embeddings("x", model="a/b", params={})),
    "image": Decoder(decode.image, hosted.image("x", model="a/b", size=None, params={})),
    "speech": Decoder(decode.speech, hosted.speech("x", model="a/b", voice=None, params={})),
    "transcription": Decoder(decode.transcription, _HEARD),
    "video": Decoder(video.video, hosted.video("x", model="a/b", params={})),
    "video_job": Decoder(video.video_job, hosted.video_job("j")),
    "video_jobs": Decoder(video.video_jobs, hosted.video_jobs(None, None)),
    "models": Decoder(catalogue.models, _MODELS),
    "models_of": Decoder(lambda result: catalogue.models(result, "openai"), hosted_account.models("openai")),
    "models_by_kind": Decoder(lambda result: catalogue.models(result, None, "text_completions"), _MODELS),
    "found_models": Decoder(lambda result: catalogue.find(result, None, None, _ANYTHING), _MODELS),
    "cheap_models": Decoder(lambda result: catalogue.find(result, "openai", "text_completions", _CHEAP), _MODELS),
    "providers": Decoder(catalogue.providers, hosted_account.providers()),
    "model_info": Decoder(
        lambda result: catalogue.model_info(result, "openai", "m"), hosted_account.model_info("openai", "m")
    ),
    "usage_report": Decoder(catalogue.usage_report, hosted_account.usage(None, None)),
    "user_info": Decoder(catalogue.user_info, hosted_account.user_info()),
    "usage_rows": Decoder(_rows("model"), _USAGE),
    "usage_by_date": Decoder(_rows("date"), _USAGE),
    "usage_of_a_day": Decoder(_rows("model", _DAY), _USAGE),
    "api_keys": Decoder(account.api_keys, hosted_account.api_keys()),
    "api_key": Decoder(account.api_key, hosted_account.create_api_key("x", None)),
    "transactions": Decoder(account.transactions_page, hosted_account.transactions(1, 0)),
    "analytics": Decoder(account.analytics_entries, hosted_account.analytics_sessions(None, None, None)),
    "trending": Decoder(account.trending, hosted_account.trending_models(None, None)),
    "body": Decoder(decode.body, _MODELS),
    "content": Decoder(decode.content, _HEARD),
}


def real_answers() -> dict[str, Any]:
    """An answer of every documented shape, by the name of its decoder, a dot, and the shape's."""
    return {file.stem: json.loads(file.read_text()) for file in sorted((CORPUS / "decode").glob("*.json"))}


def decoded(name: str, body: Any) -> Any:
    """What comes out: an answer that can be used in every way, or one typed error; both are looked at."""
    decoder = DECODERS[name]
    try:
        found = decoder.read(Result(body, decoder.request, TARGET, HEADERS, "ours"))
    except IndoxRouterError as error:
        look_at_error(error)
        return error
    look_at(found)
    return found


def look_at_error(error: IndoxRouterError) -> None:
    """It names the call, is no longer than a person reads, and can be printed, sent to a process and pickled."""
    said = str(error)
    assert TARGET in said or type(error).__name__ == "ProviderNotFoundError"
    assert error.args == (error.message,)
    assert len(said) < 600
    assert said.encode()
    assert len(said.splitlines()) == 1
    assert str(pickle.loads(pickle.dumps(error))) == said


def look_at(found: Any) -> None:
    """Do with an answer what callers, notebooks and logs do with one."""
    if isinstance(found, Answer):
        _look_at_answer(found)
    elif isinstance(found, Record):
        _look_at_record(found)
    elif isinstance(found, UsageRows):
        _look_at_rows(found)
    elif isinstance(found, list | tuple):
        for item in found[:50]:
            look_at(item)
    elif isinstance(found, dict):
        for item in found.values():
            look_at(item)
    assert isinstance(repr(found), str)


def _look_at_answer(found: Answer) -> None:
    names = list(found)
    assert names == list(found.keys()) == list(found.to_dict()) == list(type(found).__dataclass_fields__)
    for name in names:
        assert name in found
        assert found[name] is getattr(found, name)
    for value in found.values():
        if isinstance(value, Answer) or (isinstance(value, list) and value and isinstance(value[0], Answer)):
            look_at(value)
    for name in ("_repr_html_", "_repr_png_", "_repr_jpeg_"):
        getattr(found, name, str)()
    for name in ("text", "url", "done"):
        getattr(found, name, None)
    assert isinstance(str(found), str)
    assert list(copy.deepcopy(found)) == list(pickle.loads(pickle.dumps(found))) == names
    if isinstance(found, Encoded | SpeechResponse):
        _read_bytes_of(found)
    if isinstance(found, EmbeddingResponse):
        with numpy.errstate(over="ignore"):
            assert found.to_numpy().dtype == numpy.float32


def _read_bytes_of(found: Encoded | SpeechResponse) -> None:
    """They came along, or one typed error says why they can't be had."""
    try:
        content = found.audio if isinstance(found, SpeechResponse) else found.content
    except APIError:
        return
    assert isinstance(content, bytes)


def _look_at_record(found: Record) -> None:
    for name in type(found).__annotations__:
        assert getattr(found, name) is found.get(name)
    assert set(found) <= set(dir(found))
    assert json.loads(json.dumps(found, sort_keys=True)).keys() == found.keys()


def _look_at_rows(found: UsageRows) -> None:
    look_at(list(found))
    look_at(found.totals)
    assert len(found.to_dicts()) == len(found) == found.totals.rows
    found.to_csv(io.StringIO(newline=""))
    assert found._repr_html_().encode()
