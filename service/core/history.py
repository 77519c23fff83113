"""What a stream keeps of its audio, each with its bound."""

from __future__ import annotations

from collections import deque

import numpy as np

from service.core.hypothesis import ContextSegment, Samples


class SampleBuffer:
    """The audio that may still be needed, addressed by the stream's clock."""

    def __init__(self) -> None:
        """Begin empty at sample 0."""
        self._data = np.zeros(0, dtype=np.float32)
        self._length = 0
        self._begin_samples = 0

    @property
    def end_samples(self) -> int:
        """One past the newest sample."""
        return self._begin_samples + self._length

    def append(self, samples: Samples) -> None:
        """Add the next samples."""
        needed = self._length + len(samples)
        if needed > len(self._data):
            grown = np.empty(max(needed, 2 * self._length), dtype=np.float32)
            grown[: self._length] = self._data[: self._length]
            self._data = grown
        self._data[self._length : needed] = samples
        self._length = needed

    def view(self, begin_samples: int, end_samples: int) -> Samples:
        """Return a stretch without copying it; valid until the next call of another method."""
        return self._data[begin_samples - self._begin_samples : end_samples - self._begin_samples]

    def copy(self, begin_samples: int, end_samples: int) -> Samples:
        """Return a stretch that stays as it is."""
        return self.view(begin_samples, end_samples).copy()

    def discard_before(self, position_samples: int) -> None:
        """Let older audio go.

        Moves memory only when at least half of it can be freed, so that the cost per
        sample stays constant.
        """
        spent = position_samples - self._begin_samples
        if spent * 2 < len(self._data):
            return
        self._data = self._data[spent : self._length].copy()
        self._length -= spent
        self._begin_samples = position_samples


class SpeechHistory:
    """The newest spoken segments with their texts, at most so many samples in all."""

    def __init__(self, limit_samples: int) -> None:
        """Keep segments that together are no longer than the limit."""
        self._limit_samples = limit_samples
        self._segments: deque[ContextSegment] = deque()

    def append(self, segment: ContextSegment) -> None:
        """Add the newest segment; let go what no longer fits beside it."""
        self._segments.append(segment)
        while sum(len(kept.samples) for kept in self._segments) > self._limit_samples:
            self._segments.popleft()

    def before(self, segment_samples: int) -> tuple[ContextSegment, ...]:
        """Return the segments that fit into one window with a segment so long, oldest first."""
        room = self._limit_samples - segment_samples
        chosen: list[ContextSegment] = []
        for segment in reversed(self._segments):
            room -= len(segment.samples)
            if room < 0:
                break
            chosen.append(segment)
        return tuple(reversed(chosen))
