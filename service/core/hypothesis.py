"""What a recognizer hears and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
"""Rate of all audio behind the session; other rates are resampled to it."""

Samples = NDArray[np.float32]
"""Mono audio at SAMPLE_RATE_HZ, shape (n,), float32, full scale -1 to 1."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase that is likely to be said."""

    text: str
    boost: float
    """-20 to 20; 0 is no preference."""


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """What a stream asks of the recognizer."""

    language: str = ""
    """Primary language subtag; empty is the model's default."""
    word_offsets: bool = False
    max_alternatives: int = 1
    """Hypotheses in a final, the best one included."""
    phrases: tuple[Phrase, ...] = ()
    interim_results: bool = True
    """Whether interims are shown. If not, they are still asked for where the model streams
    natively, so that it hears a segment while it grows; their words are then not needed."""


@dataclass(frozen=True, slots=True, eq=False)
class ContextSegment:
    """An earlier segment of the stream, with the text of its final.

    The text is empty where nothing was said, or where a cut left too little of a word; the
    audio is there all the same, for the next segment may begin in the middle of it.
    """

    samples: Samples
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What a recognizer hears at once: a segment, and the speech before it.

    Context and segment together are no longer than the recognizer's longest
    window.
    """

    samples: Samples
    """The segment so far."""
    context: tuple[ContextSegment, ...] = ()
    """Earlier segments, oldest first, that lie before the segment. Between two of
    them long silence may have been left out."""
    agreed_words: tuple[str, ...] = ()
    """Words at the segment's begin on which earlier interims agreed. A final
    never depends on them, for they depend on timing."""
    is_growing: bool = False
    """The segment goes on: what is asked for as a final is shown as an interim, and may
    depend on what was heard of it before."""
    memory: object | None = None
    """What the final of the newest segment of the context left behind. It saves time and
    changes nothing."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a hypothesis."""

    text: str
    """As it stands in the text, punctuation included, without spaces."""
    start_s: float | None = None
    """From the first sample of the segment; None where it was not asked for."""
    end_s: float | None = None
    confidence: float | None = None
    """0 to 1, or None where the model cannot say."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another hypothesis for the same audio."""

    text: str
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What a recognizer heard in a segment. No words is silence."""

    words: tuple[Word, ...] = ()
    confidence: float | None = None
    """0 to 1, or None where the model cannot say."""
    alternatives: tuple[Alternative, ...] = ()
    """Best first, the hypothesis itself not among them."""
    is_doubtful: bool = False
    """Of an interim: too short, a loop or too improbable, and not to be shown."""
    heard_samples: int | None = field(default=None, compare=False)
    """Audio that the model computed for this, as often as it did, without padding. None where
    that is the segment for an interim, and the whole window for a final."""
    memory: object | None = field(default=None, compare=False, repr=False)
    """Of a final: what its recognizer keeps for the segment behind it. Nobody else looks at it,
    and it may be lost."""

    @property
    def text(self) -> str:
        """The words joined with one space."""
        return " ".join(word.text for word in self.words)


def without_places(words: Sequence[Word]) -> tuple[Word, ...]:
    """Return the words as a client gets them that asked for no offsets."""
    return tuple(replace(word, start_s=None, end_s=None) for word in words)
