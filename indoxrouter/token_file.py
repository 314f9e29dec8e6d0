"""The file in which processes share a login: locked while one of them logs in, readable by its owner alone."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import sys

if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int) -> None:
        os.lseek(fd, 0, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            raise BlockingIOError from None
else:
    import fcntl

    def _lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


log = logging.getLogger("indoxrouter")
POLL = 0.02
"""Seconds between two tries to lock it."""
_LARGEST = 2**20


class TokenFile:
    """One process's view of it; what goes wrong costs a login of its own, never a call."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd: int | None = None

    def try_lock(self) -> bool:
        """Whether there is nothing to wait for: it is locked, or it can't be used (see `read`, `write`)."""
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o600)
        except OSError as error:
            self._complain(error)
            return True
        try:
            _check(fd)
            _lock(fd)
        except BlockingIOError:
            os.close(fd)
            return False
        except OSError as error:
            os.close(fd)
            self._complain(error)
        else:
            self._fd = fd
        return True

    def read(self) -> str | None:
        if self._fd is None:
            return None
        try:
            os.lseek(self._fd, 0, os.SEEK_SET)
            return os.read(self._fd, _LARGEST).decode()
        except (OSError, UnicodeDecodeError) as error:
            self._complain(error)
            return None

    def write(self, text: str) -> None:
        if self._fd is None:
            return
        try:
            os.lseek(self._fd, 0, os.SEEK_SET)
            os.truncate(self._fd, 0)
            os.write(self._fd, text.encode())
        except OSError as error:
            self._complain(error)

    def unlock(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            with contextlib.suppress(OSError):
                os.close(fd)

    def _complain(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or type(error).__name__
        log.warning("token_cache %s can't be used: %s", self._path, reason)


_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


def _check(fd: int) -> None:
    """Another user's file could be read, or put there, by that user."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise PermissionError(0, "it is not a regular file")
    if hasattr(os, "getuid") and found.st_uid != os.getuid():
        raise PermissionError(0, "it belongs to another user")
    if stat.S_IMODE(found.st_mode) & 0o077 and hasattr(os, "fchmod"):
        os.fchmod(fd, 0o600)
