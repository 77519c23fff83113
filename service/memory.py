"""What the process holds of the system's memory, and what it gives back."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

GIVE_BACK_S = 300.0
"""Often enough that the gaps between what is in use do not add up over hours. Seldom, since
nobody else can allocate meanwhile."""


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


def give_back() -> None:
    """Give back to the system what the allocator keeps of freed memory.

    It keeps gaps that no later object fills, and more of them hour by hour. Does nothing where
    the allocator is not glibc's.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return
    trim(0)


@contextmanager
def giving_back(interval_s: float = GIVE_BACK_S) -> Iterator[None]:
    """Do so again and again, from a thread of its own, while the block runs."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(interval_s):
            give_back()

    thread = threading.Thread(target=run, name="give-back", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
