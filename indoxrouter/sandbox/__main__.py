"""The sandbox as a process: it prints its URL, its key and its OpenAI-compatible URL, then it serves."""

import argparse
import signal
import sqlite3
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

from indoxrouter.sandbox import Sandbox
from indoxrouter.sandbox.settings import add_flags


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, where the usage of all flags would fill the screen."""
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _Parser(prog="python -m indoxrouter.sandbox", description=__doc__, allow_abbrev=False)
    parser.add_argument("--port", type=int, default=0, help="the port on loopback (default: a free one)")
    add_flags(parser)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        sandbox = Sandbox(**vars(parser.parse_args(arguments))).start()
    except (ValueError, sqlite3.Error) as error:
        parser.error(str(error))
    except OSError as error:
        reason = error.strerror or str(error)
        parser.error(f"{error.filename}: {reason}" if error.filename else reason)
    with sandbox:
        print(sandbox.url, flush=True)
        print(sandbox.api_key, flush=True)
        print(sandbox.openai_url, flush=True)
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
