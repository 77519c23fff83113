"""From tokens to words, with their places and confidences."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence

from service.core.hypothesis import Word
from service.recognizers.whisper_model import TokenTime, WhisperModel

MOST_COMPRESSION = 2.4
"""Text that zlib makes smaller than this repeats itself (Radford et al., "Robust Speech
Recognition via Large-Scale Weak Supervision", 2022, section 4.5)."""
MOST_REPEATS = 3
LEAST_LOOP_WORDS = 8
"""A phrase that stands more often than that in a row, and fills so many words, is a loop;
"no, no, no, no" is speech."""
LONGEST_PHRASE_WORDS = 16


def has_words(text: str) -> bool:
    """Whether there is anything but punctuation and signs."""
    return any(char.isalnum() for char in text)


def repeats(text: str) -> bool:
    """Whether a text has fallen into a loop."""
    data = text.encode()
    words = text.split()
    return len(data) > MOST_COMPRESSION * len(zlib.compress(data)) or len(
        without_loops(words)
    ) < len(words)


def without_loops(words: Sequence[str]) -> list[str]:
    """Return the words with a phrase that stands too often in a row standing once."""
    kept: list[str] = []
    index = 0
    while index < len(words):
        length, count = _loop_at(words, index)
        if count > MOST_REPEATS and length * count >= LEAST_LOOP_WORDS:
            kept += words[index : index + length]
            index += length * count
        else:
            kept.append(words[index])
            index += 1
    return kept


def _loop_at(words: Sequence[str], index: int) -> tuple[int, int]:
    """Return length and number of the phrase that stands most often in a row from here."""
    keys = [word.casefold().strip(".,!?;:") for word in words]
    best = (1, 1)
    for length in range(1, LONGEST_PHRASE_WORDS + 1):
        phrase = keys[index : index + length]
        count = 1
        while keys[index + count * length : index + (count + 1) * length] == phrase:
            count += 1
        if count > best[1]:
            best = (length, count)
    return best


def plain_words(text: str) -> tuple[Word, ...]:
    """Return words that nothing more is known about."""
    return tuple(Word(word) for word in text.split())


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
