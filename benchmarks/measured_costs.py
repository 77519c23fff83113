"""What decodes cost when they are done for real, and a recognizer that costs as much."""

from __future__ import annotations

import bisect
import hashlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.support import RATE_HZ
from service.core.capabilities import Capabilities
from service.core.hypothesis import DecodeOptions, Hypothesis, Window, Word
from service.recognizers.base import Recognizer, RecognizerStream

NEIGHBOURS = 6
"""An interim costs what one of those did that are nearest in length."""


@dataclass
class Costs:
    """What decodes were found to cost, and the finals."""

    capabilities: Capabilities
    random: random.Random = field(default_factory=lambda: random.Random(0))
    finals: dict[bytes, tuple[Hypothesis, float]] = field(default_factory=dict)
    interims: list[tuple[float, float]] = field(default_factory=list)
    """Length and cost in seconds; so the next."""
    confirming: list[tuple[float, float]] = field(default_factory=list)
    scale: float = 1.0
    last_s: float = 0.0

    def about(self, known: Sequence[tuple[float, float]], length_s: float) -> None:
        """Let the decode cost what one of such a length did."""
        near = bisect.bisect(known, (length_s,)) + self.random.randint(-NEIGHBOURS, NEIGHBOURS)
        self.last_s = self.scale * known[min(max(near, 0), len(known) - 1)][1]


def digest(window: Window) -> bytes:
    """Return what tells windows apart."""
    parts = [window.samples.tobytes()]
    for segment in window.context:
        parts += [segment.samples.tobytes(), segment.text.encode()]
    return hashlib.sha1(b"".join(parts), usedforsecurity=False).digest()


def heard_s(window: Window) -> float:
    """Return how much is heard for a final."""
    return sum(len(part.samples) for part in (window, *window.context)) / RATE_HZ


@dataclass
class Measured:
    """A recognizer that notes what each decode costs."""

    recognizer: Recognizer
    costs: Costs

    @property
    def capabilities(self) -> Capabilities:
        """Those of the recognizer."""
        return self.costs.capabilities

    def open_stream(self, options: DecodeOptions) -> RecognizerStream:
        """Begin a segment."""
        return MeasuredStream(self.recognizer.open_stream(options), self.costs)

    def close(self) -> None:
        """Leave the recognizer as it is."""


@dataclass
class MeasuredStream:
    """One segment of it."""

    stream: RecognizerStream
    costs: Costs

    def interim(self, window: Window) -> Hypothesis:
        """Hear it for real."""
        began_s = time.process_time()
        hypothesis = self.stream.interim(window)
        self.costs.last_s = time.process_time() - began_s
        bisect.insort(self.costs.interims, (len(window.samples) / RATE_HZ, self.costs.last_s))
        return hypothesis

    def final(self, window: Window) -> Hypothesis:
        """Hear it for real."""
        began_s = time.process_time()
        hypothesis = self.stream.final(window)
        self.costs.last_s = time.process_time() - began_s
        self.costs.finals[digest(window)] = hypothesis, self.costs.last_s
        bisect.insort(self.costs.confirming, (heard_s(window), self.costs.last_s))
        return hypothesis

    def close(self) -> None:
        """Close the segment."""
        self.stream.close()


@dataclass
class Replayed:
    """A recognizer, and a segment of it, that answers from what was measured."""

    costs: Costs

    @property
    def capabilities(self) -> Capabilities:
        """Those of the recognizer that was measured."""
        return self.costs.capabilities

    def open_stream(self, _: DecodeOptions) -> Replayed:
        """Begin a segment."""
        return self

    def interim(self, window: Window) -> Hypothesis:
        """Say some words, more the longer it is."""
        self.costs.about(self.costs.interims, len(window.samples) / RATE_HZ)
        return _some_words(window)

    def final(self, window: Window) -> Hypothesis:
        """Say what was heard; some words for what nobody has heard, confirming interims."""
        known = self.costs.finals.get(digest(window))
        if known is None:
            self.costs.about(self.costs.confirming, heard_s(window))
            return _some_words(window)
        self.costs.last_s = self.costs.scale * known[1]
        return known[0]

    def close(self) -> None:
        """There is nothing to free."""


def _some_words(window: Window) -> Hypothesis:
    return Hypothesis(
        tuple(Word(f"word{n}") for n in range(1 + len(window.samples) * 2 // RATE_HZ))
    )
