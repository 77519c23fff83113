"""What one caller may take of the server: streams at once, and new ones a second."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from service.engine.refusals import RateQuotaError, StreamQuotaError

BURST_S = 2.0
"""Starts that may come at once, as seconds of the rate."""

MAX_BUCKETS = 10_000
"""Callers whose rate is remembered; beyond, the one not seen for longest is forgotten."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, found out once at the begin of an RPC."""

    identity: str
    """What quotas are counted by. Not for logs: it may be an address."""
    label: str
    """The same caller in logs and metrics."""
    is_proved: bool = False
    """It has shown a token or a certificate; otherwise it is an address."""
    expires_at_s: float | None = None
    """When what it has proved itself by ends, in Unix time; None is never."""


class Callers:
    """Counts what each caller takes. Belongs to the event loop."""

    def __init__(
        self,
        max_streams: int = 0,
        max_starts_per_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Allow each caller so much; 0 is no limit. ``clock`` counts seconds."""
        self._max_streams = max_streams
        self._per_s = max_starts_per_s
        self._burst = max(1.0, max_starts_per_s * BURST_S)
        self._clock = clock
        self._open: Counter[str] = Counter()
        self._buckets: dict[str, tuple[float, float]] = {}

    @contextmanager
    def admit(self, caller: Caller) -> Iterator[None]:
        """Count a stream of this caller while the block runs; also a refused one is a start.

        Raises:
            RateQuotaError: it opens streams too fast.
            StreamQuotaError: it has as many open as it may.
        """
        self._take_token(caller.identity)
        if self._max_streams and self._open[caller.identity] >= self._max_streams:
            raise StreamQuotaError(self._max_streams)
        self._open[caller.identity] += 1
        try:
            yield
        finally:
            self._open[caller.identity] -= 1
            if not self._open[caller.identity]:
                del self._open[caller.identity]

    def _take_token(self, identity: str) -> None:
        """Take one start from the caller's token bucket."""
        if not self._per_s:
            return
        now_s = self._clock()
        tokens, seen_s = self._buckets.pop(identity, (self._burst, now_s))
        tokens = min(self._burst, tokens + (now_s - seen_s) * self._per_s)
        has_one = tokens >= 1
        # Taken out and put in again, the dictionary is in order of last use.
        self._buckets[identity] = (tokens - has_one, now_s)
        if len(self._buckets) > MAX_BUCKETS:
            del self._buckets[next(iter(self._buckets))]
        if not has_one:
            raise RateQuotaError(self._per_s, (1 - tokens) / self._per_s)
