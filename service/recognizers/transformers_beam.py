"""Other readings of a CTC model's frames, and readings that fit what is known beside them.

The prefix beam search of Hannun et al., "First-Pass Large Vocabulary Continuous Speech
Recognition using Bi-Directional Recurrent DNNs" (2014), in logarithms.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from service.recognizers.transformers_fusion import Fusion, Known
from service.recognizers.transformers_stitch import Frames

LEAST_LOG_PROBABILITY = math.log(1e-3)
"""Tokens that are less probable in a frame are not looked at there."""
LEAST_FUSED_LOG_PROBABILITY = math.log(1e-5)
"""What is known beside the audio may bring out what the audio hardly tells."""
MOST_TOKENS = 8
"""Nor are more tokens than these in one frame."""
BEAM_WIDTH = 16

_Prefix = tuple[int, ...]
_Ends = tuple[float, float]
"""Log-probabilities that a prefix ends in blank, and in its last token."""
_NEVER: _Ends = (-math.inf, -math.inf)


def readings(
    frames: Frames, blank: int, count: int, fusion: Fusion | None = None, width: int = BEAM_WIDTH
) -> list[tuple[tuple[int, ...], float]]:
    """Return the most probable token sequences, best first.

    Args:
        frames: Log-probabilities, shape (frames, vocabulary).
        blank: The output that stands for no token.
        count: How many, at most.
        fusion: What is known beside the audio.
        width: Of the beam; it is at least ``count``.

    Returns:
        Tokens with the log-probability of all paths that were searched for them, without
        what the fusion added.
    """
    beam: dict[_Prefix, _Ends] = {(): (0.0, -math.inf)}
    known: dict[_Prefix, Known] = {(): fusion.nothing} if fusion else {}
    least = LEAST_FUSED_LOG_PROBABILITY if fusion else LEAST_LOG_PROBABILITY
    width = max(width, count)

    def descending(item: tuple[_Prefix, _Ends]) -> tuple[float, _Prefix]:
        prefix, ends = item
        return -_either(*ends) - (known[prefix].score if fusion else 0.0), prefix

    for frame in frames:
        candidates = _candidates(frame, least)
        grown: dict[_Prefix, _Ends] = defaultdict(lambda: _NEVER)
        for prefix, (in_blank, in_token) in beam.items():
            whole = _either(in_blank, in_token)
            for token, log_probability in candidates:
                if token == blank:
                    _add(grown, prefix, whole + log_probability, -math.inf)
                    continue
                longer = (*prefix, token)
                if prefix and token == prefix[-1]:
                    # The same token goes on, or is said again after a blank.
                    _add(grown, prefix, -math.inf, in_token + log_probability)
                    _add(grown, longer, -math.inf, in_blank + log_probability)
                else:
                    _add(grown, longer, -math.inf, whole + log_probability)
                if fusion and longer not in known:
                    known[longer] = fusion.extend(known[prefix], token)
        beam = dict(sorted(grown.items(), key=descending)[:width])
        known = {prefix: known[prefix] for prefix in beam} if fusion else {}
    if fusion:
        known = {prefix: fusion.end_word(known[prefix]) for prefix in beam}
    best = sorted(beam.items(), key=descending)[:count]
    return [(prefix, _either(*ends)) for prefix, ends in best]


def _candidates(
    frame: np.ndarray[tuple[int, ...], np.dtype[np.float32]], least: float
) -> list[tuple[int, float]]:
    probable = np.flatnonzero(frame >= least)
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
