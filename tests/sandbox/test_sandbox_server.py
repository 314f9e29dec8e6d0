"""Starting, closing, settings and the process."""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
import requests

from indoxrouter.sandbox import Sandbox
from indoxrouter.sandbox.__main__ import main
from indoxrouter.sandbox.settings import NAMES

from .sandbox_api import Api, chat_body, pieces


def test_a_sandbox_answers_as_soon_as_it_is_entered() -> None:
    with Sandbox() as sandbox:
        assert sandbox.url == f"http://127.0.0.1:{sandbox.port}/v1"
        assert sandbox.api_key.startswith("sandbox-")
        assert requests.get(sandbox.url + "/user/health", timeout=5).status_code == 200
    with pytest.raises(requests.ConnectionError):
        requests.get(sandbox.url + "/user/health", timeout=5)
    assert sandbox.stats()["requests"] == {"user/health": 1}


def test_keys_differ_unless_given() -> None:
    assert Sandbox().api_key != Sandbox().api_key
    with Sandbox(api_key="mine") as sandbox, Api(sandbox) as api:
        assert sandbox.api_key == "mine"
        assert api.chat().status_code == 200


def test_start_and_close_may_be_repeated() -> None:
    sandbox = Sandbox()
    sandbox.close()
    with pytest.raises(RuntimeError, match="not started"):
        sandbox.stats()
    with pytest.raises(RuntimeError, match="before it is started"):
        assert sandbox.url
    assert sandbox.start() is sandbox.start() is sandbox
    port = sandbox.port
    sandbox.close()
    sandbox.close()
    with sandbox, Api(sandbox) as api:
        assert sandbox.port == port
        assert api.chat().status_code == 200


def test_a_taken_port_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            Sandbox(port=port).start()
    with pytest.raises(ValueError, match="port must be"):
        Sandbox(port=70_000).start()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one loopback address")
def test_it_listens_on_loopback_alone() -> None:
    with Sandbox() as sandbox, socket.create_server(("127.0.0.2", sandbox.port)) as other:
        assert other.getsockname()[1] == sandbox.port  # it would be taken if every address were listened on


def test_closing_ends_streams_and_hanging_answers_at_once() -> None:
    sandbox = Sandbox(stream_delay=0.5).start()
    ended: list[str] = []

    def hang() -> None:
        with Api(sandbox) as api, contextlib.suppress(requests.RequestException):
            api.chat(headers={"X-Sandbox-Fault": '{"delay": 30}'})
        ended.append("hang")

    thread = threading.Thread(target=hang)
    thread.start()
    with Api(sandbox) as api, api.chat_stream() as answer:
        arriving = pieces(answer)
        next(arriving)
        while sandbox.stats()["running"] < 2:  # the hanging answer has begun too
            time.sleep(0.01)
        before = time.monotonic()
        sandbox.close()
        assert time.monotonic() - before < 1
        with pytest.raises(requests.RequestException):
            list(arriving)
    thread.join(timeout=5)
    assert ended == ["hang"]


