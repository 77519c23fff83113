"""Segments of which only what is new is encoded, behind what was kept, by our own encoder.

What a segment left behind serves the next one; what was encoded while it grew serves its final.
Either may be lost and changes nothing, for it is encoded anew in the same pieces.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

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
from service.recognizers.whisper_segments import (
    CONTEXT_PADDING_S,
    EncodedSegment,
    GrowingSegmentEncoder,
)

CHUNK_S: Final = 5.0
LOOKAHEAD_S: Final = 1.0
"""A long segment is encoded in chunks, each with so much audio behind it, whether it has ended or
not: what interims have had encoded, its final goes on from. What else was tried stands in
docs/whisper.md."""
MARGIN_S: Final = 0.3
"""The newest positions of a growing segment are encoded anew with what follows them: they had
heard too little of it. With 0.3 and 0.4 s, 10.0 and 9.7 % of the words in interims were wrong
(109 clips, before loops were cut short), and without any more than 20 %."""

HEARD_SILENCE: Final = 15
"""Positions of silence behind a segment that are encoded with it; the rest is as it is behind
nothing. Without them 19 % of the interims of 73 clips were loops or too improbable, with 15 and
25 of them 12 %."""

_POSITION_SAMPLES: Final = SAMPLE_RATE_HZ // POSITIONS_PER_S
_CHUNK: Final = round(CHUNK_S * POSITIONS_PER_S)
_LOOKAHEAD: Final = round(LOOKAHEAD_S * POSITIONS_PER_S)
_MARGIN: Final = round(MARGIN_S * POSITIONS_PER_S)


@dataclass(frozen=True, slots=True, eq=False)
class _Memory:
    """Segments that were encoded one behind the other, from the first position on."""

    states: States
    segments: int


class StatesEncoder:
    """Implements SegmentEncoder; only what is new is encoded."""

    most_context_s = 12.0
    has_memory = True
    confirm_interval_s = CHUNK_S
    confirm_lookahead_s = LOOKAHEAD_S

    def __init__(self, model: WhisperModel, encoder: Encoder) -> None:
        """Encode the model's spectrograms."""
        self._audio = _Audio(model, encoder)

    def behind(
        self,
        samples: Samples,
        context: Sequence[ContextSegment],
        memory: object | None,
        growing: GrowingSegmentEncoder | None = None,
    ) -> EncodedSegment:
        """Encode what is left of the segment, behind what its context left."""
        if isinstance(growing, _GrowingStates) and growing.lies_behind(context):
            return growing.chunks.ended(samples)
        before, encoded_samples = self._left_by(context, memory)
        return _Chunks(self._audio, before).ended(samples, encoded_samples)

    def growing(
        self, context: Sequence[ContextSegment], memory: object | None
    ) -> GrowingSegmentEncoder:
        """Begin a segment behind its context."""
        before, encoded_samples = self._left_by(context, memory)
        return _GrowingStates(self._audio, before, context, encoded_samples)

    def _left_by(
        self, context: Sequence[ContextSegment], memory: object | None
    ) -> tuple[_Memory, int]:
        """Return what context left, and how much of it was encoded once more for that.

        What an earlier segment of it left lies in what the newest one left. Context is the newest
        segments of a stream, so that as many are the same.
        """
        if isinstance(memory, _Memory) and memory.segments == len(context):
            return memory, 0
        before = self._audio.nothing
        encoded_samples = 0
        for segment in context:
            chunks = _Chunks(self._audio, before)
            _, before, newly_samples = chunks.rest(segment.samples)
            encoded_samples += newly_samples
        return before, encoded_samples


