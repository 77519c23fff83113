"""What a model can do."""

from __future__ import annotations

from dataclasses import dataclass

from service.core.hypothesis import SAMPLE_RATE_HZ

CONFIRM_INTERVAL_S = 3.0
"""Of speech between two confirming decodes of a segment, where a recognizer does not say."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model can do; the session supplies or refuses the rest."""

    languages: tuple[str, ...]
    """Primary language subtags; the first is the default. Empty: not known, any
    language but the default is refused."""
    longest_window_s: float
    """Context and segment together are never longer."""
    native_streaming: bool = False
    """Carries state through the segment, so that a final consumes the stream:
    it is asked for once, and never speculatively."""
    left_context: bool = False
    """Finals hear the segments before them and read their texts."""
    most_context_s: float | None = None
    """Of the segments before; where they would be longer, the newest few of them are given.
    None: as much as fits."""
    confirm_interval_s: float = CONFIRM_INTERVAL_S
    """A growing segment is heard as its final will be after so much of it, again and again."""
    confirm_lookahead_s: float = 0.0
    """So much later each time: audio that the final will have heard behind it as well."""
    word_offsets: bool = False
    max_alternatives: int = 1
    phrases: bool = False
    sample_rate_hz: int = SAMPLE_RATE_HZ
    """Rate that the model hears."""
    batch_size: int = 1
    """Decodes that are computed at once, if so many are asked for at the same time."""
