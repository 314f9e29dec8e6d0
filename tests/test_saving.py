"""Rule G39: files are saved whole or not at all, under names of our own, over nothing, through no link."""

from __future__ import annotations

import errno
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import pytest

from indoxrouter import APIError, NetworkError, RequestTimeoutError, ValidationError, formats, saving

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels" * 100
posix = pytest.mark.skipif(sys.platform == "win32", reason="links, pipes and modes as POSIX has them")


def save(path: Any = ".", content: bytes = PNG, *, overwrite: bool = False, stem: str = "image") -> Path:
    return saving.save(iter([content[:5], b"", content[5:]]), path, stem, overwrite)


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


class TestG39WhereFilesGo:
    def test_g39_in_a_folder_under_our_own_name(self, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        for place in ("out", "out/", Path("out"), "out/.", tmp_path / "out", str(tmp_path / "out") + os.sep):
            assert save(place).parent.samefile(tmp_path / "out")
        assert everything(tmp_path / "out") == [f"image-{n}.png" for n in range(1, 7)]

    def test_g39_in_the_current_folder_unless_told(self, tmp_path: Path) -> None:
        assert save() == Path("image-1.png")
        assert (tmp_path / "image-1.png").read_bytes() == PNG

    def test_g39_under_the_name_that_is_given(self, tmp_path: Path) -> None:
        assert save("a cat.dat") == Path("a cat.dat")
        assert save(tmp_path / "b.", b"text") == tmp_path / "b."
        assert everything(tmp_path) == ["a cat.dat", "b."]

    def test_g39_a_new_file_without_an_extension_gets_one_where_it_is_known(self, tmp_path: Path) -> None:
        assert save(tmp_path / "b") == tmp_path / "b.png"
        assert save("usage", b"date,cost\n") == Path("usage")
        assert saving.save(iter([b"\x01\x02"]), "s", "speech", False, lambda head: f"l{len(head)}") == Path("s.l2")
        with pytest.raises(ValidationError, match=r"'b\.png' exists already"):
            save("b", PNG + b"!")
        assert save("b", PNG + b"!", overwrite=True) == Path("b.png")
        assert (tmp_path / "b.png").read_bytes() == PNG + b"!"
        assert save("usage", PNG, overwrite=True) == Path("usage"), "what is there is what is meant"
        assert everything(tmp_path) == ["b.png", "s.l2", "usage"]

    def test_g39_a_name_that_says_something_else_gets_a_word_in_the_log(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        for name in ("a.png", "b.PNG", "c.dat", "d"):
            save(tmp_path / name)
        save(tmp_path / "e.jpeg", b"\xff\xd8\xff and more")
        assert caplog.messages == []
        save(tmp_path / "f.mp3")
        assert caplog.messages == [f"{str(tmp_path / 'f.mp3')!r} holds png: its name says otherwise"]

    def test_g39_the_next_free_number_whatever_the_extension(self, tmp_path: Path) -> None:
        for name in ("image-1.png", "IMAGE-2.JPG", "image-4.txt", "image-x.png", "image-5", "speech-3.png"):
            (tmp_path / name).write_bytes(b"mine")
        assert [save().name for _ in range(3)] == ["image-3.png", "image-5.png", "image-6.png"]
        assert (tmp_path / "image-1.png").read_bytes() == b"mine"

    def test_g39_a_planted_number_leads_nowhere(self, tmp_path: Path) -> None:
        (tmp_path / f"image-{'9' * 200}.png").touch()
        (tmp_path / "image-999999999.png").touch()
        assert save().name == "image-1.png"

    def test_g39_overwriting_in_a_folder_begins_with_the_first(self, tmp_path: Path) -> None:
        (tmp_path / "image-1.png").write_bytes(b"old")
        assert save(overwrite=True).name == "image-1.png"
        assert (tmp_path / "image-1.png").read_bytes() == PNG

    @pytest.mark.parametrize(
        "path",
        ["", b"x.png", 5, None, "a\0b", "x" * 5000, "\ud800",
         "missing/x.png", "missing/", "missing/.", "file/", "file/x.png"],
    )  # fmt: skip
    def test_g39_bad_paths_are_typed_errors(self, path: Any, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"mine")
        with pytest.raises(ValidationError):
            save(path)
        assert everything(tmp_path) == ["file"]

    def test_g39_a_missing_folder_is_named(self) -> None:
        with pytest.raises(ValidationError, match="no folder 'missing' to save in: make it first"):
            save("missing/x.png")


class TestG39NothingIsOverwritten:
    def test_g39_an_existing_file_is_refused_before_anything_is_fetched(self, tmp_path: Path) -> None:
        (tmp_path / "x.png").write_bytes(b"mine")

        pieces = iter([PNG])
        with pytest.raises(ValidationError, match=r"'x.png' exists already: pass overwrite=True"):
            saving.save(pieces, "x.png", "image", overwrite=False)
        assert list(pieces) == [PNG]
        assert (tmp_path / "x.png").read_bytes() == b"mine"

    def test_g39_unless_asked(self, tmp_path: Path) -> None:
        (tmp_path / "x.png").write_bytes(b"mine")
        save("x.png", overwrite=True)
        assert (tmp_path / "x.png").read_bytes() == PNG
        assert everything(tmp_path) == ["x.png"]

    def test_g39_nor_one_that_comes_up_meanwhile(self, tmp_path: Path) -> None:
        def fetched() -> Iterator[bytes]:
            yield PNG
            (tmp_path / "x.png").write_bytes(b"faster")
            (tmp_path / "image-1.png").write_bytes(b"faster")

        with pytest.raises(ValidationError, match="exists already"):
            saving.save(fetched(), "x.png", "image", overwrite=False)
        assert saving.save(fetched(), ".", "image", overwrite=False).name == "image-2.png"
        assert (tmp_path / "x.png").read_bytes() == (tmp_path / "image-1.png").read_bytes() == b"faster"
        assert everything(tmp_path) == ["image-1.png", "image-2.png", "x.png"]

    def test_g39_many_threads_lose_nothing(self, tmp_path: Path) -> None:
        contents = [PNG + bytes([n]) for n in range(120)]
        with ThreadPoolExecutor(8) as pool:
            saved = list(pool.map(lambda content: save(tmp_path, content), contents))
        assert [path.read_bytes() for path in saved] == contents
        assert everything(tmp_path) == sorted(f"image-{n}.png" for n in range(1, 121))

    def test_g39_nor_do_several_processes(self, tmp_path: Path) -> None:
        with multiprocessing.get_context("spawn").Pool(3) as pool:
            found = pool.starmap(save_some, [(str(tmp_path), owner) for owner in (1, 2, 3)])
        contents = sorted(path.read_bytes() for path in tmp_path.iterdir())
        assert contents == sorted(PNG + bytes([owner, n]) for owner in (1, 2, 3) for n in range(20))
        assert len({path for paths in found for path in paths}) == 60

    def test_g39_of_many_who_want_one_name_one_gets_it(self, tmp_path: Path) -> None:
        together = threading.Barrier(8)

        def fetched(n: int) -> Iterator[bytes]:
            yield PNG
            together.wait(10)
            yield bytes([n])

        def attempt(n: int) -> int | None:
            try:
                saving.save(fetched(n), tmp_path / "x.png", "image", overwrite=False)
            except ValidationError:
                return None
            return n

        with ThreadPoolExecutor(8) as pool:
            (winner,) = [n for n in pool.map(attempt, range(8)) if n is not None]
        assert (tmp_path / "x.png").read_bytes() == PNG + bytes([winner])
        assert everything(tmp_path) == ["x.png"]


def save_some(folder: str, owner: int) -> list[str]:
    return [str(save(folder, PNG + bytes([owner, n]))) for n in range(20)]


@posix
class TestG39Links:
    @pytest.mark.parametrize("overwrite", [False, True])
    @pytest.mark.parametrize("target", ["there", "dangling", "/dev/null", "link"])
    def test_g39_a_link_in_the_files_place_is_refused(self, target: str, overwrite: bool, tmp_path: Path) -> None:
        (tmp_path / "there").write_bytes(b"mine")
        (tmp_path / "link").symlink_to(target)  # the last one points to itself
        with pytest.raises(ValidationError, match="is a link"):
            save("link", overwrite=overwrite)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "there").read_bytes() == b"mine"
        assert everything(tmp_path) == ["link", "there"]

    @pytest.mark.parametrize("target", ["there", "dangling"])
    def test_g39_a_link_under_our_own_name_is_passed_over(self, target: str, tmp_path: Path) -> None:
        (tmp_path / "there").write_bytes(b"mine")
        (tmp_path / "image-1.png").symlink_to(target)
        assert save().name == "image-2.png"
        with pytest.raises(ValidationError, match="is a link"):
            save(overwrite=True)
        assert (tmp_path / "there").read_bytes() == b"mine"
        assert not (tmp_path / "dangling").exists()

    def test_g39_a_link_that_comes_up_meanwhile_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "there").write_bytes(b"mine")

        def fetched() -> Iterator[bytes]:
            yield PNG
            (tmp_path / "x.png").symlink_to("there")

        for overwrite in (False, True):
            with pytest.raises(ValidationError):
                saving.save(fetched(), "x.png", "image", overwrite)
            (tmp_path / "x.png").unlink()
        assert everything(tmp_path) == ["there"]
        assert (tmp_path / "there").read_bytes() == b"mine"

    def test_g39_the_folder_is_the_callers_choice_links_included(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "latest").symlink_to("real")
        assert save("latest") == Path("latest/image-1.png")
        assert save("latest/x.png") == Path("latest/x.png")
        assert everything(tmp_path / "real") == ["image-1.png", "x.png"]
        (tmp_path / "nowhere").symlink_to("missing")
        with pytest.raises(ValidationError, match="is not a folder"):
            saving.save_all([iter([PNG])], "nowhere", "image", overwrite=False)
        assert not (tmp_path / "missing").exists()

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_g39_only_regular_files_are_written(self, overwrite: bool, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        for target in ("pipe", "/dev/null"):
            with pytest.raises(ValidationError, match="not a regular file"):
                save(target, overwrite=overwrite)
        (tmp_path / "image-1.png").mkdir()
        assert save().name == "image-2.png"
        with pytest.raises(ValidationError, match="is a folder"):
            save(overwrite=True)
        assert everything(tmp_path) == ["image-1.png", "image-2.png", "pipe"]

    def test_g39_the_mode_is_the_umasks(self) -> None:
        before = os.umask(0o027)
        try:
            assert save().stat().st_mode & 0o777 == 0o640
        finally:
            os.umask(before)


@posix
class TestModes:
    @pytest.mark.parametrize("path", ["image-1.png", "."])
    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
    def test_an_overwritten_file_keeps_its_own(self, path: str, mode: int, tmp_path: Path) -> None:
        (tmp_path / "image-1.png").write_bytes(b"private")
        (tmp_path / "image-1.png").chmod(mode)
        assert save(path, overwrite=True).stat().st_mode & 0o777 == mode
        assert (tmp_path / "image-1.png").read_bytes() == PNG

    def test_nobody_else_reads_what_is_not_yet_whole(self, tmp_path: Path) -> None:
        seen: list[int] = []

        def pieces() -> Iterator[bytes]:
            yield PNG
            seen.extend(path.stat().st_mode & 0o777 for path in tmp_path.iterdir())
            yield PNG

        (tmp_path / "x.png").touch(0o600)
        saving.save(pieces(), "x.png", "image", overwrite=True)
        assert seen == [0o600, 0o600]

    def test_a_file_system_without_modes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*args: Any, **options: Any) -> NoReturn:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "chmod", refuse)
        assert save("x.png").read_bytes() == PNG
        assert save("x.png", PNG + b"!", overwrite=True).read_bytes() == PNG + b"!"


