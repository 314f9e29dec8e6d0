"""Embeddings and images."""

import base64
import io
import math
from typing import Any

import pytest
import requests
from PIL import Image

from indoxrouter.sandbox.answers import embedding

from .sandbox_api import Api


def embed(api: Api, *texts: str, model: str = "openai/text-embedding-3-small", **params: Any) -> dict[str, Any]:
    answer = api.post("embeddings", {"text": list(texts), "model": model, "additional_params": params})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def near(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def image(api: Api, **fields: Any) -> requests.Response:
    return api.post("images/generations", {"prompt": "A red boat", "model": "openai/dall-e-3"} | fields)


def picture(content: bytes) -> "Image.Image":
    found = Image.open(io.BytesIO(content))
    found.load()
    assert found.format == "PNG"
    return found


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("openai/text-embedding-3-small", 1536),
        ("openai/text-embedding-3-large", 3072),
        ("text-embedding-ada-002", 1536),
    ],
)
def test_vectors_have_the_models_dimensions_and_length_one(api: Api, model: str, size: int) -> None:
    body = embed(api, "A sample text.", "", "...", model=model)
    assert body["dimensions"] == size
    assert [len(vector) for vector in body["data"]] == [size] * 3
    for vector in body["data"]:
        assert math.sqrt(near(vector, vector)) == pytest.approx(1, abs=1e-6)
    assert body["usage"]["tokens_completion"] == 0
    assert body["usage"]["tokens_prompt"] == 4 + 0 + 3
    assert body["raw_response"] is None


def test_vectors_depend_on_the_text_alone(api: Api) -> None:
    one, same, other = embed(api, "blue sky", "blue sky", "green sea")["data"]
    assert one == same == embed(api, "blue sky")["data"][0]
    assert one != other


def test_texts_that_share_words_are_near(api: Api) -> None:
    cat, cats, car, common = embed(
        api,
        "the cat sleeps on the warm sofa",
        "two cats were sleeping on a sofa",
        "stock prices fell sharply in early trading",
        "the on a in",
    )["data"]
    assert near(cat, cats) > 0.5
    assert near(cat, car) < 0.2
    assert near(cat, cats) > near(cat, common) + 0.2


def test_dimensions_are_honoured_up_to_the_models(api: Api) -> None:
    body = embed(api, "text", dimensions=64)
    assert (body["dimensions"], len(body["data"][0])) == (64, 64)
    answer = api.post(
        "embeddings",
        {"text": ["x"], "model": "text-embedding-3-small", "additional_params": {"dimensions": 5000}},
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "InvalidParametersError")


def test_words_that_cancel_out_still_give_a_unit_vector() -> None:
    words = [a + b for a in "abcdefgh" for b in "abcdefgh"]
    vectors = [embedding(f"{one} {other}", 1) for one in words for other in words]
    assert {abs(vector[0]) for vector in vectors} == {1.0}


def test_embeddings_refuse_chat_models_and_overlong_texts(api: Api) -> None:
    answer = api.post("embeddings", {"text": ["x"], "model": "openai/gpt-4o"})
    assert (answer.status_code, answer.json()["error"]) == (400, "InvalidParametersError")
    answer = api.post("embeddings", {"text": ["word " * 9000], "model": "text-embedding-3-small"})
    assert answer.json()["error"]["code"] == "context_length_exceeded"


def test_an_image_is_fetched_by_its_url(api: Api) -> None:
    body = image(api).json()
    [item] = body["data"]
    assert set(item) == {"url", "revised_prompt"}
    assert item["url"].startswith(api.sandbox.origin + "/sandbox/images/")
    answer = requests.get(item["url"], timeout=10)
    assert answer.headers["content-type"] == "image/png"
    assert picture(answer.content).size == (1024, 1024)
    assert body["usage"]["cost"] == 0.04
    assert requests.get(api.sandbox.origin + "/sandbox/images/none.png", timeout=10).status_code == 404


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"size": "1792x1024"}, (1792, 1024)),
        ({"model": "openai/gpt-image-1", "size": "1024x1536"}, (1024, 1536)),
        ({"model": "openai/gpt-image-1", "size": "auto"}, (1024, 1024)),
        ({"model": "google/imagen-3.0-generate-002", "aspect_ratio": "16:9"}, (1408, 768)),
        ({"model": "google/imagen-3.0-generate-002"}, (1024, 1024)),
        ({"model": "xai/grok-2-image"}, (1024, 1024)),
    ],
)
def test_an_image_has_the_size_that_was_asked(api: Api, fields: Any, size: tuple[int, int]) -> None:
    [item] = image(api, response_format="b64_json", **fields).json()["data"]
    assert set(item) == {"b64_json", "revised_prompt"}
    assert picture(base64.b64decode(item["b64_json"])).size == size


def test_gpt_image_always_answers_in_base64(api: Api) -> None:
    assert "b64_json" in image(api, model="gpt-image-1").json()["data"][0]


def test_images_depend_on_prompt_seed_and_number(api: Api) -> None:
    imagen = {"model": "imagen-3.0-generate-002"}
    body = image(api, n=3, **imagen).json()
    urls = [item["url"] for item in body["data"]]
    assert len(set(urls)) == 3
    assert body["usage"]["cost"] == 0.09
    assert image(api, **imagen).json()["data"][0]["url"] == urls[0]
    others = [image(api, seed=5, **imagen), image(api, prompt="Another", **imagen)]
    assert urls[0] not in [other.json()["data"][0]["url"] for other in others]
    first, second = (requests.get(url, timeout=10).content for url in urls[:2])
    assert first != second
    assert len(set(picture(first).convert("RGB").get_flattened_data())) > 100


@pytest.mark.parametrize(
    ("fields", "parameter"),
    [
        ({"size": "512x512"}, "size"),
        ({"size": "large"}, "size"),
        ({"n": 2}, "n"),
        ({"model": "xai/grok-2-image", "n": 11}, "n"),
        ({"model": "xai/grok-2-image", "size": "1024x1024"}, "size"),
        ({"model": "google/imagen-3.0-generate-002", "size": "1024x1024"}, "size"),
        ({"model": "google/imagen-3.0-generate-002", "aspect_ratio": "7:1"}, "aspect_ratio"),
        ({"aspect_ratio": "1:1"}, "aspect_ratio"),
        ({"response_format": "jpeg"}, "response_format"),
        ({"model": "openai/gpt-4o"}, "model"),
    ],
)
def test_what_a_model_does_not_take_is_refused(api: Api, fields: Any, parameter: str) -> None:
    answer = image(api, **fields)
    body = answer.json()
    assert (answer.status_code, body["error"]) == (400, "InvalidParametersError")
    assert body["details"]["parameter"] == parameter
