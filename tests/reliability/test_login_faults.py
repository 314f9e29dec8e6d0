"""Logins that meet what a call may meet, and login answers that are cut: a whole token, or none and one error."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NamedTuple, get_args

import pytest
from raw_server import End

from indoxrouter import AsyncClient, AuthenticationError, Client, IndoxRouterError, NetworkError

from . import counts, logins
from .answers import Good, Grant, login_answer
from .canaries import Overheard
from .cells import at_once, cells_of, run_all, settled
from .cuts import Answer, due
from .exchange import Action, Exchange
from .faults_of_answers import redirects
from .faultserver import FaultServer
from .methods import LOGIN
from .pulse import Pulse
from .test_matrix import GROUPS
from .verdicts import Fault


def prove(faults: list[Fault], server: FaultServer, pulse: Pulse) -> None:
    cells = [cell for cell in cells_of(faults, [LOGIN]) if not cell.reused]
    few = any(cell.fault.hangs for cell in cells)  # limits of less than a second need room to be kept
    problems = run_all(cells, server, pulse, width=16 if few else 48, go=logins.go)
    counts.RUN["login cells"] += len(cells)
    assert cells
    assert not problems, f"{len(problems)} problems in {len(cells)} cells:\n" + "\n".join(problems[:200])


@pytest.mark.parametrize("group", [group for group in GROUPS if group != "event streams"])
def test_login_faults(group: str, server: FaultServer, pulse: Pulse, overheard: Overheard) -> None:
    prove(GROUPS[group], server, pulse)


def test_login_redirects(server: FaultServer, pulse: Pulse, overheard: Overheard) -> None:
    with FaultServer() as elsewhere:
        prove(redirects(elsewhere.origin), server, pulse)
        assert elsewhere.connections == 0


Framing = Literal["sized", "chunked", "until close"]
FRAMINGS: tuple[Framing, ...] = get_args(Framing)
TOKEN, COOKIE = "token-that-is-whole", "cookie-that-is-whole"
_COOKIES = (f"access_token={COOKIE}; HttpOnly; Path=/", "refresh_token=another; HttpOnly; Path=/")


class Cut(NamedTuple):
    answer: Answer
    at: int
    end: str
    cookies: bool

    def __str__(self) -> str:
        return f"{self.answer.framing}{' with cookies' * self.cookies} cut at {self.at} by {self.end}"


def _framed(good: Good, framing: Framing) -> bytes:
    if framing == "sized":
        return good.sized(Connection="close")
    return good.chunked(good.content, Connection="close") if framing == "chunked" else good.until_close()


def cuts_of(framing: Framing, step: int = 1) -> Iterator[Cut]:
    """Of one framing: in each place of the body, and in one of `step` places of the head."""
    for cookies in (False, True):
        good = login_answer(Grant(TOKEN, _COOKIES if cookies else ()), "1")
        answer = Answer(_framed(good, framing), "chat", framing)
        places = [*range(0, answer.start - 4, step), *range(answer.start - 4, len(answer.framed) + 1)]
        for at, end in itertools.product(places, ("fin", "rst")):
            yield Cut(answer, at, end, cookies)


async def wrong_with(cut: Cut, client: Any, case: Any) -> str | None:
    """What is wrong with a call whose login is cut so; None: nothing."""
    asked, before = due(cut.answer, cut.at), len(case.requests)
    await settled(client.set_base_url(case.url))  # which forgets the token
    error: IndoxRouterError | None = None
    try:
        await settled(client.completion("x"))
    except IndoxRouterError as caught:
        error = caught
    sent = [request.headers.get("authorization") for request in case.requests[before:]]
    nothing_came = cut.at == cut.answer.start and cut.answer.framing == "until close"
    if error is None:
        by_cookie = nothing_came and cut.cookies and cut.end == "fin"  # of an answer that is whole, with nothing in it
        right = (asked.complete or asked.open or by_cookie) and sent == [f"Bearer {COOKIE if by_cookie else TOKEN}"]
    else:
        may_be = (NetworkError, AuthenticationError)[: 1 + nothing_came]
        right = (not asked.complete or asked.open) and isinstance(error, may_be)
        right = right and not sent and (error.outcome, error.attempts) == ("not_sent", ())
    return None if right else f"{cut}, {type(client).__name__}: {error!r}, sent {sent}"


def problems_of(cuts: list[Cut], server: FaultServer) -> list[str]:
    """The problems of one client of each kind, which logs in again and again."""

    async def work(kind: type[Client] | type[AsyncClient]) -> list[str | None]:
        def script(exchange: Exchange) -> Iterator[Action]:
            exchange.read()
            cut = cuts[len(case.logins) - 1]
            yield cut.answer.framed[: cut.at]
            yield End(cut.end)

        case = server.case(script, sees_logins=True)
        client = kind("key", case.url, max_retries=0, verify=False, timeout=20)
        problems = []
        for number, cut in enumerate(cuts, 1):
            case.arm(1)
            problems.append(await wrong_with(cut, client, case))
            assert len(case.logins) == number, f"{cut}: another login"
        await settled(client.close())
        return [*problems, *case.log]

    with ThreadPoolExecutor(1) as pool:
        plain = pool.submit(lambda: at_once(work(Client)))
        found = [*asyncio.run(work(AsyncClient)), *plain.result()]
    return [problem for problem in found if problem]


def prove_cuts(cuts: list[Cut], server: FaultServer) -> None:
    problems = problems_of(cuts, server)
    counts.RUN["login cuts"] += 2 * len(cuts)
    assert not problems, f"{len(problems)} of {2 * len(cuts)} cuts:\n" + "\n".join(problems[:100])


@pytest.mark.parametrize("framing", FRAMINGS)
def test_login_cuts(framing: Framing, server: FaultServer) -> None:
    prove_cuts(list(cuts_of(framing, 7)), server)


@pytest.mark.long
@pytest.mark.parametrize("framing", FRAMINGS)
def test_every_login_cut(framing: Framing, server: FaultServer) -> None:
    prove_cuts(list(cuts_of(framing)), server)
