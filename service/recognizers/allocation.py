"""How glibc is to lay out what weights and decodes take."""

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
_ADAPTED_BYTES: Final = 32 << 20
"""As far as glibc adapts it. Before 2.35 no more can be set."""
KEPT_BYTES: Final = 256 << 20
"""What decodes free up to this size is kept for the next one: more than any block of theirs has.
Otherwise each maps and unmaps a hundred megabytes anew, and page faults took a third of the CPU
time of a Whisper encode (0.275 against 0.173 s), a tenth of that of wav2vec2-base's size."""


@contextmanager
def loading() -> Iterator[None]:
    """Load weights while the block runs, and decode after it.

    Weights lie in mappings of their own: what loading took beside them is given back at once, and
    processes can hold once what is alike in them (``service.workers.weights``). Does nothing where
    the allocator is not glibc's.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        yield
        return
    mallopt(_MMAP_THRESHOLD, _APART_BYTES)
    try:
        yield
    finally:
        if not mallopt(_MMAP_THRESHOLD, KEPT_BYTES):
            mallopt(_MMAP_THRESHOLD, _ADAPTED_BYTES)
        mallopt(_TRIM_THRESHOLD, 2 * KEPT_BYTES)
