"""The README tells the truth: its code runs, its output is real, its tables list what there is."""

import builtins
import contextlib
import importlib.metadata
import inspect
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import indoxrouter
from indoxrouter import Client, ConfigurationError, IndoxRouterError, errors
from indoxrouter.options import CallOptions
from indoxrouter.sandbox import Sandbox
from indoxrouter.sandbox.faults import Fault

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")


class Block(NamedTuple):
    kind: str
    code: str
    line: int
    """Of its first line of code, from 1."""
    output: str
    """The text block that follows with only white space between."""

    @property
    def is_test_file(self) -> bool:
        return self.code.startswith("# test_")


def blocks() -> Iterator[Block]:
    found = [*re.finditer(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)]
    for match, following in zip(found, [*found[1:], None], strict=True):
        adjoins = following and following[1] == "text" and not TEXT[match.end() : following.start()].strip()
        line = TEXT.count("\n", 0, match.start(2)) + 1
        yield Block(match[1], match[2], line, following[2] if following and adjoins else "")


BLOCKS = [*blocks()]
PYTHON = [block for block in BLOCKS if block.kind == "python"]
COMMANDS = [line for block in BLOCKS if block.kind == "sh" for line in block.code.splitlines()]


def column(heading: str, number: int = 0) -> list[str]:
    """The cells of a column of the table whose header line begins so."""
    rows = TEXT.split(f"\n| {heading} |")[1].split("\n\n")[0].splitlines()[2:]
    return [row.split("|")[number + 1].strip() for row in rows]


def quoted(cells: list[str]) -> list[str]:
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_the_page_has_code_to_run() -> None:
    assert len(PYTHON) > 5
    assert TEXT.count("```") == 2 * len(BLOCKS)
    assert {block.kind for block in BLOCKS} == {"python", "sh", "text"}


def test_every_example_prints_what_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    with Sandbox() as sandbox, contextlib.ExitStack() as stack:
        monkeypatch.setenv("INDOX_ROUTER_API_KEY", sandbox.api_key)
        monkeypatch.setenv("INDOX_ROUTER_BASE_URL", sandbox.url)
        stack.callback(lambda: names["client"].close())
        for block in PYTHON:
            if not block.is_test_file:
                assert printed(block, names) == block.output, f"README.md, line {block.line}"


def test_the_examples_pass_a_strict_type_checker(tmp_path: Path) -> None:
    """Each example by itself, after those lines that all of them stand on."""
    before = "from indoxrouter import Client\nclient = Client()\nmessages = [{'role': 'user', 'content': 'Hello'}]\n"
    names = []
    for block in PYTHON:
        if not block.is_test_file:
            names.append(f"line_{block.line}.py")
            (tmp_path / names[-1]).write_text(before + block.code)
    cache = str(ROOT / ".mypy_cache" / "readme")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, *names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout


def printed(block: Block, names: dict[str, Any]) -> str:
    padded = "\n" * (block.line - 1) + block.code  # so that a traceback names the README's own lines
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(compile(padded, README, "exec"), names)
    return output.getvalue()


def test_the_tests_that_are_shown_pass(tmp_path: Path) -> None:
    (block,) = [block for block in PYTHON if block.is_test_file]
    name = block.code.splitlines()[0].removeprefix("# ")
    (tmp_path / name).write_text(block.code)
    command = [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    assert f"{block.code.count('def test_')} passed" in done.stdout


def test_the_sandbox_runs_as_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = [block for block in BLOCKS if "indoxrouter.sandbox --port" in block.code]
    command = block.code.strip().removeprefix("python")
    port = re.findall(r"--port (\d+)", command)[0]
    arguments = shlex.split(command.replace(port, "0"))  # the page's own port may be taken
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            shown = "".join(process.stdout.readline() for _ in block.output.splitlines())
            url = shown.splitlines()[0]
            actual = re.findall(r":(\d+)/", url)[0]
            assert shown == block.output.replace(port, actual)
            for name, value in exports().items():
                monkeypatch.setenv(name, value.replace(port, actual))
            with Client() as client:
                assert client.base_url == url
                assert "Good morning" in (client.completion("Good morning").data or "")
        finally:
            process.terminate()
    assert process.returncode == 0


def exports() -> dict[str, str]:
    pairs = [line.removeprefix("export ").split("=") for line in COMMANDS if line.startswith("export ")]
    return dict(pairs)


def test_the_other_commands_exist() -> None:
    extras = importlib.metadata.metadata("indoxrouter").get_all("Provides-Extra") or []
    for line in COMMANDS:
        match shlex.split(line):
            case ["make", target]:
                dry = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True)
                assert dry.returncode == 0, dry.stderr
            case ["pip", "install", what]:
                path, _, extra = what.partition("[")
                assert path == "."
                assert not extra or extra.rstrip("]") in extras
            case ["python", "-m", "indoxrouter.sandbox", *_] | ["export", _]:
                pass  # tested above
            case _:
                pytest.fail(f"nothing checks this command: {line}")


def test_the_settings_are_those_of_the_client() -> None:
    parameters = inspect.signature(Client).parameters.values()
    shown = [*zip(column("setting"), column("setting", 1), strict=True)]
    assert shown == [(f"`{item.name}`", f"`{item.default!r}`") for item in parameters]


def test_the_environment_sets_what_the_table_says(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = zip(column("setting"), column("setting", 2), strict=True)
    variables = {setting.strip("`"): quoted([cell]) for setting, cell in rows}
    for setting in ("api_key", "base_url", "timeout", "max_retries"):
        (name,) = variables[setting]
        monkeypatch.setenv("INDOX_ROUTER_API_KEY", "key")
        monkeypatch.setenv(name, "not a good value")
        with pytest.raises(ConfigurationError):
            Client()
        monkeypatch.delenv(name)
    source = (ROOT / "indoxrouter" / "config.py").read_text(encoding="utf-8")
    ours = {name for names in variables.values() for name in names if name.startswith("INDOX_ROUTER_")}
    assert ours == set(re.findall(r"INDOX_ROUTER_\w+", source))
    assert {*variables["verify"]} == set(re.findall(r"(?:SSL|REQUESTS)_\w+", source))


def test_the_options_are_those_of_a_call() -> None:
    assert set(quoted(column("option"))) == {item.name for item in fields(CallOptions)}


def test_the_errors_are_those_of_the_tree() -> None:
    tree = (errors.__doc__ or "").split("\n\n", 1)[1].strip()
    assert [block.code.strip() for block in BLOCKS if block.code.startswith("IndoxRouterError ")] == [tree]
    named = re.findall(r"\w+Error\b|\bTimeout\b", tree)
    assert [name for name in named if not (hasattr(indoxrouter, name) or hasattr(builtins, name))] == []
    assert set(quoted(column("attribute"))) == set(vars(IndoxRouterError()))


def test_the_faults_are_those_of_the_sandbox() -> None:
    assert set(quoted(column("fault"))) <= {item.name for item in fields(Fault)}


def test_the_calls_are_those_of_the_client() -> None:
    for call in quoted(column("call")):
        name, arguments = re.findall(r"(\w+)\((.*)\)", call)[0]
        parameters = [*inspect.signature(getattr(Client, name)).parameters][1:]
        assert [item for item in arguments.split(", ") if item] == [
            item for item in parameters if item in arguments.split(", ")
        ]


def test_the_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    titles = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    headings = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    assert links
    assert [link for link in links if link[0] != "#" and not (ROOT / link).exists()] == []
    assert {link[1:] for link in links if link[0] == "#"} <= headings
