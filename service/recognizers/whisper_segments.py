"""How segments become what Whisper's decoder sees: a protocol, and the way Whisper was trained.

By windows each segment is encoded by CTranslate2, the context before it again each time. The other
way is ``whisper_states``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from service.core.capabilities import CONFIRM_INTERVAL_S
from service.core.hypothesis import SAMPLE_RATE_HZ, ContextSegment, Samples
from service.recognizers.whisper_model import (
    Encoded,
    WhisperModel,
)

CONTEXT_PADDING_S: Final = 8.0
"""Silence behind a segment that is heard in context; one that is heard alone needs the whole
window. What else was tried stands in docs/whisper.md."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedSegment:
    """A segment behind its context."""

    whole: Encoded
    """Context and segment."""
    begin_s: float
    """Where the segment begins in it."""
    own: Callable[[float], Encoded]
    """Returns the segment without its context, with so many seconds of silence behind it."""
    memory: object | None = None
    """For the segment behind this one."""


class GrowingSegmentEncoder(Protocol):
    """Encodes one segment again and again, while it grows."""

    @property
    def context(self) -> Sequence[ContextSegment]:
        """What it lies behind in ``whole``."""

    def newest(self, samples: Samples, begin_samples: int, window_s: float) -> Encoded:
        """Return the segment from some place on.

        Args:
            samples: The segment so far.
            begin_samples: The place.
            window_s: How long it is to be, with silence behind it.
        """

    def whole(self, samples: Samples) -> EncodedSegment | None:
        """Return the segment so far, nearly as its final will hear it; None: as that will."""


class SegmentEncoder(Protocol):
    """Encodes segments. May be used from several threads."""

    @property
    def most_context_s(self) -> float:
        """Speech before a segment that is heard with it."""

    @property
    def has_memory(self) -> bool:
        """Whether it can go on from what a segment left behind."""

    @property
    def confirm_interval_s(self) -> float:
        """Speech between two hearings of a growing segment that hear it as its final will."""

    @property
    def confirm_lookahead_s(self) -> float:
        """Audio that is wanted behind it."""

    def behind(
        self,
        samples: Samples,
        context: Sequence[ContextSegment],
        memory: object | None,
        growing: GrowingSegmentEncoder | None = None,
    ) -> EncodedSegment:
        """Encode a finished segment; a function of samples and context alone.

        Args:
            samples: The segment.
            context: What it lies behind; may be nothing.
            memory: What the newest segment of the context left behind, if it is known.
            growing: What has encoded the segment while it grew, if anything has. This and the
                memory save time and change nothing.
        """

    def growing(
        self, context: Sequence[ContextSegment], memory: object | None
    ) -> GrowingSegmentEncoder:
        """Begin a segment."""


class WindowEncoder:
    """Implements SegmentEncoder, as Whisper was trained."""

    most_context_s = 10.0
    has_memory = False
    confirm_interval_s = CONFIRM_INTERVAL_S
    confirm_lookahead_s = 0.0

    def __init__(self, model: WhisperModel) -> None:
        """Encode by the model."""
        self._model = model

    def behind(
        self,
        samples: Samples,
        context: Sequence[ContextSegment],
        memory: object | None,
        growing: GrowingSegmentEncoder | None = None,
    ) -> EncodedSegment:
        """Encode context and segment together."""
        del memory, growing
        before = [segment.samples for segment in context]
        padding_s = CONTEXT_PADDING_S if before else math.inf
        joint = np.concatenate([*before, samples])
        return EncodedSegment(
            whole=self._model.encode(joint, _duration_s(joint) + padding_s),
            begin_s=_duration_s(joint) - _duration_s(samples),
            own=lambda silence_s: self._model.encode(samples, _duration_s(samples) + silence_s),
        )

    def growing(
        self, context: Sequence[ContextSegment], memory: object | None
    ) -> GrowingSegmentEncoder:
        """Begin a segment, of which nothing is kept."""
        del context, memory
        return _GrowingWindow(self._model)


class _GrowingWindow:
    context: Sequence[ContextSegment] = ()

    def __init__(self, model: WhisperModel) -> None:
        self._model = model

    def newest(self, samples: Samples, begin_samples: int, window_s: float) -> Encoded:
        return self._model.encode(samples[begin_samples:], window_s)

    def whole(self, samples: Samples) -> EncodedSegment | None:
        del samples
        return None


def _duration_s(samples: Samples) -> float:
    return len(samples) / SAMPLE_RATE_HZ
