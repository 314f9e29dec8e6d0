"""Each example is run as a reader would run it: a process of its own, from another directory."""

import re
import signal
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from example_runs import ALONE, FOLDER, Router, interrupted, run, start
from PIL import Image

PAID = [
    *("quickstart", "streaming", "usage_report", "error_handling", "speech_and_back", "video_job"),
    "opentelemetry_spans",
]
EXAMPLES = [*PAID, "billing_export", "key_rotation"]
UNKNOWN_USAGE = {
    "total_requests": None,
    "total_cost": None,
    "models": {"openai/gpt-4o": {"requests": 3, "cost": None, "tokens": None}},
    "daily_usage": [{"date": "2026-02-03", "requests": None, "cost": 0.5, "tokens": {"total": 7}}],
}


@pytest.fixture
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    with Router.opened(tmp_path_factory.mktemp("router")) as router:
        yield router


def table(output: str) -> dict[str, tuple[int, Decimal]]:
    """The lines that are a name, a count, perhaps other numbers, and an amount."""
    rows = re.findall(r"^ *(\S+) +([\d,]+) +(?:[\d,]+ +)?(\d+\.\d{8})$", output, re.MULTILINE)
    return {name: (int(count.replace(",", "")), Decimal(amount)) for name, count, amount in rows}


def rounded(sums: dict[str, tuple[int, Decimal]]) -> dict[str, tuple[int, Decimal]]:
    return {name: (count, amount.quantize(Decimal("1e-8"))) for name, (count, amount) in sums.items()}


@pytest.mark.parametrize("name", [*EXAMPLES, "_router"])
def test_an_example_is_short(name: str) -> None:
    assert len((FOLDER / f"{name}.py").read_text().splitlines()) < 60


