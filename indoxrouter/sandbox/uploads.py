"""Reading multipart bodies: files go to temporary files as they come, and no further than a limit."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import blake2b
from typing import Any

from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Message

from indoxrouter.sandbox.encoding import to_json
from indoxrouter.sandbox.errors import detail, invalid

_FIELDS = 1 << 20  # bytes of what a body holds besides the file
_MISSING = "Field required", "missing"


@asynccontextmanager
async def form(request: Request, most: int) -> AsyncIterator[FormData]:
    """The form of a request whose file has at most so many bytes; its files are closed afterwards."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most + _FIELDS:
        raise detail(413, f"A file may have at most {most} bytes.")
    async with AsyncExitStack() as stack:
        try:
            found = await stack.enter_async_context(_limited(request, most + _FIELDS).form())
        except FormParserError as error:  # starlette before 1.6 passes it on
            raise HTTPException(400, "Invalid multipart data.") from error
        yield found


def _limited(request: Request, most: int) -> Request:
    left = most

    async def receive() -> Message:
        nonlocal left
        message = await request.receive()
        left -= len(message.get("body", b""))
        # the parser closes its files after this exception alone
        if left < 0:
            raise MultiPartException(f"A body may have at most {most} bytes.")
        if message["type"] == "http.disconnect":
            raise MultiPartException("The body was not finished.")
        return message

    return Request(request.scope, receive)


def the_file(found: FormData, most: int) -> UploadFile:
    file = found.get("file")
    if not isinstance(file, UploadFile):
        raise invalid([(("body", "file"), *_MISSING)])
    if (file.size or 0) > most:
        raise detail(413, f"A file may have at most {most} bytes.")
    return file


def texts(found: FormData) -> dict[str, Any]:
    """The other fields; those whose name ends in [] as lists."""
    values: dict[str, Any] = {}
    for name, value in found.multi_items():
        if isinstance(value, UploadFile):
            continue
        if name.endswith("[]"):
            values.setdefault(name.removesuffix("[]"), []).append(value)
        else:
            values[name] = value
    return values


def text(fields: dict[str, Any], name: str) -> str:
    """A field that has to be there."""
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise invalid([(("body", name), *_MISSING)])
    return value


def fingerprint(fields: dict[str, Any], name: str | None, content: bytes) -> bytes:
    """What a repeated form has in common with the first, however it is packed."""
    return to_json([sorted(fields.items()), name, blake2b(content).hexdigest()])
