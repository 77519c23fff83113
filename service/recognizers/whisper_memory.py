"""How glibc is to lay out what Whisper's weights and its decodes take."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h."""
_APART_BYTES: Final = 128 << 10
"""glibc's own threshold, before it adapts it."""


@contextmanager
def loading() -> Iterator[None]:
    """Load weights while the block runs, and decode after it.

    Weights lie in mappings of their own: what loading took beside them is given back at once, and
    processes with the same weights hold them on pages that are alike (``service.memory``).

    What decodes free is kept, for the next one wants it again. Otherwise each encode maps and
    unmaps over 100 MB and spends a third of its CPU time in page faults (measured: 0.275 against
    0.173 CPU-seconds).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        yield  # Not glibc.
        return
    mallopt(_MMAP_THRESHOLD, _APART_BYTES)
    try:
        yield
    finally:
        mallopt(_MMAP_THRESHOLD, 1 << 30)
        mallopt(_TRIM_THRESHOLD, 1 << 29)