def breaks(error: BaseException) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        yield PNG
        raise error

    return pieces


class TestG39WholeOrNotAtAll:
    def test_g39_nothing_is_there_before_the_end(self, tmp_path: Path) -> None:
        seen: list[list[str]] = []

        def pieces() -> Iterator[bytes]:
            for _ in range(3):
                yield PNG
                seen.append(everything(tmp_path))

        saving.save(pieces(), "x.png", "image", overwrite=False)
        assert all(len(names) == 1 and names[0].endswith(".part") for names in seen), seen
        assert len({tuple(names) for names in seen}) == 1
        assert everything(tmp_path) == ["x.png"]

    @pytest.mark.parametrize("path", [".", "x.png"])
    @pytest.mark.parametrize(
        "error",
        [NetworkError("cut", code="truncated"), RequestTimeoutError("late"), KeyboardInterrupt(), SystemExit(),
         APIError("gone", status_code=404), MemoryError()],
        ids=lambda error: type(error).__name__,
    )  # fmt: skip
    def test_g39_what_breaks_leaves_nothing_behind(self, error: BaseException, path: str, tmp_path: Path) -> None:
        with pytest.raises(type(error)) as caught:
            saving.save(breaks(error)(), path, "image", overwrite=True)
        assert caught.value is error
        assert everything(tmp_path) == []

    def test_g39_nor_does_it_touch_what_it_should_replace(self, tmp_path: Path) -> None:
        (tmp_path / "x.png").write_bytes(b"mine")
        with pytest.raises(NetworkError):
            saving.save(breaks(NetworkError("cut"))(), "x.png", "image", overwrite=True)
        assert (tmp_path / "x.png").read_bytes() == b"mine"
        assert everything(tmp_path) == ["x.png"]

    def test_g39_what_was_being_fetched_is_closed(self, tmp_path: Path) -> None:
        closed: list[str] = []

        def pieces(path: Path) -> Iterator[bytes]:
            try:
                yield PNG
                path.rmdir()  # fails: the draft is in it
                yield PNG
            finally:
                closed.append("closed")

        (tmp_path / "out").mkdir()
        with pytest.raises(ValidationError, match="can't save to 'out'"):
            saving.save(pieces(tmp_path / "out"), "out", "image", overwrite=False)
        assert closed == ["closed"]
        assert everything(tmp_path) == ["out"]

    def test_g39_an_empty_file_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(APIError, match="empty"):
            save("x.png", b"")
        assert everything(tmp_path) == []

    @posix
    def test_g39_a_full_disk(self, tmp_path: Path) -> None:
        code = (
            "import resource, sys\n"
            "from indoxrouter import ValidationError, saving\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
            "try: saving.save(iter([bytes(60_000)] * 3), 'x.png', 'image', False)\n"
            "except ValidationError as error: print(error)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout.strip() == f"can't save to 'x.png': {os.strerror(errno.EFBIG)}"
        assert everything(tmp_path) == []

    @posix
    def test_g39_without_hard_links(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*args: Any, **options: Any) -> NoReturn:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)  # as FAT and some network drives do
        (tmp_path / "image-1.png").symlink_to("dangling")
        contents = [PNG + bytes([n]) for n in range(24)]
        with ThreadPoolExecutor(8) as pool:
            saved = list(pool.map(lambda content: save(tmp_path, content), contents))
        assert [path.read_bytes() for path in saved] == contents
        assert everything(tmp_path) == sorted(f"image-{n}.png" for n in range(1, 26))
        with pytest.raises(ValidationError, match="exists already"):
            save("image-2.png")
        assert not (tmp_path / "dangling").exists()
        monkeypatch.setattr(os, "replace", refuse)
        with pytest.raises(ValidationError, match="Operation not permitted"):
            save("new.png")
        assert not (tmp_path / "new.png").exists(), "the name that was taken is given back"


