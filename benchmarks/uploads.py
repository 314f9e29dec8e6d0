"""What uploading a file of 200 MB costs in memory and time, beside `requests` posting it by `files=`.

The server is a process of its own that throws away what it reads. Each client runs in fresh processes:
one for the time and the growth of the resident set, one for what Python has allocated (tracemalloc),
which would slow the first one down. Each uploads a few bytes first, so that what counts is the file.
Run it as `python benchmarks/uploads.py [megabytes]`.
"""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import requests

from indoxrouter import AsyncClient, Client

ALLOWED = 20 * 10**6
"""Bytes that an upload of any size may add to the memory in use."""
RUNS = 3
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"text": "said"}'
Upload = Callable[[Path], object]


def serve() -> None:
    """One connection after the other: read each request to its end, and answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        buffer = bytearray(2**20)
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as reader:
                while lines := [*iter(lambda: reader.readline().rstrip().lower(), b"")]:
                    left = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
                    while left:
                        left -= reader.readinto(memoryview(buffer)[:left]) or left
                    connection.sendall(ANSWER)


def with_client(url: str) -> Upload:
    client = Client("key", url, auth="key")
    return lambda path: client.transcribe(path, "a/b")


def with_async_client(url: str) -> Upload:
    loop = asyncio.new_event_loop()
    client = AsyncClient("key", url, auth="key")
    return lambda path: loop.run_until_complete(client.transcribe(path, "a/b"))


def with_requests(url: str) -> Upload:
    session = requests.Session()

    def upload(path: Path) -> object:
        with path.open("rb") as file:
            return session.post(f"{url}/audio", files={"file": file}, data={"model": "a/b"}, timeout=60).json()

    return upload


CLIENTS = {"Client": with_client, "AsyncClient": with_async_client, "requests, files=": with_requests}


def measure(name: str, url: str, path: Path, traced: bool) -> None:
    """What one upload adds, on standard output."""
    upload = CLIENTS[name](url)
    upload(Path(__file__))
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    if traced:
        tracemalloc.start()
    begin = time.perf_counter()
    upload(path)
    seconds = time.perf_counter() - begin
    most = tracemalloc.get_traced_memory()[1] if traced else 0
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    print(json.dumps([seconds, max(resident, 0), most]))


def measured(*arguments: str) -> list[float]:
    command = [sys.executable, __file__, "measure", *arguments]
    found: list[float] = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)  # noqa: S603
    return found


def main(megabytes: int) -> int:
    size = megabytes * 10**6
    server = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True)  # noqa: S603
    assert server.stdout is not None
    url = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
    rows = {}
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "sound.wav"
            with path.open("wb") as file:
                for _ in range(megabytes):
                    file.write(bytes(10**6))
            for name in CLIENTS:
                plain = [measured(name, url, str(path), "") for _ in range(RUNS)]
                traced = measured(name, url, str(path), "traced")
                rows[name] = min(run[0] for run in plain), max(run[1] for run in plain), traced[2]
    finally:
        server.kill()
        server.wait()
    print(f"{size:,} bytes; the best time and the largest resident set of {RUNS} runs; megabytes of memory added")
    print(f"{'client':18}{'seconds':>9}{'ratio':>7}{'resident':>10}{'ratio':>7}{'allocated':>11}{'ratio':>7}")
    peer = rows["requests, files="]
    for name, row in rows.items():
        ratios = [value / other for value, other in zip(row, peer, strict=True)]
        print(
            f"{name:18}{row[0]:>9.2f}{ratios[0]:>7.2f}{row[1] / 1e6:>10.1f}{ratios[1]:>7.3f}"
            f"{row[2] / 1e6:>11.1f}{ratios[2]:>7.3f}"
        )
    over = any(max(rows[name][1:]) >= ALLOWED for name in ("Client", "AsyncClient"))
    print(f"{'over' if over else 'within'} the allowance of {ALLOWED / 1e6:.0f} MB")
    return int(over)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            serve()
        case ["measure", name, url, path, traced]:
            measure(name, url, Path(path), bool(traced))
        case given:
            sys.exit(main(int(given[0]) if given else 200))
