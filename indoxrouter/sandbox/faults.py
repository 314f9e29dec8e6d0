"""Failures on order: which request they hit, and what they do to its answer."""

import asyncio
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Send

from indoxrouter.sandbox.encoding import event, to_json
from indoxrouter.sandbox.errors import error_body
from indoxrouter.sandbox.misnomers import complaint

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?|")
_BROKEN = {
    "json": b'data: {"id": "sandbox-broken", "choices": [{"delta": {"conte\n\n',
    "utf-8": b'data: {"choices": [{"index": 0, "delta": {"content": "\xff\xfe\xfa"}}]}\n\n',
}


class SeveredError(Exception):
    """The connection is to be closed with its answer unfinished."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to one answer. `cut`, `drip` and `hang_after` count bytes of the body.

    `job_error` hits no answer: it is what the video job fails with that the request starts.
    """

    delay: float = 0.0
    status: int | None = None
    body: Any = None
    headers: Mapping[str, str] | None = None
    retry_after: float | None = None
    cut: int | None = None
    drip: int | None = None
    interval: float = 0.05
    hang: float | None = None
    hang_after: int = 0
    malformed: int | None = None
    malformed_as: str = "json"
    error_event: int | None = None
    error: Any = None
    expire: bool = False
    charge: bool | None = None
    job_error: str | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) is None and field.default is not None:
                raise ValueError(f"{field.name} cannot be None")
        for name in ("delay", "interval", "hang", "retry_after"):
            _check(name, getattr(self, name), float, 0)
        for name in ("cut", "hang_after", "malformed", "error_event"):
            _check(name, getattr(self, name), int, 0)
        _check("drip", self.drip, int, 1)
        _check("status", self.status, int, 200, 599)
        if self.malformed_as not in _BROKEN:
            raise ValueError(f"malformed_as must be json or utf-8, not {self.malformed_as!r}")
        for name in ("expire", "charge"):
            if not any(getattr(self, name) is flag for flag in (True, False, None)):
                raise ValueError(f"{name} must be true or false, not {getattr(self, name)!r}")
        _check_text("job_error", self.job_error)
        for name in ("body", "error"):
            _check_json(name, getattr(self, name))
        self._check_headers()

    def _check_headers(self) -> None:
        if self.headers is not None and not isinstance(self.headers, Mapping):
            raise ValueError(f"headers must be an object of names and values, not {self.headers!r}")
        for name, value in (self.headers or {}).items():
            if not _HEADER_NAME.fullmatch(str(name)) or not _HEADER_VALUE.fullmatch(str(value)):
                raise ValueError(f"headers cannot have {name!r}: it cannot be sent")

    @property
    def in_transit(self) -> bool:
        """Whether the answer is carried out in full, and only then suffers."""
        return self.cut is not None or self.drip is not None or self.hang is not None

    @property
    def charged(self) -> bool:
        """Whether the request is carried out, charged and remembered all the same."""
        if self.charge is not None:
            return self.charge
        return self.status is None and self.error_event is None

    def answer(self, form: str) -> Response:
        """The answer that `status` orders; without a body of its own it is an error in the caller's form."""
        status = self.status or 500
        headers = {str(name): str(value) for name, value in (self.headers or {}).items()}
        if self.retry_after is not None:
            headers["retry-after"] = f"{self.retry_after:g}"
        if isinstance(self.body, str):
            kind = "text/html" if self.body.lstrip().startswith("<") else "text/plain"
            return Response(self.body.encode(), status, headers, kind)
        body = self.body
        if body is None:
            phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unknown"
            body = error_body(form, status, f"{phrase} (a fault that was ordered)")
        return Response(to_json(body), status, headers, "application/json")

    def error_bytes(self) -> bytes:
        default = {"message": "The provider failed (a fault that was ordered).", "type": "provider_error"}
        return event({"error": default | {"code": "provider_error"} if self.error is None else self.error})

    def broken_bytes(self) -> bytes:
        return _BROKEN[self.malformed_as]


def _check(name: str, value: Any, kind: type, least: int, most: float = 10**9) -> None:
    if value is None:
        return
    allowed = int | float if kind is float else int
    if not isinstance(value, allowed) or isinstance(value, bool) or not least <= value <= most:
        what = "number" if kind is float else "whole number"
        raise ValueError(f"{name} must be a {what} from {least} to {most}, not {value!r}")


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str | None):
        raise ValueError(f"{name} must be text, not {value!r}")  # noqa: TRY004 - its value is wrong