class _Chunks:
    """A segment behind its context, as far as it can be encoded before its end is known."""

    def __init__(self, audio: _Audio, before: _Memory) -> None:
        self.before = before
        self._audio = audio
        self._ends = [before.states.without_outputs()]
        """States behind each chunk, for the segment may be cut before the newest one's end."""

    @property
    def states(self) -> States:
        """Of the newest chunk."""
        return self._ends[-1]

    def are_of(self, samples: Samples) -> bool:
        """Whether the segment has all of them if it ends here."""
        return not self._known or _positions(samples) >= self._known + _LOOKAHEAD

    def cut(self, samples: Samples) -> None:
        """Forget those that the segment does not have if it ends here."""
        while not self.are_of(samples):
            self._ends.pop()

    def advance(self, samples: Samples) -> tuple[States | None, int]:
        """Encode chunks that have become complete.

        Returns:
            States that reach into what lies behind the last one, if there is a new one; how much
            audio was encoded.
        """
        ahead = None
        newly_samples = 0
        while _positions(samples) >= self._known + _CHUNK + _LOOKAHEAD:
            end_samples = (self._known + _CHUNK + _LOOKAHEAD) * _POSITION_SAMPLES
            stretch = self._stretch(samples[:end_samples])
            ahead = extended(self.states, stretch, _CHUNK + _LOOKAHEAD - _MARGIN)
            self._ends.append(extended(self.states, stretch, _CHUNK))
            newly_samples += (_CHUNK + _LOOKAHEAD) * _POSITION_SAMPLES
        return ahead, newly_samples

    def rest(self, samples: Samples) -> tuple[Floats, _Memory, int]:
        """Encode what is left of a segment that has ended.

        Returns:
            The outputs of the whole segment and of HEARD_SILENCE, what it leaves behind, and
            how much audio was encoded.
        """
        self.cut(samples)
        _, newly_samples = self.advance(samples)
        newly_samples += len(samples) - self._known * _POSITION_SAMPLES
        stretch = self._stretch(samples)
        outputs = np.concatenate([self.states.outputs, stretch.outputs])
        states = extended(self.states, stretch, _positions(samples) - self._known)
        outputs_so_far = np.concatenate([self.before.states.outputs, states.outputs])
        states = replace(states, outputs=outputs_so_far)
        return outputs, _Memory(states, self.before.segments + 1), newly_samples

    def ended(self, samples: Samples, encoded_samples: int = 0) -> EncodedSegment:
        """Return a segment that has ended; so much was encoded for it already."""
        outputs, memory, newly_samples = self.rest(samples)
        encoded_samples += newly_samples
        positions = _positions(samples)
        return self._audio.segment(self.before, outputs, positions, encoded_samples, memory)

    @property
    def _known(self) -> int:
        return self.states.end - self.before.states.end

    def _stretch(self, samples: Samples) -> Stretch:
        silence = self._audio.silence_behind(self.before)
        return self._audio.stretch(samples, self.states, silence, self._known)


class _GrowingStates:
    def __init__(
        self,
        audio: _Audio,
        before: _Memory,
        context: Sequence[ContextSegment],
        encoded_samples: int,
    ) -> None:
        self.context = context
        self._audio = audio
        self._uncounted_samples = encoded_samples
        self._states: States
        self._begin_behind(before)

    def lies_behind(self, context: Sequence[ContextSegment]) -> bool:
        """Whether it was encoded behind this context."""
        return len(context) == len(self.context) and all(
            np.array_equal(one.samples, other.samples)
            for one, other in zip(context, self.context, strict=True)
        )

    def newest(self, samples: Samples, begin_samples: int, window_s: float) -> Encoded:
        begin = begin_samples // _POSITION_SAMPLES
        positions = _positions(samples) - begin
        silence = math.ceil(window_s * POSITIONS_PER_S) - positions
        self._begin_anew_for(samples)
        outputs, encoded_samples = self._hear(samples, silence)
        end = self.chunks.before.states.end + len(outputs)
        behind = self._audio.encoder.silence(end, end + silence - HEARD_SILENCE)
        return encoded(np.concatenate([outputs[begin:], behind]), 2 * positions, encoded_samples)

    def whole(self, samples: Samples) -> EncodedSegment | None:
        self._begin_anew_for(samples)
        ahead, chunk_samples = self.chunks.advance(samples)
        self._states = ahead or self._states
        before = self.chunks.before
        outputs, encoded_samples = self._hear(samples, self._audio.silence_behind(before))
        encoded_samples += chunk_samples
        return self._audio.segment(before, outputs, _positions(samples), encoded_samples)

    def _begin_behind(self, before: _Memory) -> None:
        self.chunks = _Chunks(self._audio, before)
        self._states = before.states.without_outputs()

    def _begin_anew_for(self, samples: Samples) -> None:
        """Forget what was encoded if it does not belong to the segment as it is now."""
        positions = _positions(samples)
        before = self.chunks.before
        if before.states.end + positions > LONGEST_WINDOW_S * POSITIONS_PER_S:
            # So long a segment will have another context, or none.
            self.context = ()
            self._begin_behind(self._audio.nothing)
        elif len(self._states.outputs) >= positions or not self.chunks.are_of(samples):
            # It was cut at a point that had been heard.
            self.chunks.cut(samples)
            self._states = self.chunks.states

    def _hear(self, samples: Samples, silence: int) -> tuple[Floats, int]:
        """Return outputs of the segment and of HEARD_SILENCE; how much audio was encoded."""
        known = len(self._states.outputs)
        stretch = self._audio.stretch(samples, self._states, silence, known)
        outputs = np.concatenate([self._states.outputs, stretch.outputs])
        kept = max(0, _positions(samples) - known - _MARGIN)
        self._states = extended(self._states, stretch, kept)
        encoded_samples = self._uncounted_samples + len(samples) - known * _POSITION_SAMPLES
        self._uncounted_samples = 0
        return outputs, encoded_samples


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
        """Return a segment behind its context.

        Args:
            before: The context.
            outputs: Of the segment and of HEARD_SILENCE.
            positions: Of the segment.
            encoded_samples: What was encoded for it.
            memory: What it leaves behind.
        """
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


def _positions(samples: Samples) -> int:
    return (frames_of(samples) + 1) // 2
