"""The order of decodes."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError

import pytest

from service.core.decoding import JobKind
from service.engine.scheduler import Scheduler


@pytest.fixture
def scheduler():
    scheduler = Scheduler("test", 1)
    yield scheduler
    scheduler.close()


async def _blocked(scheduler: Scheduler) -> threading.Event:
    """Keep the only worker busy until the event is set."""
    release, begun = threading.Event(), asyncio.Event()

    def begin(_: bool):
        begun.set()
        return release.wait

    scheduler.line_up(JobKind.FINAL, "", begin)
    await begun.wait()
    return release


async def test_finals_go_before_speculations_and_these_before_interims(scheduler):
    """What waits is worked off by urgency, and in order of arrival within it."""
    release = await _blocked(scheduler)
    done: list[tuple[JobKind, int]] = []
    futures = [
        scheduler.line_up(kind, "", lambda _, item=(kind, index): lambda: done.append(item))
        for index in range(3)
        for kind in (JobKind.INTERIM, JobKind.SPECULATIVE_FINAL, JobKind.FINAL)
    ]
    release.set()
    await asyncio.gather(*map(asyncio.wrap_future, futures))
    kinds = (JobKind.FINAL, JobKind.SPECULATIVE_FINAL, JobKind.INTERIM)
    assert done == [(kind, index) for kind in kinds for index in range(3)]


async def test_callers_have_equal_shares(scheduler):
    """A caller with many streams in the line does not keep out one with few."""
    release = await _blocked(scheduler)
    done: list[str] = []
    futures = [
        scheduler.line_up(JobKind.INTERIM, who, lambda _, who=who: lambda: done.append(who))
        for who in ["many"] * 6 + ["few"] * 2
    ]
    release.set()
    await asyncio.gather(*map(asyncio.wrap_future, futures))
    assert done == ["many", "few", "many", "few", "many", "many", "many", "many"]


async def test_a_caller_saves_up_no_share(scheduler):
    """Who has waited for nothing so far is not served before all others for that."""
    done: list[str] = []
    for _ in range(5):
        future = scheduler.line_up(JobKind.INTERIM, "old", lambda _: lambda: None)
        await asyncio.wrap_future(future)
    release = await _blocked(scheduler)
    futures = [
        scheduler.line_up(JobKind.INTERIM, who, lambda _, who=who: lambda: done.append(who))
        for who in ["old", "new", "new", "old"]
    ]
    release.set()
    await asyncio.gather(*map(asyncio.wrap_future, futures))
    assert done == ["old", "new", "new", "old"]


async def test_what_is_decoded_is_decided_when_a_thread_is_free(scheduler):
    """The newest audio is heard, and it is known whether others wait."""
    release = await _blocked(scheduler)
    newest = ["old"]
    told: list[bool] = []

    def begin(others_wait: bool):
        told.append(others_wait)
        return lambda heard=newest[0]: heard

    futures = [scheduler.line_up(JobKind.INTERIM, "", begin) for _ in range(2)]
    newest[0] = "new"
    release.set()
    heard = await asyncio.gather(*map(asyncio.wrap_future, futures))
    assert (heard, told) == (["new", "new"], [True, False])


async def test_who_has_nothing_to_do_any_more_keeps_nobody_waiting(scheduler):
    """A turn may be given up when it comes."""
    idle = scheduler.line_up(JobKind.FINAL, "", lambda _: None)
    busy = scheduler.line_up(JobKind.INTERIM, "", lambda _: lambda: "heard")
    assert await asyncio.wrap_future(idle) is None
    assert await asyncio.wrap_future(busy) == "heard"


async def test_a_cancelled_decode_is_not_begun(scheduler):
    """What was cancelled before its turn costs nothing."""
    release = await _blocked(scheduler)
    begun: list[int] = []
    future = scheduler.line_up(JobKind.INTERIM, "", lambda _: begun.append(1))
    last = scheduler.line_up(JobKind.INTERIM, "", lambda _: lambda: None)
    assert future.cancel()
    release.set()
    await asyncio.wrap_future(last)
    assert begun == []


async def test_an_exception_belongs_to_its_decode(scheduler):
    """A decode that fails, or cannot be begun, fails alone; the thread goes on."""
    failing = scheduler.line_up(JobKind.FINAL, "", lambda _: lambda: 1 // 0)
    unbegun = scheduler.line_up(JobKind.FINAL, "", lambda _: 1 // 0)
    fine = scheduler.line_up(JobKind.FINAL, "", lambda _: lambda: "fine")
    for future in (failing, unbegun):
        with pytest.raises(ZeroDivisionError):
            await asyncio.wrap_future(future)
    assert await asyncio.wrap_future(fine) == "fine"
    assert scheduler.is_alive


async def test_a_closed_scheduler_takes_nothing():
    """Closing ends the threads and who waits; nothing can be asked for any more."""
    scheduler = Scheduler("test", 1)
    release = await _blocked(scheduler)
    waiting = scheduler.line_up(JobKind.FINAL, "", lambda _: lambda: None)
    release.set()
    assert scheduler.close()
    with pytest.raises(CancelledError):
        waiting.result()
    assert not scheduler.is_alive
    with pytest.raises(RuntimeError, match="closed"):
        scheduler.line_up(JobKind.FINAL, "", lambda _: None)
