"""The attempts of one call: token, limits, retries, the next model.

Plans of steps, as everything here; nothing reads a clock or a socket.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import quote

from indoxrouter.core import policy
from indoxrouter.core.assembly import Assembly
from indoxrouter.core.call_tokens import CallTokens
from indoxrouter.core.exchange import Limits, begin, parsed, read, target_of
from indoxrouter.core.login import AccessToken
from indoxrouter.core.policy import Clock
from indoxrouter.core.shared import Shared
from indoxrouter.core.steps import Plan, sleep
from indoxrouter.core.streaming import Feed
from indoxrouter.errors import (
    APIError,
    Attempt,
    IndoxRouterError,
    InvalidParametersError,
    Outcome,
    ValidationError,
)
from indoxrouter.options import CallOptions
from indoxrouter.wire.bodies import encoded
from indoxrouter.wire.failures import Origin, from_reply, unusable
from indoxrouter.wire.masking import header_secrets, worth_masking
from indoxrouter.wire.messages import COMMON_HEADERS, HttpRequest, Reply, Request, Result, Upload, texts_in


class Attempts:
    """One call's own deadline, trail of attempts and name."""

    def __init__(self, options: CallOptions, shared: Shared, clock: Clock) -> None:
        settings = shared.settings
        self._options = options
        self._shared = shared
        self._clock = clock
        self.id = clock.new_id()
        self._timeout = options.timeout if options.timeout is not None else settings.timeout
        self._retries = options.max_retries if options.max_retries is not None else settings.max_retries
        seconds = options.deadline if options.deadline is not None else settings.deadline
        self._deadline = None if seconds is None else clock.now() + seconds
        self._opted_in = options.idempotency_key is not None
        self._attempts: list[Attempt] = []
        self._drawn = 0
        self._tokens = CallTokens(shared, clock, self._deadline)

    def first_answer(self, requests: Sequence[Request]) -> Plan[Result]:
        """What the first model answers that answers at all; for a stream, its body is a Feed."""
        for n, request in enumerate(requests):
            try:
                return (yield from self._as_the_server_takes_it(request, n))
            except IndoxRouterError as error:
                last = n + 1 == len(requests)
                if last or self._tokens.login_failed or not policy.may_fall_back(request, error, self._opted_in):
                    raise
                if policy.spent(request, error):
                    raise
                self._count_repeat(request, error)
        raise ValidationError("no model to ask")

    @property
    def trail(self) -> tuple[Attempt, ...]:
        return tuple(self._attempts)

    def broke_midway(self, error: IndoxRouterError, assembly: Assembly) -> None:
        """A stream that had begun failed: what was done and charged by then is not known."""
        error.outcome = "unknown"
        error.request_id = error.request_id or assembly.request_id
        self._attempts[-1] = replace(self._attempts[-1], outcome="unknown", why=_why(error))
        assembly.attempts = self.trail

    def signed(self, error: IndoxRouterError) -> IndoxRouterError:
        """The error with what every error of this call carries; one found before sending has no id."""
        if error.outcome is None and not self._attempts:
            error.outcome = "not_sent"
            return error
        error.client_request_id = self.id
        if error.outcome != "done":
            known = [error.outcome or "unknown", *(attempt.outcome for attempt in self._attempts)]
            error.outcome = max(known, key=_CERTAINTY.index)
        error.request_id = error.request_id or self.id
        error.attempts = self.trail
        return error

    def _as_the_server_takes_it(self, request: Request, n: int) -> Plan[Result]:
        """The answer to the request, or to what is left of it without fields that only we asked for."""
        shared = self._shared
        request = request.without(request.optional & shared.refused_fields)
        try:
            answer = yield from self._with_retries(request, self._idempotency_key(request, n))
        except APIError as error:
            if request.optional <= shared.accepted_fields or type(error) not in _REFUSED_FIELD:
                raise
        else:
            shared.accepted_fields |= request.optional
            return answer
        plainer = request.without(request.optional)
        answer = yield from self._with_retries(plainer, self._idempotency_key(plainer, n, "-plain"))
        for name in request.optional:
            shared.suspected_fields[name] += 1
            if shared.suspected_fields[name] > 1:  # once may have been chance
                shared.refused_fields.add(name)
        return answer

    def _with_retries(self, request: Request, key: str | None) -> Plan[Result]:
        body, headers = encoded(request, self._options.extra_body)
        retry, repeated = 0, False
        unsure: IndoxRouterError | None = None
        while True:
            try:
                answer = yield from self._attempt(request, body, {**headers, **_idempotency(key)})
            except IndoxRouterError as error:
                wait = self._wait_before(retry, request, error, repeated)
                if wait is None and unsure is not None and error.status_code == 409:
                    raise unsure from None  # whose request still runs under the same key: nobody else's is in its way
                if wait is None:
                    raise
                unsure = error if error.outcome == "unknown" else unsure
                repeated = self._count_repeat(request, error) or repeated
            else:
                self._shared.bucket.give_back(self._drawn or 1)  # else an outage would leave it empty for good
                self._shared.login.worked()
                return answer
            self._attempts[-1] = replace(self._attempts[-1], wait=wait)
            try:
                yield from sleep(wait, f"{request.kind}: {self._attempts[-1].why}")
            except IndoxRouterError as interrupted:
                interrupted.outcome = self._attempts[-1].outcome
                raise
            retry += 1

    def _attempt(self, request: Request, body: bytes | Upload | None, headers: Mapping[str, str]) -> Plan[Result]:
        """One answer: at the current path or, after a 404, an older one; with a fresh token after a 401."""
        paths = list(request.paths)
        not_there: APIError | None = None
        grant = yield from self._tokens.current()
        while True:
            try:
                return (yield from self._exchange(request, paths[0], body, headers, grant.token))
            except APIError as error:
                failure = error
            if failure.status_code == 401:
                grant = yield from self._tokens.after_401(grant, failure)  # for later calls, if not for this one
                if policy.spent(request, failure):
                    raise failure
            elif failure.status_code == 404 and len(paths) > 1 and not policy.spent(request, failure):
                not_there = failure
                del paths[0]
            else:
                raise not_there if not_there and failure.status_code in (404, 405) else failure

    def _exchange(
        self, request: Request, path: str, body: bytes | Upload | None, headers: Mapping[str, str], token: AccessToken
    ) -> Plan[Result]:
        self._tokens.check_deadline()
        http = HttpRequest(request.method, f"{token.base}/{path}", self._headers(headers, token), body)
        started = self._clock.now()
        connect = self._timeout if self._timeout is not None else policy.CONNECT
        limits = Limits.of(started, policy.time_limit(request, self._timeout), connect, self._deadline)
        origin = Origin(target_of(http), request.names, lambda: self._secrets(request, token), self._clock.wall())
        reply: Reply | None = None
        try:
            reply = yield from begin(http, limits)
            answer = yield from self._understood(request, reply, limits, origin, token)
        except IndoxRouterError as error:
            if reply is not None:
                error.request_id = error.request_id or origin.request_id(reply.headers)
            self._record(request, started, error.status_code, error.outcome or "unknown", error)
            raise
        self._record(request, started, reply.status, "done")
        return Result(answer, request, origin.target, reply.headers, self.id, self.trail, secrets=origin.secrets)

    def _understood(
        self, request: Request, reply: Reply, limits: Limits, origin: Origin, token: AccessToken
    ) -> Plan[Any]:
        """The parsed body of a good answer, or the Feed of a stream whose first event has come."""
        if request.stream and 200 <= reply.status < 300:
            idle = policy.time_limit(request, self._timeout)
            stop = None if request.stop is None else partial(self._stopping, request.stop, token)
            feed = Feed(reply, origin, idle, self._deadline, self._clock, stop)
            yield from feed.first(limits, request)
            return feed
        cap = policy.MEDIA_CAP if request.content else policy.JSON_CAP
        content = yield from read(reply, limits, origin.target, cap)
        if reply.status == 206:  # of nothing that was asked for: no request names a range
            raise unusable(origin, reply.status, reply.headers, content, "all of it")
        if not 200 <= reply.status < 300:
            failure = from_reply(origin, reply.status, reply.headers, content)
            failure.retryable &= not (request.job and reply.status == 409)  # it says that the job has ended
            raise failure
        kind = reply.headers.get("content-type", "")
        if request.has_content(kind, content):
            if not request.may_be(kind, content):
                raise unusable(origin, reply.status, reply.headers, content)
            return content
        return parsed(origin, reply, content, exact=request.exact, job=request.job, values=request.values)

    def _stopping(self, path: str, token: AccessToken, stream_id: str) -> HttpRequest:
        name = quote(stream_id, safe="", errors="replace")
        return HttpRequest("POST", f"{token.base}/{path}", self._headers({}, token), ending=name)

    def _wait_before(self, retry: int, request: Request, error: IndoxRouterError, repeated: bool) -> float | None:
        """Seconds to wait before the next try of the same model; None: there is none."""
        if retry >= self._retries or self._tokens.login_failed:
            return None
        if not policy.may_repeat(request, error, repeated, self._opted_in) or policy.spent(request, error):
            return None
        wait = policy.wait_before_retry(retry, error, self._clock, self._deadline)
        if wait is None:
            return None
        drawn = self._shared.bucket.draw(error)
        self._drawn += drawn
        return wait if drawn else None

    def _count_repeat(self, request: Request, error: IndoxRouterError) -> bool:
        """Note that a paid request goes out again although it may have been carried out."""
        risky = error.outcome == "unknown" and request.kind in policy.PAID
        self._shared.possible_double_charges += risky
        return risky

    def _idempotency_key(self, request: Request, n: int, suffix: str = "") -> str | None:
        """One key per model and body: another body under the same key is an error."""
        given = self._options.idempotency_key
        if given is None:
            return self._clock.new_id() if request.kind in policy.PAID else None
        return given + (f"-{n}" if n else "") + suffix

    def _headers(self, of_request: Mapping[str, str], token: AccessToken) -> dict[str, str]:
        headers = {
            **COMMON_HEADERS,
            **of_request,
            **self._shared.settings.default_headers,
            **self._options.extra_headers,
            "X-Client-Request-Id": self.id,
        }
        if token.value:
            headers["Authorization"] = f"Bearer {token.value}"
        if token.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in token.cookies.items())
        return headers

    def _secrets(self, request: Request, token: AccessToken) -> Iterable[str]:
        yield from (token.value, *token.cookies.values(), *self._shared.known_keys)
        yield from header_secrets({**self._shared.settings.default_headers, **self._options.extra_headers})
        yield from worth_masking((*texts_in(self._options.extra_body), *request.private_texts()))

    def _record(
        self,
        request: Request,
        started: float,
        status: int | None,
        outcome: Outcome,
        error: IndoxRouterError | None = None,
    ) -> None:
        why = None if error is None else _why(error)
        self._attempts.append(Attempt(request.model, status, outcome, self._clock.now() - started, None, why))


_CERTAINTY: tuple[Outcome, ...] = ("not_sent", "rejected", "unknown")
"""A call is not sent only if none of its requests was, and rejected only if all that were sent are."""
_REFUSED_FIELD = (InvalidParametersError, ValidationError)
"""What a server answers to a field that it does not know; their subclasses say something else."""


def _why(error: IndoxRouterError) -> str:
    name = type(error).__name__
    return f"{name} ({error.code})" if error.code and error.code != name else name


def _idempotency(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Idempotency-Key": key}
