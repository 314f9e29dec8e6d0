"""The examples that speak, listen and film: what they save is real, and what they show is the ledger's."""

from __future__ import annotations

import base64
import re
import signal
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path

import pytest
from example_runs import FOLDER, Ended, Router, ended, interrupted, run, shown_until, start

from indoxrouter import Client

SENTENCE = "The ferry to the island leaves at nine, and the last one back is at half past six in the evening."
Open = Callable[..., Router]


@pytest.fixture
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """Opens a router with settings of its own."""
    routers: list[AbstractContextManager[Router]] = []

    def open_router(**settings: object) -> Router:
        routers.append(Router.opened(tmp_path_factory.mktemp("router"), **settings))
        return routers[-1].__enter__()

    yield open_router
    for router in routers:
        router.__exit__(None, None, None)


def costs(output: str) -> list[Decimal]:
    return [Decimal(amount) for amount in re.findall(r": +(\d+\.\d{8}) US dollars$", output, re.MULTILINE)]


def saved(kind: str, output: str, folder: Path) -> Path:
    """The one file that was made, which is the one that the output names, with its size."""
    shown, size = re.findall(rf"^{kind}: (.+), ([\d,]+) bytes$", output, re.MULTILINE)[0]
    (path,) = (folder / "demo-output").iterdir()
    assert (str(path), path.stat().st_size) == (shown, int(size.replace(",", "")))
    return path


class TestSpeechAndBack:
    def test_the_sentence_comes_back(self, tmp_path: Path) -> None:
        output = run("speech_and_back", tmp_path)
        assert f"\nSaid:  {SENTENCE}\nHeard: {SENTENCE}\nLanguage: english; seconds: " in output
        with wave.open(str(saved("Speech", output, tmp_path))) as sound:
            seconds = sound.getnframes() / sound.getframerate()
        assert seconds > 3
        assert float(re.findall(r"seconds: (\S+)", output)[0]) == pytest.approx(seconds, abs=0.001)
        words = re.findall(r"^ +(\d+\.\d{3}) to +(\d+\.\d{3})  (\S+)$", output, re.MULTILINE)
        assert " ".join(word for *_, word in words) == SENTENCE
        times = [float(time) for start, end, _ in words for time in (start, end)]
        assert times == sorted(times)
        assert [times[0], times[-1]] == pytest.approx([0, seconds], abs=0.001)

    def test_the_subtitles_are_those_that_the_router_writes(self, tmp_path: Path, opened: Open) -> None:
        router = opened()
        output = run("speech_and_back", tmp_path, router.environment)
        shown = output.partition("\nSubtitles:\n")[2].partition("Cost of")[0]
        with Client(router.sandbox.api_key, router.sandbox.url) as client:
            written = client.transcribe(saved("Speech", output, tmp_path), response_format="srt").text
        assert shown == written
        assert shown.count(" --> ") == 3

    def test_both_ways_cost_what_was_booked(self, tmp_path: Path, opened: Open) -> None:
        router = opened()
        output = run("speech_and_back", tmp_path, router.environment)
        booked = router.charges()
        assert {model: count for model, (count, _) in booked.items()} == {"openai/tts-1": 1, "openai/whisper-1": 1}
        assert costs(output) == [booked["openai/tts-1"][1], booked["openai/whisper-1"][1]]
        assert all(costs(output))

    def test_it_can_be_run_again(self, tmp_path: Path) -> None:
        assert run("speech_and_back", tmp_path) == run("speech_and_back", tmp_path)
        assert len(list((tmp_path / "demo-output").iterdir())) == 1

    def test_a_router_that_says_less(self, tmp_path: Path, opened: Open) -> None:
        router = opened(speech="bytes")
        router.sandbox.fault(path="audio/stt/*", status=200, body={"success": True, "text": "Hello"})
        output = run("speech_and_back", tmp_path, router.environment)
        with wave.open(str(saved("Speech", output, tmp_path))) as sound:
            assert sound.getnframes()
        assert "\nHeard: Hello\nLanguage: unknown; seconds: unknown\n\nWords:\n\nSubtitles:\nCost of" in output
        assert re.findall(r"^Cost of (\w+): +unknown$", output, re.MULTILINE) == ["speaking", "listening"]


