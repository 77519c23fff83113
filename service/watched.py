"""Files that are read anew when they change, such as certificates and tokens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import structlog

T = TypeVar("T")

Stamp = tuple[int, int, int]
"""Time of change, number and size: what differs when a file was written or replaced."""

log = structlog.get_logger()


class FileError(Exception):
    """A file does not hold what it should; the message says which one, and what to do."""


class Watched(Generic[T]):
    """What some files hold. They are looked at when it is asked for; any thread may ask.

    While they hold nothing usable, as half-way through a rotation, what they held last
    goes on to count.
    """

    def __init__(self, what: str, paths: Sequence[Path], load: Callable[[], T]) -> None:
        """Read them for the first time.

        Args:
            what: What they are, for the log.
            paths: The files. Symbolic links are followed, so a change of target is one too.
            load: Reads them.

        Raises:
            FileError: what ``load`` raised.
        """
        self._what = what
        self._paths = tuple(paths)
        self._load = load
        self._lock = threading.Lock()
        self._looked_s = time.monotonic()
        self._seen = self._stamps()
        self._complained_of: list[Stamp | None] | None = None
        self._value = load()

    def current(self, max_age_s: float = 0.0) -> T:
        """Return what they hold now, or at most so long ago.

        A look lets other threads run, and what runs them is waited for then: with hundreds of
        calls a second that costs more than all else that is done for a token.
        """
        now_s = time.monotonic()
        if now_s - self._looked_s < max_age_s:
            return self._value
        self._looked_s = now_s
        stamps = self._stamps()
        with self._lock:
            if stamps != self._seen:
                self._reload(stamps)
            return self._value

    def _reload(self, stamps: list[Stamp | None]) -> None:
        try:
            self._value = self._load()
        except FileError as error:
            if self._complained_of != stamps:
                self._complained_of = stamps
                log.warning("keeping what was read before", what=self._what, problem=str(error))
        else:
            self._seen = stamps
            self._complained_of = None
            log.info("read anew", what=self._what)

    def _stamps(self) -> list[Stamp | None]:
        return [_stamp(path) for path in self._paths]


def read_file(path: Path) -> bytes:
    """Return what a file holds.

    Raises:
        FileError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
