"""Threads that streams of the library live on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")

_Task = tuple[Future[Any], Callable[[], Any]]


class NativeThread:
    """A thread that hears its streams, one call at a time, in order of arrival.

    A stream stays on one thread from its creation to its end, whoever calls. The decoder notes
    when each letter was heard in a tree, and takes the nodes of that tree from a pool which is
    ``static thread_local`` (``add_child`` in native_client/ctcdecode/path_trie.h of
    mozilla/DeepSpeech v0.9.3). A node keeps a pointer to the pool it came from, and is given back
    to it by ``recycled_object_slots.push_back`` without a lock (``delete_object`` in
    third_party/object_pool/object_pool.h). So a stream that is freed, or finished, on another
    thread than those that fed it writes into a list which these may be using for other streams,
    or into a pool that has died with its thread. Coqui STT 1.4.0 has the same two files.
    ``python -m benchmarks.deepspeech_crash`` shows it.

    It is a daemon and not one of an executor, whose threads are waited for when the interpreter
    ends: a call that hangs must not keep the process from ending.
    """

    def __init__(self, name: str) -> None:
        """Start it."""
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Callable[[], Result]) -> Result:
        """Do something there, and wait for it; work may itself call this."""
        if threading.current_thread() is self._thread:
            return work()
        return self.later(work).result()

    def later(self, work: Callable[[], Result]) -> Future[Result]:
        """Have something done there behind what it does now."""
        future: Future[Result] = Future()
        self._tasks.put((future, work))
        return future

    def close(self) -> None:
        """End it when all is done. No stream lives on it any more. Idempotent."""
        self._tasks.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, work = task
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - whoever waits gets it
                future.set_exception(error)
            else:
                future.set_result(result)
            # Or the last stream's audio would be kept until the next one comes.
            del task, future, work
