"""Telling `on_event` how a call ended."""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import urlsplit

from indoxrouter.core.assembly import Assembly
from indoxrouter.core.attempts import Attempts
from indoxrouter.core.policy import Clock
from indoxrouter.core.steps import Plan, tell
from indoxrouter.errors import IndoxRouterError
from indoxrouter.events import CallEvent
from indoxrouter.generation import Generation
from indoxrouter.wire.messages import Request

T = TypeVar("T")


def told(
    plan: Plan[T], request: Request, attempts: Attempts, assembly: Assembly | None, base_url: str, clock: Clock
) -> Plan[T]:
    """The plan, and one event at its end, however it ends."""
    began, started = clock.now(), clock.wall()

    def event(answer: object, error: BaseException | None) -> CallEvent:
        return _event(request, attempts, assembly, base_url, answer, error, started, clock.now() - began)

    try:
        answer = yield from plan
    except GeneratorExit:
        raise  # nobody is left to carry out a step
    except BaseException as error:
        yield from tell(event(None, error))
        raise
    yield from tell(event(answer, None))
    return answer


def _event(
    request: Request,
    attempts: Attempts,
    assembly: Assembly | None,
    base_url: str,
    answer: object,
    error: BaseException | None,
    started: float,
    seconds: float,
) -> CallEvent:
    server = urlsplit(base_url)
    made = answer if isinstance(answer, Generation) else Generation()
    failure = error if isinstance(error, IndoxRouterError) else IndoxRouterError()
    left_early = error is not None and not isinstance(error, IndoxRouterError)
    status = failure.status_code or (attempts.trail[-1].status if attempts.trail else None)
    return CallEvent(
        operation=request.kind,
        model=request.model,
        response_model=made.model,
        provider=made.provider,
        server_address=server.hostname,
        server_port=server.port or {"http": 80, "https": 443}.get(server.scheme),
        started=started,
        seconds=seconds,
        outcome=failure.outcome
        or ("unknown" if left_early and not (assembly and assembly.state == "complete") else "done"),
        state=None if assembly is None else assembly.state,
        error_type=None if error is None or left_early else type(error).__name__,
        status_code=status,
        request_id=made.request_id or failure.request_id or (assembly.request_id if assembly else None),
        client_request_id=attempts.id,
        usage=made.usage or (assembly.usage if assembly else None),
        finish_reason=getattr(made, "finish_reason", None) or (assembly.finish_reason if assembly else None),
        cached=made.cached,
        attempts=attempts.trail,
    )
