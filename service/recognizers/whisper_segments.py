"""How segments become what Whisper's decoder sees: two ways, one protocol.

By windows each one is encoded as Whisper was trained, by CTranslate2, the context before it again
each time. By states only what is new is encoded, by our own encoder, behind what was kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from service.core.hypothesis import SAMPLE_RATE_HZ, ContextSegment, Samples
from service.recognizers.context import LONGEST_WINDOW_S
from service.recognizers.whisper_encoder import (
    POSITIONS_PER_S,
    Encoder,
    Floats,
    States,
    Stretch,
    extended,
)
from service.recognizers.whisper_model import (
    FULL_WINDOW_S,
    Encoded,
    WhisperModel,
    encoded,
    frames_of,
)

CONTEXT_PADDING_S: Final = 8.0
"""Silence behind a segment that is heard in context; one that is heard alone needs the whole
window. What else was tried stands in docs/whisper.md."""
MARGIN_S: Final = 0.3
"""The newest positions of a growing segment are encoded anew with what follows them: they had
heard too little of it. With 0.3 and 0.4 s, 10.0 and 9.7 % of the words in interims were wrong
(109 clips, before loops were cut short), and without any more than 20 %."""

HEARD_SILENCE: Final = 15
"""Positions of silence behind a segment that are encoded with it; the rest is as it is behind
nothing. Without them 19 % of the interims of 73 clips were loops or too improbable, with 15 and
25 of them 12 %."""

_POSITION_SAMPLES: Final = SAMPLE_RATE_HZ // POSITIONS_PER_S


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

    def behind(
        self, samples: Samples, context: Sequence[ContextSegment], memory: object | None
    ) -> EncodedSegment:
        """Encode a finished segment; a function of samples and context alone.

        Args:
            samples: The segment.
            context: What it lies behind; may be nothing.
            memory: What the newest segment of the context left behind, if it is known.
        """

    def growing(
        self, context: Sequence[ContextSegment], memory: object | None
    ) -> GrowingSegmentEncoder:
        """Begin a segment."""


class WindowEncoder:
    """Implements SegmentEncoder, as Whisper was trained."""

    most_context_s = 10.0
    has_memory = False

    def __init__(self, model: WhisperModel) -> None:
        """Encode by the model."""
        self._model = model

    def behind(
        self, samples: Samples, context: Sequence[ContextSegment], memory: object | None
    ) -> EncodedSegment:
        """Encode context and segment together."""
        del memory
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


@dataclass(frozen=True, slots=True, eq=False)
class _Memory:
    """Segments that were encoded one behind the other, from the first position on."""

    states: States
    segments: int


class StatesEncoder:
    """Implements SegmentEncoder; only what is new is encoded."""

    most_context_s = 12.0
    has_memory = True

    def __init__(self, model: WhisperModel, encoder: Encoder) -> None:
        """Encode the model's spectrograms."""
        self._audio = _Audio(model, encoder)

    def behind(
        self, samples: Samples, context: Sequence[ContextSegment], memory: object | None
    ) -> EncodedSegment:
        """Encode the segment behind what its context left, or is made to leave once more."""
        before = _remembered(context, memory)
        encoded_samples = len(samples)
        if before is None:
            before = self._audio.nothing
            for segment in context:
                before = self._left_by(segment.samples, before)[1]
                encoded_samples += len(segment.samples)
        stretch, memory = self._left_by(samples, before)
        positions = _positions(samples)
        return self._audio.segment(before, stretch.outputs, positions, encoded_samples, memory)

    def growing(
        self, context: Sequence[ContextSegment], memory: object | None
    ) -> GrowingSegmentEncoder:
        """Begin a segment behind its context, or behind nothing if that left nothing."""
        before = _remembered(context, memory)
        if before is None:
            return _GrowingStates(self._audio, self._audio.nothing, ())
        return _GrowingStates(self._audio, before, context)

    def _left_by(self, samples: Samples, before: _Memory) -> tuple[Stretch, _Memory]:
        silence = self._audio.silence_behind(before)
        stretch = self._audio.stretch(samples, before.states, silence)
        states = extended(before.states, stretch, _positions(samples))
        return stretch, _Memory(states, before.segments + 1)


