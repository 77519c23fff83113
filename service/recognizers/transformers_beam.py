"""Other readings of a CTC model's frames: prefix beam search without a language model.

The search of Hannun et al., "First-Pass Large Vocabulary Continuous Speech Recognition
using Bi-Directional Recurrent DNNs" (2014), in logarithms. Libraries that search with a
KenLM model are not used: pyctcdecode 0.5.0 (2023) wants numpy below 2, and flashlight-text
0.0.7 (2024) has no KenLM in its wheels.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from service.recognizers.transformers_stitch import Frames

LEAST_LOG_PROBABILITY = math.log(1e-3)
"""Tokens that are less probable in a frame are not looked at there."""
MOST_TOKENS = 8
"""Nor are more tokens than these in one frame."""
BEAM_WIDTH = 16

_Ends = tuple[float, float]
"""Log-probabilities that a prefix ends in blank, and in its last token."""
_NEVER: _Ends = (-math.inf, -math.inf)


def readings(frames: Frames, blank: int, count: int) -> list[tuple[tuple[int, ...], float]]:
    """Return the most probable token sequences, best first.

    Args:
        frames: Log-probabilities, shape (frames, vocabulary).
        blank: The output that stands for no token.
        count: How many, at most; the beam is at least BEAM_WIDTH wide.

    Returns:
        Tokens with the log-probability of all paths that were searched for them.
    """
    beam: dict[tuple[int, ...], _Ends] = {(): (0.0, -math.inf)}
    width = max(BEAM_WIDTH, count)
    for frame in frames:
        candidates = _candidates(frame)
        grown: dict[tuple[int, ...], _Ends] = defaultdict(lambda: _NEVER)
        for prefix, (in_blank, in_token) in beam.items():
            whole = _either(in_blank, in_token)
            for token, log_probability in candidates:
                if token == blank:
                    _add(grown, prefix, whole + log_probability, -math.inf)
                elif prefix and token == prefix[-1]:
                    # The same token goes on, or is said again after a blank.
                    _add(grown, prefix, -math.inf, in_token + log_probability)
                    _add(grown, (*prefix, token), -math.inf, in_blank + log_probability)
                else:
                    _add(grown, (*prefix, token), -math.inf, whole + log_probability)
        beam = dict(sorted(grown.items(), key=_descending)[:width])
    best = sorted(beam.items(), key=_descending)[:count]
    return [(prefix, _either(*ends)) for prefix, ends in best]


def _candidates(
    frame: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> list[tuple[int, float]]:
    probable = np.flatnonzero(frame >= max(LEAST_LOG_PROBABILITY, frame.max() - 7.0))
    if not len(probable):
        probable = np.array([frame.argmax()])
    order: Iterable[int] = probable[np.argsort(-frame[probable], kind="stable")][:MOST_TOKENS]
    return [(int(token), float(frame[token])) for token in order]


def _add(
    beam: dict[tuple[int, ...], _Ends], prefix: tuple[int, ...], in_blank: float, in_token: float
) -> None:
    before = beam[prefix]
    beam[prefix] = (_either(before[0], in_blank), _either(before[1], in_token))


def _either(first: float, second: float) -> float:
    """Return the logarithm of the sum of two probabilities."""
    high, low = (first, second) if first >= second else (second, first)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def _descending(item: tuple[tuple[int, ...], _Ends]) -> tuple[float, tuple[int, ...]]:
    return -_either(*item[1]), item[0]
