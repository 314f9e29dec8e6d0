"""The cells of the matrix: each a fault, a method, a connection, a client; and how they are run."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from indoxrouter import AsyncClient, Client

from .canaries import Secrets, leaks_of_objects
from .faultserver import Case, FaultServer
from .judging import AMPLE, DEADLINE, TIMEOUT, Cell, Run, judge
from .methods import METHODS, Method
from .pulse import Pulse
from .verdicts import RIGHT, Fault, courses, with_timeout

T = TypeVar("T")
Go = Callable[[Cell, FaultServer, Pulse], Coroutine[Any, Any, Run]]
"""How a cell is carried out."""
_numbers = itertools.count(1)


def new_nonce() -> str:
    return f"nonce-{next(_numbers):09}"


def cells_of(faults: Iterable[Fault], methods: Iterable[Method] = METHODS) -> Iterator[Cell]:
    for fault, method, reused, asynchronous in itertools.product(faults, methods, (False, True), (False, True)):
        if not fault.methods(method) or (reused and (fault.refuses or fault.door)) or (fault.between and not reused):
            continue
        verdicts = fault.verdicts(method)
        yield Cell(fault, method, verdicts, reused, asynchronous, once=False)
        if fault.hangs:
            verdicts = tuple(with_timeout(one) if one.error else one for one in verdicts)
        if any(len(due.outcomes) > 1 for due in courses(method, verdicts, 1, 1)):
            yield Cell(fault, method, verdicts, reused, asynchronous, once=True)


async def settled(value: Any) -> Any:
    """One text for both clients: a plain client's answer is there already."""
    return await value if inspect.isawaitable(value) else value


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run what never really waits, as it does with a plain client."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("a plain client's call waited for an event loop")


async def run(cell: Cell, server: FaultServer, pulse: Pulse, go: Go) -> list[str]:
    """What is wrong with how the cell goes; where it may be for lack of time, it goes again."""
    for _ in range(5):
        one = await go(cell, server, pulse)
        if one.problems or not one.untimely:
            break
    return one.problems + one.untimely


async def go(cell: Cell, server: FaultServer, pulse: Pulse) -> Run:
    case, open_door = corner(cell, server)
    secrets = secrets_of(case)
    client = (AsyncClient if cell.asynchronous else Client)(
        secrets("api key"),
        case.url,
        max_retries=cell.retries,
        timeout=AMPLE,
        verify=False,  # all is plain here, and reading certificates for each client would take most of the time
        auth="key" if cell.fault.refuses or cell.fault.door else "login",
        default_headers={"X-Gateway-Key": secrets("default header")},
    )
    one = Run(cell, client, case, secrets)
    try:
        await _go(one, server, pulse, open_door)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is reported with the cell's name
        one.expect(False, f"the cell itself failed: {error!r}")
    finally:
        await settled(client.close())
    one.problems += [f"{cell}: {problem}" for problem in case.log]
    return one


async def _go(one: Run, server: FaultServer, pulse: Pulse, open_door: Callable[[], None] | None) -> None:
    cell, case = one.cell, one.case
    times = 1 if cell.once else 1000
    if cell.fault.between:
        case.arm(1)
    if cell.reused:
        await good_call(one, "before")
        if cell.fault.between:
            await wait(cell, 0.1)
    before = len(case.requests)
    kept = [*case.logins, *case.requests][-1].connection if case.logins else None
    if not (cell.fault.between or cell.fault.refuses or cell.fault.door):
        case.arm(times)
    if cell.once and cell.fault.refuses and open_door is not None:
        threading.Timer(0.1, open_door).start()  # before the first retry, which waits for 0.25 s
        open_door = None
    nonce = new_nonce()
    begun = time.monotonic()
    with pulse.watching() as stall:
        await call(one, nonce, **_limits(cell))
    one.seconds, one.stall = time.monotonic() - begun, stall
    due = list(courses(cell.method, cell.verdicts, times, cell.retries))
    if cell.once and cell.fault.refuses:
        due += courses(cell.method, (RIGHT,), 1, 1)  # where a busy machine came to its first try after that moment
    seen = case.requests[before:]
    if seen and kept is not None and not cell.fault.between:
        on = seen[0].connection
        one.expect((on == kept) == cell.reused, f"it went on connection {on}; the one before was {kept}")
    judge(one, nonce, seen, due, server)
    case.arm(0)
    if open_door is not None:
        open_door()
    await wait(cell, 0.02)  # a FIN that is on its way may still meet the next request, whose outcome is unknown then
    await good_call(one, "after")
    one.problems += [f"{cell}: leaked in {leak}" for leak in leaks_of_objects(one.client, one.client._driver.settings)]


