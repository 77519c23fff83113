"""What a session tells its client, one class per fact. Positions are in samples."""

from __future__ import annotations

from dataclasses import dataclass

from service.core.hypothesis import Alternative, Word


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The speech of a segment begins."""

    offset_samples: int


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The speech of a segment ends; its final follows."""

    offset_samples: int


@dataclass(frozen=True, slots=True)
class InterimResult:
    """What a growing segment reads like now; replaces the one before."""

    segment_id: int
    text: str
    stable_text: str
    """A prefix of the text that no later interim of the segment retracts."""
    start_samples: int
    end_samples: int
    confidence: float | None


@dataclass(frozen=True, slots=True)
class FinalResult:
    """What a finished segment says; never revised."""

    segment_id: int
    words: tuple[Word, ...]
    """Times are from the segment's first sample."""
    text: str
    start_samples: int
    end_samples: int
    confidence: float | None
    alternatives: tuple[Alternative, ...]


@dataclass(frozen=True, slots=True)
class FlushDone:
    """Every segment that began before the flush is final.

    Audio in which no speech had been found may still become the lead of the next one.
    """

    flush_id: str


@dataclass(frozen=True, slots=True)
class StreamEnding:
    """The stream will be ended from outside, though the client has not ended it."""

    reason: str
    """The one that the status at the end will carry."""
    time_left_s: float


Event = SpeechStarted | SpeechEnded | InterimResult | FinalResult | FlushDone | StreamEnding


@dataclass(frozen=True, slots=True)
class Cursors:
    """How far a stream has come; see Transcript in the contract."""

    received_s: float = 0.0
    processed_s: float = 0.0
    final_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Update:
    """An event and the cursors at the moment it happened."""

    event: Event
    cursors: Cursors
