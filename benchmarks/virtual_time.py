"""An event loop whose clock is virtual, and threads that only seem to compute.

What waits for a time does not wait: the clock jumps there. So a minute of many streams
takes seconds, and is the same on every machine, however busy.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

Result = TypeVar("Result")


class _Jump(selectors.DefaultSelector):  # type: ignore[valid-type,misc]
    """Selects without waiting, and says by how much it would have waited."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everything waits, and for nothing that has a time")
            self.now_s += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time, from 0 s on. Threads must not be used with it."""

    def __init__(self) -> None:
        """Begin at 0 s."""
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._jump.now_s


@dataclass(slots=True)
class _Running:
    left_s: float
    result: Any
    future: Future[Any]
    on_idle: Callable[[], object]


class SharedCores:
    """Implements the engine's Pool in virtual time: decodes that share some cores."""

    def __init__(
        self, loop: VirtualLoop, size: int, cost_s: Callable[[], float], cores: float
    ) -> None:
        """Begin idle.

        Args:
            loop: Whose time passes.
            size: Decodes at once.
            cost_s: Asked after each decode what it cost: processor time.
            cores: What they have together; no decode uses more than one.
        """
        self._loop = loop
        self.size = size
        self._cost_s = cost_s
        self._cores = cores
        self._decodes: dict[int, _Running] = {}
        self._begun = 0
        self._since_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.is_alive = True
        self.cpu_s = 0.0
        """Processor time of all decodes."""

    @property
    def running(self) -> frozenset[int]:
        """The numbers of the decodes that run."""
        return frozenset(self._decodes)

    def submit(
        self, decode: Callable[[], Result], future: Future[Result], on_idle: Callable[[], object]
    ) -> None:
        """Do a decode at once, and answer when its cost has been spent."""
        if len(self._decodes) >= self.size:
            raise RuntimeError("no thread is idle")
        self._spend()
        result = decode()
        cost_s = self._cost_s()
        self.cpu_s += cost_s
        self._begun += 1
        self._decodes[self._begun] = _Running(cost_s, result, future, on_idle)
        self._plan()

    def close(self, timeout_s: float | None = None) -> bool:
        """Stop; nothing runs on."""
        del timeout_s
        self.is_alive = False
        return True

    @property
    def _speed(self) -> float:
        return min(1.0, self._cores / max(1, len(self._decodes)))

    def _spend(self) -> None:
        spent_s = (self._loop.time() - self._since_s) * self._speed
        self._since_s = self._loop.time()
        for decode in self._decodes.values():
            decode.left_s -= spent_s

    def _plan(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._decodes:
            left_s = max(0.0, min(decode.left_s for decode in self._decodes.values()))
            self._timer = self._loop.call_later(left_s / self._speed, self._end)

    def _end(self) -> None:
        self._timer = None
        self._spend()
        for number, decode in list(self._decodes.items()):
            if decode.left_s <= 1e-9:
                del self._decodes[number]
                decode.future.set_result(decode.result)
                decode.on_idle()
        self._plan()
