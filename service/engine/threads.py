"""The threads that decode: a fixed number for each model."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result")


class Pool(Protocol):
    """Where decodes are done, so many at once."""

    @property
    def is_alive(self) -> bool:
        """Whether it can still do them."""
        ...

    @property
    def running(self) -> frozenset[int]:
        """The numbers of the decodes that run; each decode has another."""
        ...

    def submit(
        self, decode: Callable[[], Result], future: Future[Result], on_idle: Callable[[], object]
    ) -> None:
        """Do a decode for which there is room.

        Args:
            decode: What to do.
            future: Gets what it returns or raises.
            on_idle: Called afterwards, from any thread.
        """
        ...

    def close(self, timeout_s: float | None = None) -> bool:
        """Finish what has begun and stop; whether all has stopped. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class _Work:
    """A decode on its way to a thread."""

    number: int
    decode: Callable[[], Any]
    future: Future[Any]
    on_idle: Callable[[], object]


class DecodeThreads:
    """Implements Pool with threads of this process."""

    def __init__(self, name: str, size: int) -> None:
        """Start the threads."""
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._numbers = count()
        self._running: dict[int, int] = {}
        self._is_closed = False
        self._threads = [
            threading.Thread(
                target=self._decode, args=(index,), name=f"decode-{name}-{index}", daemon=True
            )
            for index in range(size)
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

    def submit(
        self, decode: Callable[[], Result], future: Future[Result], on_idle: Callable[[], object]
    ) -> None:
        """Do a decode in a thread."""
        self._work.put(_Work(next(self._numbers), decode, future, on_idle))

    def close(self, timeout_s: float | None = None) -> bool:
        """Finish what has begun and stop the threads; whether all have stopped."""
        if not self._is_closed:
            self._is_closed = True
            for _ in self._threads:
                self._work.put(None)
        end_s = None if timeout_s is None else time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(None if end_s is None else max(0.0, end_s - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _decode(self, index: int) -> None:
        while (work := self._work.get()) is not None:
            self._do(work, index)
            # Kept until the next one comes, it would be megabytes of a stream that has gone.
            del work

    def _do(self, work: _Work, index: int) -> None:
        self._running[index] = work.number
        try:
            result = work.decode()
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it
            work.future.set_exception(_failure(error))
        else:
            work.future.set_result(result)
        del self._running[index]
        # The loop is gone when a process ends with decodes running.
        with suppress(RuntimeError):
            work.on_idle()


def _failure(error: BaseException) -> Exception:
    """Return what whoever waits for a decode is to be told.

    The event loop ends when SystemExit or KeyboardInterrupt is raised in it, and with it every
    stream; so a library that exits costs its decode alone.
    """
    if isinstance(error, Exception):
        return error
    failure = RuntimeError(f"a decode was ended by {type(error).__name__}")
    failure.__cause__ = error
    return failure