def test_every_example_is_run_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == {*EXAMPLES, "_router"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_without_a_key_the_sandbox_answers(name: str, tmp_path: Path) -> None:
    assert run(name, tmp_path).splitlines()[0] == ALONE


@pytest.mark.parametrize("name", EXAMPLES)
def test_with_a_key_the_router_answers(name: str, tmp_path: Path, router: Router) -> None:
    assert run(name, tmp_path, router.environment).splitlines()[0] == router.first_line
    assert router.sandbox.stats()["logins"] > 0
    assert bool(router.charges()) == (name in PAID)


def test_a_key_in_an_env_file_counts_too(tmp_path: Path, router: Router) -> None:
    lines = [f"{name}={value}" for name, value in router.environment.items()]
    (tmp_path / ".env").write_text("\n".join(lines))
    assert run("usage_report", tmp_path).splitlines()[0] == router.first_line


def test_the_quickstart_does_the_whole_job(tmp_path: Path) -> None:
    output = run("quickstart", tmp_path)
    assert 'You wrote: "What does an LLM router do?"' in output
    assert 'Stream: Sandbox answer 49ab0863: this is not a model. You wrote: "Count to five."' in output
    assert 'You wrote: "Once upon a time"' in output
    assert "Nearest to 'When is my invoice due?': Invoices are due in 30 days." in output
    assert re.search(r"^  gpt-4o +0\.00250000 +0\.01000000$", output, re.MULTILINE)
    path = tmp_path / "demo-output" / "lighthouse.png"
    assert f"Image: {path}\n" in output
    with Image.open(path) as image:
        image.load()
        assert (image.format, image.size) == ("PNG", (1024, 1024))


def test_the_quickstart_can_be_run_again(tmp_path: Path) -> None:
    assert run("quickstart", tmp_path) == run("quickstart", tmp_path)


def test_the_quickstart_shows_what_the_router_booked(tmp_path: Path, router: Router) -> None:
    shown = table(run("quickstart", tmp_path, router.environment).partition("Usage of this account")[2])
    booked = router.charges()
    total = (
        sum(count for count, _ in booked.values()),
        sum((cost for _, cost in booked.values()), Decimal()),
    )
    assert total[1] > 0
    assert shown == rounded(booked | {"total": total})
    assert {name: count for name, (count, _) in booked.items()} == {
        "openai/gpt-4o-mini": 3,
        "openai/text-embedding-3-small": 1,
        "openai/dall-e-3": 1,
    }


def test_streaming_shows_the_four_ends_of_a_stream(tmp_path: Path) -> None:
    _, whole, drained, left, broken = re.split(r"^\d\. .*\n", run("streaming", tmp_path), flags=re.MULTILINE)
    text = whole.splitlines()[0]
    assert text.startswith('Sandbox answer 35b03965: this is not a model. You wrote: "Tell me a story')
    assert f"complete: {len(text)} characters, finished by 'stop'" in whole
    assert float(re.findall(r"(\S+) US dollars", whole)[0]) > 0
    assert drained.strip() == text
    state, part = re.findall(r"(\w+): '(.+)'", left)[0]
    assert state == "cancelled"
    assert 40 < len(part) < 60
    assert text.startswith(part)
    state, part = re.findall(r"(\w+): '(.+)'", broken)[0]
    assert state == "truncated"
    assert text.startswith(part)
    assert len(part) < len(text)
    assert "StreamError: POST 127.0.0.1:" in broken


def test_the_usage_report_adds_up(tmp_path: Path, router: Router) -> None:
    output = run("usage_report", tmp_path, router.environment)
    by_model, by_day, total = re.split(r"^(?:Day|Total) .*\n", output, flags=re.MULTILINE)
    booked = router.charges()
    assert table(by_model) == rounded(booked)
    everything = (sum(n for n, _ in booked.values()), sum((cost for _, cost in booked.values()), Decimal()))
    days = table(by_day).values()
    assert (sum(n for n, _ in days), sum(cost for _, cost in days)) == rounded({"": everything})[""]
    assert re.findall(r"^since \S+ +(\d+) +[\d,]+ +(\S+)$", total, re.MULTILINE) == [
        (str(everything[0]), f"{everything[1]:.8f}")
    ]
    assert everything[1] > 0


def test_the_usage_report_calls_nothing_twice(tmp_path: Path, router: Router) -> None:
    first = run("usage_report", tmp_path, router.environment)
    assert run("usage_report", tmp_path, router.environment) == first
    assert sum(count for count, _ in router.charges().values()) == 3


def test_the_usage_report_aligns_its_decimals(tmp_path: Path) -> None:
    lines = [line for line in run("usage_report", tmp_path).splitlines() if re.search(r"\.\d{8}$", line)]
    assert len(lines) == 5
    assert len({line.rindex(".") for line in lines}) == 1


def test_what_the_router_does_not_say_is_unknown(tmp_path: Path, router: Router) -> None:
    router.sandbox.fault(path="user/usage", status=200, body=UNKNOWN_USAGE, times=2)
    output = run("usage_report", tmp_path, router.environment)
    assert re.search(r"^openai/gpt-4o +3 +unknown +unknown$", output, re.MULTILINE)
    assert re.search(r"^2026-02-03 +unknown +7 +0\.50000000$", output, re.MULTILINE)
    assert re.search(r"^since \S+ +unknown +unknown +unknown$", output, re.MULTILINE)
    assert "Credits left: unknown US dollars" in output
    assert router.charges() == {}  # an account whose history is unknown is not a new one


def test_the_quickstart_stands_unknown_numbers_too(tmp_path: Path, router: Router) -> None:
    router.sandbox.fault(path="user/usage", status=200, body=UNKNOWN_USAGE)
    output = run("quickstart", tmp_path, router.environment)
    assert re.search(r"^  openai/gpt-4o +3 +unknown$", output, re.MULTILINE)
    assert re.search(r"^  total +None +unknown$", output, re.MULTILINE)


@pytest.mark.parametrize(
    ("title", "error", "status", "todo"),
    [
        ("A wrong key", "AuthenticationError", "401", "check the API key"),
        ("An unknown model", "ModelNotFoundError", "404", "choose one of client.models()"),
        ("Bad input, found before sending", "ValidationError", "None", "mend the call"),
        ("Bad input, found by the router", "ValidationError", "422", "mend the call"),
        ("A deadline", "DeadlineExceededError", "None", "allow it more time"),
    ],
)
def test_each_error_says_what_to_do(title: str, error: str, status: str, todo: str, errors: str) -> None:
    block = errors.split(f"\n{title}: ")[1].split("\n\n")[0]
    head, message, advice = block.splitlines()
    assert head == f"{error}, status {status}"
    assert message.strip()
    assert re.search(r"request \w+, outcome \w+; what to do: ", advice)
    assert todo in advice


def test_a_fallback_model_answers(errors: str) -> None:
    assert "A fallback: gpt-4o-mini answered after ModelNotFoundError" in errors


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> str:
    return run("error_handling", tmp_path_factory.mktemp("errors"))


def interrupt(process: subprocess.Popen[str], after: str) -> str:
    """What an example says on stderr that Ctrl-C kills once it has shown `after`."""
    _, errors, code = interrupted(process, after)
    assert code == -signal.SIGINT
    return errors


@pytest.mark.parametrize("name", ["quickstart", "streaming"])
def test_ctrl_c_ends_an_example_and_its_sandbox(name: str, tmp_path: Path) -> None:
    after = "Stream: Sandbox" if name == "quickstart" else "Sandbox answer"
    errors = interrupt(start(name, tmp_path), after)
    assert errors.endswith("KeyboardInterrupt\n")
    assert "Exception ignored" not in errors


def test_ctrl_c_ends_the_wait_for_a_router_that_hangs(tmp_path: Path, router: Router) -> None:
    router.sandbox.fault(path="chat/completions", hang=60, hang_after=1000)
    errors = interrupt(start("streaming", tmp_path, router.environment), "Sandbox")
    assert errors.endswith("KeyboardInterrupt\n")
    assert "Exception ignored" not in errors


def test_spans_have_the_names_and_figures_of_the_calls(tmp_path: Path, router: Router) -> None:
    output = run("opentelemetry_spans", tmp_path, router.environment)
    names = re.findall(r"^( *)(\w+ \S+): [\d.]+ ms, (\w+)$", output, re.MULTILINE)
    assert names == [
        ("  ", "attempt openai/gpt-0", "UNSET"),
        ("  ", "attempt openai/gpt-4o-mini", "UNSET"),
        ("", "chat openai/gpt-0", "UNSET"),
        ("  ", "attempt openai/gpt-4o-mini", "UNSET"),
        ("", "chat openai/gpt-4o-mini", "UNSET"),
        ("  ", "attempt openai/no-such-model", "UNSET"),
        ("", "image openai/no-such-model", "ERROR"),
    ]
    charged = router.charges()["openai/gpt-4o-mini"][1]
    (shown,) = re.findall(r"indoxrouter.cost = (\S+)", output)
    assert Decimal(shown) <= charged  # the stream that was left is in the books too
    assert "indoxrouter.stream.state = 'cancelled'" in output
    assert "error.type = 'ModelNotFoundError'" in output
    assert router.sandbox.api_key not in output
