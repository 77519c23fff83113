"""The order of decodes, and the slots."""

from __future__ import annotations

import threading

import pytest

from service.core.decoding import JobKind
from service.engine.refusals import DrainingError, ServerFullError
from service.engine.scheduler import Scheduler
from service.engine.slots import Slots


def _blocked(scheduler: Scheduler) -> threading.Event:
    """Keep the only worker busy until the event is set."""
    release, begun = threading.Event(), threading.Event()

    def block() -> None:
        begun.set()
        release.wait()

    scheduler.submit(JobKind.FINAL, block)
    begun.wait()
    return release


def test_finals_go_before_speculations_and_these_before_interims():
    """What waits is worked off by urgency, and in order of arrival within it."""
    scheduler = Scheduler("test", 1)
    release = _blocked(scheduler)
    done: list[tuple[JobKind, int]] = []
    for index in range(3):
        for kind in (JobKind.INTERIM, JobKind.SPECULATIVE_FINAL, JobKind.FINAL):
            scheduler.submit(kind, lambda item=(kind, index): done.append(item))
    release.set()
    scheduler.close()
    kinds = (JobKind.FINAL, JobKind.SPECULATIVE_FINAL, JobKind.INTERIM)
    assert done == [(kind, index) for kind in kinds for index in range(3)]


def test_a_cancelled_decode_is_not_begun():
    """What was cancelled before its turn costs nothing."""
    scheduler = Scheduler("test", 1)
    release = _blocked(scheduler)
    begun: list[int] = []
    future = scheduler.submit(JobKind.INTERIM, lambda: begun.append(1))
    assert future.cancel()
    release.set()
    scheduler.close()
    assert begun == []


def test_a_failing_decode_fails_alone():
    """An exception reaches whoever waits for that decode, and the worker goes on."""
    scheduler = Scheduler("test", 1)
    failing = scheduler.submit(JobKind.FINAL, lambda: 1 // 0)
    fine = scheduler.submit(JobKind.FINAL, lambda: "fine")
    assert isinstance(failing.exception(), ZeroDivisionError)
    assert fine.result() == "fine"
    assert scheduler.is_alive
    scheduler.close()


def test_a_closed_scheduler_takes_nothing():
    """After closing, its threads are gone and submitting is refused."""
    scheduler = Scheduler("test", 3)
    scheduler.close()
    assert not scheduler.is_alive
    with pytest.raises(RuntimeError, match="closed"):
        scheduler.submit(JobKind.FINAL, lambda: None)


async def test_slots_are_counted_and_freed():
    """A slot is held for its block, also when the block raises; one too many is refused."""
    slots = Slots(1)
    with slots.lease():
        assert slots.taken == 1
        with pytest.raises(ServerFullError, match="--max-streams"), slots.lease():
            pass
    assert slots.taken == 0
    with pytest.raises(KeyError), slots.lease():
        raise KeyError
    assert slots.taken == 0


async def test_a_draining_server_admits_none():
    """Once draining, no slot is given, though some are free."""
    slots = Slots(5)
    slots.drain()
    with pytest.raises(DrainingError), slots.lease():
        pass
    await slots.wait_until_free(0)
