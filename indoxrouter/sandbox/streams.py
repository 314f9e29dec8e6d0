"""The three generations of streams: the events before the text, for each piece of it, and after it."""

from dataclasses import replace
from typing import Any, Protocol

from indoxrouter.sandbox.encoding import DONE, event, to_json
from indoxrouter.sandbox.errors import refused
from indoxrouter.sandbox.gallery import Illustration
from indoxrouter.sandbox.reply import Choice, TextReply
from indoxrouter.sandbox.shapes import FINGERPRINT, hub_image, hub_item, the_one


class Generation(Protocol):
    """One way of putting a text into events; `stopped` tells a text that was stopped on request."""

    def stream_id(self, reply: TextReply) -> str | None: ...
    def head(self, reply: TextReply) -> list[bytes]: ...
    def piece(self, reply: TextReply, index: int) -> bytes: ...
    def tail(self, reply: TextReply, count: int, stopped: bool) -> list[bytes]: ...


class Chunks:
    """OpenAI chunks; a router names the provider, and tells the usage with the last finish reason.

    At a plain server the usage is told in a chunk of its own, or not at all.
    """

    def __init__(self, *, router: bool = True, usage: bool = True) -> None:
        self._router = router
        self._usage = usage

    def stream_id(self, _reply: TextReply) -> str | None:
        return None  # a chunk's id cannot be used to stop a stream

    def head(self, reply: TextReply) -> list[bytes]:
        if not reply.chat:
            return []
        return [
            self._event(reply, choice, {"delta": {"role": "assistant", "content": None if choice.call else ""}})
            for choice in reply.choices
        ]

    def piece(self, reply: TextReply, index: int) -> bytes:
        delta = reply.deltas[index]
        choice = delta.choice
        added: dict[str, Any] = {"tool_calls": [delta.call]} if delta.call else {"content": delta.text}
        images = {"images": [delta.image.shape]} if delta.image else None
        shape: dict[str, Any] = (
            {"delta": images or added} if reply.chat else {"text": delta.text or "", **(images or {})}
        )
        if choice.top is not None:
            shape["logprobs"] = choice.logprobs(reply.chat, delta)
        return self._event(reply, choice, shape)

    def tail(self, reply: TextReply, count: int, stopped: bool) -> list[bytes]:
        usage = reply.bill(count).openai_usage(cost=self._router)
        *choices, last = reply.choices
        shape: dict[str, Any] = {"delta": {}} if reply.chat else {"text": ""}
        cut = {delta.choice.index for delta in reply.deltas[count:]} if stopped else set()
        reasons = {choice.index: "stop" if choice.index in cut else choice.finish_reason for choice in reply.choices}
        events = [self._event(reply, choice, shape, reasons[choice.index]) for choice in choices]
        if self._router:
            return [*events, self._event(reply, last, shape, reasons[last.index], usage=usage), DONE]
        events.append(self._event(reply, last, shape, reasons[last.index]))
        if self._usage:
            events.append(event(self._chunk(reply) | {"choices": [], "usage": usage}))
        return [*events, DONE]

    def _event(
        self, reply: TextReply, choice: Choice, shape: dict[str, Any], reason: str | None = None, **more: Any
    ) -> bytes:
        chunk = self._chunk(reply)
        chunk["choices"] = [{"index": choice.index, **shape, "finish_reason": reason}]
        if self._usage and not self._router:
            chunk["usage"] = None
        return event(chunk | more)

    def _chunk(self, reply: TextReply) -> dict[str, Any]:
        chunk = {
            "id": ("chatcmpl-" if reply.chat else "cmpl-") + reply.request_id,
            "object": "chat.completion.chunk" if reply.chat else "text_completion",
            "created": reply.created_seconds,
            "model": reply.shown,
            "system_fingerprint": FINGERPRINT,
        }
        return chunk | {"provider": reply.model.provider} if self._router else chunk