class TestSeveral:
    def test_the_folder_is_made(self, tmp_path: Path) -> None:
        found = saving.save_all([iter([PNG]), iter([b"\xff\xd8\xff"]), iter([PNG])], "a/b", "image", overwrite=False)
        assert [str(path) for path in found] == ["a/b/image-1.png", "a/b/image-2.jpg", "a/b/image-3.png"]
        assert saving.save_all([iter([PNG])], "a/b/", "image", overwrite=False) == [Path("a/b/image-4.png")]
        again = saving.save_all([iter([PNG + b"!"]), iter([PNG])], "a/b", "image", overwrite=True)
        assert [path.name for path in again] == ["image-1.png", "image-2.png"]
        assert (tmp_path / "a/b/image-1.png").read_bytes() == PNG + b"!"

    def test_all_or_none(self, tmp_path: Path) -> None:
        with pytest.raises(NetworkError):
            saving.save_all([iter([PNG]), breaks(NetworkError("cut"))()], ".", "image", overwrite=False)
        assert everything(tmp_path) == []

    @pytest.mark.parametrize("folder", ["late", "late/", "a/b/c", Path("late")])
    def test_nor_is_the_folder_made_for_none(self, folder: Any, tmp_path: Path) -> None:
        for files in ([breaks(NetworkError("gone"))()], [iter([PNG]), iter([b""])]):
            with pytest.raises((NetworkError, APIError)):
                saving.save_all(files, folder, "image", overwrite=False)
        assert saving.save_all([], folder, "image", overwrite=False) == []
        assert everything(tmp_path) == []

    def test_a_folder_that_looks_like_a_file(self, tmp_path: Path) -> None:
        for folder in ("cat.png", "cat.JPEG", "out/cat.mp4"):
            with pytest.raises(ValidationError, match="looks like a file"):
                saving.save_all([iter([PNG])], folder, "image", overwrite=False)
        (tmp_path / "file").touch()
        for folder in ("file", "file/below"):
            with pytest.raises(ValidationError):
                saving.save_all([iter([PNG])], folder, "image", overwrite=False)
        assert everything(tmp_path) == ["file"]
        (tmp_path / "v1.png").mkdir()
        assert saving.save_all([iter([PNG])], "v1.png", "image", overwrite=False) == [Path("v1.png/image-1.png")]
        assert saving.save_all([iter([PNG])], "run-1.5", "image", overwrite=False) == [Path("run-1.5/image-1.png")]


