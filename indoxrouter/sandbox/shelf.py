"""Generated media that are fetched by URL.

What is kept is how to make each of them, which is less than what is made; the oldest are dropped first.
"""

from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from indoxrouter.sandbox.answers import digest
from indoxrouter.sandbox.errors import detail

_MOST = 10_000  # media
_LONGEST = 32 << 20  # characters of the texts that they are made from
_KINDS = {
    "png": ("images", "image/png"),
    "wav": ("speech", "audio/wav"),
    "pcm": ("speech", "audio/pcm"),
    "mp4": ("videos", "video/mp4"),
}


@dataclass(frozen=True)
class _Medium:
    make: "partial[bytes]"
    media_type: str

    @property
    def weight(self) -> int:
        return sum(len(part) for part in self.make.args if isinstance(part, str))


class Shelf:
    """Media by their path below the sandbox's own endpoints, the oldest first."""

    def __init__(self, most: int = _MOST, longest: int = _LONGEST) -> None:
        self._most = most
        self._longest = longest
        self._media: dict[str, _Medium] = {}
        self._weight = 0

    def keep(self, origin: str, suffix: str, make: "partial[bytes]") -> str:
        """The URL of a medium, named by what it is made from; kept again, it is the newest again."""
        folder, media_type = _KINDS[suffix]
        path = f"{folder}/{digest(*make.args).hex()}.{suffix}"
        self._drop(path)
        self._media[path] = medium = _Medium(make, media_type)
        self._weight += medium.weight
        while len(self._media) > self._most or (self._weight > self._longest and len(self._media) > 1):
            self._drop(next(iter(self._media)))
        return f"{origin}/sandbox/{path}"

    def _drop(self, path: str) -> None:
        medium = self._media.pop(path, None)
        if medium is not None:
            self._weight -= medium.weight

    async def fetch(self, request: Request) -> Response:
        """Makes the medium; who has the URL needs no login."""
        medium = self._media.get("{folder}/{name}".format_map(request.path_params))
        if medium is None:
            raise detail(404, "Not Found")
        return Response(medium.make(), media_type=medium.media_type)
