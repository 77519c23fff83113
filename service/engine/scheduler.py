"""The worker threads of one model, and the order in which they decode."""

from __future__ import annotations

import asyncio
import heapq
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

from service.core.decoding import JobKind

Result = TypeVar("Result")

URGENCY = {
    JobKind.FINAL: 0,
    JobKind.SPECULATIVE_FINAL: 1,
    JobKind.INTERIM: 2,
    JobKind.CONFIRMING_INTERIM: 2,
}
"""Lower goes first: interims become rarer under load before a final becomes later."""

Begin = Callable[[bool], Callable[[], Result] | None]
"""Says what to decode, when it is about to be decoded; None if there is nothing to do any
more. Told whether others wait as well, so that what could be left out can be."""


@dataclass(order=True, slots=True)
class _Turn:
    """A place in the line."""

    urgency: int
    start: int
    order: int
    begin: Begin[Any] = field(compare=False)
    future: Future[Any] = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Work:
    """A decode on its way to a thread."""

    number: int
    decode: Callable[[], Any]
    future: Future[Any]
    loop: asyncio.AbstractEventLoop


class Scheduler:
    """One line for all streams of a model, worked off by a fixed number of threads.

    What is decoded is decided when a thread is free for it, and not before: an interim then
    hears the newest audio, and what is no longer wanted costs nothing.

    Within an urgency callers have equal shares, however many streams they have in the line:
    start-time fair queuing with every decode counted the same (Goyal, Vin, Cheng, "Start-time
    Fair Queuing", SIGCOMM 1996). A caller's own streams go in order of arrival.

    All methods belong to one event loop, but for the properties.
    """

    def __init__(self, name: str, workers: int) -> None:
        """Start the threads."""
        self._line: list[_Turn] = []
        self._order = count()
        self._idle = workers
        self._virtual_time = dict.fromkeys(URGENCY.values(), 0)
        self._next_start: dict[tuple[int, str], int] = {}
        self._is_closed = False
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._running: dict[int, int] = {}
        self._threads = [
            threading.Thread(
                target=self._decode, args=(index,), name=f"decode-{name}-{index}", daemon=True
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

    def line_up(self, kind: JobKind, caller: str, begin: Begin[Result]) -> Future[Result | None]:
        """Ask for a thread.

        Args:
            kind: How urgent it is.
            caller: Whose share of the threads it takes.
            begin: Called in the event loop when a thread is free; never before this returns.

        Returns:
            What the decode returned or raised; None if ``begin`` had nothing to do. Cancelled
            before its turn, it has left the line.
        """
        if self._is_closed:
            raise RuntimeError("the scheduler is closed")
        urgency = URGENCY[kind]
        start = max(self._virtual_time[urgency], self._next_start.get((urgency, caller), 0))
        self._next_start[urgency, caller] = start + 1
        future: Future[Result | None] = Future()
        heapq.heappush(self._line, _Turn(urgency, start, next(self._order), begin, future))
        if self._idle:
            asyncio.get_running_loop().call_soon(self._fill)
        return future

    async def run(self, kind: JobKind, decode: Callable[[], Result]) -> Result | None:
        """Wait for a thread, and for its decode."""
        return await asyncio.wrap_future(self.line_up(kind, "", lambda _: decode))

    def close(self, timeout_s: float | None = None) -> bool:
        """Finish what has begun and stop the threads; whether all have stopped. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            for turn in self._line:
                turn.future.cancel()
            self._line.clear()
            for _ in self._threads:
                self._work.put(None)
        end_s = None if timeout_s is None else time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(None if end_s is None else max(0.0, end_s - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _fill(self) -> None:
        """Give the idle threads work."""
        while self._idle and self._line:
            turn = heapq.heappop(self._line)
            if not turn.future.set_running_or_notify_cancel():
                continue
            self._virtual_time[turn.urgency] = max(self._virtual_time[turn.urgency], turn.start)
            try:
                decode = turn.begin(bool(self._line))
            except Exception as error:  # noqa: BLE001 - whoever waits gets it
                turn.future.set_exception(error)
                continue
            if decode is None:
                turn.future.set_result(None)
                continue
            self._idle -= 1
            loop = asyncio.get_running_loop()
            self._work.put(_Work(next(self._order), decode, turn.future, loop))
        if not self._line:
            self._next_start.clear()

    def _on_idle(self) -> None:
        self._idle += 1
        self._fill()

    def _decode(self, index: int) -> None:
        while (work := self._work.get()) is not None:
            self._running[index] = work.number
            try:
                result = work.decode()
            except BaseException as error:  # noqa: BLE001 - whoever waits gets it
                work.future.set_exception(error)
            else:
                work.future.set_result(result)
            del self._running[index]
            # The loop is gone when a process ends with decodes running.
            with suppress(RuntimeError):
                work.loop.call_soon_threadsafe(self._on_idle)
