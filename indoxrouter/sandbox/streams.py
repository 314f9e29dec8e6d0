"""The three generations of streams: the events before the text, for each piece of it, and after it."""

from typing import Any, Protocol

from indoxrouter.sandbox.encoding import DONE, event, to_json
from indoxrouter.sandbox.reply import TextReply


class Generation(Protocol):
    """One way of putting a text into events; `stopped` tells a text that was stopped on request."""

    def stream_id(self, reply: TextReply) -> str | None: ...
    def head(self, reply: TextReply) -> list[bytes]: ...
    def piece(self, reply: TextReply, index: int) -> bytes: ...
    def tail(self, reply: TextReply, count: int, stopped: bool) -> list[bytes]: ...


class Chunks:
    """OpenAI chunks; the usage stands in the chunk that carries the finish reason."""

    def stream_id(self, _reply: TextReply) -> str | None:
        return None  # a chunk's id cannot be used to stop a stream

    def head(self, reply: TextReply) -> list[bytes]:
        if not reply.chat:
            return []
        return [event(self._chunk(reply, {"delta": {"role": "assistant", "content": ""}}))]

    def piece(self, reply: TextReply, index: int) -> bytes:
        text = reply.pieces[index]
        return event(self._chunk(reply, {"delta": {"content": text}} if reply.chat else {"text": text}))

    def tail(self, reply: TextReply, count: int, stopped: bool) -> list[bytes]:
        choice: dict[str, Any] = {"delta": {}} if reply.chat else {"text": ""}
        chunk = self._chunk(reply, choice, "stop" if stopped else reply.finish_reason)
        chunk["usage"] = reply.bill(count).openai_usage()
        return [event(chunk), DONE]

    def _chunk(self, reply: TextReply, choice: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        return {
            "id": ("chatcmpl-" if reply.chat else "cmpl-") + reply.request_id,
            "object": "chat.completion.chunk" if reply.chat else "text_completion",
            "created": reply.created_seconds,
            "model": reply.model.name,
            "provider": reply.model.provider,
            "choices": [{"index": 0, **choice, "finish_reason": finish_reason}],
        }


class Typed:
    """The hub's typed events."""

    def stream_id(self, reply: TextReply) -> str | None:
        return "resp_" + reply.request_id

    def head(self, reply: TextReply) -> list[bytes]:
        item = {"id": "msg_" + reply.request_id, "type": "message", "role": "assistant", "content": []}
        part = {"type": "output_text", "text": "", "annotations": []}
        return [
            event({"type": "response.created", "response": self._response(reply, "in_progress")}),
            event({"type": "response.output_item.added", "output_index": 0, "item": item}),
            event({"type": "response.content_part.added", "output_index": 0, "content_index": 0, "part": part}),
        ]

    def piece(self, reply: TextReply, index: int) -> bytes:
        delta = reply.pieces[index]
        return event({"type": "response.content_part.delta", "output_index": 0, "content_index": 0, "delta": delta})

    def tail(self, reply: TextReply, count: int, stopped: bool) -> list[bytes]:
        whole = not stopped and reply.finish_reason == "stop"
        status = "completed" if whole else "incomplete"
        content = {"type": "output_text", "text": "".join(reply.pieces[:count]), "annotations": []}
        item = {
            "id": "msg_" + reply.request_id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": [content],
        }
        response = self._response(reply, status)
        response["usage"] = reply.bill(count).hub_usage()
        if not whole:
            response["incomplete_details"] = {"reason": "stopped" if stopped else "max_output_tokens"}
        return [
            event({"type": "response.output_item.done", "output_index": 0, "item": item}),
            event({"type": "response.done", "response": response}),
            DONE,
        ]

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

    def head(self, _reply: TextReply) -> list[bytes]:
        return []

    def piece(self, reply: TextReply, index: int) -> bytes:
        text = reply.pieces[index]
        return b"data: " + text.encode() + b"\n\n" if index == 0 else b"data: " + to_json({"data": text}) + b"\n\n"

    def tail(self, _reply: TextReply, _count: int, _stopped: bool) -> list[bytes]:
        return [DONE]


GENERATIONS: dict[str, Generation] = {"chunks": Chunks(), "typed": Typed(), "bare": Bare()}
