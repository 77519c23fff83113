"""When decodes that raise make one doubt the model, and no longer the audio."""

from __future__ import annotations

from collections import Counter

MAX_FAILURES = 3
"""Decodes in a row that may raise before the model is put to the test. A failed decode ends its
stream, so these are as many streams."""


class Doubt:
    """Counts the failures of one model in a row."""

    def __init__(self) -> None:
        """Begin with none."""
        self._failures: Counter[bool] = Counter()

    def decoded(self, *, is_interim: bool, has_failed: bool) -> bool:
        """Note what became of a decode; return whether the model is to be put to the test.

        Interims count by themselves: recognizers hear them in another way, so that they may
        work where no final does.
        """
        if not has_failed:
            self._failures[is_interim] = 0
            return False
        self._failures[is_interim] += 1
        return self._failures[is_interim] >= MAX_FAILURES

    def clear(self) -> None:
        """Forget all, since the model has stood its test."""
        self._failures.clear()
