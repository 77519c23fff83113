"""Cuts a stream into segments by voice activity, on the sample clock.

Segments lie against each other: one ends a fixed hangover after its last speech
and the next begins to be listened for there, so that no speech falls into a gap
that a detector was unsure of. Long silence between them is left out.
"""

from __future__ import annotations

from enum import Enum, auto

from service.core.endpointing import EndpointRules
from service.core.hypothesis import SAMPLE_RATE_HZ
from service.core.vad import FRAME_SAMPLES

SPEECH_PROBABILITY = 0.5
SILENCE_PROBABILITY = 0.35
"""Between the two what was goes on; both as in Silero's own VADIterator."""

ONSET_FRAMES = 3
"""Frames of speech that begin a segment, 96 ms: a click is shorter, a "yes" is not."""

CERTAIN_PROBABILITY = 0.85
CERTAIN_CONTRAST = 10**1.5
"""Speech begins a segment once it is that probable, or that much louder (15 dB) than the
quietest tenth of its stretch; until then it may be a room with people far off. Measured on
249 stretches of speech in nine languages, read, accented, on the telephone, in a meeting:
all but a few reached 0.9, and each was 26 dB above the quiet around it. Two minutes of a
kitchen reached 0.83 and 11 dB."""
QUIET_FLOOR = 1e-7
"""Mean square, -70 dBFS: digital silence counts as a quiet room."""

LIKELY_END_SAMPLES = 550 * SAMPLE_RATE_HZ // 1000
LEAST_FORESIGHT_SAMPLES = 250 * SAMPLE_RATE_HZ // 1000
"""Silence behind which a final may be decoded ahead of time, and which is left for it before the
end. In 300 s of read speech, clip behind clip, 0.4, 0.5, 0.55 and 0.6 s had 53, 44, 41 and 38
finals decoded so; a final takes 0.2 s."""
EARLIER_SAMPLES = 100 * SAMPLE_RATE_HZ // 1000
"""So much earlier where nobody waits for the time: 4 % more of it for one stream, and where a final
takes 0.3 s, those of pauses came 0.29 in place of 0.35 s behind the silence (p95 of 12,
benchmarks.pauses). Finals of 12 streams, which share it, came later so (p95 0.67 in place of
0.52 s)."""
HANGOVER_SAMPLES = 400 * SAMPLE_RATE_HZ // 1000
"""Audio kept after the last speech. Shorter than the silence that ends a segment, so
that its final can be decoded while that silence is awaited."""

LEAD_SAMPLES = 1000 * SAMPLE_RATE_HZ // 1000
"""Audio kept before the first speech: a soft beginning is detected late."""

IDLE_SAMPLES = 5000 * SAMPLE_RATE_HZ // 1000
"""After so much without speech, the audio but its last LEAD_SAMPLES is let go."""


class Step(Enum):
    """What a frame decided."""

    NOTHING = auto()
    SPEECH_STARTED = auto()
    ENDPOINT = auto()
    """Silence ended the segment."""
    TOO_LONG = auto()
    """The segment is cut at its longest duration."""
    IDLE = auto()
    """Nothing was said; listen anew from ``end_samples``."""


STRETCH_ENDS = (Step.ENDPOINT, Step.TOO_LONG, Step.IDLE)


