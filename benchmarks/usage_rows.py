"""How long 100,000 rows of usage take from the bytes of the answer to `UsageRows`.

The measure is `json.loads` of the same bytes, taken in the same run: the allowance is twice its time
and 3 microseconds a row. Times are of this process alone, the best of several runs, since other work
on the machine makes a run slower and never faster. Run it as `python benchmarks/usage_rows.py`.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from indoxrouter.core.exchange import parsed
from indoxrouter.usage_rows import UsageRows
from indoxrouter.wire.analytics import Asked, usage_rows
from indoxrouter.wire.failures import Origin
from indoxrouter.wire.hosted_account import analytics_usage
from indoxrouter.wire.messages import Reply, Result

ROWS = 100_000
RUNS = 7
PER_ROW = 3e-6
"""Seconds of the allowance, beside twice the bare parse."""
GROUP_BY = "model"


def flat(chance: random.Random, name: str) -> dict[str, Any]:
    prompt, completion = chance.randrange(10**6), chance.randrange(10**5)
    counts = {"requests": chance.randrange(1, 5000), "input_tokens": prompt, "output_tokens": completion}
    return {GROUP_BY: name, **counts, "total_tokens": prompt + completion, "cost": chance.randrange(10**7) / 10**7}


def nested(chance: random.Random, name: str) -> dict[str, Any]:
    row = flat(chance, name)
    tokens = {"input": row.pop("input_tokens"), "output": row.pop("output_tokens"), "total": row.pop("total_tokens")}
    return {**row, "tokens": tokens}


def other_names(chance: random.Random, name: str) -> dict[str, Any]:
    """A generic name of the group, a day as a time, a cost as text."""
    row = flat(chance, name)
    day = date(2026, 1, 1) + timedelta(days=chance.randrange(365))
    return {
        "group": row[GROUP_BY],
        "date": f"{day}T00:00:00Z",
        "request_count": row["requests"],
        "prompt_tokens": row["input_tokens"],
        "completion_tokens": row["output_tokens"],
        "total_cost": str(row["cost"]),
    }


def gaps(chance: random.Random, name: str) -> dict[str, Any]:
    """Every value is null or missing in some row."""
    row = flat(chance, name)
    row[chance.choice(list(row))] = None
    del row[chance.choice(list(row))]
    return row


def answer(shape: Callable[[random.Random, str], dict[str, Any]]) -> bytes:
    chance = random.Random(20260101)  # noqa: S311 - the same rows in each run
    return json.dumps({"data": [shape(chance, f"provider/model-{n % 400}") for n in range(ROWS)]}).encode()


def decoded(content: bytes) -> UsageRows:
    """What the client does with an answer whose body has been read."""
    asked = Asked.check("2026-01-01", "2026-12-31", GROUP_BY, "UTC")
    parts = []
    for part in asked.requests():
        request = analytics_usage(part.start, part.end, group_by=part.group_by)
        body = parsed(Origin("GET analytics/usage"), Reply(200, {}), content, exact=request.exact)
        parts.append(usage_rows(Result(body, request, "GET analytics/usage"), part.group_by, part.day))
    return asked.joined(parts)


def seconds(work: Callable[[bytes], object], content: bytes) -> Iterator[float]:
    for _ in range(RUNS):
        gc.collect()
        begin = time.process_time()
        kept = work(content)
        yield time.process_time() - begin
        del kept


def main() -> int:
    failed = False
    print(f"{ROWS:,} rows; microseconds a row, best of {RUNS}; allowed: 2 x json.loads + {PER_ROW * 1e6:g}")
    print(f"{'shape':14}{'bytes':>12}{'json.loads':>12}{'UsageRows':>12}{'ratio':>8}{'allowed':>10}{'of it':>8}")
    for shape in (flat, nested, other_names, gaps):
        content = answer(shape)
        rows = decoded(content)
        expected = [Decimal(str(row.raw.get("cost", row.raw.get("total_cost")) or 0)) for row in rows]
        assert len(rows) == ROWS
        assert rows.totals.cost == sum(expected)
        del rows, expected
        bare, ours = min(seconds(json.loads, content)), min(seconds(decoded, content))
        allowed = 2 * bare + PER_ROW * ROWS
        failed |= ours >= allowed
        per_row = [f"{value / ROWS * 1e6:.2f}" for value in (bare, ours, allowed)]
        print(
            f"{shape.__name__:14}{len(content):>12,}{per_row[0]:>12}{per_row[1]:>12}"
            f"{ours / bare:>8.2f}{per_row[2]:>10}{ours / allowed:>8.0%}"
        )
    print("over the allowance" if failed else "within the allowance")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
