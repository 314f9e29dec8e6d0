"""Whom the examples ask: the hosted router if there is an API key, else a sandbox on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager

from indoxrouter import AuthenticationError, Client


@contextmanager
def connect() -> Iterator[Client]:
    """With a key at hand you need none of this: `with Client() as client:` is all."""
    try:
        client = Client()
    except AuthenticationError:  # no key, neither in the environment nor in a .env file
        from indoxrouter.sandbox import Sandbox

        with Sandbox(stream_delay=0.01) as sandbox, Client(sandbox.api_key, sandbox.url) as client:
            print("No INDOX_ROUTER_API_KEY is set: a sandbox on this machine answers, and no model.")
            yield client
    else:
        with client:
            print(f"INDOX_ROUTER_API_KEY is set: asking {client.base_url}")
            yield client
