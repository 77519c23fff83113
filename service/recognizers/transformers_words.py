"""Words of interims, whatever model heard them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from service.core.hypothesis import Word


def without_details(words: Sequence[Word]) -> tuple[Word, ...]:
    """Return the words without their places."""
    return tuple(replace(word, start_s=None, end_s=None) for word in words)


def beginning_with(stable: Sequence[str], words: Sequence[Word]) -> tuple[Word, ...]:
    """Return words that begin with the stable ones, as they were shown.

    If the newest hearing parts the begin into more or fewer words, what follows is taken
    from behind those that fit the stable ones best, so that no word is doubled or lost.
    """
    texts = [word.text for word in words]
    count = len(stable)
    if texts[:count] == list(stable):
        return tuple(words)
    behind = _best_split(stable, texts)
    return (*(Word(text) for text in stable), *words[behind:])


def _best_split(stable: Sequence[str], texts: Sequence[str]) -> int:
    """Return how many of the texts have the least edit distance from the stable words."""
    costs = list(range(len(texts) + 1))
    for row, text in enumerate(stable, start=1):
        previous, costs = costs, [row]
        for column, other in enumerate(texts, start=1):
            change = previous[column - 1] + (text.casefold() != other.casefold())
            costs.append(min(change, previous[column] + 1, costs[-1] + 1))
    return min(range(len(costs)), key=lambda end: (costs[end], abs(end - len(stable))))