class TestFormats:
    @pytest.mark.parametrize(
        ("head", "extension"),
        [
            (b"\x89PNG\r\n\x1a\n", "png"),
            (b"\xff\xd8\xff\xe0", "jpg"),
            (b"GIF89a", "gif"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "webp"),
            (b"RIFF\0\0\0\0WAVEfmt ", "wav"),
            (b"RIFF\0\0\0\0AVI LIST", "avi"),
            (b"ID3\x04", "mp3"),
            (b"\xff\xfb\x90\x64", "mp3"),
            (b"\xff\xf3\x64", "mp3"),
            (b"\xff\xf1\x50\x80", "aac"),
            (b"\xff\xf9\x50\x80", "aac"),
            (b"OggS" + bytes(24) + b"OpusHead", "opus"),
            (b"OggS" + bytes(24) + b"\x01vorbis", "ogg"),
            (b"fLaC\0", "flac"),
            (b"\0\0\0\x18ftypisom", "mp4"),
            (b"\0\0\0\x18ftypM4A ", "m4a"),
            (b"\x1aE\xdf\xa3" + bytes(20) + b"\x42\x82\x84webm", "webm"),
            (b"<html>", "bin"),
            (b"", "bin"),
            (b"\xff", "bin"),
        ],
    )
    def test_by_the_first_bytes(self, head: bytes, extension: str) -> None:
        assert formats.extension(head) == extension

    @pytest.mark.parametrize(
        ("content_type", "extension"),
        [("audio/mpeg", "mp3"), ("Audio/WAV; rate=24000", "wav"), ("text/html", "bin"), ("../../x", "bin"),
         ("", "bin"), (None, "bin")],
    )  # fmt: skip
    def test_else_by_the_type(self, content_type: str | None, extension: str) -> None:
        assert formats.extension(b"unknown", content_type) == extension
        assert formats.extension(PNG, content_type) == "png"

    def test_samples_that_look_like_a_frame(self) -> None:
        assert formats.extension(b"\xff\xfb\0\0", "audio/pcm") == "pcm"
        assert formats.extension(b"\xff\xfb\0\0", None, "https://h/a.pcm?b=c.mp3") == "pcm"

    @pytest.mark.parametrize("head", [b"\xff\xff\xfe\xff", b"\xff\xfd\0\0", b"\xff\xeb\0\0", b"\xff\xfb\xf0\0"])
    def test_what_looks_only_a_little_like_a_frame(self, head: bytes) -> None:
        assert formats.extension(head) == "bin"

    @pytest.mark.parametrize(
        ("url", "extension"),
        [("https://h/a/b.PCM", "pcm"), ("https://h/a.jpeg#x", "jpg"), ("/files/x.opus?y=1", "opus"),
         ("https://h/a.sh", "bin"), ("https://h/a.b/c", "bin"), ("https://h/a?b=c.mp3", "bin"), ("mp3", "mp3"),
         ("https://h/a.mp3%00.sh", "bin"), ("https://h/..%2Fpcm", "bin"), ("", "bin"), (None, "bin")],
    )  # fmt: skip
    def test_else_by_what_a_urls_path_ends_with_if_that_is_known(self, url: str | None, extension: str) -> None:
        assert formats.extension(b"unknown", None, url) == extension
        assert formats.extension(b"unknown", "application/octet-stream", url) == extension
        assert formats.extension(b"unknown", "audio/aac", url) == "aac"
        assert formats.extension(PNG, None, url) == "png"

    def test_a_head_in_many_pieces(self, tmp_path: Path) -> None:
        webm = b"\x1aE\xdf\xa3" + bytes(20) + b"\x42\x82\x84webm" + bytes(100)
        found = saving.save((bytes([byte]) for byte in webm), tmp_path, "video", overwrite=False)
        assert (found.name, found.read_bytes()) == ("video-1.webm", webm)