class _GrowingStates:
    def __init__(self, audio: _Audio, before: _Memory, context: Sequence[ContextSegment]) -> None:
        self.context = context
        self._audio = audio
        self._begin_behind(before)

    def newest(self, samples: Samples, begin_samples: int, window_s: float) -> Encoded:
        begin = begin_samples // _POSITION_SAMPLES
        positions = _positions(samples) - begin
        silence = math.ceil(window_s * POSITIONS_PER_S) - positions
        outputs, encoded_samples = self._hear(samples, silence)
        end = self._before.states.end + len(outputs)
        behind = self._audio.encoder.silence(end, end + silence - HEARD_SILENCE)
        return encoded(np.concatenate([outputs[begin:], behind]), 2 * positions, encoded_samples)

    def whole(self, samples: Samples) -> EncodedSegment | None:
        outputs, encoded_samples = self._hear(samples, self._audio.silence_behind(self._before))
        return self._audio.segment(self._before, outputs, _positions(samples), encoded_samples)

    def _begin_behind(self, before: _Memory) -> None:
        self._before = before
        self._states = before.states.without_outputs()

    def _hear(self, samples: Samples, silence: int) -> tuple[Floats, int]:
        """Return the segment's outputs, and how much audio was encoded for them."""
        positions = _positions(samples)
        if self._before.states.end + positions > LONGEST_WINDOW_S * POSITIONS_PER_S:
            # So long a segment will have another context, or none.
            self.context = ()
            self._begin_behind(self._audio.nothing)
        if len(self._states.outputs) >= positions:
            # It was cut at a point that had been heard.
            self._begin_behind(self._before)
        known = len(self._states.outputs)
        stretch = self._audio.stretch(samples, self._states, silence, known)
        outputs = np.concatenate([self._states.outputs, stretch.outputs])
        kept = max(0, positions - known - round(MARGIN_S * POSITIONS_PER_S))
        self._states = extended(self._states, stretch, kept)
        return outputs, (positions - known) * _POSITION_SAMPLES


class _Audio:
    """What both have in common: from audio to positions, and from those to a segment."""

    def __init__(self, model: WhisperModel, encoder: Encoder) -> None:
        self._model = model
        self.encoder = encoder
        self.nothing = _Memory(encoder.nothing, 0)

    def stretch(self, samples: Samples, before: States, silence: int, known: int = 0) -> Stretch:
        """Encode a segment behind the positions of it that are known."""
        mel = self._model.mel(samples, 2 * (_positions(samples) + HEARD_SILENCE))
        embedded = self.encoder.embedded(mel, known)
        return self.encoder.encode(embedded, before, silence - HEARD_SILENCE)

    def silence_behind(self, before: _Memory) -> int:
        """Positions of silence behind a segment that lies behind this."""
        if not before.segments:
            return self.encoder.most_positions
        return round(CONTEXT_PADDING_S * POSITIONS_PER_S)

    def segment(
        self,
        before: _Memory,
        outputs: Floats,
        positions: int,
        encoded_samples: int,
        memory: _Memory | None = None,
    ) -> EncodedSegment:
        """Return a segment with these outputs behind its context."""
        context = before.states.outputs
        end = before.states.end + len(outputs)
        behind = self.encoder.silence(end, end + self.silence_behind(before) - HEARD_SILENCE)

        def own(silence_s: float) -> Encoded:
            silence = min(silence_s, FULL_WINDOW_S) * POSITIONS_PER_S
            behind = self.encoder.silence(end, end + round(silence) - HEARD_SILENCE)
            return encoded(np.concatenate([outputs, behind]), 2 * positions, 0)

        return EncodedSegment(
            whole=encoded(
                np.concatenate([context, outputs, behind]),
                2 * (len(context) + positions),
                encoded_samples,
            ),
            begin_s=len(context) / POSITIONS_PER_S,
            own=own,
            memory=memory,
        )


def _remembered(context: Sequence[ContextSegment], memory: object | None) -> _Memory | None:
    """Return what this context left behind; None if it did not lie there as it does now.

    What an earlier segment of it left lies in what the newest one left. Context is the newest
    segments of a stream, so that as many are the same.
    """
    if isinstance(memory, _Memory) and memory.segments == len(context):
        return memory
    return None


def _positions(samples: Samples) -> int:
    return (frames_of(samples) + 1) // 2


def _duration_s(samples: Samples) -> float:
    return len(samples) / SAMPLE_RATE_HZ
