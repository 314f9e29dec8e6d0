"""Generated images: what a request may ask for, and what it gets, inline or by URL."""

import base64
import re
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from indoxrouter.sandbox import images
from indoxrouter.sandbox.catalogue import Model
from indoxrouter.sandbox.errors import refused
from indoxrouter.sandbox.shelf import Shelf

_RATIOS = {
    "1:1": (1024, 1024),
    "3:4": (896, 1280),
    "4:3": (1280, 896),
    "9:16": (768, 1408),
    "16:9": (1408, 768),
}
_SIZE = re.compile(r"(\d{2,4})x(\d{2,4})")
_MOST = 10  # images of one request
_PREVIEW = 8  # how many times smaller a preview is
IMAGE_TOKENS = 1290  # that an image in a chat counts, as Google's do


@dataclass(frozen=True)
class Picture:
    """What a picture is drawn from."""

    prompt: str
    seed: Any
    index: int
    width: int
    height: int

    @property
    def png(self) -> "partial[bytes]":
        return partial(images.draw, self.prompt, self.seed, self.index, self.width, self.height)

    def base64(self) -> str:
        return base64.b64encode(self.png()).decode()


@dataclass(frozen=True)
class Illustration:
    """An image in a chat answer: its `url` or `b64_json`, and what it is drawn from."""

    shape: dict[str, str]
    picture: Picture

    def preview(self) -> str:
        """The same picture, small, in base64."""
        width, height = self.picture.width // _PREVIEW, self.picture.height // _PREVIEW
        return replace(self.picture, width=width, height=height).base64()


class Gallery:
    """Pictures as they stand in an answer."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def make(self, model: Model, body: dict[str, Any], origin: str) -> list[dict[str, Any]]:
        """The `data` of an images answer."""
        width, height = _measures(model, body)
        count = body.get("n") or 1
        if count > (1 if model.name == "dall-e-3" else _MOST):
            raise refused(f"{model.id} does not make {count} images at once.", "n")
        form = body.get("response_format") or "url"
        if form not in ("url", "b64_json"):
            raise refused(f"response_format must be url or b64_json, not {form}.", "response_format")
        if model.name == "gpt-image-1":
            form = "b64_json"
        prompt = body["prompt"]
        pictures = [Picture(prompt, body.get("seed"), index, width, height) for index in range(count)]
        revised = {"revised_prompt": f"(sandbox) {prompt}"}
        return [self.show(picture, form, origin) | revised for picture in pictures]

    def illustrate(self, prompt: str, seed: Any, index: int, form: str, origin: str) -> Illustration:
        picture = Picture(prompt, seed, index, *_RATIOS["1:1"])
        return Illustration(self.show(picture, form, origin), picture)

    def show(self, picture: Picture, form: str, origin: str) -> dict[str, str]:
        if form == "b64_json":
            return {form: picture.base64()}
        return {"url": self._shelf.keep(origin, "png", picture.png)}


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
