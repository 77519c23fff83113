"""Which of the speech before a segment a decoder of text hears with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from service.core.hypothesis import SAMPLE_RATE_HZ, ContextSegment, Window

LONGEST_WINDOW_S: Final = 28.0
"""Of Whisper's 30 s; the last word wants some silence behind it."""
MOST_CONTEXT_TOKENS: Final = 160
"""What is left of the 224 tokens that Whisper writes at once, 64, is enough for the longest
segment beside such context."""


def fitting(
    window: Window, tokens_of: Callable[[str], list[int]], most_s: float
) -> tuple[list[ContextSegment], list[int]]:
    """Return the newest context that fits into Whisper's window, and its tokens.

    Args:
        window: Of the segment. Context without words is left out.
        tokens_of: Gives the tokens of a text that follows other text.
        most_s: No more than this is heard before a segment.
    """
    most_s = min(most_s, LONGEST_WINDOW_S - len(window.samples) / SAMPLE_RATE_HZ)
    context: list[ContextSegment] = []
    prefix: list[int] = []
    context_s = 0.0
    for segment in reversed([segment for segment in window.context if segment.text]):
        tokens = tokens_of(segment.text)
        context_s += len(segment.samples) / SAMPLE_RATE_HZ
        if context_s > most_s or len(prefix) + len(tokens) > MOST_CONTEXT_TOKENS:
            break
        context.insert(0, segment)
        prefix[:0] = tokens
    return context, prefix
