"""What is known of an RPC, gathered while it runs; where its outcome is settled and logged."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from service.engine.callers import Caller
from service.rpc.status import Failure

OK = "OK"
CANCELLED = "CANCELLED"
"""The client has gone, or its deadline has passed."""

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class Record:
    """One RPC from its begin to its one line in the log."""

    method: str
    caller: Caller
    call_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    began_s: float = field(default_factory=time.monotonic)
    model: str = ""
    received_s: float = 0.0
    """Audio."""
    finals: int = 0
    outcome: str = ""
    """OK, CANCELLED, or the reason of a failure; empty while it runs."""

    def succeed(self) -> None:
        """Settle that all was answered; only after the last answer was written."""
        self.outcome = self.outcome or OK

    def fail(self, failure: Failure) -> None:
        """Settle that it failed. The first outcome counts."""
        self.outcome = self.outcome or failure.reason


class Ledger:
    """The RPCs that run, and how many of those before ended how."""

    def __init__(self) -> None:
        """Begin with none."""
        self.opened: Counter[str] = Counter()
        """By method."""
        self.settled: Counter[tuple[str, str]] = Counter()
        """By method and outcome; the sums agree with ``opened`` when none runs."""
        self.open: set[Record] = set()

    @contextmanager
    def record(self, method: str, caller: Caller) -> Iterator[Record]:
        """Keep the record of an RPC while the block runs; log it at the end."""
        record = Record(method, caller)
        self.opened[method] += 1
        self.open.add(record)
        try:
            yield record
        finally:
            self.open.discard(record)
            outcome = record.outcome or CANCELLED
            self.settled[method, outcome] += 1
            log.info(
                "call ended",
                method=method,
                call_id=record.call_id,
                caller=record.caller.label,
                model=record.model,
                outcome=outcome,
                audio_s=round(record.received_s, 3),
                duration_s=round(time.monotonic() - record.began_s, 3),
                finals=record.finals,
            )
