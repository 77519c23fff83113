"""The worker threads of one model, and the order in which they decode."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from itertools import count
from typing import TypeVar

from service.core.decoding import JobKind

Result = TypeVar("Result")

URGENCY = {
    JobKind.FINAL: 0,
    JobKind.SPECULATIVE_FINAL: 1,
    JobKind.INTERIM: 2,
    JobKind.CONFIRMING_INTERIM: 2,
}
"""Lower goes first: interims become rarer under load before a final becomes later."""


class Scheduler:
    """One queue for all streams of a model, worked off by a fixed number of threads.

    Within a kind, who came first goes first. A future that is cancelled before its
    turn costs nothing.
    """

    def __init__(self, name: str, workers: int) -> None:
        """Start the threads."""
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._changed = threading.Condition()
        self._is_closed = False
        self._running: dict[int, int] = {}
        self._threads = [
            threading.Thread(
                target=self._work, args=(index,), name=f"decode-{name}-{index}", daemon=True
            )
            for index in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether all threads still run."""
        return all(thread.is_alive() for thread in self._threads)

    @property
    def running(self) -> frozenset[int]:
        """The numbers of the decodes that run; each decode has another."""
        return frozenset(self._running.copy().values())

    def submit(self, kind: JobKind, decode: Callable[[], Result]) -> Future[Result]:
        """Queue a decode; the future has its result or its exception."""
        future: Future[Result] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = decode()
            except BaseException as error:  # noqa: BLE001 - whoever waits gets it
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._changed:
            if self._is_closed:
                raise RuntimeError("the scheduler is closed")
            heapq.heappush(self._queue, (URGENCY[kind], next(self._order), run))
            self._changed.notify()
        return future

    def close(self, timeout_s: float | None = None) -> bool:
        """Finish what is queued and stop the threads; whether all have stopped. Idempotent."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        end_s = None if timeout_s is None else time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(None if end_s is None else max(0.0, end_s - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self, index: int) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._is_closed:
                    self._changed.wait()
                if not self._queue:
                    return
                _, number, run = heapq.heappop(self._queue)
            self._running[index] = number
            run()
            del self._running[index]
