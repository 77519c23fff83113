"""What may be told of streams while they run, to whoever wants to count or to trace it.

No method waits, and none gets audio or text to keep: events hold transcripts, and an
observer takes from them only what kind they are and where they lie.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from service.core.decoding import DecodeJob, JobKind
from service.core.events import Event
from service.core.hypothesis import SAMPLE_RATE_HZ, Hypothesis


@dataclass(frozen=True, slots=True)
class Decode:
    """A decode that was done, or failed."""

    kind: JobKind
    segment_id: int
    heard_s: float
    """Audio that the model computed, counted as often as it did, without padding."""
    queued_s: float
    """Time between being wanted and being begun."""
    ran_s: float
    """Time in a worker thread."""


class StreamObserver(Protocol):
    """Told of one stream. All calls come from the event loop."""

    def admitted(self, model: str, received_s: Callable[[], float]) -> None:
        """Hear that it has a slot; ``received_s`` tells how much audio has come, at any time."""
        ...

    def happened(self, event: Event) -> None:
        """Hear of an event, in order."""
        ...

    def decoded(self, decode: Decode) -> None:
        """Hear that a decode has ended."""
        ...

    def foreseen(self, *, is_used: bool) -> None:
        """Hear whether a final that was decoded ahead of time was used or thrown away."""
        ...


class Nobody:
    """Observes nothing."""

    def admitted(self, model: str, received_s: Callable[[], float]) -> None:
        """Do nothing."""

    def happened(self, event: Event) -> None:
        """Do nothing."""

    def decoded(self, decode: Decode) -> None:
        """Do nothing."""

    def foreseen(self, *, is_used: bool) -> None:
        """Do nothing."""


NOBODY = Nobody()


class Timed:
    """A decode that notes when it begins and ends."""

    def __init__(self, job: DecodeJob, decode: Callable[[], Hypothesis], wanted_s: float) -> None:
        """Do this, which has been wanted since then, by ``time.monotonic``."""
        self._job = job
        self._decode = decode
        self._wanted_s = self._began_s = self._ended_s = wanted_s
        self._heard_samples: int | None = None

    def __call__(self) -> Hypothesis:
        """Do it, in a worker thread."""
        self._began_s = time.monotonic()
        try:
            hypothesis = self._decode()
        finally:
            self._ended_s = time.monotonic()
        self._heard_samples = hypothesis.heard_samples
        return hypothesis

    @property
    def report(self) -> Decode:
        """What there is to tell when it has been done."""
        window = self._job.window
        heard = self._heard_samples
        if heard is None:
            heard = len(window.samples)
            if self._job.kind is not JobKind.INTERIM:
                heard += sum(len(before.samples) for before in window.context)
        return Decode(
            kind=self._job.kind,
            segment_id=self._job.segment.segment_id,
            heard_s=heard / SAMPLE_RATE_HZ,
            queued_s=self._began_s - self._wanted_s,
            ran_s=self._ended_s - self._began_s,
        )


class Foresight:
    """Finds out what became of finals that were decoded ahead of time.

    Known from the order of the jobs alone: of one stream at most one is out, and those of
    a segment come before those of the next one.
    """

    def __init__(self, observer: StreamObserver) -> None:
        """Tell this observer."""
        self._observer = observer
        self._held: int | None = None
        """The segment whose final is there ahead of time."""

    def wanted(self, job: DecodeJob) -> None:
        """Note that a job has come out."""
        if self._held is None:
            return
        segment_id = job.segment.segment_id
        if segment_id > self._held:
            self._settle(is_used=True)
        elif job.kind in (JobKind.FINAL, JobKind.SPECULATIVE_FINAL):
            self._settle(is_used=False)

    def answered(self, job: DecodeJob) -> None:
        """Note that a job was done."""
        if job.kind is JobKind.SPECULATIVE_FINAL:
            self._held = job.segment.segment_id

    def end(self, *, is_done: bool) -> None:
        """Note that the stream has ended, with all its finals out or before."""
        if self._held is not None:
            self._settle(is_used=is_done)

    def _settle(self, *, is_used: bool) -> None:
        self._held = None
        self._observer.foreseen(is_used=is_used)
