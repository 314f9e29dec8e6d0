"""A plain HTTP client of the sandbox for its tests."""

import json
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import requests

from indoxrouter.sandbox import Sandbox

MODEL = "openai/gpt-4o-mini"


class Api:
    """Calls below the sandbox's URL, logged in unless told otherwise."""

    def __init__(self, sandbox: Sandbox, *, login: bool = True) -> None:
        self.sandbox = sandbox
        self.session = requests.Session()
        self.session.trust_env = False
        if login:
            self.login()

    def __enter__(self) -> "Api":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()

    def login(self) -> dict[str, Any]:
        answer = self.post("auth/api-key", headers={"X-API-Key": self.sandbox.api_key})
        assert answer.status_code == 200
        body: dict[str, Any] = answer.json()
        self.bearer(body["access_token"])
        return body

    def bearer(self, token: str) -> None:
        self.session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.session.get(f"{self.sandbox.url}/{path}", timeout=10, allow_redirects=False, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> requests.Response:
        options = {"timeout": 10, "allow_redirects": False} | options
        return self.session.post(f"{self.sandbox.url}/{path}", json=body, **options)

    def chat(self, text: str = "Hello", headers: Any = None, **fields: Any) -> requests.Response:
        return self.post("chat/completions", chat_body(text, **fields), headers=headers)

    def chat_stream(self, text: str = "Hello", headers: Any = None, **fields: Any) -> requests.Response:
        body = chat_body(text, stream=True, **fields)
        return self.post("chat/completions", body, headers=headers, stream=True)

    def usage(self, **dates: str) -> dict[str, Any]:
        report: dict[str, Any] = self.get("user/usage", params=dates).json()
        return report


def chat_body(text: str = "Hello", **fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}]} | fields


def events(answer: requests.Response) -> list[str]:
    """The data of every event."""
    return [block.removeprefix("data: ") for block in answer.content.decode().split("\n\n")[:-1]]


def chunks(answer: requests.Response) -> list[dict[str, Any]]:
    """The events of a stream of JSON that ends as it should."""
    *data, done = events(answer)
    assert done == "[DONE]"
    return [json.loads(block) for block in data]


def text_of(parts: list[dict[str, Any]]) -> str:
    return "".join(part["choices"][0]["delta"].get("content", "") for part in parts)


def pieces(answer: requests.Response) -> Iterator[bytes]:
    """The events as they arrive."""
    for line in answer.iter_lines(chunk_size=1):
        if line:
            yield line


class OpenAIApi:
    """Calls below the sandbox's OpenAI-compatible URL."""

    def __init__(self, sandbox: Sandbox, key: str | None = None) -> None:
        self.sandbox = sandbox
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {key or sandbox.api_key}"

    def __enter__(self) -> "OpenAIApi":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.session.get(f"{self.sandbox.openai_url}/{path}", timeout=10, **options)

    def delete(self, path: str) -> requests.Response:
        return self.session.delete(f"{self.sandbox.openai_url}/{path}", timeout=10)

    def post(self, path: str, body: Any = None, **options: Any) -> requests.Response:
        return self.session.post(f"{self.sandbox.openai_url}/{path}", json=body, **{"timeout": 10} | options)

    def chat(self, text: str = "Hello", headers: Any = None, **fields: Any) -> dict[str, Any]:
        answer = self.post("chat/completions", chat_body(text, **fields), headers=headers)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def message(self, text: str = "Hello", **fields: Any) -> dict[str, Any]:
        message: dict[str, Any] = self.chat(text, **fields)["choices"][0]["message"]
        return message

    def stream(self, text: str = "Hello", **fields: Any) -> list[dict[str, Any]]:
        return chunks(self.post("chat/completions", chat_body(text, stream=True, **fields)))

    def refusal(self, path: str, body: Any, **options: Any) -> tuple[int, dict[str, Any]]:
        answer = self.post(path, body, **options)
        error: dict[str, Any] = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return answer.status_code, error