def test_nothing_is_printed_or_logged(capfd: pytest.CaptureFixture[str], caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    with Sandbox() as sandbox, Api(sandbox) as api:
        with contextlib.suppress(requests.RequestException):
            api.chat(headers={"X-Sandbox-Fault": '{"cut": 5}'})
        api.get("nothing")
        kind = {"Content-Type": "multipart/form-data; boundary=b", "Authorization": f"Bearer {sandbox.api_key}"}
        assert requests.post(f"{sandbox.openai_url}/files", b"odd", headers=kind, timeout=5).status_code == 400
        with socket.create_connection(("127.0.0.1", sandbox.port)) as odd:
            odd.sendall(b"nonsense\r\n\r\n")
            assert b"400" in odd.recv(100)
    assert capfd.readouterr() == ("", "")
    loggers = {record.name for record in caplog.records}
    assert not any(name.startswith(("uvicorn", "asyncio", "python_multipart")) for name in loggers)
    logging.getLogger("uvicorn.error").warning("Another server's own message")
    assert "Another server's own message" in caplog.text


def test_the_sandboxs_own_bugs_are_logged(caplog: Any) -> None:
    with Sandbox() as sandbox, Api(sandbox) as api:
        sandbox._running_app().ledger._db.execute("DROP TABLE charges")
        assert api.chat().status_code == 500
    assert "no such table" in caplog.text


def test_an_unfinished_request_body_is_let_go() -> None:
    with Sandbox() as sandbox:
        with socket.create_connection(("127.0.0.1", sandbox.port)) as connection:
            connection.sendall(b"POST /v1/auth/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
            while sandbox.stats()["running"] == 0:
                time.sleep(0.01)
        end = time.monotonic() + 5
        while sandbox.stats()["running"]:
            assert time.monotonic() < end
            time.sleep(0.01)


@pytest.mark.parametrize(
    "settings",
    [
        {"answers": "new"},
        {"streams": "none"},
        {"logins": ("api-key", "password")},
        {"logins": ()},
        {"logins": "api-key"},
        {"logins": (1,)},
        {"prefixes": ("v1",)},
        {"prefixes": ("/v1/",)},
        {"prefixes": ("/sandbox",)},
        {"prefixes": ("/openai/v1",)},
        {"openai_errors": "other"},
        {"openai_key_required": "no"},
        {"token_lifetime": -1},
        {"token_lifetime": "long"},
        {"stream_delay": float("nan")},
        {"login_delay": True},
        {"jwt": 1},
        {"credits": -1},
        {"credits": "much"},
        {"credits": float("inf")},
        {"database": 5},
        {"api_key": ""},
        {"api_key": "two words"},
        {"api_key": 5},
        {"api_key": "schlüssel"},
    ],
)
def test_a_setting_that_cannot_be(settings: dict[str, Any]) -> None:
    [name] = settings
    with pytest.raises(ValueError, match=name.removesuffix("es")):
        Sandbox(**settings)


def start(*flags: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-W", "error", "-m", "indoxrouter.sandbox", *flags]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_the_process_prints_its_url_and_key_and_ends_quietly(ending: signal.Signals) -> None:
    with start("--token-lifetime", "0.5", "--answers", "hub", "--no-jwt", "--logins", "token") as process:
        assert process.stdout is not None
        url, key, openai_url = (process.stdout.readline().strip() for _ in range(3))
        assert url.startswith("http://127.0.0.1:")
        assert openai_url == url.removesuffix("/v1") + "/openai/v1"
        login = requests.post(f"{url}/auth/token", json={"api_key": key}, timeout=10).json()
        assert login["expires_in"] == 0.5
        assert requests.post(f"{url}/auth/api-key", timeout=10).status_code == 404
        bearer = {"Authorization": f"Bearer {login['access_token']}"}
        chat = requests.post(f"{url}/chat/completions", json=chat_body(), headers=bearer, timeout=10)
        assert chat.json()["object"] == "response"
        os.kill(process.pid, ending)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")


def told(flags: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[object, str, str]:
    """How the command ends that does not start a sandbox, and what it writes."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        with pytest.raises(SystemExit) as ended:
            main(flags)
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)
    return ended.value.code, *capsys.readouterr()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--answers", "new"], "argument --answers: invalid choice: 'new' ("),
        (["--token-lifetime", "-5"], "token_lifetime must be a number of seconds"),
        (["--token-lifetime", "long"], "argument --token-lifetime: invalid float value: 'long'"),
        (["--credits", "much"], "credits must be an amount, 0 or more, not 'much'"),
        (["--credit", "5"], "unrecognized arguments: --credit 5"),
        (["--cred=5", "--no-j"], "unrecognized arguments: --cred=5 --no-j"),
        (["--port", "70000"], "port must be a whole number from 0 to 65535, not 70000"),
        (["--database", "/nowhere/at/all"], "/nowhere/at/all: No such file or directory"),
        (["--host", "0.0.0.0"], "unrecognized arguments: --host 0.0.0.0"),
        (["--tier"], "argument --tier: expected one argument"),
    ],
)
def test_flags_that_cannot_be_are_told_in_one_line(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = told(flags, capsys)
    assert (code, out) == (2, "")
    assert err.startswith(f"python -m indoxrouter.sandbox: {message}")
    assert err.endswith(" (see --help)\n")
    assert err.count("\n") == 1


def test_a_port_that_is_taken_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        code, _, err = told(["--port", str(port)], capsys)
    assert code == 2
    assert err.startswith(f"python -m indoxrouter.sandbox: the sandbox cannot listen on 127.0.0.1:{port}: ")
    assert err.count("\n") == 1


def test_the_help_lists_every_setting_in_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = told(["--help"], capsys)
    assert (code, err) == (0, "")
    assert "`" not in out
    assert [name for name in NAMES if f"--{name.replace('_', '-')}" not in out] == []


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_a_missing_extra_is_explained(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None\nimport indoxrouter.sandbox"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install starlette uvicorn" in done.stderr


def test_the_sandbox_imports_nothing_of_the_client() -> None:
    code = (
        "import sys, types\n"
        "package = types.ModuleType('indoxrouter')\n"
        "package.__path__ = [sys.argv[1]]\n"
        "sys.modules['indoxrouter'] = package\n"
        "import indoxrouter.sandbox.__main__\n"
        "print(*[n for n in sys.modules if n.startswith('indoxrouter.') and '.sandbox' not in n])\n"
    )
    root = os.path.dirname(os.path.dirname(sys.modules["indoxrouter.sandbox"].__file__ or ""))
    done = subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("", "")
