"""Generated images: what a request may ask for, and the pictures kept to be fetched by URL."""

import base64
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from indoxrouter.sandbox import images
from indoxrouter.sandbox.answers import digest
from indoxrouter.sandbox.catalogue import Model
from indoxrouter.sandbox.errors import detail, refused

_RATIOS = {
    "1:1": (1024, 1024),
    "3:4": (896, 1280),
    "4:3": (1280, 896),
    "9:16": (768, 1408),
    "16:9": (1408, 768),
}
_SIZE = re.compile(r"(\d{2,4})x(\d{2,4})")
_MOST = 10  # images of one request
Picture = tuple[str, int | None, int, int, int]


class Gallery:
    """Remembers how to draw each picture; it is drawn when fetched."""

    def __init__(self) -> None:
        self._pictures: dict[str, Picture] = {}

    def make(self, model: Model, body: dict[str, Any], origin: str) -> list[dict[str, Any]]:
        """The `data` of an images answer."""
        width, height = _measures(model, body)
        count = body.get("n") or 1
        if count > (1 if model.name == "dall-e-3" else _MOST):
            raise refused(f"{model.id} does not make {count} images at once.", "n")
        form = body.get("response_format") or "url"
        if form not in ("url", "b64_json"):
            raise refused(f"response_format must be url or b64_json, not {form}.", "response_format")
        inline = form == "b64_json" or model.name == "gpt-image-1"
        prompt = body["prompt"]
        pictures = [(prompt, body.get("seed"), index, width, height) for index in range(count)]
        return [
            {
                **({"b64_json": _base64(picture)} if inline else {"url": self._keep(picture, origin)}),
                "revised_prompt": f"(sandbox) {prompt}",
            }
            for picture in pictures
        ]

    def _keep(self, picture: Picture, origin: str) -> str:
        name = digest(*picture).hex()
        self._pictures[name] = picture
        return f"{origin}/sandbox/images/{name}.png"

    async def fetch(self, request: Request) -> Response:
        picture = self._pictures.get(request.path_params["name"])
        if picture is None:
            raise detail(404, "Not Found")
        return Response(images.draw(*picture), media_type="image/png")


def _base64(picture: Picture) -> str:
    return base64.b64encode(images.draw(*picture)).decode()


def _measures(model: Model, body: dict[str, Any]) -> tuple[int, int]:
    """Width and height: by aspect ratio at Google, without a choice at xAI, by size elsewhere."""
    size, ratio = body.get("size"), body.get("aspect_ratio")
    if size is not None and model.provider in ("google", "xai"):
        raise refused(f"{model.id} takes no size.", "size")
    if ratio is not None and model.provider != "google":
        raise refused(f"{model.id} takes no aspect_ratio.", "aspect_ratio")
    if model.provider == "google":
        if ratio not in (None, *_RATIOS):
            raise refused(f"aspect_ratio must be one of {', '.join(_RATIOS)}.", "aspect_ratio")
        return _RATIOS[ratio or "1:1"]
    if size in (None, "auto"):
        return 1024, 1024
    match = _SIZE.fullmatch(size)
    if match is None or (model.sizes and size not in model.sizes):
        raise refused(f"size must be one of {', '.join(model.sizes)}.", "size")
    return int(match[1]), int(match[2])
