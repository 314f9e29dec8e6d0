"""What is uploaded, read piece by piece while it is sent."""

from __future__ import annotations

import errno
import io
import os
import stat
import threading
import time
from collections.abc import Iterator
from typing import IO, Any

from urllib3.util import wait_for_read

from indoxrouter.errors import IndoxRouterError, Outcome, RequestTimeoutError, ValidationError
from indoxrouter.wire.messages import Source, Upload

PIECE = 2**18
"""Bytes that are read at a time."""
_LOOK = 0.25
"""Seconds from one look whether anybody still waits for a pipe to the next."""


class Outgoing:
    """One attempt to send an upload: iterating gives its bytes in pieces.

    A pipe that has nothing to tell holds it up until its time is over, or it is closed. What is known only by its
    `read` method, a socket's file too, holds it up for as long as one read takes: nothing can interrupt that.
    """

    def __init__(self, upload: Upload, until: float) -> None:
        self._upload = upload
        self._source = upload.source
        self._until = until
        self._file: IO[bytes] | None = None
        self._size: int | None = None
        self._pieces = self._read_all()
        self._turn = threading.Lock()
        self._over = False
        self.complete = False
        """Whether all of it has been handed out."""
        self.failure: IndoxRouterError | None = None
        """What ended it early, if the file did."""

    @property
    def waits(self) -> bool:
        """Whether reading it may have to wait for a disk or a pipe."""
        return not isinstance(self._source.origin, bytes)

    @property
    def size(self) -> int | None:
        """Bytes in all; None where only reading tells."""
        return None if self._size is None else len(self._upload.head) + self._size + len(self._upload.tail)

    def open(self) -> None:
        """Raises ValidationError where nothing can be read any more."""
        with self._turn:
            try:
                self._file, self._size = _opened(self._source)
            except (OSError, ValueError) as error:
                raise self._broken("can't be read any more", error, "not_sent") from None
        self._close_if_over()

    def close(self) -> None:
        """Let go of the file. A thread that is reading it meanwhile does so when it is done."""
        self._over = True
        self._close_if_over()

    interrupt = close

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def _read_all(self) -> Iterator[bytes]:
        if self._upload.head:
            yield self._upload.head
        done = 0
        while self._size is None or done < self._size:
            try:
                piece = self._read(PIECE if self._size is None else min(PIECE, self._size - done))
            except IndoxRouterError as error:
                self.failure = error
                raise
            if not piece:
                break
            yield piece
            done += len(piece)
        if self._size is not None and done < self._size:
            self.failure = self._broken(f"became shorter while it was sent: {done} bytes are left of {self._size}")
            raise self.failure
        self.complete = True
        if self._upload.tail:
            yield self._upload.tail

    def _read(self, most: int) -> bytes:
        """The next bytes as soon as there are any, b"" at the end."""
        try:
            with self._turn:
                assert self._file is not None
                piece = self._read_from(self._file, most)
        finally:
            self._close_if_over()
        if not isinstance(piece, bytes):
            raise self._broken(f"gave {type(piece).__name__} where bytes were due")
        return piece

    def _read_from(self, file: IO[bytes], most: int) -> Any:
        try:
            if not self._over and self._has_waited(file):
                self._source.spent = self._source.once
                return getattr(file, "read1", file.read)(most)
        except (OSError, ValueError) as error:
            raise self._broken("can't be read any more", error) from None
        if self._over:
            raise ConnectionAbortedError(errno.ECONNABORTED, "nobody waits for it any more")
        raise RequestTimeoutError(
            f"{self._source.name} could not be read and sent in time", code="timeout", outcome="unknown"
        )

    def _has_waited(self, file: IO[bytes]) -> bool:
        """Whether a pipe had something to tell in time; files of other kinds are not waited for here."""
        pipe = _pipe(file)
        ready = pipe is None or wait_for_read(pipe, 0) or _read_ahead(file, pipe)  # type: ignore[arg-type] # as below
        while not self._over and (left := self._until - time.monotonic()) > 0:
            if ready:
                return True
            ready = wait_for_read(pipe, min(left, _LOOK))  # type: ignore[arg-type] # it needs but a descriptor
        return False

    def _close_if_over(self) -> None:
        ours = isinstance(self._source.origin, str)
        if ours and self._over and self._turn.acquire(blocking=False):
            if self._file is not None:
                self._file.close()
            self._turn.release()

    def _broken(self, what: str, error: Exception | None = None, outcome: Outcome = "unknown") -> ValidationError:
        why = "" if error is None else f": {getattr(error, 'strerror', None) or error}"
        return ValidationError(f"{self._source.name} {what}{why}", code="unreadable_file", outcome=outcome)


def _opened(source: Source) -> tuple[IO[bytes], int | None]:
    """The file at where it begins, and how many bytes are there, if it tells."""
    match source.origin:
        case bytes():
            return io.BytesIO(source.origin), len(source.origin)
        case str():
            file = open(source.origin, "rb", buffering=0, opener=_without_waiting)  # noqa: SIM115 - Outgoing closes it
            found = os.fstat(file.fileno())
            source.spent = source.once
            return file, found.st_size if stat.S_ISREG(found.st_mode) else None
    opened = source.origin
    if source.once:
        return opened, None
    try:
        opened.seek(0, io.SEEK_END)
        size = max(opened.tell() - source.start, 0)
    except (OSError, ValueError):
        size = None
    opened.seek(source.start)
    return opened, size


def _without_waiting(path: str, flags: int) -> int:
    """A named pipe that nobody writes to yet would hold up opening it, for which there is no limit."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _pipe(file: IO[bytes]) -> io.FileIO | None:
    """What may keep a reader waiting, and can be asked whether it would; a buffer or TLS may hide what is there."""
    raw = getattr(file, "raw", file)
    if os.name != "posix" or not isinstance(raw, io.FileIO) or stat.S_ISREG(os.fstat(raw.fileno()).st_mode):
        return None
    return raw


def _read_ahead(file: IO[bytes], raw: io.FileIO) -> bool:
    """Whether the buffer holds something, as after a `peek`: only another one tells, which must not wait."""
    if not isinstance(file, io.BufferedReader):
        return False
    blocking = os.get_blocking(raw.fileno())
    os.set_blocking(raw.fileno(), False)
    try:
        return bool(file.peek(1))
    finally:
        os.set_blocking(raw.fileno(), blocking)
