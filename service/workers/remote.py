"""A recognizer whose model is in other processes."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import replace

from service.core.capabilities import Capabilities
from service.core.hypothesis import DecodeOptions, Hypothesis, Window
from service.workers.pool import WorkerPool
from service.workers.worker import Worker, WorkerGoneError


class RemoteRecognizer:
    """Implements Recognizer and Batching."""

    def __init__(self, pool: WorkerPool) -> None:
        """Decode in the workers of this pool, and close it in the end."""
        self._pool = pool

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do."""
        return self._pool.capabilities

    @property
    def batch_sizes(self) -> Mapping[int, int]:
        """How many batches there have been of each size; none of a model that does not batch."""
        return self._pool.batch_sizes

    def open_stream(self, options: DecodeOptions) -> RemoteStream:
        """Begin a segment. What the model cannot honour is known with the first decode.

        Raises:
            WorkerFailedError: no worker is ready.
        """
        self._pool.check()
        return RemoteStream(self._pool, options)

    def close(self) -> None:
        """End the workers."""
        self._pool.close()


class RemoteMemory:
    """What a segment left behind in a worker, which forgets it when this is let go."""

    def __init__(self, worker: Worker, number: int) -> None:
        """Stand for what the worker keeps under this number."""
        self.worker = worker
        self._number = number
        weakref.finalize(self, worker.forget, number).atexit = False

    def number_in(self, worker: Worker) -> int | None:
        """Return its number in this worker; None if it is in another one."""
        return self._number if worker is self.worker else None


class RemoteStream:
    """Implements RecognizerStream.

    The segment is opened in a worker by its first decode there. It can be heard on in any other
    one, since a window is all that a decode needs, and what a worker remembers only saves time:
    only a decode that runs in a worker when that dies is lost. It is not tried again, for it may be
    what killed the worker.
    """

    def __init__(self, pool: WorkerPool, options: DecodeOptions) -> None:
        """Begin in no worker."""
        self._pool = pool
        self._options = options
        self._home: tuple[Worker, int] | None = None

    def interim(self, window: Window) -> Hypothesis:
        """Hear a growing segment."""
        return self._hear(window, is_final=False)

    def final(self, window: Window) -> Hypothesis:
        """Hear a finished segment."""
        return self._hear(window, is_final=True)

    def close(self) -> None:
        """Have the segment's state freed."""
        if self._home is not None:
            worker, number = self._home
            self._home = None
            worker.leave(number)

    def _hear(self, window: Window, *, is_final: bool) -> Hypothesis:
        while True:
            with self._pool.placed(self._place(window)) as worker:
                try:
                    return self._hear_in(worker, window, is_final=is_final)
                except WorkerGoneError:
                    # Nobody had noticed yet. The pool does not choose it again.
                    continue

    def _hear_in(self, worker: Worker, window: Window, *, is_final: bool) -> Hypothesis:
        options = None
        if self._home is None or self._home[0] is not worker:
            self.close()
            self._home = (worker, worker.enter())
            options = self._options
        memory = window.memory if isinstance(window.memory, RemoteMemory) else None
        known = memory.number_in(worker) if memory is not None else None
        try:
            answer = worker.hear(
                self._home[1], window, is_final=is_final, options=options, memory_number=known
            )
        except Exception:
            # Whether it is open there is not known; the next decode opens it anew.
            self.close()
            raise
        if answer.memory is None:
            return answer.hypothesis
        left = memory if answer.memory == known else RemoteMemory(worker, answer.memory)
        return replace(answer.hypothesis, memory=left)

    def _place(self, window: Window) -> Worker | None:
        """Where the segment, or else what lies before it, was heard last."""
        if self._home is not None:
            return self._home[0]
        return window.memory.worker if isinstance(window.memory, RemoteMemory) else None
