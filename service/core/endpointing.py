"""When a segment ends: the settings, with their ranges and defaults."""

from __future__ import annotations

from dataclasses import dataclass

from service.core.errors import InvalidFieldError

MIN_SILENCE_S = 0.1
MAX_SILENCE_S = 10.0
DEFAULT_SILENCE_S = 0.8
MIN_SEGMENT_S = 2.0
DEFAULT_MAX_SEGMENT_S = 15.0
"""Leaves room for as much context in a window of 28 s. On 264 s of long recordings, 16
word errors in 699 with it, 19 with 20 s."""


@dataclass(frozen=True, slots=True)
class Endpointing:
    """When a segment ends and becomes final. None stands for the default.

    Raises:
        InvalidFieldError: a value is out of range, or two exclude each other.
    """

    silence_s: float | None = None
    max_segment_s: float | None = None
    single_utterance: bool = False
    disabled: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.silence_s is not None and not MIN_SILENCE_S <= self.silence_s <= MAX_SILENCE_S:
            raise InvalidFieldError(
                f"silence_duration is {self.silence_s:g} s; "
                f"choose {MIN_SILENCE_S:g} to {MAX_SILENCE_S:g} s",
                "endpointing.silence_duration",
            )
        if self.disabled and self.single_utterance:
            raise InvalidFieldError(
                "single_utterance needs an endpoint, and endpointing is disabled; drop one of them",
                "endpointing.single_utterance",
            )
        if self.disabled and self.silence_s is not None:
            raise InvalidFieldError(
                "silence_duration means nothing while endpointing is disabled; drop one of them",
                "endpointing.silence_duration",
            )

    def resolve(self, longest_window_s: float) -> EndpointRules:
        """Fill in the defaults for a model that hears so much at once.

        Raises:
            InvalidFieldError: max_segment_s is out of the model's range.
        """
        longest_s = min(DEFAULT_MAX_SEGMENT_S, longest_window_s)
        if self.max_segment_s is not None:
            longest_s = self.max_segment_s
        if not MIN_SEGMENT_S <= longest_s <= longest_window_s:
            raise InvalidFieldError(
                f"max_segment_duration is {longest_s:g} s; "
                f"this model takes {MIN_SEGMENT_S:g} to {longest_window_s:g} s",
                "endpointing.max_segment_duration",
            )
        silence_s = DEFAULT_SILENCE_S if self.silence_s is None else self.silence_s
        return EndpointRules(None if self.disabled else silence_s, longest_s)


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """Endpointing as the segmenter follows it."""

    silence_s: float | None
    """Non-speech that ends a segment; None if silence never does."""
    max_segment_s: float
