"""Where decodes that run at the same time meet, to be computed at once.

Many threads call ``compute`` and wait; one thread takes what has gathered, a bucket at a time,
and hands the results back. In a bucket everything has the same shape, so that nothing is ever
padded: what is next to an item in a batch is not part of its audio and must not be heard.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import count
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_WAIT_S: Final = 0.002
"""Threads that had their results together come again within this time; a batch that begins with
the first of them leaves the others to the next. While a batch is computed the next one gathers,
so that under load nobody waits for anything but that."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """What may be computed together."""

    length: int
    """The one length, in samples, of all windows in it."""
    is_final: bool = False
    """Finals go before interims, and are never in one batch with them."""


@dataclass(frozen=True, slots=True, eq=False)
class _Job(Generic[Item, Result]):
    order: int
    begin_s: float
    item: Item
    future: Future[Result]


class Batcher(Generic[Item, Result]):
    """Gathers items into batches, each computed by one call.

    A batch begins once its bucket is full, or its oldest item has waited long enough; of several
    such buckets finals come first, then whoever has waited longest. If a batch fails, each of
    its items is computed by itself, so that an error reaches nobody but whose it is.
    """

    def __init__(
        self,
        compute: Callable[[Bucket, Sequence[Item]], Sequence[Result]],
        most: Callable[[Bucket], int],
        wait_s: float = MOST_WAIT_S,
    ) -> None:
        """Start the thread.

        Args:
            compute: Called in that thread alone, with at least one item; returns a result for
                each, in order.
            most: Largest batch of a bucket, at least 1.
            wait_s: How long an item waits for others before its batch begins.
        """
        self._compute = compute
        self._most = most
        self._wait_s = wait_s
        self._line: dict[Bucket, deque[_Job[Item, Result]]] = {}
        self._order = count()
        self._sizes: Counter[int] = Counter()
        self._is_closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="batch", daemon=True)
        self._thread.start()

    @property
    def sizes(self) -> Mapping[int, int]:
        """How many batches there have been of each size."""
        with self._changed:
            return dict(self._sizes)

    def compute(self, bucket: Bucket, item: Item) -> Result:
        """Have an item computed, together with others of its bucket; returns its result.

        Raises:
            RuntimeError: the batcher is closed.
            Exception: what computing this item by itself has raised.
        """
        job: _Job[Item, Result] = _Job(next(self._order), time.monotonic(), item, Future())
        with self._changed:
            if self._is_closed:
                raise RuntimeError("the batcher is closed")
            self._line.setdefault(bucket, deque()).append(job)
            self._changed.notify()
        return job.future.result()

    def close(self) -> None:
        """Compute what waits and stop the thread. Idempotent."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            bucket, jobs = batch
            self._settle(bucket, jobs)
            # Else the last results stay in memory until there are others.
            del batch, jobs

    def _next_batch(self) -> tuple[Bucket, list[_Job[Item, Result]]] | None:
        """Wait until a batch may begin; None once the batcher is closed and nothing waits."""
        with self._changed:
            while (bucket := self._ripe()) is None:
                if self._is_closed and not self._line:
                    return None
                self._changed.wait(self._time_left_s())
            line = self._line[bucket]
            jobs = [line.popleft() for _ in range(min(len(line), self._most(bucket)))]
            if not line:
                del self._line[bucket]
            self._sizes[len(jobs)] += 1
            return bucket, jobs

    def _ripe(self) -> Bucket | None:
        """Return the bucket whose batch is to begin now; None if all still wait for more."""
        latest_s = time.monotonic() - self._wait_s
        ripe = (
            bucket
            for bucket, line in self._line.items()
            if self._is_closed or line[0].begin_s <= latest_s or len(line) >= self._most(bucket)
        )
        return min(
            ripe,
            key=lambda bucket: (not bucket.is_final, self._line[bucket][0].order),
            default=None,
        )

    def _time_left_s(self) -> float | None:
        """Return how long the oldest item may still wait; None if there is none."""
        if not self._line:
            return None
        oldest_s = min(line[0].begin_s for line in self._line.values())
        return max(0.0, oldest_s + self._wait_s - time.monotonic())

    def _settle(self, bucket: Bucket, jobs: Sequence[_Job[Item, Result]]) -> None:
        """Give each job its result, or its own error."""
        try:
            results = self._compute(bucket, [job.item for job in jobs])
            pairs = list(zip(jobs, results, strict=True))
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it
            if len(jobs) == 1:
                jobs[0].future.set_exception(error)
                return
            for job in jobs:
                self._settle(bucket, (job,))
            return
        for job, result in pairs:
            job.future.set_result(result)
