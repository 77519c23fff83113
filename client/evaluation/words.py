"""Words as they are compared, and which word of one text is which of another."""

from collections.abc import Sequence

import jiwer


def bare(word: str) -> str:
    """Take away what nobody hears: case, and marks around a word. Empty for a lone mark."""
    kept = [index for index, character in enumerate(word) if character.isalnum()]
    return word[kept[0] : kept[-1] + 1].casefold() if kept else ""


def bare_words(text: str) -> list[str]:
    """Split a text into its bare words."""
    return [found for word in text.split() if (found := bare(word))]


def matches(reference: Sequence[str], hypothesis: Sequence[str]) -> dict[int, int]:
    """Find the words that are the same in an alignment with the fewest errors (jiwer).

    Returns:
        Indices of words of the reference, each with the index in the hypothesis.
    """
    if not reference or not hypothesis:
        return {}
    output = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    return {
        chunk.ref_start_idx + offset: chunk.hyp_start_idx + offset
        for chunk in output.alignments[0]
        if chunk.type == "equal"
        for offset in range(chunk.ref_end_idx - chunk.ref_start_idx)
    }


def kept(shown: Sequence[str], later: Sequence[str]) -> int:
    """Count the words of a shown text that a later text still has in about their place.

    Only as much of the later text is looked at as the shown one may reach, so that a word does
    not pass for kept because it is said once more further on.
    """
    return len(matches(shown, later[: len(shown) + _SHIFT]))


_SHIFT = 2
"""Words by which what is shown may move on when something is added before it."""
