"""The paid endpoints: chat, completion, embeddings and images."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from indoxrouter.sandbox import answers, catalogue, checks, shapes
from indoxrouter.sandbox.billing import Bill
from indoxrouter.sandbox.call import Call
from indoxrouter.sandbox.catalogue import Model
from indoxrouter.sandbox.encoding import to_json
from indoxrouter.sandbox.errors import context_exceeded, detail, named
from indoxrouter.sandbox.eventstream import EventStream, OpenStreams, Replay
from indoxrouter.sandbox.gallery import Gallery
from indoxrouter.sandbox.ledger import Remembered
from indoxrouter.sandbox.reply import TextReply
from indoxrouter.sandbox.settings import Settings
from indoxrouter.sandbox.settling import REPLAYED, Bookkeeper, Slot
from indoxrouter.sandbox.streams import GENERATIONS

JSON = "application/json"
Body = dict[str, Any]
Carrier = Callable[[Call, Body, Slot], ASGIApp]


class Generations:
    """Carries the paid requests out: once for a key, in the configured generation."""

    def __init__(self, settings: Settings, books: Bookkeeper, gallery: Gallery) -> None:
        self._settings = settings
        self._books = books
        self._gallery = gallery
        self._open_streams = OpenStreams()
        self._shape = shapes.TEXT_SHAPES[settings.answers]
        self._stream = GENERATIONS[settings.streams]
        self.endpoints: dict[str, Callable[[Request], Awaitable[ASGIApp]]] = {
            "chat/completions": partial(self._carry_out, "chat/completions", partial(self._text, True)),
            "completions": partial(self._carry_out, "completions", partial(self._text, False)),
            "embeddings": partial(self._carry_out, "embeddings", self._embeddings),
            "images/generations": partial(self._carry_out, "images/generations", self._images),
        }

    async def _carry_out(self, endpoint: str, carrier: Carrier, request: Request) -> ASGIApp:
        call = Call.of(request)
        raw = await request.body()
        slot = self._books.open(request, endpoint, raw, call.fault.charged)
        if slot.remembered is not None:
            return _replay(slot.remembered)
        try:
            body = checks.body(raw, endpoint)
            self._books.check_credits(body.get("byok_api_key"))
            await call.pause()
            answer = carrier(call, body, slot)
        except BaseException:
            slot.close()
            raise
        if not isinstance(answer, EventStream):  # a stream closes its slot when it ends
            slot.close()
        return answer

    async def stop_stream(self, request: Request) -> Response:
        stream_id = request.path_params["stream_id"]
        if not self._open_streams.stop(stream_id):
            raise detail(404, f"No stream {stream_id} is open.")
        await asyncio.sleep(0)
        return Response(to_json({"success": True, "stream_id": stream_id}), media_type=JSON)

    def _text(self, chat: bool, call: Call, body: Body, slot: Slot) -> ASGIApp:
        model = _usable(body["model"], ("chat",) if chat else ("chat", "text_completions"))
        params = body.get("additional_params") or {}
        prompt = body["messages"] if chat else body["prompt"]
        asked = answers.chat_tokens(prompt) if chat else len(answers.tokens(prompt))
        limit = body.get("max_tokens")
        if asked + (limit or 1) > model.context:
            raise context_exceeded(model.id, model.context, asked + (limit or 1))
        quoted = _last_words(prompt) if chat else prompt
        text = answers.answer_text(prompt, quoted, model.id, params.get("seed"))
        pieces, reason = answers.cut(text, _stop_sequences(params), min(limit or model.output, model.output))
        byok = bool(body.get("byok_api_key"))
        reply = TextReply(call.request_id, chat, model, pieces, reason, asked, byok, call.started)
        if body.get("stream"):
            stream, delay = self._stream, self._settings.stream_delay
            return EventStream(reply, stream, slot, call.fault, delay, self._open_streams, self._books.counters)
        return self._finish(slot, reply.bill(), call, self._shape(reply))

    def _embeddings(self, call: Call, body: Body, slot: Slot) -> Response:
        model = _usable(body["model"], ("embeddings",))
        dimensions = (body.get("additional_params") or {}).get("dimensions") or model.dimensions
        if dimensions > model.dimensions:
            raise _refused(f"{model.id} has at most {model.dimensions} dimensions.", "dimensions")
        texts = body["text"]
        counts = [len(answers.tokens(text)) for text in texts]
        if max(counts) > model.context:
            raise context_exceeded(model.id, model.context, max(counts))
        vectors = [answers.embedding(text, dimensions) for text in texts]
        bill = Bill(model, sum(counts), byok=bool(body.get("byok_api_key")))
        answer = shapes.envelope(call.request_id, bill, call.started, vectors, dimensions=dimensions)
        return self._finish(slot, bill, call, answer)

    def _images(self, call: Call, body: Body, slot: Slot) -> Response:
        model = _usable(body["model"], ("image_generation",))
        data = self._gallery.make(model, body, call.origin)
        byok = bool(body.get("byok_api_key"))
        bill = Bill(model, len(answers.tokens(body["prompt"])), units=len(data), byok=byok)
        return self._finish(slot, bill, call, shapes.envelope(call.request_id, bill, call.started, data))

    def _finish(self, slot: Slot, bill: Bill, call: Call, answer: Body) -> Response:
        if self._settings.answers == "seed":
            answer = shapes.seed(answer, call.request_id)
        content = to_json(answer)
        slot.settle(call.request_id, bill, JSON, content)
        return Response(content, media_type=JSON)


def _replay(answer: Remembered) -> ASGIApp:
    if answer.media_type == JSON:
        return Response(answer.body, 200, REPLAYED | {"x-request-id": answer.request_id}, JSON)
    return Replay(answer.request_id, answer.body, answer.complete)


def _usable(name: str, kinds: tuple[str, ...]) -> Model:
    model = catalogue.resolve(name)
    if model.kind not in kinds:
        message = f"{model.id} is for {model.kind}, not for {' or '.join(kinds)}."
        raise _refused(message, "model", model=model.id)
    return model


def _refused(message: str, parameter: str, **details: Any) -> Exception:
    return named(400, "InvalidParametersError", message, parameter=parameter, **details)


def _stop_sequences(params: Body) -> list[str]:
    stop = params.get("stop") or []
    sequences = [stop] if isinstance(stop, str) else stop
    if not isinstance(sequences, list) or not all(isinstance(sequence, str) for sequence in sequences):
        raise _refused("stop must be a string or a list of strings.", "stop")
    return sequences


def _last_words(messages: list[dict[str, Any]]) -> str:
    """What the user said last, else the last message."""
    said = [message for message in messages if message["role"] == "user"] or messages
    return answers.message_text(said[-1])
