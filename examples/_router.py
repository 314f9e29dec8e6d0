"""Whom the examples ask: the hosted router if there is an API key, else a sandbox on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from indoxrouter import AuthenticationError, Client


@contextmanager
def connect(history: int = 0, **settings: Any) -> Iterator[Client]:
    """With a key at hand you need none of this: `with Client() as client:` is all.

    A sandbox begins with empty books; `history` is for how many days before today it gets made-up usage.
    `settings` are those of `Client`.
    """
    try:
        client = Client(**settings)
    except AuthenticationError:  # no key, neither in the environment nor in a .env file
        from indoxrouter.sandbox import Sandbox

        with (
            Sandbox(stream_delay=0.01, video_seconds=3) as sandbox,
            Client(sandbox.api_key, sandbox.url, **settings) as client,
        ):
            print("No INDOX_ROUTER_API_KEY is set: a sandbox on this machine answers, and no model.")
            for day in range(1, history + 1):
                date = datetime.now(UTC).date() - timedelta(days=day)
                sandbox.add_usage(date, requests=90 - day, input_tokens=43_210, output_tokens=1_234 * day)
                sandbox.add_usage(date, model="openai/gpt-4o", requests=day, input_tokens=777, output_tokens=85)
            yield client
    else:
        with client:
            print(f"INDOX_ROUTER_API_KEY is set: asking {client.base_url}")
            yield client
