"""Runs the `openai` package: a call as JSON on each line of stdin, its outcome on a line of stdout.

A call is the path of a method of the client and its named arguments. Bytes are {"base64": ...}.
"""

import asyncio
import base64
import inspect
import json
import sys
from operator import attrgetter
from typing import Any

import openai  # type: ignore[import-not-found]


def unpacked(value: Any) -> Any:
    match value:
        case {"base64": str(text)}:
            return base64.b64decode(text)
        case [str(name), {"base64": _} as content]:  # a file's
            return name, unpacked(content)
        case _:
            return value


def packed(content: bytes) -> dict[str, str]:
    return {"base64": base64.b64encode(content).decode()}


async def plain(answer: Any) -> Any:
    if inspect.isawaitable(answer):
        answer = await answer
    if isinstance(answer, openai.AsyncStream) or (hasattr(answer, "iter_pages") and hasattr(answer, "__aiter__")):
        return [item.model_dump(mode="json") async for item in answer]
    if isinstance(answer, openai.Stream) or hasattr(answer, "iter_pages"):
        return [item.model_dump(mode="json") for item in answer]
    if hasattr(answer, "model_dump"):
        return answer.model_dump(mode="json")
    if isinstance(answer, str):  # a transcript
        return answer
    return packed(answer.content)


def failure(error: Exception) -> dict[str, Any]:
    names = ("status_code", "code", "type", "param", "request_id", "message")
    facts = {name: getattr(error, name, None) for name in names}
    return {"error": [kind.__name__ for kind in type(error).__mro__], **facts}


async def outcome(client: Any, path: str, arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        answer = attrgetter(path)(client)(**{name: unpacked(value) for name, value in arguments.items()})
        return {"answer": await plain(answer)}
    except Exception as error:  # noqa: BLE001 - whatever it raises is its outcome
        return failure(error)


async def main() -> None:
    kind, key, base_url = sys.argv[1:]
    client = getattr(openai, kind)(api_key=key, base_url=base_url)
    print(json.dumps({"version": openai.__version__}), flush=True)  # noqa: T201
    for line in sys.stdin:
        print(json.dumps(await outcome(client, *json.loads(line))), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())
