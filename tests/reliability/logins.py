"""Logins that meet a fault: how a call goes then, and what is wrong with that."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from indoxrouter import APIError, AsyncClient, AuthenticationError, Client, IndoxRouterError

from .canaries import leaks_of, leaks_of_objects
from .cells import call, corner, good_call, new_nonce, secrets_of, settled, wait
from .faultserver import FaultServer
from .judging import AMPLE, DEADLINE, TIMEOUT, Cell, Run
from .pulse import Pulse
from .verdicts import RIGHT, Course, courses


async def go(cell: Cell, server: FaultServer, pulse: Pulse) -> Run:
    case, open_door = corner(cell, server)
    case.sees_logins = True
    secrets = secrets_of(case)
    client = (AsyncClient if cell.asynchronous else Client)(
        secrets("api key"),
        case.url,
        max_retries=cell.retries,
        timeout=TIMEOUT if cell.fault.hangs and cell.once else AMPLE,  # that of a call is not its login's
        verify=False,
        default_headers={"X-Gateway-Key": secrets("default header")},
    )
    one = Run(cell, client, case, secrets)
    try:
        await _go(one, pulse, open_door)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is reported with the cell's name
        one.expect(False, f"the cell itself failed: {error!r}")
    finally:
        await settled(client.close())
    one.problems += [f"{cell}: {problem}" for problem in case.log]
    return one


async def _go(one: Run, pulse: Pulse, open_door: Callable[[], None] | None) -> None:
    cell, case = one.cell, one.case
    times = 1 if cell.once else 1000
    if not (cell.fault.refuses or cell.fault.door):
        case.arm(times)
    if cell.once and cell.fault.refuses and open_door is not None:
        threading.Timer(0.1, open_door).start()  # before the first retry, which waits for 0.25 s
        open_door = None
    nonce = new_nonce()
    begun = time.monotonic()
    with pulse.watching() as stall:
        await call(one, nonce, timeout=AMPLE, deadline=_deadline(cell))
    one.seconds, one.stall = time.monotonic() - begun, stall
    due = list(courses(cell.method, cell.verdicts, times, cell.retries))
    if cell.once and cell.fault.refuses:
        due += courses(cell.method, (RIGHT,), 1, 1)  # where a busy machine came to its first try after that moment
    _judge(one, nonce, due)
    case.arm(0)
    if open_door is not None:
        open_door()
    await wait(cell, 0.02)  # a FIN that is on its way may still meet the next request, whose outcome is unknown then
    await good_call(one, "after")
    one.problems += [f"{cell}: leaked in {leak}" for leak in leaks_of_objects(one.client, one.client._driver.settings)]


def _deadline(cell: Cell) -> float:
    return DEADLINE if cell.fault.hangs and not cell.once else AMPLE


def _judge(one: Run, nonce: str, dues: list[Course]) -> None:
    error, limit = one.error, _deadline(one.cell)
    one.expect_end_within(limit)
    fitting = {len(due.outcomes) for due in dues if _ends_so(error, due)}
    one.expect(fitting, f"ended with {error!r}, but due was {dues[0].last}", in_time=True)
    if fitting and not (one.cell.fault.refuses or one.cell.fault.door):
        logins = len(one.case.logins)
        one.expect(logins in fitting, f"{logins} logins instead of {fitting}", in_time=True)
    if isinstance(error, IndoxRouterError):
        _judge_error(one, error)
    elif error is None:
        _judge_answer(one, nonce)


def _ends_so(error: BaseException | None, due: Course) -> bool:
    """Whether it is the error that is due; of an answer that is none, a login says that there was no token in it."""
    if error is None or due.last.error is None:
        return error is None and due.last.error is None
    return type(error) is due.last.error or (due.last.error is APIError and type(error) is AuthenticationError)


def _judge_error(one: Run, error: IndoxRouterError) -> None:
    one.problems += [f"{one.cell}: leaked in {leak}" for leak in leaks_of(error)]
    one.expect((error.outcome, error.attempts) == ("not_sent", ()), f"{error.outcome}, {error.attempts}")
    one.expect(error.request_id and error.client_request_id, "an id is missing")
    one.expect(not one.case.requests, f"{len(one.case.requests)} requests without a login")


def _judge_answer(one: Run, nonce: str) -> None:
    due = one.cell.method.due(one.secrets, nonce)
    one.expect(one.cell.method.quoted(one.answer) == due, f"got the wrong answer {one.answer!r:.100}")
    sent = [request.headers.get("authorization") for request in one.case.requests]
    granted = [login.grant.token for login in one.case.logins if login.grant is not None]
    one.expect(sent == [f"Bearer {granted[-1]}"], f"sent {sent}, when the logins had brought {granted}")
