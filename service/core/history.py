"""What a stream keeps of its audio, each with its bound."""

from __future__ import annotations

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

        Moves what stays only when that is no more than what goes, so that the cost per
        sample stays constant.
        """
        spent = position_samples - self._begin_samples
        if spent * 2 < self._length:
            return
        self._data = self._data[spent : self._length].copy()
        self._length -= spent
        self._begin_samples = position_samples


class SpeechHistory:
    """The newest spoken segments with their texts.

    Segments are not let go one by one but, once there is too much of them, all but the newest few:
    so a context mostly begins where that of the segment before began, and what a recognizer
    has computed of it can be used again.
    """

    KEPT_PART = 0.4
    """Of the most context, once there is more. Of Whisper with 12 s and 5 s, 15 and 7.5, 20 and
    10, finals had 4.4, 4.4 and 4.7 % of the words wrong (28 minutes, as in docs/whisper.md)."""

    def __init__(self, window_samples: int, most_context_samples: int) -> None:
        """Begin with none.

        Args:
            window_samples: Context and segment together are no longer.
            most_context_samples: Context is no longer.
        """
        self._window_samples = window_samples
        self._most_context_samples = most_context_samples
        self._segments: tuple[ContextSegment, ...] = ()
        self.memory: object | None = None
        """What the final of the newest segment left behind."""

    def append(self, segment: ContextSegment, memory: object | None) -> None:
        """Add the newest segment; let go what it was not heard with."""
        self._segments = (*self.before(len(segment.samples)), segment)
        self.memory = memory

    def before(self, segment_samples: int) -> tuple[ContextSegment, ...]:
        """Return the context of a segment so long, oldest first."""
        room_samples = self._window_samples - segment_samples
        context_samples = sum(len(segment.samples) for segment in self._segments)
        if context_samples > self._most_context_samples:
            room_samples = min(room_samples, round(self.KEPT_PART * self._most_context_samples))
        chosen: list[ContextSegment] = []
        for segment in reversed(self._segments):
            room_samples -= len(segment.samples)
            if room_samples < 0:
                break
            chosen.append(segment)
        return tuple(reversed(chosen))
