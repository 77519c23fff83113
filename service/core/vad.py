"""Voice activity: the seam for models, and a detector that needs none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from service.core.hypothesis import Samples

FRAME_SAMPLES = 512
"""Samples that a detector hears at once: 32 ms, as Silero was trained."""


class SpeechDetector(Protocol):
    """Listens to one stretch of audio, frame by frame; single owner, single use.

    A new stretch takes a new detector: state never crosses a segment's begin, so
    that a stream can be taken up again there with the same result.
    """

    def probability(self, frame: Samples) -> float:
        """Return how likely the next frame is speech, 0 to 1; shape (FRAME_SAMPLES,)."""


DetectorFactory = Callable[[], SpeechDetector]


class EnergyDetector:
    """Takes everything above a fixed level for speech.

    For tests and load, where no voice is at hand; a fan is speech to it.
    """

    THRESHOLD = 0.003
    """Root mean square, full scale 1: -50 dBFS, above a quiet room's noise."""

    def probability(self, frame: Samples) -> float:
        """Return 1 for a frame above the threshold, else 0."""
        return float(np.sqrt(np.mean(np.square(frame))) > self.THRESHOLD)
