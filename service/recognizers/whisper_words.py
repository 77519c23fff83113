"""From tokens to words, with their places and confidences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from service.core.hypothesis import Word
from service.recognizers.whisper_model import TokenTime, WhisperModel


def timed_words(
    model: WhisperModel,
    tokens: Sequence[int],
    times: Sequence[TokenTime],
    begin_s: float,
    end_s: float,
) -> tuple[Word, ...]:
    """Return words with offsets and confidences.

    Args:
        model: Whose tokens they are.
        tokens: The text.
        times: One for each token, from the first sample of the window.
        begin_s: Begin of the segment in the window. Offsets count from here.
        end_s: End of the segment in the window.
    """
    words: list[Word] = []
    earliest_s = 0.0
    for first, last in _word_bounds(model, tokens):
        text = model.text(tokens[first:last]).strip()
        start_s = min(max(times[first].start_s, begin_s), end_s) - begin_s
        stop_s = min(max(times[last - 1].end_s, begin_s), end_s) - begin_s
        start_s = max(start_s, earliest_s)
        earliest_s = max(stop_s, start_s)
        log_probability = sum(time.log_probability for time in times[first:last])
        confidence = math.exp(log_probability / (last - first))
        words += [Word(part, start_s, earliest_s, confidence) for part in text.split()]
    return tuple(words)


def _word_bounds(model: WhisperModel, tokens: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield first and one past the last token of each word; a word begins with its space."""
    first = 0
    for index in range(1, len(tokens)):
        if (
            model.text(tokens[index : index + 1]).startswith(" ")
            and model.text(tokens[first:index]).strip()
        ):
            yield first, index
            first = index
    if tokens:
        yield first, len(tokens)
