"""What is known of an RPC, gathered while it runs; where its outcome is settled and logged."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from service.core.events import Event, FinalResult, InterimResult, SpeechEnded, SpeechStarted
from service.engine.callers import Caller
from service.engine.observer import Decode, StreamObserver
from service.rpc.catalogue import CATALOGUE
from service.rpc.status import Failure

OK = "OK"
CANCELLED = "CANCELLED"
"""The client has gone, or its deadline has passed."""

log = structlog.get_logger()

Metadata = Sequence[tuple[str, str | bytes]]


class CallObserver(StreamObserver, Protocol):
    """Told of one RPC: of its stream, how quick it was, and what became of it."""

    def shown(self, kind: type[Event], after_s: float) -> None:
        """Hear that a result went out.

        Args:
            kind: InterimResult for the first one of a segment; FinalResult.
            after_s: Since its speech was noticed; since its end was certain.
        """
        ...

    def fields(self) -> Mapping[str, str]:
        """Say what the RPC's line in the log is to have beside its own."""
        ...

    def ended(self, record: Record) -> None:
        """Hear that it is over; the record is complete."""
        ...


class Observer(Protocol):
    """Told of every RPC."""

    def began(self, record: Record, metadata: Metadata) -> CallObserver:
        """Hear that one begins; the metadata are the client's."""
        ...


@dataclass(slots=True)
class Punctuality:
    """When segments of one stream began and ended, by a clock and not by their samples."""

    _segment_id: int = 0
    _noticed_s: float | None = None
    _closed_s: dict[int, float] = field(default_factory=dict)

    def after_s(self, event: Event, now_s: float) -> float | None:
        """Return how long a result took to come; None for what has no beginning to count from."""
        match event:
            case SpeechStarted():
                self._noticed_s = now_s
            case SpeechEnded():
                self._closed_s[self._segment_id] = now_s
                self._segment_id += 1
                self._noticed_s = None
            case InterimResult() if self._noticed_s is not None:
                noticed_s, self._noticed_s = self._noticed_s, None
                return now_s - noticed_s
            case FinalResult(segment_id=segment_id):
                # A segment without words has no final, and is forgotten with the next.
                for old in [old for old in self._closed_s if old < segment_id]:
                    del self._closed_s[old]
                if segment_id in self._closed_s:
                    return now_s - self._closed_s.pop(segment_id)
        return None


@dataclass(slots=True, eq=False)
class Record:
    """One RPC from its begin to its one line in the log. Observes its stream for others too."""

    method: str
    caller: Caller
    observers: list[CallObserver] = field(default_factory=list)
    call_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    began_s: float = field(default_factory=time.monotonic)
    duration_s: float = 0.0
    model: str = ""
    has_slot: bool = False
    """Whether it was ever admitted; one that never was is a refusal."""
    received_s: float = 0.0
    """Audio; known when it is over."""
    finals: int = 0
    decodes: int = 0
    heard_s: float = 0.0
    """Audio that recognizers computed, counted as often as they did."""
    decode_s: float = 0.0
    """Time of worker threads."""
    first_interim_s: float | None = None
    slowest_final_s: float | None = None
    outcome: str = ""
    """OK, CANCELLED, or the reason of a failure; empty while it runs."""
    _punctuality: Punctuality = field(default_factory=Punctuality)
    _received_so_far_s: Callable[[], float] = float
    """Audio that has come."""

    @property
    def code(self) -> str:
        """The name of its status code."""
        return CATALOGUE[self.outcome].code.name if self.outcome in CATALOGUE else self.outcome

    @property
    def real_time_factor(self) -> float | None:
        """Time of worker threads for a second of audio; None without audio."""
        return self.decode_s / self.received_s if self.received_s else None

    @property
    def amplification(self) -> float | None:
        """Audio that was computed for a second of audio; None without audio."""
        return self.heard_s / self.received_s if self.received_s else None

    def succeed(self) -> None:
        """Settle that all was answered; only after the last answer was written."""
        self.outcome = self.outcome or OK

    def fail(self, failure: Failure) -> None:
        """Settle that it failed. The first outcome counts."""
        self.outcome = self.outcome or failure.reason

    # What a stream tells, see StreamObserver

    def admitted(self, model: str, received_s: Callable[[], float]) -> None:
        """Note that it has a slot."""
        self.has_slot = True
        self._received_so_far_s = received_s
        for observer in self.observers:
            observer.admitted(model, received_s)

    def happened(self, event: Event) -> None:
        """Note an event and how long it took."""
        for observer in self.observers:
            observer.happened(event)
        self.finals += isinstance(event, FinalResult)
        after_s = self._punctuality.after_s(event, time.monotonic())
        if after_s is None:
            return
        if isinstance(event, FinalResult):
            self.slowest_final_s = max(self.slowest_final_s or 0.0, after_s)
        elif self.first_interim_s is None:
            self.first_interim_s = after_s
        for observer in self.observers:
            observer.shown(type(event), after_s)

    def decoded(self, decode: Decode) -> None:
        """Note a decode."""
        self.decodes += 1
        self.heard_s += decode.heard_s
        self.decode_s += decode.ran_s
        for observer in self.observers:
            observer.decoded(decode)

    def foreseen(self, *, is_used: bool) -> None:
        """Note what became of a final decoded ahead of time."""
        for observer in self.observers:
            observer.foreseen(is_used=is_used)

    def close(self) -> None:
        """Complete it, tell everyone, and write its line."""
        self.outcome = self.outcome or CANCELLED
        self.duration_s = time.monotonic() - self.began_s
        self.received_s = self._received_so_far_s()
        # What tells it holds the stream, and the stream holds this record.
        self._received_so_far_s = float
        line = {
            "method": self.method,
            "call_id": self.call_id,
            "caller": self.caller.label,
            "model": self.model,
            "outcome": self.outcome,
            "code": self.code,
            "audio_s": _rounded(self.received_s),
            "duration_s": _rounded(self.duration_s),
            "finals": self.finals,
            "decodes": self.decodes,
            "decoded_s": _rounded(self.heard_s),
            "amplification": _rounded(self.amplification),
            "real_time_factor": _rounded(self.real_time_factor),
            "first_interim_s": _rounded(self.first_interim_s),
            "slowest_final_s": _rounded(self.slowest_final_s),
        }
        for observer in self.observers:
            observer.ended(self)
            line |= observer.fields()
        log.info("call ended", **line)


class Ledger:
    """The RPCs that run."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        """Begin with none, and tell these of each."""
        self._observers = observers
        self.open: set[Record] = set()

    @contextmanager
    def record(self, method: str, caller: Caller, metadata: Metadata = ()) -> Iterator[Record]:
        """Keep the record of an RPC while the block runs; log it at the end."""
        record = Record(method, caller)
        record.observers += [observer.began(record, metadata) for observer in self._observers]
        self.open.add(record)
        try:
            yield record
        finally:
            self.open.discard(record)
            record.close()


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
