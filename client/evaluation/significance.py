"""How sure a rate or a difference of rates is, by resampling whole clips.

Words of one clip share a voice and a microphone, so clips are drawn, not words (Bisani and Ney,
"Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP 2004). Clips
of one speaker still resemble each other: with few speakers the truth is less sure than this says.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
SIGN_FLIPS = 10_000
CONFIDENCE = 0.95

_CHUNK = 200
"""Draws at once, to bound the memory that many clips take."""


@dataclass(frozen=True)
class Interval:
    """A rate with the bounds that it lies between at 95 % confidence."""

    value: float
    low: float
    high: float


def rate_interval(errors: Sequence[int], lengths: Sequence[int], seed: int) -> Interval:
    """Estimate total errors over total length.

    Args:
        errors: Of each clip.
        lengths: Of each clip, in the words or characters that the errors are counted in; their
            sum is more than 0.
        seed: Chooses the draws.
    """
    return _interval(np.asarray([errors], float), np.asarray(lengths, float), seed)


def difference_interval(
    first: Sequence[int], second: Sequence[int], lengths: Sequence[int], seed: int
) -> Interval:
    """Estimate the rate of the second minus the rate of the first, of the same clips."""
    return _interval(np.asarray([second, first], float), np.asarray(lengths, float), seed)


def sign_flip_probability(first: Sequence[int], second: Sequence[int], seed: int) -> float:
    """Say how likely a difference this large is between two that are equally good.

    A matched-pairs test (Gillick and Cox, "Some statistical issues in the comparison of speech
    recognition algorithms", ICASSP 1989) with a clip as segment. Instead of assuming a normal
    distribution it swaps the two results of random clips: were both equally good, that would not
    matter.
    """
    differences = np.asarray(second, np.int64) - np.asarray(first, np.int64)
    differences = differences[differences != 0]
    if not len(differences):
        return 1.0
    random = np.random.default_rng(seed)
    observed = abs(int(differences.sum()))
    as_large = 0
    for begin in range(0, SIGN_FLIPS, _CHUNK):
        flips = min(_CHUNK, SIGN_FLIPS - begin)
        signs = random.integers(0, 2, (flips, len(differences))) * 2 - 1
        as_large += int((np.abs(signs @ differences) >= observed).sum())
    # The outcome itself counts as one of the draws, so that none is impossible.
    return (as_large + 1) / (SIGN_FLIPS + 1)


def _interval(errors: NDArray[np.float64], lengths: NDArray[np.float64], seed: int) -> Interval:
    """Estimate a rate, or the first row's rate minus the second's."""
    signs = np.array([1.0, -1.0])[: len(errors)]
    signed = signs @ errors
    clips = len(lengths)
    random = np.random.default_rng(seed)
    rates = []
    for begin in range(0, DRAWS, _CHUNK):
        draws = min(_CHUNK, DRAWS - begin)
        counts = random.multinomial(clips, np.full(clips, 1 / clips), size=draws)
        rates.append((counts @ signed) / np.maximum(counts @ lengths, 1))
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(np.concatenate(rates), [tail, 100 - tail])
    return Interval(float(signed.sum() / lengths.sum()), float(low), float(high))
