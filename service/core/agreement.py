"""Which words of a growing segment are settled enough to show as stable."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


class LocalAgreement:
    """Words on which two successive interims agree become stable, and stay.

    LocalAgreement-2 of Liu et al., "Low-Latency Sequence-to-Sequence Speech
    Recognition and Translation by Partial Hypothesis Selection" (Interspeech 2020).
    The last word of an interim is never made stable: its audio may be cut.
    """

    def __init__(self) -> None:
        """Begin a segment."""
        self.stable_words: tuple[str, ...] = ()
        self._previous: tuple[str, ...] = ()

    def update(self, words: Sequence[str]) -> tuple[str, ...]:
        """Take the words of the next interim.

        Returns:
            The words to show. They begin with ``stable_words``, which only grows.
        """
        count = len(self.stable_words)
        shown = (*self.stable_words, *words[count:])
        agreed = count
        for old, new in zip(self._previous[count:], shown[count:-1], strict=False):
            if _key(old) != _key(new):
                break
            agreed += 1
        self.stable_words = shown[:agreed]
        self._previous = shown
        return shown


def _key(word: str) -> str:
    """Return a word as it is compared: without case and punctuation."""
    letters = "".join(char for char in word.casefold() if unicodedata.category(char)[0] in "LNM")
    return letters or word