def _check_json(name: str, value: Any) -> None:
    try:
        to_json(value)
    except (TypeError, ValueError, RecursionError):
        raise ValueError(f"{name} must be text, or what can be written as JSON") from None


NO_FAULT = Fault()
NAMES = ("path", "method", "times", "after", *(field.name for field in fields(Fault)))
"""What an order can be told."""


def from_header(text: str) -> Fault:
    """The fault that a request orders for itself."""
    try:
        return from_fields(json.loads(text))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def from_fields(order: Any) -> Fault:
    if not isinstance(order, dict):
        raise ValueError("a fault is an object")  # noqa: TRY004 - told to the caller as a bad value
    problem = complaint("a fault", "field", order, [field.name for field in fields(Fault)])
    if problem:
        raise ValueError(problem)
    return Fault(**order)


class Orders:
    """The faults that are kept until the requests come that they are for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: list[_Order] = []

    def add(self, order: Any) -> None:
        """Keeps a fault for the `times` requests to `path` (a pattern) that follow the first `after`."""
        if not isinstance(order, dict):
            raise ValueError("a fault is an object")  # noqa: TRY004 - told to the caller as a bad value
        problem = complaint("a fault", "field", order, NAMES)
        if problem:
            raise ValueError(problem)
        rest = dict(order)
        path, method = rest.pop("path", None), rest.pop("method", None)
        times, after = rest.pop("times", 1), rest.pop("after", 0)
        _check("times", times, int, 1)
        _check("after", after, int, 0)
        if after is None:
            raise ValueError("after cannot be None")
        _check_text("path", path)
        _check_text("method", method)
        kept = _Order(from_fields(rest), (path or "*").strip("/"), (method or "").upper(), times, after)
        with self._lock:
            self._orders.append(kept)

    def take(self, method: str, path: str) -> Fault | None:
        """The fault for a request; the first order that matches is used up by one."""
        if not self._orders:
            return None
        with self._lock:
            for order in self._orders:
                if order.matches(method, path):
                    if order.after > 0:
                        order.after -= 1
                        continue
                    if order.times is not None:
                        order.times -= 1
                        if order.times == 0:
                            self._orders.remove(order)
                    return order.fault
        return None

    def clear(self) -> None:
        with self._lock:
            self._orders.clear()


@dataclass(eq=False)
class _Order:
    fault: Fault
    path: str
    method: str
    times: int | None
    after: int

    def matches(self, method: str, path: str) -> bool:
        return self.method in ("", method) and fnmatchcase(path, self.path)


async def wait_for_end(receive: Receive) -> None:
    """Returns when the client has gone; what is left of the body is passed over."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Transit:
    """An ASGI `send` under which a body is cut, dripped or held back."""

    def __init__(self, fault: Fault, receive: Receive, send: Send) -> None:
        self._fault = fault
        self._receive = receive
        self._send = send
        self._sent = 0
        self._hung = fault.hang is None

    async def __call__(self, message: Message) -> None:
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        while True:
            size = self._room(len(body))
            part, body = body[:size], body[size:]
            if part:
                await self._send({"type": "http.response.body", "body": part, "more_body": True})
                self._sent += size
            await self._suffer()
            if not body:
                break
            if self._fault.drip and part:
                await self._wait(self._fault.interval)
        if not more:
            if self._fault.cut is not None:
                raise SeveredError
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def _room(self, size: int) -> int:
        """How many bytes may go before something happens."""
        limits = [size]
        if self._fault.drip is not None:
            limits.append(self._fault.drip)
        if not self._hung:
            limits.append(max(0, self._fault.hang_after - self._sent))
        if self._fault.cut is not None:
            limits.append(max(0, self._fault.cut - self._sent))
        return min(limits)

    async def _suffer(self) -> None:
        if not self._hung and self._sent >= self._fault.hang_after:
            self._hung = True
            await self._wait(self._fault.hang or 0)
        if self._fault.cut is not None and self._sent >= self._fault.cut:
            raise SeveredError

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(wait_for_end(self._receive), seconds)
        except TimeoutError:
            return
        raise SeveredError  # nobody is there any more
