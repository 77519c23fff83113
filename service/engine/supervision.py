"""Notices what cannot notice itself: dead or hanging decodes, and a blocked event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

TICK_S = 0.25
"""How often it is looked."""


class Workers(Protocol):
    """The threads of a model, as ``Scheduler`` has them."""

    @property
    def is_alive(self) -> bool:
        """Whether all threads still run."""
        ...

    @property
    def running(self) -> frozenset[int]:
        """The numbers of the decodes that run."""
        ...


@dataclass(slots=True)
class Watch:
    """Judges, tick by tick. Time is the number of ticks, not a clock.

    So a process that was stopped as a whole, or whose clock jumped, finds nothing amiss:
    while it stood still, so did the watch.
    """

    workers: Mapping[str, Workers]
    max_decode_s: float
    max_block_s: float
    deserted: Callable[[], Collection[str]] = tuple
    """The models that are to be decoded in other processes, and have none at the moment."""
    max_deserted_s: float = 60.0
    _ticks: int = 0
    _began: dict[tuple[str, int], int] = field(default_factory=dict)
    _deserted: dict[str, int] = field(default_factory=dict)
    _ticks_since_beat: int = 0

    def beat(self) -> None:
        """Note that the event loop has run."""
        self._ticks_since_beat = 0

    @property
    def blocked_s(self) -> float:
        """How long the event loop has not run."""
        return self._ticks_since_beat * TICK_S

    @property
    def is_blocked(self) -> bool:
        """Whether it has not run for too long."""
        return self.blocked_s >= self.max_block_s

    def tick(self) -> str | None:
        """Let TICK_S pass; return what is wrong with the engine, None while nothing is."""
        self._ticks += 1
        self._ticks_since_beat += 1
        running = {
            (name, number) for name, workers in self.workers.items() for number in workers.running
        }
        self._began = {job: self._began.get(job, self._ticks) for job in running}
        for name, workers in self.workers.items():
            if not workers.is_alive:
                return f"a decoding thread of {name} has died"
        for (name, _), tick in self._began.items():
            if (self._ticks - tick) * TICK_S >= self.max_decode_s:
                return f"a decode of {name} has taken {self.max_decode_s:g} s and may hang"
        self._deserted = {name: self._deserted.get(name, self._ticks) for name in self.deserted()}
        for name, tick in self._deserted.items():
            if (self._ticks - tick) * TICK_S >= self.max_deserted_s:
                return f"{name} has had no worker for {self.max_deserted_s:g} s"
        return None


class Supervisor:
    """A thread that runs a watch beside the event loop."""

    def __init__(
        self,
        watch: Watch,
        on_failure: Callable[[str], None],
        on_block: Callable[[], None],
    ) -> None:
        """Begin to watch.

        Args:
            watch: What judges.
            on_failure: Called in the event loop, once, with what is wrong with the engine.
            on_block: Called in the thread, once, when the event loop is blocked.
        """
        self._watch = watch
        self._on_failure = on_failure
        self._on_block = on_block
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Watch no more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        has_failed = False
        while not self._stop.wait(TICK_S):
            problem = self._watch.tick()
            # The loop is gone when the process ends.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._watch.beat)
                if problem is not None and not has_failed:
                    has_failed = True
                    self._loop.call_soon_threadsafe(self._on_failure, problem)
            if self._watch.is_blocked:
                self._on_block()
                return
