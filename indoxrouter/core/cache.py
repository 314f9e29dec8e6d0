"""Which answers are kept, under which key, in which form. No secret is in either."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from indoxrouter.config import Settings
from indoxrouter.errors import ValidationError
from indoxrouter.options import CallOptions
from indoxrouter.wire.messages import Kind, Request, Result, request_id_in

KEPT: frozenset[Kind] = frozenset({"chat", "completion", "embeddings", "image"})
_NOT_ASKED = frozenset({"byok_api_key", "stream", "stream_options", "encoding_format"})
"""Fields that change how an answer comes, or who pays for it, but not what it is."""


def wanted(settings: Settings, options: CallOptions) -> bool:
    """Whether this call looks into the cache. Raises ValidationError where it wants one that is not there."""
    if options.caching and settings.cache is None:
        raise ValidationError("caching=True needs a client with a cache: Client(cache={})")
    return settings.cache is not None and options.caching is not False


def keepable(request: Request) -> bool:
    return request.kind in KEPT


def key(settings: Settings, request: Request, options: CallOptions) -> str:
    """The same for identical requests to the same server, streamed or not."""
    body = {**(request.body or {}), **options.extra_body}
    # Written and read once first: as JSON, all names are text and can be sorted.
    asked = json.loads(json.dumps({name: body[name] for name in body if name not in _NOT_ASKED}, default=dict))
    named = json.dumps([settings.dialect, settings.base_url, request.paths[0], asked], sort_keys=True)
    return "indoxrouter:" + hashlib.sha256(named.encode()).hexdigest()


def packed(result: Result) -> str:
    """As text, which every kind of mapping can hold."""
    return json.dumps({"body": result.body, "request_id": request_id_in(result.headers)})


def unpacked(kept: Any, request: Request, client_request_id: str) -> Result | None:
    """The answer; None where something else stands in its place."""
    try:
        found = json.loads(kept)
        headers = {"x-request-id": found["request_id"]} if found["request_id"] else {}
        body = _at_no_cost(found["body"])
        return Result(body, request, "the cache", headers, client_request_id, cached=True)
    except (TypeError, ValueError, KeyError):
        return None


def _at_no_cost(body: Any) -> Any:
    """What an answer once cost is not paid again."""
    if isinstance(body, dict) and isinstance(body.get("usage"), dict):
        return {**body, "usage": {**body["usage"], "cost": 0.0, "cost_breakdown": None}}
    if isinstance(body, dict) and isinstance(body.get("result"), dict):
        return {**body, "result": _at_no_cost(body["result"])}
    return body
