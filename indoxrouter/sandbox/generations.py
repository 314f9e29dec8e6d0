"""The hosted API's paid endpoints: chat, completion, embeddings and images."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from indoxrouter.sandbox import answers, checks, shapes, writing
from indoxrouter.sandbox.billing import Bill
from indoxrouter.sandbox.call import Call
from indoxrouter.sandbox.catalogue import Model, usable
from indoxrouter.sandbox.conversation import Said
from indoxrouter.sandbox.desk import JSON, Body, Carrier, Desk
from indoxrouter.sandbox.encoding import to_json
from indoxrouter.sandbox.errors import context_exceeded, detail, refused
from indoxrouter.sandbox.gallery import IMAGE_TOKENS, Gallery
from indoxrouter.sandbox.reply import Choice, TextReply
from indoxrouter.sandbox.settings import Settings
from indoxrouter.sandbox.settling import Slot
from indoxrouter.sandbox.streams import GENERATIONS


class Generations:
    """What the paid endpoints do, in the configured generation."""

    def __init__(self, settings: Settings, desk: Desk, gallery: Gallery) -> None:
        self._seed = settings.answers == "seed"
        self._desk = desk
        self._gallery = gallery
        self._chat_images = settings.chat_images
        self._shape = shapes.TEXT_SHAPES[settings.answers]
        self._stream = GENERATIONS[settings.streams]
        self.endpoints: dict[str, Callable[[Request], Awaitable[ASGIApp]]] = {
            "chat/completions": partial(self._carry_out, "chat/completions", self._chat),
            "completions": partial(self._carry_out, "completions", self._completion),
            "embeddings": partial(self._carry_out, "embeddings", self._embeddings),
            "images/generations": partial(self._carry_out, "images/generations", self._images),
        }

    async def _carry_out(self, endpoint: str, carrier: Carrier, request: Request) -> ASGIApp:
        raw = await request.body()
        return await self._desk.carry_out(request, endpoint, raw, lambda: checks.body(raw, endpoint), carrier)

    async def stop_stream(self, request: Request) -> Response:
        stream_id = request.path_params["stream_id"]
        stopped = self._desk.open_streams.stop(stream_id)
        if stopped is None:
            raise detail(404, f"No stream {stream_id} is open.")
        return Response(to_json(stopped), media_type=JSON)

    def _chat(self, call: Call, body: Body, slot: Slot) -> ASGIApp:
        model = usable(body["model"], "chat")
        written = writing.chat(model, body["messages"], _params(body))
        return self._text(model, written, Said.in_messages(body["messages"]).last, call, body, slot)

    def _completion(self, call: Call, body: Body, slot: Slot) -> ASGIApp:
        model = usable(body["model"], "chat", "text_completions")
        written = writing.completion(model, [body["prompt"]], _params(body))
        return self._text(model, written, body["prompt"], call, body, slot)

    def _text(self, model: Model, written: writing.Written, prompt: str, call: Call, body: Body, slot: Slot) -> ASGIApp:
        chat, byok = "messages" in body, bool(body.get("byok_api_key"))
        asked, started = written.tokens_prompt, call.started
        choices = self._illustrated(model, written.choices, prompt, body, call.origin)
        reply = TextReply(call.request_id, chat, model, model.name, choices, asked, byok, started)
        if body.get("stream"):
            return self._desk.stream(reply, self._stream, slot, call)
        return self._finish(slot, reply.bill(), call, self._shape(reply))

    def _illustrated(self, model: Model, choices: list[Choice], prompt: str, body: Body, origin: str) -> list[Choice]:
        """The choices, each text with an image if the model draws, unless text alone is asked for."""
        params = _params(body)
        if not model.draws or "image" not in (params.get("modalities") or ("image",)):
            return choices
        limit = params.get("max_completion_tokens") or params.get("max_tokens")
        illustrated = []
        for choice in choices:
            if choice.call is None and limit is not None and choice.size + IMAGE_TOKENS > limit:
                choice = replace(choice, finish_reason="length")
            elif choice.call is None:
                form, seed = self._chat_images, params.get("seed")
                image = self._gallery.illustrate(prompt, seed, choice.index, form, origin)
                choice = replace(choice, images=(image,))
            illustrated.append(choice)
        return illustrated

    def _embeddings(self, call: Call, body: Body, slot: Slot) -> Response:
        model = usable(body["model"], "embeddings")
        dimensions = (body.get("additional_params") or {}).get("dimensions")
        vectors, count = embed(model, body["text"], dimensions)
        bill = Bill(model, count, byok=bool(body.get("byok_api_key")))
        answer = shapes.envelope(call.request_id, bill, call.started, vectors, dimensions=len(vectors[0]))
        return self._finish(slot, bill, call, answer)

    def _images(self, call: Call, body: Body, slot: Slot) -> Response:
        data, bill = picture(self._gallery, body, call.origin)
        return self._finish(slot, bill, call, shapes.envelope(call.request_id, bill, call.started, data))

    def _finish(self, slot: Slot, bill: Bill, call: Call, answer: Body) -> Response:
        if self._seed:
            answer = shapes.seed(answer, call.request_id)
        return self._desk.answer(slot, bill, call, answer)


def _params(body: Body) -> Body:
    """The provider's parameters; a limit stands beside them."""
    params: Body = body.get("additional_params") or {}
    limit = body.get("max_tokens")
    return params if limit is None else params | {"max_tokens": limit}


def embed(model: Model, texts: list[str], dimensions: int | None) -> tuple[list[list[float]], int]:
    """Vectors for texts, and how many tokens the texts count."""
    size = dimensions or model.dimensions
    if size > model.dimensions:
        raise refused(f"{model.id} has at most {model.dimensions} dimensions.", "dimensions")
    counts = [len(answers.tokens(text)) for text in texts]
    if max(counts) > model.context:
        raise context_exceeded(model.id, model.context, max(counts))
    return [answers.embedding(text, size) for text in texts], sum(counts)


def picture(gallery: Gallery, body: Body, origin: str) -> tuple[list[Body], Bill]:
    """Images for a prompt, and their bill."""
    model = usable(body["model"], "image_generation")
    data = gallery.make(model, body, origin)
    byok = bool(body.get("byok_api_key"))
    return data, Bill(model, len(answers.tokens(body["prompt"])), units=len(data), byok=byok)
