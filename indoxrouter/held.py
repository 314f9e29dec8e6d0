"""What both kinds of stream show of an answer that is on its way."""

from __future__ import annotations

import atexit
import os
import weakref
from collections.abc import Mapping
from typing import Any, ClassVar

from indoxrouter import aside
from indoxrouter.core.assembly import Assembly, State
from indoxrouter.core.steps import Emit, Plan
from indoxrouter.errors import Attempt, IndoxRouterError, StreamError
from indoxrouter.responses import ChatChunk, ChatResponse, Usage


class Held:
    """What both kinds of stream show. Looking never reads on."""

    _unfinished: ClassVar[dict[Plan[ChatResponse], weakref.ref[Held]]] = {}
    """The collector finds a forgotten stream and its plan in any order: held here, a plan outlives its stream, which
    closes itself by it."""

    def __init__(self, plan: Plan[ChatResponse], assembly: Assembly) -> None:
        self._plan = plan
        self._assembly = assembly
        self._response: ChatResponse | None = None
        self._error: IndoxRouterError | None = None
        self._closing = False
        self._over = False
        self._process = os.getpid()
        self._unfinished[plan] = weakref.ref(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.state}, {len(self.text)} characters so far>"

    @property
    def text(self) -> str:
        """What has been handed out so far."""
        return self._assembly.text

    @property
    def state(self) -> State:
        """open, complete, truncated (the bytes ended early), failed, or cancelled (closed by us)."""
        return self._assembly.state

    @property
    def usage(self) -> Usage | None:
        return self._assembly.usage

    @property
    def cost(self) -> float | None:
        """US dollars, once the server has told: `usage.cost`."""
        return None if self.usage is None else self.usage.cost

    @property
    def wire_usage(self) -> Mapping[str, Any]:
        """`usage` as the server wrote it."""
        return self._assembly.wire_usage

    @property
    def finish_reason(self) -> str | None:
        return self._assembly.finish_reason

    @property
    def tool_calls(self) -> list[dict[str, Any]] | None:
        """The tool calls, as far as their pieces have come."""
        return self._assembly.tool_calls

    @property
    def request_id(self) -> str | None:
        return self._assembly.request_id

    @property
    def cached(self) -> bool:
        """Whether it comes from the client's cache, at no cost."""
        return self._assembly.cached

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        return self._assembly.attempts

    def _is_ours(self) -> bool:
        """False in a forked child: there, what is left of the stream is the parent's to read or to end."""
        if self._process == os.getpid():
            return True
        if not self._over:
            self._finish()
            self._error = self._not_finished("the stream belongs to the process it was opened in", "forked")
        return False

    def _take(self, step: Emit | ChatResponse) -> ChatChunk | None:
        """The next chunk; None at the end, and when the stream opens."""
        if isinstance(step, Emit):
            return step.chunk
        self._finish()
        self._response = step
        return None

    def _broke(self, error: BaseException) -> None:
        """Something ended a step: an error of ours is the stream's own end, all else closes it."""
        if isinstance(error, IndoxRouterError) and not self._closing:
            self._error = error
            self._finish()
        else:
            self._closing = True

    def _ended(self) -> None:
        """The plan has been told that nobody wants more."""
        self._finish()
        if self._assembly.state != "complete":
            self._assembly.state = "cancelled"

    @classmethod
    def leave_all(cls) -> None:
        """For the end of the interpreter: streams that it finds open later could tell their servers nothing."""
        for found in list(cls._unfinished.values()):
            if (stream := found()) is not None:
                stream._leave()
        aside.finish()

    def _leave(self) -> None:
        """End it, whatever it is doing."""
        raise NotImplementedError

    def _finish(self) -> None:
        self._over = True
        self._unfinished.pop(self._plan, None)

    def _not_finished(self, why: str, code: str) -> StreamError:
        return StreamError(
            why,
            code=code,
            partial=self.text,
            request_id=self.request_id,
            client_request_id=self._assembly.client_request_id,
            attempts=self.attempts,
            outcome="unknown",
        )


atexit.register(Held.leave_all)
