"""What the process holds of the system's memory, and what it gives back."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

GIVE_BACK_S = 300.0
"""Often enough that the gaps between what is in use do not add up over hours. Seldom, since
nobody else can allocate meanwhile."""

_ARENA_MAX: Final = -8
"""M_ARENA_MAX of malloc.h."""


def resident_bytes() -> int:
    """Return the memory that the process takes; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def memory_bytes(others: Iterable[int] = ()) -> int:
    """Return the memory of this process and others, what they share counted once.

    In proportional set sizes, where the system knows them (Linux); 0 elsewhere.
    """
    return _proportional_bytes("self") + sum(map(_proportional_bytes, others))


def _proportional_bytes(pid: int | str) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def one_heap() -> None:
    """Have all threads allocate from one heap. To be called before there are others.

    glibc would give each its own, and what one of them frees is no use to the others: a server
    that decoded in two threads held 400 MB, give or take 15 from minute to minute, in place of
    292, and took as much CPU time. Does nothing where the allocator is not glibc's.
    """
    _of_libc("mallopt", _ARENA_MAX, 1)


def give_back() -> None:
    """Give back to the system what the allocator keeps of freed memory.

    It keeps gaps that no later object fills, and more of them hour by hour. Does nothing where
    the allocator is not glibc's.
    """
    _of_libc("malloc_trim", 0)


@contextmanager
def giving_back(interval_s: float = GIVE_BACK_S) -> Iterator[None]:
    """Give back at once and at intervals, from a thread of its own, while the block runs."""
    ended = threading.Event()

    def run() -> None:
        give_back()
        while not ended.wait(interval_s):
            give_back()

    thread = threading.Thread(target=run, name="give-back", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _of_libc(name: str, *arguments: int) -> None:
    try:
        function = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return
    function(*arguments)
