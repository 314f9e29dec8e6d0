"""Runs LiteLLM's proxy with the arguments of its command, until it is stopped or its input ends."""

import os
import sys
import threading

from litellm import run_server  # type: ignore[import-not-found]


def end_with_the_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_the_input, daemon=True).start()
    run_server()
