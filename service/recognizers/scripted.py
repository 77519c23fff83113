"""A recognizer without weights that hears tones: for tests and load.

A word is a tone burst, its pitch says which. What it hears is a function of the audio
as strictly as for a real model, and a word that a cut goes through is heard once, in
the piece that holds the 20 ms behind its onset. Speech yields words too, meaningless
but the same each time.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from service.core.capabilities import Capabilities
from service.core.hypothesis import (
    SAMPLE_RATE_HZ,
    Alternative,
    DecodeOptions,
    Hypothesis,
    Samples,
    Window,
    Word,
)
from service.recognizers.base import ModelUnavailableError

VOCABULARY = (
    "alfa",
    "bravo",
    "charlie",
    "delta",
    "echo",
    "foxtrot",
    "golf",
    "hotel",
    "india",
    "juliett",
    "kilo",
    "lima",
    "mike",
    "november",
    "oscar",
    "papa",
    "quebec",
    "romeo",
    "sierra",
    "tango",
)
LOWEST_HZ = 300
STEP_HZ = 100
"""Twice what the pitch of 20 ms can be mistaken by."""

DECISION_SAMPLES = 20 * SAMPLE_RATE_HZ // 1000
"""So much of a burst must be heard to know it."""
GAP_SAMPLES = 30 * SAMPLE_RATE_HZ // 1000
"""Quiet that parts two bursts; longer than half a period of the lowest tone."""
CONTEXT_SAMPLES = 100 * SAMPLE_RATE_HZ // 1000
"""As much of the segment before is heard as tells where a burst began."""
LEVEL = 0.05
"""Amplitude that counts as tone, full scale 1."""


def pitch_hz(word: str) -> int:
    """Return the pitch of a burst that is heard as this word of VOCABULARY."""
    return LOWEST_HZ + STEP_HZ * VOCABULARY.index(word)


def load(argument: str, options: Mapping[str, str]) -> ScriptedRecognizer:
    """Make the recognizer; ``delay_ms`` is how long each decode takes, default 0.

    Raises:
        ModelUnavailableError: an option is unknown or not a number.
    """
    unknown = sorted(set(options) - {"delay_ms"})
    delay_ms = options.get("delay_ms", "0")
    if argument or unknown or not re.fullmatch(r"[0-9]+(\.[0-9]*)?", delay_ms):
        raise ModelUnavailableError(
            "scripted takes no argument and one option, delay_ms, a number of milliseconds"
        )
    return ScriptedRecognizer(float(delay_ms) / 1000)


class ScriptedRecognizer:
    """Implements Recognizer."""

    def __init__(self, delay_s: float = 0.0) -> None:
        """Take this long for every decode."""
        self._delay_s = delay_s

    @property
    def capabilities(self) -> Capabilities:
        """What it can do: all that needs no weights."""
        return Capabilities(
            languages=("en",),
            longest_window_s=28.0,
            left_context=True,
            word_offsets=True,
            max_alternatives=3,
        )

    def open_stream(self, options: DecodeOptions) -> ScriptedStream:
        """Begin a segment."""
        return ScriptedStream(options, self._delay_s)

    def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True, slots=True)
class ScriptedStream:
    """Implements RecognizerStream."""

    options: DecodeOptions
    delay_s: float
    """Stands for the time of a decode: its thread sleeps, and others run."""

    def interim(self, window: Window) -> Hypothesis:
        """Hear the segment so far."""
        return self.final(window)

    def final(self, window: Window) -> Hypothesis:
        """Hear a finished segment."""
        time.sleep(self.delay_s)
        words = tuple(self._words(window))
        if not words:
            return Hypothesis()
        shorter = [
            Alternative(" ".join(word.text for word in words[:count]), confidence=0.5)
            for count in range(len(words) - 1, 0, -1)
        ]
        return Hypothesis(words, 1.0, tuple(shorter[: self.options.max_alternatives - 1]))

    def close(self) -> None:
        """Nothing is held."""

    def _words(self, window: Window) -> Iterator[Word]:
        before = window.context[-1].samples[-CONTEXT_SAMPLES:] if window.context else ()
        lead = len(before)
        heard = np.concatenate([np.asarray(before, dtype=np.float32), window.samples])
        for begin, end in _bursts(heard):
            if (begin == 0 and lead) or not lead < begin + DECISION_SAMPLES <= len(heard):
                continue
            offsets = self.options.word_offsets
            yield Word(
                text=_word(heard[begin:end]),
                start_s=max(0, begin - lead) / SAMPLE_RATE_HZ if offsets else None,
                end_s=(end - lead) / SAMPLE_RATE_HZ if offsets else None,
                confidence=1.0,
            )


def _bursts(samples: Samples) -> Sequence[tuple[int, int]]:
    """Return begin and end of each stretch of tone."""
    loud = np.flatnonzero(np.abs(samples) > LEVEL)
    if not len(loud):
        return []
    breaks = np.flatnonzero(np.diff(loud) > GAP_SAMPLES)
    begins = loud[np.concatenate([[0], breaks + 1])]
    ends = loud[np.concatenate([breaks, [len(loud) - 1]])] + 1
    return [
        (int(begin), int(end))
        for begin, end in zip(begins, ends, strict=True)
        if end - begin >= DECISION_SAMPLES // 2
    ]


def _word(burst: Samples) -> str:
    crossings = np.flatnonzero(np.diff(np.signbit(burst)))
    if len(crossings) < 2:
        return VOCABULARY[0]
    periods = (len(crossings) - 1) / 2
    hz = periods * SAMPLE_RATE_HZ / (crossings[-1] - crossings[0])
    return VOCABULARY[int(np.clip(round((hz - LOWEST_HZ) / STEP_HZ), 0, len(VOCABULARY) - 1))]
