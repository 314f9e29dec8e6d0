"""Chat and completion answers that hold images."""

import base64
import io
import json
from typing import Any

import pytest
import requests
from PIL import Image

from indoxrouter.sandbox import Sandbox
from indoxrouter.sandbox.gallery import IMAGE_TOKENS

from .sandbox_api import Api, chat_body, chunks, events

DRAWER = "google/gemini-2.5-flash-image-preview"
ASKED = {"additional_params": {"modalities": ["text", "image"]}}


def picture(content: bytes) -> tuple[str | None, tuple[int, int]]:
    found = Image.open(io.BytesIO(content))
    found.load()
    return found.format, found.size


def drawn(image: dict[str, str]) -> bytes:
    """The content of an image of an answer, which has one of two forms."""
    [(form, value)] = image.items()
    if form == "b64_json":
        return base64.b64decode(value)
    assert form == "url"
    answer = requests.get(value, timeout=10)
    assert answer.headers["content-type"] == "image/png"
    return answer.content


def answered(api: Api, path: str = "chat/completions", **fields: Any) -> dict[str, Any]:
    body = chat_body("Draw a boat") if path == "chat/completions" else {"prompt": "Draw a boat"}
    answer = api.post(path, body | {"model": DRAWER} | fields)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("path", ["chat/completions", "completions"])
@pytest.mark.parametrize("fields", [{}, ASKED])
def test_an_answer_has_an_image(api: Api, path: str, fields: dict[str, Any]) -> None:
    body = answered(api, path, **fields)
    [image] = body["images"]
    assert picture(drawn(image)) == ("PNG", (1024, 1024))
    assert "Draw a boat" in body["data"]
    assert body["usage"]["tokens_completion"] > IMAGE_TOKENS
    assert answered(api, path, **fields)["images"] == [image]


def test_images_depend_on_the_prompt_the_seed_and_the_choice(api: Api) -> None:
    first = answered(api)["images"]
    seeded = answered(api, additional_params={"seed": 5})["images"]
    other = answered(api, messages=[{"role": "user", "content": "Another"}])["images"]
    choices = answered(api, additional_params={"n": 2})["raw_response"]["choices"]
    assert choices[0]["message"]["images"] == first
    assert len({drawn(image) for image in (*first, *seeded, *other, *choices[1]["message"]["images"])}) == 4


def test_images_are_not_drawn_unasked(api: Api) -> None:
    assert answered(api, model="openai/gpt-4o")["images"] is None
    for model in ("openai/gpt-4o", DRAWER):
        assert answered(api, model=model, additional_params={"modalities": ["text"]})["images"] is None
    refused = api.chat(additional_params={"modalities": "image"})
    assert refused.json()["detail"][0]["loc"] == ["body", "additional_params", "modalities"]


def test_a_limit_holds_for_images_too(api: Api) -> None:
    short = answered(api, max_tokens=200)
    assert (short["images"], short["finish_reason"]) == (None, "length")
    assert short["usage"]["tokens_completion"] <= 200
    long = answered(api, max_tokens=2000)
    assert (len(long["images"]), long["finish_reason"]) == (1, "stop")


def test_a_tool_call_has_no_image(api: Api) -> None:
    tools = [{"type": "function", "function": {"name": "draw_boat"}}]
    body = answered(api, additional_params={"tools": tools})
    assert body["finish_reason"] == "tool_calls"
    assert body["images"] is None


@pytest.mark.parametrize("form", ["url", "b64_json"])
def test_the_other_generations_of_answers(form: str) -> None:
    for answers in ("hub", "openai"):
        with Sandbox(answers=answers, chat_images=form) as sandbox, Api(sandbox) as api:
            body = answered(api)
            if answers == "openai":
                [image] = body["choices"][0]["message"]["images"]
            else:
                message, item = body["output"]
                assert (message["type"], item["type"]) == ("message", "image_generation_call")
                assert item["status"] == "completed"
                image = {form: item[form]}
            assert picture(drawn(image)) == ("PNG", (1024, 1024))


def stream(api: Api, path: str = "chat/completions") -> requests.Response:
    body = chat_body("Draw a boat") if path == "chat/completions" else {"prompt": "Draw a boat"}
    return api.post(path, body | {"model": DRAWER, "stream": True})


@pytest.mark.parametrize("form", ["url", "b64_json"])
def test_streams_of_chunks(form: str) -> None:
    with Sandbox(chat_images=form) as sandbox, Api(sandbox) as api:
        parts = chunks(stream(api))
        [images] = [part["choices"][0]["delta"]["images"] for part in parts if "images" in part["choices"][0]["delta"]]
        assert "images" in parts[-2]["choices"][0]["delta"]
        assert [drawn(image) for image in images] == [drawn(image) for image in answered(api)["images"]]
        usage = parts[-1]["usage"]
        assert usage["completion_tokens"] == answered(api)["usage"]["tokens_completion"]
        written = chunks(stream(api, "completions"))
        [choice] = [part["choices"][0] for part in written if "images" in part["choices"][0]]
        assert (choice["text"], list(choice["images"][0])) == ("", [form])


@pytest.mark.parametrize("form", ["url", "b64_json"])
def test_streams_of_typed_events(form: str) -> None:
    with Sandbox(streams="typed", chat_images=form) as sandbox, Api(sandbox) as api:
        *told, done = events(stream(api))
        assert done == "[DONE]"
        found = [json.loads(block) for block in told]
        step = "response.image_generation_call."
        steps = [event for event in found if event["type"].startswith(step)]
        assert [event["type"].removeprefix(step) for event in steps] == [
            "in_progress",
            "generating",
            "partial_image",
            "completed",
        ]
        assert picture(base64.b64decode(steps[2]["partial_image_b64"])) == ("PNG", (128, 128))
        last = steps[-1]
        image = {"url": last["image_generation_call"]["url"]} if form == "url" else {"b64_json": last["data"]}
        assert drawn(image) == drawn(answered(api)["images"][0])
        items = [event["item"]["type"] for event in found if event["type"] == "response.output_item.done"]
        assert items == ["image_generation_call", "message"]
        assert found[-1]["response"]["usage"]["output_tokens"] > IMAGE_TOKENS


@pytest.mark.parametrize("form", ["url", "b64_json"])
def test_bare_streams(form: str) -> None:
    with Sandbox(streams="bare", chat_images=form) as sandbox, Api(sandbox) as api:
        *_, images, done = events(stream(api))
        assert done == "[DONE]"
        assert drawn(json.loads(images)["images"][0]) == drawn(answered(api)["images"][0])


def test_a_stream_with_an_image_is_replayed_and_charged_once(own: Api) -> None:
    body, key = chat_body("Draw") | {"model": DRAWER, "stream": True}, {"Idempotency-Key": "k"}
    first, again = (own.post("chat/completions", body, headers=key) for _ in range(2))
    assert first.content == again.content
    assert own.usage()["total_requests"] == 1


def test_both_forms_of_images_on_request(api: Api) -> None:
    body = {"prompt": "A boat", "model": "google/imagen-3.0-generate-002", "n": 3}
    forms = [api.post("images/generations", body | {"response_format": form}).json() for form in ("url", "b64_json")]
    by_url, inline = ([{k: v for k, v in item.items() if k != "revised_prompt"} for item in f["data"]] for f in forms)
    assert [drawn(item) for item in by_url] == [drawn(item) for item in inline]
    assert len({drawn(item) for item in inline}) == 3
