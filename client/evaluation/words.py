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


def common_prefix(first: Sequence[str], second: Sequence[str]) -> int:
    """Count the words that two texts begin with alike."""
    count = 0
    for left, right in zip(first, second, strict=False):
        if left != right:
            break
        count += 1
    return count


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
