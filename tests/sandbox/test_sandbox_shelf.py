"""Generated media are kept up to a bound."""

import asyncio
from functools import partial

import pytest
import requests
from starlette.requests import Request

from indoxrouter.sandbox import sound
from indoxrouter.sandbox.errors import RouterError
from indoxrouter.sandbox.shelf import Shelf

from .sandbox_api import Api


def keep(shelf: Shelf, text: str) -> str:
    return shelf.keep("", "pcm", partial(sound.speech, text, "alloy", 1.0, "pcm"))


def is_kept(shelf: Shelf, url: str) -> bool:
    _, _, folder, name = url.split("/")
    request = Request({"type": "http", "path_params": {"folder": folder, "name": name}})
    try:
        return asyncio.run(shelf.fetch(request)).status_code == 200
    except RouterError as error:
        return error.status != 404


def test_the_oldest_are_dropped_when_there_are_too_many() -> None:
    shelf = Shelf(most=3)
    urls = [keep(shelf, text) for text in "abc"]
    assert keep(shelf, "a") == urls[0]  # made again, it is the newest
    urls.append(keep(shelf, "d"))
    assert [is_kept(shelf, url) for url in urls] == [True, False, True, True]


@pytest.mark.parametrize(("lengths", "kept"), [((4, 4), [1, 1]), ((4, 4, 4), [0, 1, 1]), ((4, 4, 90), [0, 0, 1])])
def test_the_oldest_are_dropped_when_their_texts_are_too_long(lengths: tuple[int, ...], kept: list[int]) -> None:
    shelf = Shelf(longest=25)  # a voice and a form are counted too: 8 characters
    urls = [keep(shelf, str(number) * length) for number, length in enumerate(lengths)]
    assert [is_kept(shelf, url) for url in urls] == kept


def test_long_prompts_do_not_fill_the_memory(own: Api) -> None:
    speech = {"model": "openai/tts-1", "input": "Hello"}
    urls = [own.post("audio/tts/generations", speech).json()["data"]["url"]]
    for number in range(4):  # a prompt of a million characters in each of ten images
        body = {"model": "xai/grok-2-image", "n": 10, "prompt": str(number) * 1_000_000}
        urls.append(own.post("images/generations", body).json()["data"][-1]["url"])
    first, *_, last = (requests.get(url, timeout=10).status_code for url in urls)
    assert (first, last) == (404, 200)
