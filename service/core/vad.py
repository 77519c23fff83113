"""Voice activity: the seam for models, and a detector that needs none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from service.core.hypothesis import Samples

FRAME_SAMPLES = 512
"""Samples that a detector judges as one: 32 ms, as Silero was trained."""

MOST_FRAMES = 16
"""Frames that a detector is given at a time: half a second. What lies behind the end of a
stretch is heard in vain, for the next one takes a new detector."""


class SpeechDetector(Protocol):
    """Listens to one stretch of audio, frame by frame; single owner, single use.

    A new stretch takes a new detector: state never crosses a segment's begin, so
    that a stream can be taken up again there with the same result.
    """

    def probabilities(self, samples: Samples) -> Sequence[float]:
        """Return how likely each of the next frames is speech, 0 to 1.

        The same bit for bit however frames are put together, or finals would depend on the
        sizes of messages.

        Args:
            samples: 1 to MOST_FRAMES whole frames, shape (frames * FRAME_SAMPLES,).
        """


DetectorFactory = Callable[[], SpeechDetector]


class EnergyDetector:
    """Takes everything above a fixed level for speech.

    For tests and load, where no voice is at hand; a fan is speech to it.
    """

    THRESHOLD = 0.003
    """Root mean square, full scale 1: -50 dBFS, above a quiet room's noise."""

    def probabilities(self, samples: Samples) -> Sequence[float]:
        """Return 1 for each frame above the threshold, else 0."""
        loudest_quiet = self.THRESHOLD**2 * FRAME_SAMPLES
        return [
            float(float(frame.dot(frame)) > loudest_quiet)
            for frame in samples.reshape(-1, FRAME_SAMPLES)
        ]
