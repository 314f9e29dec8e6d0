"""``python -m indoxrouter.sandbox``: the sandbox as a process; its URLs and its key, then it serves."""

import argparse
import signal
import sqlite3
import sys
import threading
from collections.abc import Sequence

from indoxrouter.sandbox import Sandbox
from indoxrouter.sandbox.settings import add_flags


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m indoxrouter.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="the port on loopback (default: a free one)")
    add_flags(parser)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        sandbox = Sandbox(**vars(parser.parse_args(arguments))).start()
    except (ValueError, OSError, sqlite3.Error) as error:
        parser.error(str(error))
    with sandbox:
        print(sandbox.url, flush=True)
        print(sandbox.api_key, flush=True)
        print(sandbox.openai_url, flush=True)
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
