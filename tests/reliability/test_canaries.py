"""No secret in anything that comes out, whatever a careless server repeats and whatever goes wrong here.

The matrix searches every cell for the secrets it was called with; here each kind is one that a
server quotes, in each place where it may.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from raw_server import answer, chunked, event, head, piece

from indoxrouter import AsyncClient, Client, IndoxRouterError

from . import counts
from .canaries import WORD, Overheard, Secrets, leaks_in, leaks_of, leaks_of_objects
from .cells import at_once, settled
from .exchange import Action, Exchange, Script
from .faultserver import FaultServer
from .methods import METHODS
from .proxy import Proxy

Call = tuple[str, dict[str, Any]]
"""A method's name and its arguments."""


@dataclass(frozen=True)
class Kind:
    """A kind of secret, and a call that has one."""

    call: Callable[[str], Call]
    settings: Callable[[str], dict[str, Any]] = lambda _: {}
    login: str | None = None
    """Which part of a login's answer it is."""
    at_login: bool = False
    """Whether it is the login that is answered with it."""


def _chat(*messages: dict[str, Any], **more: Any) -> Call:
    return "chat", {"messages": [*messages, {"role": "user", "content": "Hello"}], **more}


def _image(url: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}


def _calls(name: str, arguments: str) -> dict[str, Any]:
    call = {"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _tool(description: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "look", "description": description, "parameters": {}}}


def _plain(_: str) -> Call:
    return _chat()


KINDS_OF_SECRETS = {
    "api key": Kind(_plain, lambda secret: {"api_key": secret, "auth": "key"}),
    "access token": Kind(_plain, login="access"),
    "refresh token": Kind(_plain, login="refresh"),
    "session cookie": Kind(_plain, login="cookie"),
    "default header": Kind(_plain, lambda secret: {"default_headers": {"X-Gateway-Key": secret}}),
    "api key of a login": Kind(_plain, lambda secret: {"api_key": secret}, at_login=True),
    "default header of a login": Kind(
        _plain, lambda secret: {"default_headers": {"X-Gateway-Key": secret}}, at_login=True
    ),
    "extra header": Kind(lambda secret: _chat(extra_headers={"X-Gateway-Key": secret})),
    "extra body": Kind(lambda secret: _chat(extra_body={"metadata": {"owner": secret}})),
    "byok key": Kind(lambda secret: _chat(byok_api_key=secret)),
    "user prompt": Kind(lambda secret: _chat({"role": "user", "content": secret})),
    "system prompt": Kind(lambda secret: _chat({"role": "system", "content": secret})),
    "earlier answer": Kind(lambda secret: _chat({"role": "assistant", "content": secret})),
    "part of a message": Kind(lambda secret: _chat({"role": "user", "content": [{"type": "text", "text": secret}]})),
    "image in a message": Kind(lambda secret: _chat(_image(secret))),
    "tool arguments": Kind(lambda secret: _chat(_calls("look", secret))),
    "tool result": Kind(lambda secret: _chat({"role": "tool", "tool_call_id": "c", "content": secret})),
    "tool description": Kind(lambda secret: _chat(tools=[_tool(secret)])),
    "stop sequence": Kind(lambda secret: _chat(stop=[secret])),
    "end user": Kind(lambda secret: _chat(additional_params={"user": secret})),
    "completion prompt": Kind(lambda secret: ("completion", {"prompt": secret})),
    "embedded text": Kind(lambda secret: ("embeddings", {"text": ["x", secret]})),
    "image prompt": Kind(lambda secret: ("image", {"prompt": secret})),
    "negative prompt": Kind(lambda secret: ("image", {"prompt": "x", "negative_prompt": secret})),
    "spoken text": Kind(lambda secret: ("speech", {"input": secret})),
    "speech instructions": Kind(lambda secret: ("speech", {"input": "x", "instructions": secret})),
    "transcription prompt": Kind(lambda secret: ("transcribe", {"file": b"RIFF", "prompt": secret})),
}


def forms(secret: str) -> dict[str, str]:
    return {"plain": secret, "in JSON": json.dumps({"got": secret}), "quoted": repr(secret)}


def echoes(said: str) -> dict[str, Script]:
    """A server that says it, in each place where the client may take up its words."""
    in_line = " ".join(said.split())
    in_header = in_line.encode().decode("latin-1")  # as UTF-8
    whole = {
        "detail": answer(400, {"detail": f"what is {said}?"}),
        "problem": answer(422, {"detail": [{"loc": ["body", said], "msg": f"what is {said}?", "input": said}]}),
        "code": answer(400, {"error": {"message": "m", "code": said, "type": said, "param": said}}),
        "names": answer(429, {"success": False, "error": said, "message": said, "request_id": said}),
        "title": answer(502, f"<title>{said}</title>".encode(), Content_Type="text/html"),
        "page under 200": answer(200, f"<title>{said}</title>".encode(), Content_Type="text/html"),
        "text under 200": answer(200, said.encode(), Content_Type="text/plain"),
        "error under 200": answer(200, {"error": {"message": said, "code": said}}),
        "broken JSON": answer(200, b'{"data": ' + said.encode()),
        "refusal": answer(401, {"detail": said}),
        "plain text": answer(500, said.encode(), Content_Type="text/plain"),
        "id of an odd answer": answer(200, {"request_id": said, "x": 1}),
        "header of an odd answer": answer(200, {"x": 1}, X_Request_Id=in_header),
    }
    cut = {
        "id of a stream": event({"id": said, "choices": [{"index": 0, "delta": {"content": "x"}}]}),
        "header of a stream": piece("x"),
        "name of a stream": event({"type": "response.created", "response": {"id": said}}) + piece("x"),
        "other lines of a stream": "".join(f"{name}{in_line}: x\n" for name in _FIELDS).encode() + piece("x"),
    }
    for name, events in cut.items():
        named = {"X_Request_Id": in_header} if name.startswith("header") else {}
        opening = head(200, Content_Type="text/event-stream", Transfer_Encoding="chunked", **named)
        whole[name] = opening + chunked(events)
    return {name: _saying(framed) for name, framed in whole.items()}


_FIELDS = ("id: ", "event: ", "retry: ", "")
"""Beside the data of an event; the last is a name of no field."""


def _saying(framed: bytes) -> Script:
    def script(exchange: Exchange) -> Iterator[Action]:
        exchange.read()
        yield framed

    return script


async def leaked(
    kind: str, secret: str, server: FaultServer, script: Script, asynchronous: bool, stream: bool = False
) -> list[str]:
    """Where the secret came out of a call that has it."""
    about = KINDS_OF_SECRETS[kind]
    handed_out = {about.login: secret} if about.login else {}
    case = server.case(script, secrets=handed_out, same_token=True, sees_logins=about.at_login)
    case.arm(100)
    settings = {"api_key": "key", "base_url": case.url, "max_retries": 0, "verify": False, "timeout": 20}
    client = (AsyncClient if asynchronous else Client)(**{**settings, **about.settings(secret)})
    name, arguments = about.call(secret)
    try:
        if stream and name in ("chat", "completion"):
            await settled((await settled(getattr(client, name)(**arguments, stream=True))).response())
        else:
            await settled(getattr(client, name)(**arguments))
    except IndoxRouterError as error:
        return [*leaks_of(error), *leaks_of_objects(client, client._driver.settings)]
    finally:
        await settled(client.close())
    return []  # a text under 200 may be a transcript


@pytest.mark.parametrize("kind", KINDS_OF_SECRETS)
def test_what_a_server_repeats_is_masked(kind: str, server: FaultServer, overheard: Overheard) -> None:
    plain = Secrets("one")(kind)
    secret = plain if kind in _ONE_WORD else f'{plain} "quoted" \\ and\n\u00e9 more'
    tries = [
        (f"{place}, {form}, {'async' if asynchronous else 'sync'}", script, asynchronous, place.endswith("stream"))
        for form, said in forms(secret).items()
        for place, script in echoes(said).items()
        for asynchronous in (False, True)
    ]

    def plainly(script: Script, stream: bool) -> list[str]:
        return at_once(leaked(kind, secret, server, script, False, stream))

    async def together() -> list[list[str]]:
        todo = [leaked(kind, secret, server, script, True, stream) for _, script, late, stream in tries if late]
        return await asyncio.gather(*todo)

    with ThreadPoolExecutor(16) as pool:
        waiting = [pool.submit(plainly, script, stream) for _, script, late, stream in tries if not late]
        found = [*asyncio.run(together()), *(one.result() for one in waiting)]
    names = [name for name, *_ in sorted(tries, key=lambda one: not one[2])]
    counts.RUN["echoed secrets"] += len(tries)
    assert [f"{name}: {leaks}" for name, leaks in zip(names, found, strict=True) if leaks] == []


def test_the_keys_of_an_odd_answer_are_masked(server: FaultServer) -> None:
    secret = Secrets("one")("api key")
    script = _saying(answer(200, {secret: 1}))
    assert at_once(leaked("api key", secret, server, script, asynchronous=False)) == []


_ONE_WORD = ("api key", "api key of a login", "access token", "refresh token", "session cookie", "default header",
             "default header of a login", "extra header", "byok key", "image in a message")  # fmt: skip


def test_there_are_many_kinds() -> None:
    """Of secrets: those that are quoted here, and those that the matrix carries."""
    carried = Secrets("x")
    for method in METHODS:
        method.ask(carried, "nonce-000000001")
    assert len(KINDS_OF_SECRETS) >= 25
    assert len(carried.kinds) >= 10
    assert all(
        about.settings(WORD) or about.login or WORD in repr(about.call(WORD)) for about in KINDS_OF_SECRETS.values()
    )


SECRET = Secrets("two")


class Unreadable(dict[str, Any]):
    """A cache that says what it holds when it fails."""

    def get(self, *_: Any) -> Any:
        raise KeyError(SECRET("cached value"))

    def __setitem__(self, key: str, value: Any) -> None:
        raise ValueError(SECRET("cached value") + str(value))


class Unsendable:
    def __repr__(self) -> str:
        return SECRET("unsendable value")


BAD_SETTINGS: dict[str, dict[str, Any]] = {
    "a key with a space": {"api_key": SECRET("bad key") + " x"},
    "a key with a line break": {"api_key": SECRET("bad key") + "\nx"},
    "a key that is no text": {"api_key": [SECRET("bad key")]},
    "a proxy that is none": {"proxy": f"ftp://user:{SECRET('proxy password')}@127.0.0.1"},
    "a proxy without a host": {"proxy": f"http://user:{SECRET('proxy password')}@"},
    "a header of two lines": {"default_headers": {"X-Key": f"{SECRET('bad header')}\r\nX: y"}},
    "a password in the URL": {"base_url": f"https://user:{SECRET('url password')}@127.0.0.1/v1"},
    "a key in the URL": {"base_url": f"https://127.0.0.1/v1?key={SECRET('url key')}"},
}
BAD_CALLS: dict[str, Call] = {
    "a message without a role": ("chat", {"messages": [{"content": SECRET("bad message")}]}),
    "a message of bytes": ("chat", {"messages": [{"role": "user", "content": SECRET("bad message").encode()}]}),
    "messages that are text": ("chat", {"messages": SECRET("bad message")}),
    "a prompt of bytes": ("completion", {"prompt": SECRET("bad prompt").encode()}),
    "texts that are none": ("embeddings", {"text": [SECRET("bad text"), 1]}),
    "what JSON can't hold": ("completion", {"prompt": SECRET("prompt"), "x": Unsendable()}),
    "a set": ("completion", {"prompt": SECRET("prompt"), "x": {SECRET("set")}}),
    "a number that is none": ("completion", {"prompt": SECRET("prompt"), "x": float("nan")}),
    "keys that are none": ("completion", {"prompt": SECRET("prompt"), "x": {(SECRET("tuple"),): 1}}),
    "a header of two lines": ("completion", {"prompt": "x", "extra_headers": {"X": SECRET("header") + "\n"}}),
    "additional parameters that are none": ("completion", {"prompt": "x", "additional_params": SECRET("params")}),
    "an extra body that is none": ("completion", {"prompt": "x", "extra_body": SECRET("body")}),
    "a parameter that is a near miss": ("completion", {"prompt": SECRET("prompt"), "max_token": SECRET("near miss")}),
    "a file that is none": ("transcribe", {"file": 5, "prompt": SECRET("prompt")}),
}


@pytest.mark.parametrize("cls", [Client, AsyncClient])
@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_bad_settings(name: str, cls: Any, overheard: Overheard) -> None:
    with pytest.raises(IndoxRouterError) as caught:
        cls(**{"api_key": "key", "base_url": "http://127.0.0.1:9/v1", **BAD_SETTINGS[name]})
    assert leaks_of(caught.value) == []


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls(name: str, asynchronous: bool, overheard: Overheard) -> None:
    method, arguments = BAD_CALLS[name]

    async def go() -> IndoxRouterError:
        client = (AsyncClient if asynchronous else Client)("key", "http://127.0.0.1:9/v1", max_retries=0, verify=False)
        with pytest.raises(IndoxRouterError) as caught:
            await settled(getattr(client, method)(**arguments))
        await settled(client.close())
        return caught.value

    assert leaks_of(asyncio.run(go()) if asynchronous else at_once(go())) == []


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("trouble", ["wrong password", "echoed", "cut", "no server", "stalls"])
def test_the_proxys_password(trouble: str, asynchronous: bool, server: FaultServer, overheard: Overheard) -> None:
    secret = SECRET("proxy password")
    at_first: dict[str, Action] = {"cut": b"HTTP/1.1 20", "stalls": 0.6}
    wanted = secret if trouble in ("no server", "stalls") else "another"

    async def go(proxy: Proxy, base_url: str) -> tuple[IndoxRouterError, Any]:
        url = proxy.url.replace(f"user:{wanted}", f"user:{secret}")
        client = (AsyncClient if asynchronous else Client)(
            "key", base_url, auth="key", proxy=url, max_retries=1, verify=False, allow_insecure=True
        )
        try:
            with pytest.raises(IndoxRouterError) as caught:
                await settled(client.completion("x", deadline=0.5))
        finally:
            await settled(client.close())
        return caught.value, client

    for scheme in ("http", "https"):
        with Proxy(wanted, at_first.get(trouble), echoes=trouble == "echoed") as proxy:
            origin = "http://127.0.0.1:1" if trouble == "no server" else server.case().url
            url = origin.replace("http:", f"{scheme}:")
            error, client = asyncio.run(go(proxy, url)) if asynchronous else at_once(go(proxy, url))
            assert proxy.asked
        assert leaks_of(error) == []
        assert leaks_of_objects(client, client._driver.settings) == []


def test_a_cache_that_fails(server: FaultServer, overheard: Overheard) -> None:
    case = server.case()
    with Client("key", case.url, cache=Unreadable(), verify=False) as client:
        assert client.completion(SECRET("cached prompt"), temperature=0).data
        assert leaks_of_objects(client, client._driver.settings) == []
    kept = {"x": SECRET("cached value")}
    with Client("key", case.url, cache=kept, verify=False) as client:
        client.completion(SECRET("cached prompt"))
        assert leaks_of_objects(client, client._driver.settings, client._driver) == []


def test_a_files_folder_and_content_stay_here(tmp_path: Path, server: FaultServer, overheard: Overheard) -> None:
    folder = tmp_path / SECRET("folder")
    folder.mkdir()
    (folder / "voice.wav").write_bytes(SECRET("file content").encode())
    case = server.case(_saying(answer(400, {"detail": "no"})))
    case.arm(9)
    with Client("key", case.url, max_retries=0, verify=False) as client:
        with pytest.raises(IndoxRouterError) as caught:
            client.transcribe(folder / "voice.wav")
        with pytest.raises(IndoxRouterError) as by_handle, (folder / "voice.wav").open("rb") as file:
            client.transcribe(file)
    for error in (caught.value, by_handle.value):
        assert leaks_of(error) == []
    for seen in case.requests:
        assert leaks_in(seen.body.decode("latin-1")) == [SECRET("file content")]
        assert b'filename="voice.wav"' in seen.body


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_a_stream_that_is_left_or_breaks(asynchronous: bool, server: FaultServer, overheard: Overheard) -> None:
    """Its text, which quotes the prompt, is in `partial` alone, and in no pickle."""

    def script(exchange: Exchange) -> Iterator[Action]:
        good = exchange.good()
        yield good.head(Transfer_Encoding="chunked") + chunked(*good.pieces[:3], last=False)
        yield chunked(event({"error": {"message": exchange.echo(), "code": exchange.echo()}}))

    async def go() -> None:
        client = (AsyncClient if asynchronous else Client)("key", case.url, verify=False)
        arguments: dict[str, Any] = {
            "messages": [{"role": "user", "content": SECRET("streamed prompt")}],
            "stream": True,
        }
        stream = await settled(client.chat(**arguments))
        with pytest.raises(IndoxRouterError) as caught:
            await settled(stream.response())
        left = await settled(client.chat(**arguments))
        assert leaks_of_objects(client, stream, left) == []
        await settled(left.close())
        with pytest.raises(IndoxRouterError) as closed:
            await settled(left.response())
        await settled(client.close())
        for error in (caught.value, closed.value):
            assert leaks_of(error) == []
        assert leaks_in(caught.value.partial or "") != []
        assert pickle.loads(pickle.dumps(caught.value)).partial is None

    case = server.case(script)
    case.arm(9)
    asyncio.run(go()) if asynchronous else at_once(go())


def test_asyncio_in_debug_mode_says_nothing_of_them(server: FaultServer, overheard: Overheard) -> None:
    """It logs every callback that it finds slow, and what it was called with."""

    async def go() -> None:
        asyncio.get_running_loop().slow_callback_duration = 0.0
        case = server.case(_saying(answer(500, {"detail": "no"})), secrets={"access": SECRET("access token")})
        case.arm(3)
        async with AsyncClient(SECRET("api key"), case.url, max_retries=0, verify=False) as client:
            for _ in range(3):
                with contextlib.suppress(IndoxRouterError):
                    await client.completion(SECRET("debugged prompt"))
            assert (await client.completion(SECRET("debugged prompt"))).data

    with warnings.catch_warnings(record=True) as warned:
        asyncio.run(go(), debug=True)
    assert [leak for warning in warned for leak in leaks_in(str(warning.message))] == []
    assert overheard.records > 10