class TestVideoJob:
    def check_video(self, output: str, folder: Path) -> None:
        path = saved("Video", output, folder)
        assert path.suffix == ".mp4"
        assert path.read_bytes()[4:8] == b"ftyp"

    def end(self, folder: Path, router: Router) -> Ended:
        return ended(start("video_job", folder, router.environment))

    def check_nothing_made(self, folder: Path, router: Router) -> None:
        assert list((folder / "demo-output").iterdir()) == []
        assert router.charges() == {}

    def test_it_is_watched_and_saved(self, tmp_path: Path) -> None:
        output = run("video_job", tmp_path)
        self.check_video(output, tmp_path)
        shown = re.findall(r"^  (\w+), (\d+) %$", output, re.MULTILINE)
        assert shown[0] == ("pending", "0")
        assert shown[-1] == ("completed", "100")
        progress = [int(percent) for _, percent in shown]
        assert progress == sorted(set(progress))
        assert len(progress) > 2

    def test_it_costs_what_was_booked(self, tmp_path: Path, opened: Open) -> None:
        router = opened()
        output = run("video_job", tmp_path, router.environment)
        self.check_video(output, tmp_path)
        ((model, (count, booked)),) = router.charges().items()
        assert (model, count, costs(output)) == ("google/veo-3.0-generate-001", 1, [booked])
        assert booked > 0

    @pytest.mark.parametrize("form", ["data", "sync"])
    def test_other_forms_of_results(self, tmp_path: Path, opened: Open, form: str) -> None:
        router = opened(videos=form, video_seconds=0)
        output = run("video_job", tmp_path, router.environment)
        self.check_video(output, tmp_path)
        assert (router.sandbox.stats()["requests"].keys() == {"auth/api-key", "videos/generations"}) == (form == "sync")

    def test_an_unknown_cost_is_not_0(self, tmp_path: Path, opened: Open) -> None:
        router = opened()
        video = base64.b64encode(b"\x00\x00\x00\x0cftypisom" + bytes(20)).decode()
        body = {"success": True, "data": [{"b64_json": video}]}
        router.sandbox.fault(path="videos/generations", status=200, body=body)
        output = run("video_job", tmp_path, router.environment)
        assert "\nCost, if it is made: unknown\n" in output
        self.check_video(output, tmp_path)

    def test_it_can_be_run_again(self, tmp_path: Path, opened: Open) -> None:
        router = opened(video_seconds=0)
        for _ in range(2):
            self.check_video(run("video_job", tmp_path, router.environment), tmp_path)

    def test_a_job_that_fails(self, tmp_path: Path, opened: Open) -> None:
        router = opened()
        router.sandbox.fault(path="videos/generations", job_error="the prompt was refused")
        result = self.end(tmp_path, router)
        assert (result.code, result.errors) == (1, "No video: the job's status is failed (the prompt was refused).\n")
        assert re.search(r"^  failed, \d+ %$", result.output, re.MULTILINE)
        self.check_nothing_made(tmp_path, router)

    def test_a_job_that_is_cancelled_elsewhere(self, tmp_path: Path, opened: Open) -> None:
        router = opened(video_seconds=60)
        process = start("video_job", tmp_path, router.environment)
        shown = shown_until(process, "pending, 0 %\n")
        with Client(router.sandbox.api_key, router.sandbox.url) as client:
            client.cancel_video_job(re.findall(r"job_\w+", shown)[0])
        result = ended(process)
        assert (result.code, result.errors) == (1, "No video: the job's status is cancelled.\n")
        self.check_nothing_made(tmp_path, router)

    def test_ctrl_c_cancels_the_job(self, tmp_path: Path, opened: Open) -> None:
        router = opened(video_seconds=60)
        process = start("video_job", tmp_path, router.environment)
        result = interrupted(process, "pending, 0 %\n")
        assert (result.code, result.errors) == (1, "No video: the job's status is cancelled.\n")
        assert "pending, 0 %\n\nCtrl-C: cancelling the job\n" in result.output
        with Client(router.sandbox.api_key, router.sandbox.url) as client:
            (job,) = client.video_jobs()
        assert f"\nJob {job.job_id}:\n" in result.output
        assert job.status == "cancelled"
        self.check_nothing_made(tmp_path, router)

    def test_ctrl_c_cancels_the_job_of_an_offline_run(self, tmp_path: Path) -> None:
        result = interrupted(start("video_job", tmp_path), "pending, 0 %\n")
        assert (result.code, result.errors) == (1, "No video: the job's status is cancelled.\n")
        assert "\nCtrl-C: cancelling the job\n" in result.output

    def test_ctrl_c_that_comes_too_late_loses_no_video(self, tmp_path: Path, opened: Open) -> None:
        """The second look at the job hangs, and the job ends meanwhile."""
        router = opened()
        router.sandbox.fault(path="videos/jobs/*", method="GET", hang=60, after=1)
        process = start("video_job", tmp_path, router.environment)
        shown = shown_until(process, "pending, 0 %\n")
        (name,) = re.findall(r"job_\w+", shown)
        limit = time.monotonic() + 30
        while router.sandbox.stats()["requests"][f"videos/jobs/{name}"] < 2:
            assert time.monotonic() < limit
            time.sleep(0.01)
        with Client(router.sandbox.api_key, router.sandbox.url) as client:
            assert client.wait_for_video_job(name, poll=0.05).status == "completed"
        process.send_signal(signal.SIGINT)
        result = ended(process, 10, shown)
        assert (result.code, result.errors) == (0, "")
        assert f"The job {name} is completed: it cannot be cancelled any more." in result.output
        self.check_video(result.output, tmp_path)

    def test_a_job_that_takes_too_long_is_left_to_itself(self, tmp_path: Path, opened: Open) -> None:
        """The example as it is, but for the seconds that it has."""
        router = opened(video_seconds=60)
        source = (FOLDER / "video_job.py").read_text()
        assert source.count("deadline=900") == 1
        (tmp_path / "_router.py").write_text((FOLDER / "_router.py").read_text())
        (tmp_path / "impatient.py").write_text(source.replace("deadline=900", "deadline=1.5"))
        result = ended(start(str(tmp_path / "impatient"), tmp_path, router.environment))
        with Client(router.sandbox.api_key, router.sandbox.url) as client:
            (job,) = client.video_jobs()
        assert (result.code, job.done) == (1, False)
        assert result.errors.endswith(f"Look again later: client.video_job({job.job_id!r})\n")
        self.check_nothing_made(tmp_path, router)
