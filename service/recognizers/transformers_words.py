"""Words of interims, without what only finals tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from service.core.hypothesis import Word


def without_details(words: Sequence[Word]) -> tuple[Word, ...]:
    """Return the words without their places."""
    return tuple(replace(word, start_s=None, end_s=None) for word in words)
