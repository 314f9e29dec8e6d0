"""Runs the published package: a call as JSON on each line of stdin, its outcome on a line of stdout.

It runs in a process of its own, where `indoxrouter` is the published package.
"""

import importlib.metadata
import json
import sys
from typing import Any

from indoxrouter import Client


def outcome(client: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    try:
        answer = getattr(client, name)(*args, **kwargs)
        if not isinstance(answer, dict | list):
            answer = list(answer)  # a stream
    except Exception as error:  # noqa: BLE001 - whatever it raises is its outcome
        return {"error": type(error).__name__, "message": str(error)}
    return {"answer": answer}


def main() -> None:
    key, base_url = sys.argv[1:]
    try:
        client: Any = Client(api_key=key, base_url=base_url)
    except Exception as error:  # noqa: BLE001 - it logs in when it is constructed
        print(json.dumps({"error": type(error).__name__, "message": str(error)}), flush=True)  # noqa: T201
        return
    version = importlib.metadata.version("indoxrouter")
    print(json.dumps({"version": version}), flush=True)  # noqa: T201
    for line in sys.stdin:
        print(json.dumps(outcome(client, *json.loads(line))), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
