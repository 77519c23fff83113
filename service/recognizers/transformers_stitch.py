"""Frames of a growing signal, put together from overlapping windows.

A full-context model is heard on windows that overlap; near a window's edges it lacks
context, so of each window only the centre is kept. Kept frames lie side by side without a
gap and none twice, and tokens are made of them only afterwards: a token at a seam is
neither doubled nor lost, as it would be if the texts of windows were joined.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.core.hypothesis import Samples

Frames = NDArray[np.float32]
"""Log-probabilities, shape (frames, vocabulary), float32, natural logarithm."""


class Stitcher:
    """The frames of one growing segment.

    Frame i belongs to the segment's samples from i times the frame length on. Frames with
    enough heard after them are settled; the others are heard again in the next window.
    """

    def __init__(self, left_frames: int, right_frames: int) -> None:
        """Give windows so much context.

        Args:
            left_frames: Heard again before the first frame that is not settled.
            right_frames: A frame is settled once it had so many behind it.
        """
        self._left_frames = left_frames
        self._right_frames = right_frames
        self._settled: list[Frames] = []
        self._settled_frames = 0

    @property
    def window_begin(self) -> int:
        """Frame at which the next window is to begin."""
        return max(0, self._settled_frames - self._left_frames)

    def shorten(self, frames: int) -> None:
        """Forget what was settled with the help of audio that is no longer the segment's."""
        keep = max(0, frames - self._right_frames)
        if keep >= self._settled_frames:
            return
        self._settled = [np.concatenate(self._settled)[:keep]]
        self._settled_frames = keep

    def add(self, frames: Frames) -> Frames:
        """Take the frames of a window from ``window_begin`` to the segment's newest sample.

        Returns:
            All frames of the segment so far, shape (all frames, vocabulary).
        """
        new = frames[self._settled_frames - self.window_begin :]
        everything = np.concatenate([*self._settled, new])
        settled = new[: max(0, len(new) - self._right_frames)]
        self._settled.append(settled)
        self._settled_frames += len(settled)
        return everything


def on_grid(samples: Samples, begin: int, grid: int) -> tuple[Samples, int]:
    """Lengthen a window to the left, to a multiple of the grid, so that many have its length.

    What lies before the window is heard again; where the signal begins too late for that, its
    own begin is mirrored. That is as loud as the rest and sounds like it, and models that
    normalize over the whole window hear hardly a difference; zeros they would.

    Args:
        samples: A signal.
        begin: First sample of the window, which goes to the end of the signal.
        grid: Samples.

    Returns:
        The window, and how many of its samples are not in the one that was asked for.
    """
    missing = (begin - len(samples)) % grid
    again = min(missing, begin)
    window = samples[begin - again :]
    if again < missing:
        window = np.pad(window, (missing - again, 0), mode="reflect")
    return window, missing
