"""Pools of workers for tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from service.workers import worker
from service.workers.pool import WorkerPool
from service.workers.remote import RemoteRecognizer
from service.workers.roster import Roster
from service.workers.worker import Launch

MODULE = "tests.workers.faulty_worker"
WAIT_S = 150.0
"""On a slow and busy machine a process takes its time to start; below the tests' own time-out."""
HANGS_S = 8.0
"""After which a decode is taken to hang; one that does not must never take so long."""


class Watched:
    """A roster that can be waited for."""

    def __init__(self, model: str) -> None:
        """Watch the workers of this model."""
        self._model = model
        self._changed = threading.Condition()
        self.roster = Roster(self._tell)

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[frozenset[int]], bool]) -> frozenset[int]:
        """Wait until the workers are so."""
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self.pids), WAIT_S)
        return self.pids

    @property
    def pids(self) -> frozenset[int]:
        """Of the workers that are ready."""
        return self.roster.ready.get(self._model, frozenset())


def launch(limit_s: float = WAIT_S, spec: str = "scripted") -> Launch:
    """Return how workers are started that decode twice at the same time.

    Args:
        limit_s: After which a decode, or loading anew, is taken to hang.
        spec: Of the model.
    """
    return Launch(spec, 1, 2, lambda _: 2, limit_s, limit_s, "info", "json")


def remote(spec: str, roster: Roster | None = None) -> RemoteRecognizer:
    """Load a model into two workers."""
    return RemoteRecognizer(WorkerPool(spec, launch(spec=spec), 2, roster or Roster()))


@contextmanager
def faulty_workers() -> Iterator[None]:
    """Have workers that are started in the block fail on certain words."""
    with _running(MODULE):
        yield


@contextmanager
def no_replacements() -> Iterator[None]:
    """Have no worker that is started in the block come so far as to load its model."""
    with _running("tests.workers.no_such_module"):
        yield


@contextmanager
def _running(module: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "MODULE", module)
        yield
