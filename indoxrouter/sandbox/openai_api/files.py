"""Files that callers upload: kept in temporary files until they are deleted or the sandbox closes."""

import asyncio
import time
import uuid
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, BinaryIO

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from indoxrouter.sandbox import uploads
from indoxrouter.sandbox.desk import JSON
from indoxrouter.sandbox.encoding import to_json
from indoxrouter.sandbox.errors import RouterError, detail, refused
from indoxrouter.sandbox.faults import SeveredError

LARGEST = 512 << 20  # bytes of a file
_PIECE = 1 << 16
_PAGE = 10_000


@dataclass(eq=False)
class StoredFile:
    name: str
    purpose: str
    size: int
    content: BinaryIO
    id: str = field(default_factory=lambda: "file-" + uuid.uuid4().hex[:24])
    created: int = field(default_factory=lambda: int(time.time()))

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.size,
            "created_at": self.created,
            "filename": self.name,
            "purpose": self.purpose,
            "status": "processed",
        }


class OpenAIFiles:
    """The files of the account, the newest last."""

    def __init__(self) -> None:
        self._files: dict[str, StoredFile] = {}

    def close(self) -> None:
        while self._files:
            self._files.popitem()[1].content.close()

    async def create(self, request: Request) -> Response:
        async with uploads.form(request, LARGEST) as form:
            upload = uploads.the_file(form, LARGEST)
            purpose = uploads.text(uploads.texts(form), "purpose")
            stored = StoredFile(upload.filename or "file", purpose, upload.size or 0, upload.file)
            self._files[stored.id] = stored
            upload.file = BytesIO()  # the form closes its files, and this one is kept
        return _answer(stored.shape())

    async def list(self, request: Request) -> Response:
        query = request.query_params
        found = [stored for stored in self._files.values() if query.get("purpose") in (None, stored.purpose)]
        if query.get("order") != "asc":
            found.reverse()
        limit = query.get("limit", str(_PAGE))
        if not limit.isdecimal() or not 1 <= int(limit) <= _PAGE:
            raise refused(f"limit must be from 1 to {_PAGE}, not {limit}.", "limit")
        ids = [stored.id for stored in found]
        after = query.get("after")
        if after in ids:
            found = found[ids.index(after) + 1 :]
        page = found[: int(limit)]
        ends = {"first_id": page[0].id, "last_id": page[-1].id} if page else {"first_id": None, "last_id": None}
        more = {"has_more": len(found) > len(page)}
        return _answer({"object": "list", "data": [stored.shape() for stored in page]} | ends | more)

    async def retrieve(self, request: Request) -> Response:
        return _answer(self._find(request).shape())

    async def content(self, request: Request) -> ASGIApp:
        return _Download(self._find(request))

    async def delete(self, request: Request) -> Response:
        stored = self._find(request)
        del self._files[stored.id]
        stored.content.close()
        return _answer({"id": stored.id, "object": "file", "deleted": True})

    def _find(self, request: Request) -> StoredFile:
        name = request.path_params["file"]
        stored = self._files.get(name)
        if stored is None:
            raise _no_file(name)
        return stored


class _Download:
    """A file's content, read piece by piece."""

    def __init__(self, stored: StoredFile) -> None:
        self._stored = stored

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        size, file = self._stored.size, self._stored.content
        headers = [(b"content-type", b"application/octet-stream"), (b"content-length", str(size).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for place in range(0, size, _PIECE):
            if file.closed:  # deleted meanwhile
                raise SeveredError
            file.seek(place)  # other downloads move the place too
            await send({"type": "http.response.body", "body": file.read(_PIECE), "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _no_file(name: str) -> RouterError:
    return detail(404, f"No such File object: {name}")


def _answer(value: dict[str, Any]) -> Response:
    return Response(to_json(value), media_type=JSON)
