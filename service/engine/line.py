"""Who waits for a thread, and who is next: within an urgency, fair between callers."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from typing import Any

LEAST_CALLERS = 64
"""Callers that are remembered before those who wait for nothing are looked for."""

Begin = Callable[[bool], Callable[[], Any] | None]
"""Says what to decode, when it is about to be decoded; None if there is nothing to do any
more. Told whether there is time for what could be left out."""


@dataclass(order=True, slots=True)
class Turn:
    """A place in the line."""

    due_s: float
    """When the answer is wanted from; the earliest goes first."""
    order: int
    begin: Begin = field(compare=False)
    future: Future[Any] = field(compare=False)


@dataclass(slots=True, eq=False)
class _Waiting:
    """What one caller has in the line."""

    start: int
    turns: list[Turn] = field(default_factory=list)


class Line:
    """A line whose callers have equal shares, however many streams they have in it.

    Start-time fair queuing with every decode counted the same (Goyal, Vin, Cheng, "Start-time
    Fair Queuing", SIGCOMM 1996). Of callers who are equally far, and of one caller's own
    streams, the one whose answer is due first goes first.
    """

    def __init__(self) -> None:
        """Begin with nobody."""
        self._order = count()
        self._virtual_time = 0
        self._callers: dict[str, _Waiting] = {}
        self._heads: list[tuple[int, Turn, _Waiting]] = []
        """Callers by their first turns; entries that are no longer true are skipped."""
        self._length = 0
        self._most_callers = LEAST_CALLERS

    def __len__(self) -> int:
        """Count who waits; who has left does not."""
        return self._length

    def push(
        self,
        caller: str,
        due_s: float,
        begin: Begin,
        future: Future[Any],
    ) -> None:
        """Take a place; it is left by cancelling the future."""
        if not self._length:
            self._callers.clear()
            self._heads.clear()
        elif len(self._callers) > self._most_callers:
            self._forget_callers()
        waiting = self._callers.setdefault(caller, _Waiting(self._virtual_time))
        if not waiting.turns:
            waiting.start = max(waiting.start, self._virtual_time)
        turn = Turn(due_s, next(self._order), begin, future)
        heapq.heappush(waiting.turns, turn)
        self._length += 1
        future.add_done_callback(self._on_done)
        if waiting.turns[0] is turn:
            heapq.heappush(self._heads, (waiting.start, turn, waiting))

    @property
    def due_s(self) -> float | None:
        """When the answer of who is next is due; None if nobody waits."""
        head = self._head()
        return None if head is None else head.turns[0].due_s

    def pop(self) -> Turn | None:
        """Return the next turn, its future running; None if nobody waits."""
        while (waiting := self._head()) is not None:
            turn = waiting.turns[0]
            if turn.future.set_running_or_notify_cancel():
                self._length -= 1
                self._virtual_time = max(self._virtual_time, waiting.start)
                waiting.start += 1
                self._leave(waiting)
                return turn
        return None

    def clear(self) -> None:
        """Cancel all."""
        for waiting in self._callers.values():
            for turn in waiting.turns:
                turn.future.cancel()

    def _head(self) -> _Waiting | None:
        """Who is next, and has not left."""
        while self._heads:
            start, turn, waiting = self._heads[0]
            if start != waiting.start or not waiting.turns or waiting.turns[0] is not turn:
                heapq.heappop(self._heads)
            elif turn.future.cancelled():
                self._leave(waiting)
            else:
                return waiting
        return None

    def _leave(self, waiting: _Waiting) -> None:
        """Take away a caller's first turn."""
        heapq.heappop(waiting.turns)
        if waiting.turns:
            heapq.heappush(self._heads, (waiting.start, waiting.turns[0], waiting))

    def _forget_callers(self) -> None:
        """Let go of callers who wait for nothing and have no more than their share."""
        self._callers = {
            caller: waiting
            for caller, waiting in self._callers.items()
            if waiting.turns or waiting.start > self._virtual_time
        }
        # So that the cost for each turn stays constant.
        self._most_callers = max(LEAST_CALLERS, 2 * len(self._callers))

    def _on_done(self, future: Future[Any]) -> None:
        if future.cancelled():
            self._length -= 1
