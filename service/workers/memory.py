"""Files in memory that processes share: the samples of windows, and weights.

They have no name, so that nothing can be left behind, whoever is killed: they are gone with the
last process that holds them.

Windows are written whole: even the longest one, 28 s, is copied in 0.3 ms, and what a worker has
heard before need not be known.
"""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
from collections.abc import Sequence

import numpy as np

from service.core.hypothesis import SAMPLE_RATE_HZ, ContextSegment, Samples, Window

SAMPLE_BYTES = 4


class NamelessFile:
    """A file in memory; pages of it that nobody has touched take none."""

    def __init__(self, descriptor: int | None = None) -> None:
        """Make an empty one, or take up one that another process has made."""
        if descriptor is not None:
            self._descriptor = descriptor
        elif sys.platform == "linux":
            self._descriptor = os.memfd_create("windows")
        else:
            with tempfile.TemporaryFile() as file:
                self._descriptor = os.dup(file.fileno())

    def fileno(self) -> int:
        """Return its descriptor, for the process that shares it."""
        return self._descriptor

    def map(self, lanes: int, longest_window_s: float, *, is_writable: bool) -> list[Samples]:
        """Return the memory of each lane, room for the longest window; the file is closed."""
        samples = round(longest_window_s * SAMPLE_RATE_HZ)
        size_bytes = lanes * samples * SAMPLE_BYTES
        os.truncate(self._descriptor, size_bytes)
        access = mmap.ACCESS_WRITE if is_writable else mmap.ACCESS_READ
        memory = mmap.mmap(self._descriptor, size_bytes, access=access)
        self.close()
        return list(np.frombuffer(memory, dtype=np.float32).reshape(lanes, samples))

    def close(self) -> None:
        """Close the file; what is mapped stays. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        """Close the file of a worker that never became ready."""
        self.close()


def weights_file() -> NamelessFile | None:
    """Make the file of ``weights``; None where the system has none that can be sealed."""
    if sys.platform != "linux":
        return None
    try:
        return NamelessFile(os.memfd_create("weights", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
    except OSError:
        return None


def write(lane: Samples, window: Window) -> None:
    """Put the samples of a window into a lane.

    Raises:
        ValueError: it is longer than the longest window.
    """
    pieces = [*(before.samples for before in window.context), window.samples]
    end = sum(len(piece) for piece in pieces)
    if end > len(lane):
        raise ValueError(f"a window of {end} samples; the longest one is {len(lane)}")
    np.concatenate(pieces, out=lane[:end])


def read(
    lane: Samples, samples: int, context: Sequence[tuple[int, str]]
) -> tuple[Samples, tuple[ContextSegment, ...]]:
    """Return the samples of a window, and its context.

    They have memory of their own: a recognizer may keep them, and the lane is written anew.
    """
    segments: list[ContextSegment] = []
    begin = 0
    for length, text in context:
        segments.append(ContextSegment(lane[begin : begin + length].copy(), text))
        begin += length
    return lane[begin : begin + samples].copy(), tuple(segments)
