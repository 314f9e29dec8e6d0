"""Following a stream: idle limits, the verdict on how it ended, and closing it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from indoxrouter.core import policy
from indoxrouter.core.assembly import Assembly
from indoxrouter.core.exchange import Body, Limits, parsed, read
from indoxrouter.core.policy import Clock
from indoxrouter.core.steps import Plan, close, emit, notify, read_next
from indoxrouter.errors import APIError, IndoxRouterError, NetworkError, RequestTimeoutError, StreamError
from indoxrouter.wire.chunks import EventReader, StreamEvent, whole_answer
from indoxrouter.wire.failures import Origin, unusable
from indoxrouter.wire.messages import HttpRequest, Reply, Request, Result
from indoxrouter.wire.sse import Framer

_UNLIMITED = 2**62
"""A stream may be of any length: only its single events are bounded."""
_MANY = 64
"""Events, or chunks of one of them, between two looks at the clock."""
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")


class Feed:
    """One streaming reply, read event by event."""

    def __init__(
        self,
        reply: Reply,
        origin: Origin,
        idle: float,
        deadline: float | None,
        clock: Clock,
        stop: Callable[[str], HttpRequest] | None = None,
    ) -> None:
        """`stop`: the request that stops the stream of this id at the server."""
        self.reply = reply
        self._stop = stop
        self._stream_id: str | None = None
        self._origin = origin
        self._idle = idle
        self._deadline = deadline
        self._clock = clock
        self._framer = Framer()
        self._framed: Iterator[str] = iter(())
        self._reader = EventReader(origin)
        self._body: Body | None = None
        self._events: deque[StreamEvent] = deque()
        self._broken: IndoxRouterError | None = None
        self._ended = False
        self._head = b""
        self._content_type = reply.headers.get("content-type", "").lower()

    def first(self, limits: Limits, request: Request) -> Plan[None]:
        """Wait for the first event. What it raises may still be retried."""
        try:
            if any(kind in self._content_type for kind in ("json", "html")):
                content = yield from read(self.reply, limits, self._origin.target)
                body = parsed(self._origin, self.reply, content, values=request.values)
                origin, headers = self._origin, self.reply.headers
                answer = Result(body, request, origin.target, headers, secrets=origin.secrets)
                self._events.append(whole_answer(answer))
                self._ended = True
            while not self._events and self._broken is None:
                yield from self._pull(limits)
            if not self._events and self._broken is not None:
                raise self._broken
        except GeneratorExit:
            raise  # nobody is left to carry out a step
        except BaseException:
            yield from close(self.reply)
            raise

    def follow(self, assembly: Assembly, choices: int) -> Plan[None]:
        """Emit every chunk, and leave the verdict in `assembly.state`."""
        try:
            yield from emit(None)
            yield from self._follow(assembly, choices)
            assembly.state = "complete"
        except GeneratorExit:
            raise  # nobody is left to carry out a step
        except BaseException as error:
            assembly.state = "cancelled"
            if isinstance(error, IndoxRouterError):
                assembly.state = "truncated" if error.code == "truncated" else "failed"
                error.partial = assembly.text
                error.retryable = False
            elif assembly.finished(choices):
                assembly.state = "complete"
            yield from close(self.reply)
            if assembly.state != "complete" and not isinstance(error, APIError):
                yield from self._tell_to_stop()
            raise
        if not self._ended:
            yield from close(self.reply)

    def _follow(self, assembly: Assembly, choices: int) -> Plan[None]:
        tail_until: float | None = None
        while True:
            while self._events:
                event = self._events.popleft()
                assembly.note(event.facts)
                for n, chunk in enumerate(event.chunks, 1):
                    assembly.add(chunk)
                    yield from emit(chunk)
                    if n % _MANY == 0:
                        self._check_deadline()
                if event.done:
                    return (yield from self._drain())
            finished = assembly.finished(choices)
            if self._broken is not None:
                if finished and isinstance(self._broken, NetworkError):
                    return None  # all that was asked for has come: only usage or [DONE] is missing
                raise self._broken
            now = self._clock.now()
            if finished and tail_until is None:
                tail_until = now + policy.STREAM_TAIL
            yield from self._pull(self._limits(now + self._idle if tail_until is None else tail_until))

    def _check_deadline(self) -> None:
        """Of an event with thousands of choices, as of thousands of events."""
        if self._deadline is not None and self._clock.now() > self._deadline:
            late = RequestTimeoutError("the event was not read in time", code="timeout", outcome="unknown")
            raise self._limits(self._deadline).explain(late, self._origin.target)

    def _tell_to_stop(self) -> Plan[None]:
        """Nobody reads on: a server that named the stream is told, so that it generates and bills no more."""
        if self._stop is not None and self._stream_id is not None:
            yield from notify(self._stop(self._stream_id), policy.STOP)

    def _pull(self, limits: Limits) -> Plan[None]:
        """Read until there is an event, or until it is known that none will come."""
        try:
            self._body = self._body or Body(self.reply, _UNLIMITED)
            while not self._events and self._broken is None:
                if self._clock.now() > limits.until:  # no read would say so while there is something to unpack
                    raise RequestTimeoutError("no event in time", code="timeout", outcome="unknown")
                for text in islice(self._framed, _MANY):
                    self._events.append(self._reader.read(text))
                    self._stream_id = self._stream_id or self._events[-1].stream_id
                    if self._events[-1].done:
                        break
                if not self._events:
                    data = yield from self._body.more(limits.until)
                    if not data:
                        self._ended = True
                        raise self._early_end()
                    self._head += data[: 1000 - len(self._head)]
                    self._framed = self._framer.feed(data)
        except NetworkError as error:
            if error.code in (None, "truncated", "undecodable") and not isinstance(error, TimeoutError):
                error = StreamError(error.message, code=error.code or "truncated", outcome="unknown")
            self._broken = limits.explain(error, self._origin.target)
        except APIError as error:
            self._broken = error

    def _early_end(self) -> IndoxRouterError:
        if "event-stream" not in self._content_type and not self._head.startswith(_FIELDS):
            return unusable(self._origin, self.reply.status, self.reply.headers, self._head)
        return StreamError("the stream ended before the answer did", code="truncated", outcome="unknown")

    def _drain(self) -> Plan[None]:
        """Read on to the end of the body after [DONE], so that the connection can be used again."""
        try:
            until = self._clock.now() + policy.DRAIN
            while not self._ended:
                self._ended = not (yield from read_next(self.reply, until))
        except NetworkError:
            return

    def _limits(self, until: float) -> Limits:
        soonest = until if self._deadline is None else min(until, self._deadline)
        return Limits(soonest, 0.0, self._deadline, seconds=self._idle)
