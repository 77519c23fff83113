"""From the readings of a search to words with places and confidences; pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.core.hypothesis import Alternative, Hypothesis, Word
from service.recognizers.deepspeech_model import Reading

STEP_S = 0.02
"""From one step of the model to the next; feature_win_step of every published model."""

LONGEST_FIRST_LETTER_S = 0.1
"""Where the model is not sure of the silence before speech, the library dates the first letter
to the begin of that silence (DecoderState::next: what begins its search is not dated anew)."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A word of a reading."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Weighed:
    """A reading and its share of the probability of all that were kept."""

    words: tuple[Spoken, ...]
    share: float

    @property
    def text(self) -> str:
        """The words joined with one space."""
        return " ".join(word.text for word in self.words)


def hypothesis_of(readings: Sequence[Reading], alternatives: int, end_s: float) -> Hypothesis:
    """Return what a search heard.

    The confidence of a text is the sum of exp(score) over the readings that spell it, divided
    by the sum over all readings; that of a word, the sum over the readings that have it at the
    same time (posteriors on an N-best list, as in Wessel et al., "Confidence Measures for
    Large Vocabulary Continuous Speech Recognition", 2001). It tells how far the search prefers
    them to what else it considered, not how often they are right.

    Args:
        readings: Best first, at least one.
        alternatives: At most so many other texts.
        end_s: Where the segment ends; no word reaches further.
    """
    best = readings[0].score
    weights = [math.exp(reading.score - best) for reading in readings]
    total = math.fsum(weights)
    weighed = [
        Weighed(_spoken(reading, end_s), weight / total)
        for reading, weight in zip(readings, weights, strict=True)
    ]
    chosen = weighed[0]
    if not chosen.words:
        return Hypothesis()
    shares: dict[str, float] = {}
    for one in weighed:
        shares[one.text] = shares.get(one.text, 0.0) + one.share
    confidence = _bounded(shares.pop(chosen.text))
    others = sorted(
        (Alternative(text, _bounded(share)) for text, share in shares.items() if text),
        key=lambda other: -(other.confidence or 0.0),
    )
    words = tuple(
        Word(
            word.text,
            word.start_s,
            word.end_s,
            _bounded(math.fsum(one.share for one in weighed if _has(one, word))),
        )
        for word in chosen.words
    )
    return Hypothesis(words, confidence, tuple(others[:alternatives]))


def _spoken(reading: Reading, end_s: float) -> tuple[Spoken, ...]:
    """Return the words of a reading.

    A word begins where its first letter was first heard. It ends where the space behind it
    was, as in DeepSpeech's own client, and the last one a step after its last letter.
    """
    words: list[Spoken] = []
    letters: list[bytes] = []
    start_s = last_s = 0.0
    for token, time_s in zip(reading.tokens, _times_s(reading), strict=True):
        if token == b" ":
            if letters:
                words.append(_word(letters, start_s, time_s, end_s))
            letters = []
            continue
        if not letters:
            start_s = time_s
        letters.append(token)
        last_s = time_s
    if letters:
        words.append(_word(letters, start_s, last_s + STEP_S, end_s))
    return tuple(words)


def _times_s(reading: Reading) -> tuple[float, ...]:
    if len(reading.times_s) < 2:
        return reading.times_s
    first_s, second_s, *rest = reading.times_s
    return (max(first_s, second_s - LONGEST_FIRST_LETTER_S), second_s, *rest)


def _word(letters: Sequence[bytes], start_s: float, stop_s: float, end_s: float) -> Spoken:
    text = b"".join(letters).decode("utf-8", "replace")
    return Spoken(text, min(start_s, end_s), min(stop_s, end_s))


def _has(reading: Weighed, word: Spoken) -> bool:
    """Whether a reading has this word, in part at least, at its time."""
    return any(
        other.text == word.text and other.start_s < word.end_s and word.start_s < other.end_s
        for other in reading.words
    )


def _bounded(share: float) -> float:
    """Sums of shares may pass 1 in the last digit."""
    return min(1.0, share)
