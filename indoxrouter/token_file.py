"""The file in which processes share a login: locked while one of them logs in, readable by its owner alone."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import sys
from io import FileIO

from indoxrouter.forking import renew_in_children

if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int) -> None:
        os.lseek(fd, 0, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            raise BlockingIOError from None

    def _unlock(fd: int) -> None:
        os.lseek(fd, 0, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)


log = logging.getLogger("indoxrouter")
POLL = 0.02
"""Seconds between two tries to lock it."""
_LARGEST = 2**20


class TokenFile:
    """One login's view of it; what goes wrong costs a login of its own, never a call."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: FileIO | None = None
        """Locked, but for a moment; an object, as its end is the end of the lock, whatever becomes of us."""

    def try_lock(self) -> bool:
        """Whether there is nothing to wait for: it is locked, or it can't be used (see `read`, `write`)."""
        if self._file is not None:
            return True
        try:
            self._file = FileIO(self._path, "r+", opener=_open)
            _check(self._file.fileno())
            _lock(self._file.fileno())
        except BlockingIOError:
            self.renew()
            return False
        except OSError as error:
            self.renew()
            self._complain(error)
        else:
            renew_in_children(self)
        return True

    def read(self) -> str | None:
        if (file := self._file) is None:
            return None
        try:
            file.seek(0)
            return file.read(_LARGEST).decode()
        except (OSError, ValueError) as error:
            self._complain(error)
            return None

    def write(self, text: str) -> None:
        if (file := self._file) is None:
            return
        try:
            file.seek(0)
            file.truncate()
            file.write(text.encode())
        except (OSError, ValueError) as error:
            self._complain(error)

    def unlock(self) -> None:
        if (file := self._file) is not None:
            with contextlib.suppress(OSError, ValueError):  # a forked child may have the file open, too
                _unlock(file.fileno())
            self.renew()

    def renew(self) -> None:
        """Close it; in a forked child, the lock stays its parent's."""
        if (file := self._file) is not None:
            with contextlib.suppress(OSError):
                file.close()
            self._file = None

    def _complain(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or type(error).__name__
        log.warning("token_cache %s can't be used: %s", self._path, reason)


_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT | _NO_LINK, 0o600)


def _check(fd: int) -> None:
    """Another user's file could be read, or put there, by that user."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise PermissionError(0, "it is not a regular file")
    if hasattr(os, "getuid") and found.st_uid != os.getuid():
        raise PermissionError(0, "it belongs to another user")
    if stat.S_IMODE(found.st_mode) & 0o077 and hasattr(os, "fchmod"):
        os.fchmod(fd, 0o600)