class Typed:
    """The hub's typed events."""

    def stream_id(self, reply: TextReply) -> str | None:
        return "resp_" + reply.request_id

    def head(self, reply: TextReply) -> list[bytes]:
        created = event({"type": "response.created", "response": self._response(reply, "in_progress")})
        if the_one(reply).call is not None:
            return [created]
        item = {"id": "msg_" + reply.request_id, "type": "message", "role": "assistant", "content": []}
        part = {"type": "output_text", "text": "", "annotations": []}
        return [
            created,
            event({"type": "response.output_item.added", "output_index": 0, "item": item}),
            event({"type": "response.content_part.added", "output_index": 0, "content_index": 0, "part": part}),
        ]

    def piece(self, reply: TextReply, index: int) -> bytes:
        delta, call = reply.deltas[index], reply.choices[0].call
        if delta.image is not None:
            return self._image(reply, delta.image)
        if call is None:
            kind = "response.content_part.delta"
            return event({"type": kind, "output_index": 0, "content_index": 0, "delta": delta.text})
        if index == 0:
            item = hub_item(reply, "", replace(call, arguments=""), "in_progress")
            return event({"type": "response.output_item.added", "output_index": 0, "item": item})
        piece = reply.choices[0].pieces[index - 1]
        named = {"item_id": "fc_" + reply.request_id, "output_index": 0}
        return event({"type": "response.function_call_arguments.delta", **named, "delta": piece})

    def tail(self, reply: TextReply, count: int, stopped: bool) -> list[bytes]:
        whole = not stopped and reply.finish_reason != "length"
        status = "completed" if whole else "incomplete"
        choice = reply.choices[0]
        call = choice.call
        if call is not None:
            call = replace(call, arguments="".join(choice.pieces[: max(0, count - 1)]))
        item = hub_item(reply, "".join(delta.text or "" for delta in reply.deltas[:count]), call, status)
        response = self._response(reply, status)
        response["usage"] = reply.bill(count).hub_usage()
        if not whole:
            response["incomplete_details"] = {"reason": "stopped" if stopped else "max_output_tokens"}
        return [
            event({"type": "response.output_item.done", "output_index": 0, "item": item}),
            event({"type": "response.done", "response": response}),
            DONE,
        ]

    def _image(self, reply: TextReply, image: Illustration) -> bytes:
        """The steps of drawing an image, in one piece; it is told by its URL, or in base64."""
        place = reply.choices[0].images.index(image) + 1
        begun, done = hub_image(reply, place, {}, "in_progress"), hub_image(reply, place, image.shape)
        named = {"item_id": done["id"], "output_index": place}
        url, data = image.shape.get("url"), image.shape.get("b64_json")
        result = {"image_generation_call": {"id": done["id"], "url": url}} if url else {"data": data}
        step, partial = "response.image_generation_call.", {"partial_image_b64": image.preview()}
        steps: list[tuple[str, dict[str, Any]]] = [
            ("response.output_item.added", {"output_index": place, "item": begun}),
            (step + "in_progress", named),
            (step + "generating", named),
            (step + "partial_image", named | {"partial_image_index": 0} | partial),
            (step + "completed", named | result),
            ("response.output_item.done", {"output_index": place, "item": done}),
        ]
        return b"".join(event({"type": kind, **told}) for kind, told in steps)

    def _response(self, reply: TextReply, status: str) -> dict[str, Any]:
        return {
            "id": self.stream_id(reply),
            "object": "response",
            "created_at": reply.created_seconds,
            "model": reply.model.name,
            "provider": reply.model.provider,
            "status": status,
        }


class Bare:
    """Bare text: the first piece as it is, the others as objects that keep their white space."""

    def stream_id(self, _reply: TextReply) -> str | None:
        return None

    def head(self, reply: TextReply) -> list[bytes]:
        if the_one(reply).call is not None:
            raise refused("A stream of bare text carries no tool calls.", "tools")
        return []

    def piece(self, reply: TextReply, index: int) -> bytes:
        delta = reply.deltas[index]
        text = delta.text or ""
        if delta.image is not None:
            return event({"images": [delta.image.shape]})
        return b"data: " + text.encode() + b"\n\n" if index == 0 else b"data: " + to_json({"data": text}) + b"\n\n"

    def tail(self, _reply: TextReply, _count: int, _stopped: bool) -> list[bytes]:
        return [DONE]


GENERATIONS: dict[str, Generation] = {"chunks": Chunks(), "typed": Typed(), "bare": Bare()}
