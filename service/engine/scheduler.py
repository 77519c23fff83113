"""In what order the decodes of one model are done, and which of them may begin."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from service.core.decoding import JobKind
from service.engine.line import Begin, Line, Turn
from service.engine.threads import DecodeThreads, Pool

Result = TypeVar("Result")

FINAL, SPECULATIVE, INTERIM = range(3)
URGENCY = {
    JobKind.FINAL: FINAL,
    JobKind.SPECULATIVE_FINAL: SPECULATIVE,
    JobKind.INTERIM: INTERIM,
    JobKind.CONFIRMING_INTERIM: INTERIM,
}
"""Lower goes first: interims become rarer under load before a final becomes later."""

RARE_S = 3.0
"""An interim that has waited so long may use every thread and goes before finals ahead of
time: under load each stream still has an interim about this often, unless the finals that
are due leave no time at all."""

SPARE_UTILIZATION = 0.5
UTILIZATION_S = 5.0
"""Below that share of the threads' newest seconds there is time for confirming interims,
which cost as much as finals. Twelve streams on two threads, in virtual time with measured
costs (benchmarks.schedule): with them whenever nobody waited, the slowest 5 % of the finals
took 0.67 s and the slowest 1 % of the interims came 0.56 s late; so, 0.60 and 0.40 s."""


class Utilization:
    """Share of the threads that were busy, averaged with the newest time counting most."""

    def __init__(self, time_constant_s: float) -> None:
        """Begin with none busy."""
        self._time_constant_s = time_constant_s
        self._average = self._busy = self._since_s = 0.0

    def at(self, now_s: float) -> float:
        """Return the average up to now, 0 to 1."""
        kept = math.exp(-(now_s - self._since_s) / self._time_constant_s)
        return kept * self._average + (1 - kept) * self._busy

    def note(self, now_s: float, busy: float) -> None:
        """From now on such a share is busy."""
        self._average, self._busy, self._since_s = self.at(now_s), busy, now_s


class Scheduler:
    """One line for all streams of a model, worked off by a fixed number of threads.

    What is decoded is decided when a thread is free for it, and not before: an interim then
    hears the newest audio, and what is no longer wanted costs nothing.

    Decodes are not interrupted, so that a final may wait for the end of what runs. Therefore
    interims leave one thread to the finals where there are several, and confirming interims
    are begun only while half of the threads' time is unused and another thread is idle.

    All methods belong to one event loop, but for the properties.
    """

    def __init__(
        self,
        name: str,
        decodes: int,
        pool: Pool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start.

        Args:
            name: Of the model, for the names of threads.
            decodes: How many decodes run at once.
            pool: Where they are done (default: threads of this process).
            clock: Counts seconds.
        """
        self._pool = pool or DecodeThreads(name, decodes)
        self._clock = clock
        self._lines = (Line(), Line(), Line())
        self._idle = decodes
        self._decodes = decodes
        self._interims = 0
        self._utilization = Utilization(UTILIZATION_S)
        self._overdue: asyncio.TimerHandle | None = None
        """When the next interim will have waited for long, where a thread is idle for it."""
        self._is_closed = False

    @property
    def is_alive(self) -> bool:
        """Whether all threads still run."""
        return self._pool.is_alive

    @property
    def running(self) -> frozenset[int]:
        """The numbers of the decodes that run; each decode has another."""
        return self._pool.running

    @property
    def now_s(self) -> float:
        """The time that deadlines are in."""
        return self._clock()

    def line_up(
        self, kind: JobKind, caller: str, begin: Begin, due_s: float | None = None
    ) -> Future[Any]:
        """Ask for a thread.

        Args:
            kind: How urgent it is.
            caller: Whose share of the threads it takes.
            begin: Called in the event loop when a thread is free; never before this returns.
            due_s: Since when the answer is wanted, by ``now_s`` (default: now).

        Returns:
            What the decode returned or raised; None if ``begin`` had nothing to do. Cancelled
            before its turn, it has left the line.
        """
        if self._is_closed:
            raise RuntimeError("the scheduler is closed")
        future: Future[Any] = Future()
        due_s = self._clock() if due_s is None else due_s
        self._lines[URGENCY[kind]].push(caller, due_s, begin, future)
        if self._idle:
            asyncio.get_running_loop().call_soon(self._fill)
        return future

    async def run(self, kind: JobKind, decode: Callable[[], Result]) -> Result | None:
        """Wait for a thread, and for its decode."""
        return await asyncio.wrap_future(self.line_up(kind, "", lambda _: decode))

    def close(self, timeout_s: float | None = None) -> bool:
        """Finish what has begun and stop the threads; whether all have stopped. Idempotent."""
        self._is_closed = True
        for line in self._lines:
            line.clear()
        self._await_overdue()
        return self._pool.close(timeout_s)

    def _fill(self) -> None:
        """Give the idle threads work."""
        while self._idle and (item := self._next()) is not None:
            urgency, turn = item
            try:
                decode = turn.begin(self.has_time)
            except Exception as error:  # noqa: BLE001 - whoever waits gets it
                turn.future.set_exception(error)
                continue
            if decode is None:
                turn.future.set_result(None)
                continue
            self._start(urgency, decode, turn.future)
        self._await_overdue()

    def _await_overdue(self) -> None:
        """See that an interim which leaves the last thread to finals has it when it is overdue."""
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None
        due_s = self._lines[INTERIM].due_s
        if self._idle and due_s is not None:
            left_s = due_s + RARE_S - self._clock()
            self._overdue = asyncio.get_running_loop().call_later(left_s, self._fill)

    def _next(self) -> tuple[int, Turn] | None:
        """Take who may begin now out of the line."""
        finals, speculative, interims = self._lines
        if (turn := finals.pop()) is not None:
            return FINAL, turn
        due_s = interims.due_s
        is_overdue = due_s is not None and self._clock() - due_s >= RARE_S
        if not is_overdue and (turn := speculative.pop()) is not None:
            return SPECULATIVE, turn
        if (is_overdue or self._interims < max(1, self._decodes - 1)) and (turn := interims.pop()):
            return INTERIM, turn
        return None

    @property
    def has_time(self) -> bool:
        """Whether a long decode that could be left out would keep nobody waiting."""
        return (
            not any(self._lines)
            and (self._idle > 1 or self._decodes == 1)
            and self._utilization.at(self._clock()) < SPARE_UTILIZATION
        )

    def _start(self, urgency: int, decode: Callable[[], Result], future: Future[Result]) -> None:
        loop = asyncio.get_running_loop()

        def count(begun: int) -> None:
            self._idle -= begun
            self._interims += begun * (urgency == INTERIM)
            self._utilization.note(self._clock(), 1 - self._idle / self._decodes)

        def on_idle() -> None:
            count(-1)
            self._fill()

        count(1)

        self._pool.submit(decode, future, partial(loop.call_soon_threadsafe, on_idle))
