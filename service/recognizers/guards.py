"""What tells text that was said from what a decoder makes up; shared by decoders of text.

Decoders that write text from audio fill noise with likely sentences and fall into loops.
These guards look at the text alone, or at how probable it was.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

from service.core.hypothesis import SAMPLE_RATE_HZ, Samples, Word

TOKENS_PER_S: Final = 10.0
TOKENS_BESIDE: Final = 16
"""Nobody says more than 16 tokens and 10 more a second; text that is longer is a loop."""
LEAST_LOG_PROBABILITY: Final = -1.0
"""Below it a decode is tried another way (Radford et al., "Robust Speech Recognition via
Large-Scale Weak Supervision", 2022, section 4.5)."""
LEAST_SUPPORT: Final = -1.2
"""Mean log-probability of a segment's text where only the segment is heard. Behind other
speech Whisper fills noise with likely sentences, often the context's own, at a good
log-probability; their support was -1.25 and less, and that of 119 in 121 spoken segments
at least this. Below it, the segment is heard alone."""
MOST_COMPRESSION: Final = 2.4
"""Text that zlib makes smaller than this repeats itself (the same paper and section)."""
MOST_REPEATS: Final = 3
LEAST_LOOP_WORDS: Final = 8
"""A phrase that stands more often than that in a row, and fills so many words, is a loop;
"no, no, no, no" is speech."""
LONGEST_PHRASE_WORDS: Final = 16
LEAST_TURN_WORDS: Final = 4
TURN_WORDS_TO_COME: Final = 2
"""At the end of an interim a phrase is a second turn of what stands before it once so many
words of it are there, and no more than so many are missing."""


def most_tokens(samples: Samples) -> int:
    """Return how many tokens a segment may have."""
    return TOKENS_BESIDE + round(TOKENS_PER_S * len(samples) / SAMPLE_RATE_HZ)


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
    return [words[index] for index in outside_loops(words)]


def outside_loops(words: Sequence[str]) -> list[int]:
    """Return the indices of the words that ``without_loops`` keeps."""
    kept: list[int] = []
    index = 0
    while index < len(words):
        length, count = _loop_at(words, index)
        if count > MOST_REPEATS and length * count >= LEAST_LOOP_WORDS:
            kept += range(index, index + length)
            index += length * count
        else:
            kept.append(index)
            index += 1
    return kept


def before_loop(words: Sequence[str]) -> Sequence[str] | None:
    """Return the words up to the end of a loop's first turn; None if nothing is said twice.

    For text that was cut at its longest: there two turns are a loop.
    """
    for index in range(len(words)):
        length, count = _loop_at(words, index)
        if count > 1 and length * count >= LEAST_LOOP_WORDS:
            return words[: index + length]
    return None


def before_second_turn(words: Sequence[str]) -> Sequence[str]:
    """Return the words up to where their end says once more what stands right before it.

    For interims: there a phrase that is said a second time is mostly a loop. What a speaker does
    say twice is shown once it goes on in another way, or by the final.
    """
    keys = _keys(words)
    for length in range(LEAST_TURN_WORDS, LONGEST_PHRASE_WORDS + 1):
        again = 0
        while length + again < len(keys) and keys[-1 - again] == keys[-1 - again - length]:
            again += 1
        if again >= max(LEAST_TURN_WORDS, length - TURN_WORDS_TO_COME):
            return words[: len(words) - again]
    return words


def _loop_at(words: Sequence[str], index: int) -> tuple[int, int]:
    """Return length and number of the phrase that stands most often in a row from here."""
    keys = _keys(words)
    best = (1, 1)
    for length in range(1, LONGEST_PHRASE_WORDS + 1):
        phrase = keys[index : index + length]
        count = 1
        while keys[index + count * length : index + (count + 1) * length] == phrase:
            count += 1
        if count > best[1]:
            best = (length, count)
    return best


def _keys(words: Sequence[str]) -> list[str]:
    return [word.casefold().strip(".,!?;:") for word in words]


def plain_words(text: str) -> tuple[Word, ...]:
    """Return words that nothing more is known about."""
    return tuple(Word(word) for word in text.split())
