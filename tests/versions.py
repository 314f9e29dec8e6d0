"""The suite on the oldest or the newest allowed versions of what the package stands on: `make test-versions`.

    python tests/versions.py oldest|newest [arguments for pytest]

Run by another Python, it tests on that one.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from peers.environments import Environment

CHECKOUT = Path(__file__).resolve().parent.parent
EXTRAS = ("async", "sandbox")
ENDS = ("oldest", "newest")


def floors() -> dict[str, str]:
    """The oldest version of each direct dependency, as pyproject.toml allows it."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    listed = [*project["dependencies"], *(line for extra in EXTRAS for line in project["optional-dependencies"][extra])]
    found = {}
    for line in listed:
        if (match := re.fullmatch(r"([\w-]+)>=([\d.]+)", line)) is None:
            raise ValueError(f"pyproject.toml names no floor, or more than that: {line!r}")
        found[match[1]] = match[2]
    return found


@dataclass(frozen=True)
class Stack(Environment):
    """This checkout, with its tests' tools, on one end of what it allows."""

    @property
    def _requirement(self) -> str:
        """What makes another installation necessary: other floors, another checkout, a new day's versions."""
        day = datetime.datetime.now(datetime.UTC).date() if self.version == "newest" else ""
        return f"{self.version} {day} {CHECKOUT}\n" + (CHECKOUT / "pyproject.toml").read_text()

    @property
    def _arguments(self) -> Sequence[str]:
        pins = floors().items() if self.version == "oldest" else ()
        return ["--editable", f"{CHECKOUT}[dev]", *(f"{name}=={version}" for name, version in pins)]

    def versions(self) -> Mapping[str, str]:
        [packages] = self.folder.glob("lib/*/site-packages")
        found = importlib.metadata.distributions(path=[str(packages)])
        return {each.metadata["Name"].lower(): each.version for each in found}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("end", choices=ENDS)
    end, arguments = parser.parse_known_args()
    stack = Stack("indoxrouter", end.end)
    python = stack.ready()
    installed = stack.versions()
    shown = ", ".join(f"{name} {installed[name]}" for name in floors())
    print(f"{end.end}: Python {sys.version.split()[0]}, {shown}", flush=True)
    begun = time.monotonic()
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *(arguments or ["-n", "2"])]
    status = subprocess.run(command, cwd=CHECKOUT).returncode
    ended = f"failed with the status {status}" if status else "passed"
    print(f"{end.end}: {shown}: {ended} in {(time.monotonic() - begun) / 60:.1f} minutes")
    return status


if __name__ == "__main__":
    sys.exit(main())
