"""Pools of workers for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from service.workers import worker
from service.workers.pool import WorkerPool
from service.workers.remote import RemoteRecognizer
from service.workers.roster import Roster
from service.workers.worker import Launch

MODULE = "tests.workers.faulty_worker"


def launch(spec: str = "scripted", max_decode_s: float = 60.0) -> Launch:
    """Return how workers are started that decode twice at the same time."""
    return Launch(spec, 1, 2, max_decode_s, "info", "json")


def remote(spec: str, size: int = 2, roster: Roster | None = None) -> RemoteRecognizer:
    """Load a model into so many workers."""
    return RemoteRecognizer(WorkerPool(spec, launch(spec), size, roster or Roster()))


@contextmanager
def faulty_workers() -> Iterator[None]:
    """Have workers that are started in the block fail on certain words."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "MODULE", MODULE)
        yield
