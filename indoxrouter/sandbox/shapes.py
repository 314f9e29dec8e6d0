"""The four generations of answers, as dictionaries."""

from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from indoxrouter.sandbox.billing import Bill
from indoxrouter.sandbox.reply import TextReply


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
    return envelope(
        reply.request_id,
        reply.bill(),
        reply.started,
        reply.text,
        reply.created,
        raw_response=openai(reply),
        finish_reason=reply.finish_reason,
        images=None,
    )


def openai(reply: TextReply) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "finish_reason": reply.finish_reason, "logprobs": None}
    if reply.chat:
        choice["message"] = {"role": "assistant", "content": reply.text}
    else:
        choice["text"] = reply.text
    return {
        "id": ("chatcmpl-" if reply.chat else "cmpl-") + reply.request_id,
        "object": "chat.completion" if reply.chat else "text_completion",
        "created": reply.created_seconds,
        "model": reply.model.name,
        "choices": [choice],
        "usage": reply.bill().openai_usage(),
    }


def hub(reply: TextReply) -> dict[str, Any]:
    content = {"type": "output_text", "text": reply.text, "annotations": []}
    status = "completed" if reply.finish_reason == "stop" else "incomplete"
    return {
        "id": "resp_" + reply.request_id,
        "object": "response",
        "created_at": reply.created_seconds,
        "model": reply.model.name,
        "provider": reply.model.provider,
        "duration_ms": round((perf_counter() - reply.started) * 1000, 3),
        "status": status,
        "output": [{"type": "message", "status": status, "role": "assistant", "content": [content]}],
        "usage": reply.bill().hub_usage(),
    }


TEXT_SHAPES = {"envelope": text_envelope, "seed": text_envelope, "hub": hub, "openai": openai}


def seed(answer: Any, request_id: str) -> dict[str, Any]:
    """The wrapping of the seed era's answers."""
    return {"result": answer, "metadata": {"request_id": request_id}}
