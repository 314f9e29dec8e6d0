"""The four generations of answers, as dictionaries."""

from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from indoxrouter.sandbox.billing import Bill
from indoxrouter.sandbox.errors import refused
from indoxrouter.sandbox.reply import Choice, TextReply
from indoxrouter.sandbox.tooling import ToolCall

FINGERPRINT = "fp_sandbox"


def envelope(
    request_id: str, bill: Bill, started: float, data: Any, created: datetime | None = None, **extra: Any
) -> dict[str, Any]:
    """The standard envelope; `extra` are the fields of one kind of answer."""
    now = datetime.now(UTC)
    elapsed = perf_counter() - started
    return {
        "request_id": request_id,
        "created_at": (created or now).isoformat(),
        "duration_ms": round(elapsed * 1000, 3),
        "provider": bill.model.provider,
        "model": bill.model.name,
        "success": True,
        "message": "Answered by the sandbox.",
        "usage": bill.usage(elapsed, now.isoformat()),
        "raw_response": None,
        "data": data,
        **extra,
    }


def text_envelope(reply: TextReply) -> dict[str, Any]:
    """The standard envelope of the first choice; all of them stand in the raw response."""
    call = reply.choices[0].call
    images = [image.shape for image in reply.choices[0].images]
    return envelope(
        reply.request_id,
        reply.bill(),
        reply.started,
        reply.text,
        reply.created,
        raw_response=openai(reply),
        finish_reason=reply.finish_reason,
        images=images or None,
        **({"tool_calls": [call.shape()]} if call else {}),
    )


def openai(reply: TextReply, *, cost: bool = True) -> dict[str, Any]:
    return {
        "id": ("chatcmpl-" if reply.chat else "cmpl-") + reply.request_id,
        "object": "chat.completion" if reply.chat else "text_completion",
        "created": reply.created_seconds,
        "model": reply.shown,
        "choices": [_choice(choice, reply.chat) for choice in reply.choices],
        "usage": reply.bill().openai_usage(cost=cost),
        "system_fingerprint": FINGERPRINT,
    }


def _choice(choice: Choice, chat: bool) -> dict[str, Any]:
    shape = {"index": choice.index, "finish_reason": choice.finish_reason, "logprobs": choice.logprobs(chat)}
    images = {"images": [image.shape for image in choice.images]} if choice.images else {}
    if not chat:
        return shape | {"text": choice.text} | images
    if choice.call is None:
        return shape | {"message": {"role": "assistant", "content": choice.text} | images}
    return shape | {"message": {"role": "assistant", "content": None, "tool_calls": [choice.call.shape()]}}


def hub(reply: TextReply) -> dict[str, Any]:
    choice = the_one(reply)
    status = "completed" if choice.finish_reason != "length" else "incomplete"
    return {
        "id": "resp_" + reply.request_id,
        "object": "response",
        "created_at": reply.created_seconds,
        "model": reply.model.name,
        "provider": reply.model.provider,
        "duration_ms": round((perf_counter() - reply.started) * 1000, 3),
        "status": status,
        "output": [
            hub_item(reply, choice.text, choice.call, status),
            *(hub_image(reply, place, image.shape) for place, image in enumerate(choice.images, 1)),
        ],
        "usage": reply.bill().hub_usage(),
    }


def hub_item(reply: TextReply, text: str, call: ToolCall | None, status: str) -> dict[str, Any]:
    """An item of the hub's `output`: a message or a function call."""
    if call is not None:
        named = {"call_id": call.id, "name": call.name, "arguments": call.arguments}
        return {"id": "fc_" + reply.request_id, "type": "function_call", "status": status, **named}
    content = {"type": "output_text", "text": text, "annotations": []}
    message = {"id": "msg_" + reply.request_id, "type": "message", "status": status}
    return message | {"role": "assistant", "content": [content]}


def hub_image(reply: TextReply, place: int, shape: dict[str, str], status: str = "completed") -> dict[str, Any]:
    """An image as the item of the hub's `output` at a place."""
    return {"id": f"ig_{place}_{reply.request_id}", "type": "image_generation_call", "status": status, **shape}


def the_one(reply: TextReply) -> Choice:
    """The only choice, in generations that have room for no more."""
    if len(reply.choices) > 1:
        raise refused("This generation of answers carries one choice alone.", "n")
    return reply.choices[0]


TEXT_SHAPES = {"envelope": text_envelope, "seed": text_envelope, "hub": hub, "openai": openai}


def wrapped(generation: str, answer: Any, request_id: str) -> Any:
    """An answer of a kind that differs between the generations by the seed era's wrapping alone."""
    return seed(answer, request_id) if generation == "seed" else answer


def seed(answer: Any, request_id: str) -> dict[str, Any]:
    """The wrapping of the seed era's answers."""
    return {"result": answer, "metadata": {"request_id": request_id}}