def secrets_of(case: Case) -> Secrets:
    """Those of its client; its logins hand some of them out."""
    secrets = Secrets(case.name)
    case.secrets = {"access": secrets("access token"), "refresh": secrets("refresh token"), "cookie": secrets("cookie")}
    return secrets


def corner(cell: Cell, server: FaultServer) -> tuple[Case, Callable[[], None] | None]:
    origin: str | None = None
    open_door: Callable[[], None] | None = None
    if cell.fault.refuses:
        origin, open_door = server.shut_door()
    elif cell.fault.door is not None:
        ends = [cell.fault.door] * (1 if cell.once else 1000)
        origin, open_door = server.door(lambda _: ends.pop() if ends else None), ends.clear
    return server.case(cell.fault.script, origin, closing_logins=not cell.reused), open_door


def _limits(cell: Cell) -> dict[str, float]:
    if not cell.fault.hangs:
        return {"deadline": AMPLE}
    return {"timeout": TIMEOUT, "deadline": AMPLE} if cell.once else {"deadline": DEADLINE}


async def wait(cell: Cell, seconds: float) -> None:
    if cell.asynchronous:
        await asyncio.sleep(seconds)
    else:
        time.sleep(seconds)  # a plain client's cell has a thread of its own


async def call(one: Run, nonce: str, **limits: float) -> None:
    """The call, and the reading of its stream to the end."""
    method = one.cell.method
    one.answer = one.error = one.stream = None
    try:
        answer = await settled(getattr(one.client, method.method)(**_arguments(one, nonce), **limits))
        if method.stream:
            one.stream = answer
            answer = await settled(answer.response())
        one.answer = answer
    except Exception as error:  # noqa: BLE001 - what it is, is judged
        one.error = error


def _arguments(one: Run, nonce: str) -> dict[str, Any]:
    headers = {"X-Trace-Id": nonce, "X-Extra": one.secrets("extra header")}
    return {**one.cell.method.ask(one.secrets, nonce), "extra_headers": headers}


async def good_call(one: Run, when: str) -> None:
    """Nobody else's answer comes, and none is missing."""
    nonce = new_nonce()
    await call(one, nonce)
    one.expect(one.error is None, f"the good call {when} failed: {one.error!r}")
    if one.error is None:
        quoted, due = one.cell.method.quoted(one.answer), one.cell.method.due(one.secrets, nonce)
        one.expect(quoted == due, f"the good call {when} got {quoted!r} instead of {due!r}")


def run_all(cells: list[Cell], server: FaultServer, pulse: Pulse, width: int, go: Go = go) -> list[str]:
    """The problems of all these cells, plain clients in threads while the others share an event loop."""

    def plainly(cell: Cell) -> list[str]:
        return at_once(run(cell, server, pulse, go))

    plain = [cell for cell in cells if not cell.asynchronous]

    async def together() -> list[list[str]]:
        room = asyncio.Semaphore(width)

        async def one(cell: Cell) -> list[str]:
            async with room:
                return await run(cell, server, pulse, go)

        return await asyncio.gather(*(one(cell) for cell in cells if cell.asynchronous))

    with ThreadPoolExecutor(width) as pool:
        futures = [pool.submit(plainly, cell) for cell in plain]
        found = asyncio.run(together())
        found += [future.result() for future in futures]
    return [problem for problems in found for problem in problems]
