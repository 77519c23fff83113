"""The two protocols that every recognition engine implements.

A Recognizer is one model: loaded once per process, shared by all streams and
stateless towards them. A RecognizerStream is one segment of one stream: opened
for it, used by one owner, never reused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol, runtime_checkable

from service.core.capabilities import Capabilities
from service.core.hypothesis import DecodeOptions, Hypothesis, Window

LEAST_SAMPLES: Final = 1_600
"""In less than 0.1 s no word can be heard."""


class ModelUnavailableError(Exception):
    """A model cannot be loaded. The message says what to install or download."""


class RecognizerStream(Protocol):
    """One segment being recognized.

    Calls come one at a time, from any thread. From call to call the window's
    samples grow; they may become shorter when a segment is cut at a point that
    has already been heard. After ``close`` no method is called but ``close``.
    """

    def interim(self, window: Window) -> Hypothesis:
        """Hear a growing segment; cheap, and may be doubtful, which is not shown.

        What lies before the segment is not heard.

        The words begin with ``window.agreed_words`` where the model can be held
        to them.
        """

    def final(self, window: Window) -> Hypothesis:
        """Hear a finished segment in full context.

        The result is a function of the window's samples and context alone: not
        of earlier interims, nor of what else the model hears at the time.
        """

    def close(self) -> None:
        """Free what the segment holds. Idempotent; safe at any point."""


class Recognizer(Protocol):
    """One loaded model. All methods may be called from several threads."""

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do. Does not change."""

    def open_stream(self, options: DecodeOptions) -> RecognizerStream:
        """Begin a segment. Cheap; computes nothing.

        Raises:
            InvalidFieldError: the model cannot honour an option, for a reason that its
                capabilities do not tell. The same options are refused always or never.
        """

    def close(self) -> None:
        """Free the model. No stream is open. Idempotent."""


@runtime_checkable
class Batching(Protocol):
    """A recognizer that computes several decodes at once, and counts how many."""

    @property
    def batch_sizes(self) -> Mapping[int, int]:
        """How many batches there have been of each size; safe in every thread."""


@runtime_checkable
class Settling(Protocol):
    """A recognizer that measures, while it is loaded, how it had best compute."""

    @property
    def settled_options(self) -> Mapping[str, str]:
        """What it chose, as options of its spec: with them another process loads the same."""
