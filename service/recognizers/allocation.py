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
ADAPTED_BYTES: Final = 32 << 20
"""As far as glibc adapts it: what is freed up to this size it keeps. Before 2.35 no more can be
set."""

_most_kept_bytes = 0
"""Of all models in this process."""


@contextmanager
def loading(kept_bytes: int = ADAPTED_BYTES) -> Iterator[None]:
    """Load weights while the block runs, and decode after it.

    Weights lie in mappings of their own: what loading took beside them is given back at once, and
    processes can hold once what is alike in them (``service.workers.weights``). Blocks may lie
    in one another. Does nothing where the allocator is not glibc's.

    Args:
        kept_bytes: What decodes free up to this size is kept for the next one. Where several
            models ask for it, the most.
    """
    global _most_kept_bytes  # noqa: PLW0603 - there is one allocator
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        yield
        return
    _most_kept_bytes = max(_most_kept_bytes, kept_bytes)
    mallopt(_MMAP_THRESHOLD, _APART_BYTES)
    try:
        yield
    finally:
        if not mallopt(_MMAP_THRESHOLD, _most_kept_bytes):
            mallopt(_MMAP_THRESHOLD, ADAPTED_BYTES)
        mallopt(_TRIM_THRESHOLD, 2 * _most_kept_bytes)
