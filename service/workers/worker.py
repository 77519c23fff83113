"""One worker, as the server sees it: a process that has loaded a model and decodes."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from urllib.parse import urlencode

from service.core.capabilities import Capabilities
from service.core.hypothesis import DecodeOptions, Window
from service.engine.refusals import WorkerFailedError
from service.recognizers.base import ModelUnavailableError
from service.workers import lanes, memory
from service.workers.lanes import Lane
from service.workers.memory import NamelessFile
from service.workers.messages import (
    ANSWER,
    DECODE,
    STARTED,
    TASK,
    Answer,
    Decode,
    Loaded,
    Task,
    release,
)

MODULE = "service.workers"
"""What a worker runs; tests have one of their own."""

TICK_S = 0.25
"""Decodes are timed in these, and not by a clock: if the server was stopped as a whole, or the
machine was asleep, no decode is taken to hang."""

END_S = 5.0
"""Time for a worker to end when it is told to; then it is killed."""

STANDARD_ERROR = 2


@dataclass(frozen=True, slots=True)
class Launch:
    """What the workers of a model have in common."""

    spec: str
    threads: int
    """Processor threads of one decode."""
    decodes: int
    """At the same time in one worker, as far as that is known before the model is loaded."""
    lanes: Callable[[Capabilities], int]
    """Decodes at the same time in one worker, at most."""
    max_decode_s: float
    """A decode that takes longer is taken to hang, and its worker is killed."""
    max_reload_s: float
    """A worker that takes longer to load what others have loaded before is killed."""
    log_level: str
    log_format: str

    def settled(self, options: Mapping[str, str]) -> Launch:
        """Return how the next ones are launched once the first has chosen these options."""
        if not options:
            return self
        separator = "&" if "?" in self.spec else "?"
        return replace(self, spec=f"{self.spec}{separator}{urlencode(options)}")


class WorkerGoneError(WorkerFailedError):
    """The worker had died before it was asked; another one may be."""


class Worker:
    """A process, from its start to its end; it is replaced by another one, not started anew.

    Its pipes and its memory are closed with the last reference to it, so that none is closed
    under a thread that still waits there.
    """

    def __init__(self, launch: Launch, number: int, weights: NamelessFile | None) -> None:
        """Start the process; it loads its model meanwhile.

        On Linux it is killed when the calling thread ends, see ``lifetime``.

        Args:
            launch: How.
            number: Of the worker, for its log.
            weights: Where it holds what other workers of the model hold as well.
        """
        self._launch = launch
        self._numbers = count()
        # Taken again by the thread that has it, if a collection there frees a memory.
        self._control_lock = threading.RLock()
        self._is_usable = False
        self._verdict = ""
        self.running = 0
        """Decodes that run in it. Kept by the pool."""
        self.streams = 0
        """Segments that are being heard in it."""
        self.batch_sizes: Mapping[int, int] = {}
        """How many batches there had been of each size when it answered last."""
        self._control, control = Pipe()
        task = Task(
            spec=launch.spec,
            threads=launch.threads,
            decodes=launch.decodes,
            number=number,
            log_level=launch.log_level,
            log_format=launch.log_format,
            control=control.fileno(),
            weights=None if weights is None else weights.fileno(),
        )
        try:
            self._process = _start(task)
        finally:
            control.close()
        # The lane that was used last is used first: the others' memory may never be touched.
        self._lanes: queue.LifoQueue[Lane] = queue.LifoQueue()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_usable(self) -> bool:
        """Whether it is ready, and nothing is known against decoding in it."""
        return self._is_usable

    def wait_until_ready(self, limit_s: float | None = None) -> Loaded:
        """Return what it has loaded.

        Raises:
            ModelUnavailableError: the model cannot be loaded, or the process died of it, or
                was killed since it took longer than the limit.
        """
        spec = self._launch.spec
        try:
            started = STARTED.validate_json(
                self._receive(self._control, limit_s, "loading the model")
            )
            if started.fault is not None:
                raise started.fault.exception()
            if started.loaded is None:
                raise ModelUnavailableError(f"the process did not say what {spec!r} can do")
            capabilities = started.loaded.capabilities
            count = self._launch.lanes(capabilities)
            for lane in lanes.send(self._control, self.pid, count, capabilities.longest_window_s):
                self._lanes.put(lane)
        except (EOFError, OSError) as error:
            # It is about to say by its status what was the matter with it.
            self._let_end()
            raise ModelUnavailableError(
                f"the process that loaded model {spec!r} {self.wait()}; the log says more"
            ) from error
        # Telling it that a stream is over must not wait, see ``leave``.
        os.set_blocking(self._control.fileno(), False)
        self._is_usable = True
        return started.loaded

    def enter(self) -> int:
        """Return a number for a segment that will be heard here."""
        with self._control_lock:
            self.streams += 1
            return next(self._numbers)

    def leave(self, number: int) -> None:
        """Have the segment's state freed. Does not wait."""
        with self._control_lock:
            self.streams -= 1
            self._release(number, is_memory=False)

    def forget(self, number: int) -> None:
        """Have what a segment left behind freed. Does not wait."""
        with self._control_lock:
            self._release(number, is_memory=True)

    def hear(
        self,
        number: int,
        window: Window,
        *,
        is_final: bool,
        options: DecodeOptions | None,
        memory_number: int | None,
    ) -> Answer:
        """Decode a window; waits for a lane and for the answer, without Python's lock.

        Args:
            number: The segment's, from ``enter``.
            window: What to hear.
            is_final: In full context.
            options: Of the segment, the first time; then None.
            memory_number: Of what the context left behind, from an answer of this worker.

        Raises:
            WorkerGoneError: it had died before.
            WorkerFailedError: it has died or hangs.
            Exception: what the recognizer raised.
        """
        request = Decode(
            stream=number,
            options=options,
            is_final=is_final,
            samples=len(window.samples),
            context=tuple((len(before.samples), before.text) for before in window.context),
            agreed_words=window.agreed_words,
            is_growing=window.is_growing,
            memory=memory_number,
        )
        lane = self._lanes.get()
        try:
            memory.write(lane.samples, window)
            try:
                lane.connection.send_bytes(DECODE.dump_json(request))
            except OSError as error:
                raise WorkerGoneError from error
            answer = ANSWER.validate_json(
                self._receive(lane.connection, self._launch.max_decode_s, "a decode")
            )
        except WorkerGoneError:
            self._is_usable = False
            raise
        except (EOFError, OSError) as error:
            self._is_usable = False
            raise WorkerFailedError from error
        finally:
            self._lanes.put(lane)
        if answer.batch_sizes is not None:
            self.batch_sizes = answer.batch_sizes
        if answer.fault is not None:
            raise answer.fault.exception()
        return answer

    def kill(self) -> None:
        """End it at once; whoever waits for it gets WorkerFailedError. Idempotent."""
        self._is_usable = False
        self._process.kill()

    def end(self) -> None:
        """Have it end, since it is not needed any more, and wait for it. Idempotent."""
        with self._control_lock:
            # While it loads it does not listen, and it has nothing to bring to an end.
            if self._is_usable:
                self._control.close()
            else:
                self._process.kill()
            self._is_usable = False
        self._let_end()

    def wait(self) -> str:
        """Wait for its end; return how it ended, for the log."""
        status = self._process.wait()
        self._is_usable = False
        if self._verdict:
            return self._verdict
        if status >= 0:
            return f"ended with status {status}"
        return f"was ended by {signal.Signals(-status).name}"

    def _release(self, number: int, *, is_memory: bool) -> None:
        if self._is_usable:
            try:
                self._control.send_bytes(release(number, is_memory=is_memory))
            except OSError:
                # Dead, or thousands of these lie unread: it hangs.
                self.kill()

    def _let_end(self) -> None:
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _receive(self, connection: Connection, limit_s: float | None, what: str) -> bytes:
        waited_s = 0.0
        while not connection.poll(TICK_S):
            waited_s += TICK_S
            if limit_s is not None and waited_s >= limit_s:
                self._verdict = f"was killed: {what} took {limit_s:g} s and may hang"
                self.kill()
                raise EOFError
        return connection.recv_bytes()


def _start(task: Task) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", MODULE, TASK.dump_json(task).decode()],
        stdin=subprocess.DEVNULL,
        # Standard output is the server's, and read by programs.
        stdout=STANDARD_ERROR,
        pass_fds=(task.control,) if task.weights is None else (task.control, task.weights),
    )
