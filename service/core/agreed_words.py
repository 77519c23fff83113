"""Holds a new reading of a segment to the words that earlier ones agreed on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from service.core.hypothesis import Word


def beginning_with(agreed: Sequence[str], words: Sequence[Word]) -> tuple[Word, ...]:
    """Return words that begin with the agreed ones, as they were.

    If the newest hearing parts the begin into more or fewer words, what follows is taken
    from behind those that fit the agreed ones best, so that no word is doubled or lost.
    """
    texts = [word.text for word in words]
    count = len(agreed)
    if texts[:count] == list(agreed):
        return tuple(words)
    behind = _best_split(agreed, texts)
    return (*(Word(text) for text in agreed), *words[behind:])


def _best_split(agreed: Sequence[str], texts: Sequence[str]) -> int:
    """Return how many of the texts are, letter for letter, nearest to the agreed words."""
    letters = "".join(texts).casefold()
    costs = list(range(len(letters) + 1))
    for row, letter in enumerate("".join(agreed).casefold(), start=1):
        previous, costs = costs, [row]
        for column, other in enumerate(letters, start=1):
            change = previous[column - 1] + (letter != other)
            costs.append(min(change, previous[column] + 1, costs[-1] + 1))
    ends = [0, *accumulate(len(text.casefold()) for text in texts)]
    return min(range(len(ends)), key=lambda end: (costs[ends[end]], abs(end - len(agreed))))