class Segmenter:
    """Watches one stretch of audio until its first segment ends; single use.

    Positions are in samples from the stream's begin.
    """

    def __init__(self, rules: EndpointRules, origin_samples: int) -> None:
        """Watch the audio from the origin on."""
        self._longest_samples = round(rules.max_segment_s * SAMPLE_RATE_HZ)
        self._silence_samples: int | None = None
        if rules.silence_s is not None:
            self._silence_samples = round(rules.silence_s * SAMPLE_RATE_HZ)
        self._hangover_samples = min(HANGOVER_SAMPLES, self._silence_samples or HANGOVER_SAMPLES)
        self._origin_samples = origin_samples
        self._position_samples = origin_samples
        self._onset_samples: int | None = None
        self._pause_samples: int | None = None
        self._peak_probability = 0.0
        self._quiet_loudness: list[float] = []
        self._loudness: list[float] = []
        self.start_samples: int | None = None
        """Begin of the segment, once speech has started."""
        self.end_samples = origin_samples
        """Where the next stretch begins, once a step says that this one is over."""

    @property
    def origin_samples(self) -> int:
        """Where the stretch begins."""
        return self._origin_samples

    @property
    def position_samples(self) -> int:
        """End of the last frame that was watched."""
        return self._position_samples

    @property
    def speech_start_samples(self) -> int:
        """Where the first speech was heard; meaningful once it has started."""
        return self._origin_samples if self._onset_samples is None else self._onset_samples

    @property
    def speech_end_samples(self) -> int:
        """End of the last speech so far."""
        return self._position_samples if self._pause_samples is None else self._pause_samples

    @property
    def is_pausing(self) -> bool:
        """Whether the segment's newest audio is silence."""
        return self._pause_samples is not None

    @property
    def is_settled(self) -> bool:
        """Whether the segment ends at its hangover unless speech goes on."""
        if self._silence_samples is None or self._pause_samples is None:
            return False
        return self._position_samples >= self._pause_samples + self._hangover_samples

    @property
    def is_ending(self) -> bool:
        """Whether it is settled, and silent for so long that speech will hardly go on."""
        return self._is_silent_until(0)

    @property
    def may_be_ending(self) -> bool:
        """Whether it is settled, and will soon be ending unless speech goes on."""
        return self._is_silent_until(EARLIER_SAMPLES)

    def _is_silent_until(self, earlier_samples: int) -> bool:
        if self._silence_samples is None or self._pause_samples is None:
            return False
        awaited_samples = min(LIKELY_END_SAMPLES, self._silence_samples - LEAST_FORESIGHT_SAMPLES)
        return self._position_samples >= self._pause_samples + max(
            self._hangover_samples, awaited_samples - earlier_samples
        )

    def cut_samples(self, limit_samples: int) -> int:
        """Where the segment ends if its audio is cut at ``limit_samples``."""
        if self.start_samples is not None:
            limit_samples = min(limit_samples, self.start_samples + self._longest_samples)
        if self._pause_samples is None:
            return limit_samples
        return min(limit_samples, self._pause_samples + self._hangover_samples)

    def push(self, probability: float, loudness: float) -> Step:
        """Watch one more frame: how likely it is speech, and its mean square."""
        begin_samples = self._position_samples
        self._position_samples += FRAME_SAMPLES
        if self.start_samples is None:
            return self._await_speech(begin_samples, probability, loudness)
        self._loudness.append(loudness)
        self._follow_pause(begin_samples, probability)
        if self._silence_is_over():
            self.end_samples = self.cut_samples(self._position_samples)
            return Step.ENDPOINT
        next_length_samples = self._position_samples + FRAME_SAMPLES - self.start_samples
        if next_length_samples > self._longest_samples:
            self.end_samples = min(
                self.cut_samples(self._position_samples), self._quietest_samples(self.start_samples)
            )
            return Step.TOO_LONG
        return Step.NOTHING

    def _await_speech(self, begin_samples: int, probability: float, loudness: float) -> Step:
        if probability < SILENCE_PROBABILITY:
            self._onset_samples = None
            self._peak_probability = 0.0
            self._quiet_loudness += [*self._loudness, loudness]
            self._loudness.clear()
        elif self._onset_samples is None and probability >= SPEECH_PROBABILITY:
            self._onset_samples = begin_samples
        if self._onset_samples is None:
            return self._idle_if_long(self._position_samples)
        self._loudness.append(loudness)
        self._peak_probability = max(self._peak_probability, probability)
        if len(self._loudness) < ONSET_FRAMES or not self._is_certain():
            return self._idle_if_long(self._onset_samples + LEAD_SAMPLES)
        self.start_samples = max(self._origin_samples, self._onset_samples - LEAD_SAMPLES)
        return Step.SPEECH_STARTED

    def _is_certain(self) -> bool:
        """Whether what may be speech is so without doubt."""
        if self._peak_probability >= CERTAIN_PROBABILITY:
            return True
        surroundings = sorted([*self._quiet_loudness, *self._loudness])
        quiet = max(QUIET_FLOOR, surroundings[len(surroundings) // 10])
        return sum(self._loudness) / len(self._loudness) >= CERTAIN_CONTRAST * quiet

    def _idle_if_long(self, not_before_samples: int) -> Step:
        """Let go of what was heard, unless it is short or speech may just be beginning."""
        is_long = self._position_samples - self._origin_samples >= IDLE_SAMPLES
        if not is_long or self._position_samples < not_before_samples:
            return Step.NOTHING
        self.end_samples = self._position_samples - LEAD_SAMPLES
        return Step.IDLE

    def _follow_pause(self, begin_samples: int, probability: float) -> None:
        if probability >= SPEECH_PROBABILITY:
            self._pause_samples = None
        elif probability < SILENCE_PROBABILITY and self._pause_samples is None:
            self._pause_samples = begin_samples

    def _silence_is_over(self) -> bool:
        return (
            self._silence_samples is not None
            and self._pause_samples is not None
            and self._position_samples - self._pause_samples >= self._silence_samples
        )

    def _quietest_samples(self, start_samples: int) -> int:
        """Middle of the quietest three frames in the last third of the longest segment.

        More may have been heard: speech that was long uncertain begins that long ago.
        """
        earliest_samples = start_samples + self._longest_samples * 2 // 3
        first = max(0, (earliest_samples - self.speech_start_samples) // FRAME_SAMPLES)
        longest_end_samples = start_samples + self._longest_samples
        frames = (longest_end_samples - self.speech_start_samples) // FRAME_SAMPLES
        sums = [sum(self._loudness[index : index + 3]) for index in range(first, frames - 2)]
        quietest = first + sums.index(min(sums))
        return self.speech_start_samples + (quietest * 2 + 3) * FRAME_SAMPLES // 2
