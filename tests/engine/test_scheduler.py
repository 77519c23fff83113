"""The order of decodes, and which of them may begin; no thread, no clock of the machine."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

import pytest

from benchmarks.virtual_time import VirtualLoop
from service.core.decoding import JobKind
from service.engine.scheduler import RARE_S, SPARE_UTILIZATION, Scheduler, Utilization

FINAL, AHEAD, INTERIM = JobKind.FINAL, JobKind.SPECULATIVE_FINAL, JobKind.INTERIM


class ManualPool:
    """A pool whose decodes end when the test says so."""

    is_alive = True
    running: frozenset[int] = frozenset()

    def __init__(self, size: int) -> None:
        self.size = size
        self.begun: list[tuple[Callable[[], Any], Future[Any], Callable[[], object]]] = []

    def submit(self, decode, future, on_idle) -> None:
        assert len(self.begun) < self.size
        self.begun.append((decode, future, on_idle))

    def close(self, timeout_s: float | None = None) -> bool:
        return True


class Bench:
    """A scheduler, its pool and its clock."""

    def __init__(self, decodes: int, clock: Callable[[], float] | None = None) -> None:
        self.now_s = 1_000.0
        self.pool = ManualPool(decodes)
        self.scheduler = Scheduler("test", decodes, self.pool, clock or (lambda: self.now_s))
        self.begun: list[str] = []
        """Names, in the order in which they were begun."""
        self.had_time: list[bool] = []

    async def wants(
        self, name: str, kind: JobKind, caller: str = "", due_s: float | None = None
    ) -> Future[Any]:
        """Line up; a decode of this name is begun when its turn comes."""

        def begin(has_time: bool):
            self.begun.append(name)
            self.had_time.append(has_time)
            return lambda: name

        future = self.scheduler.line_up(kind, caller, begin, due_s)
        await settled()
        return future

    async def end(self, *, after_s: float = 0.0) -> None:
        """End the decode that has run for longest."""
        self.now_s += after_s
        decode, future, on_idle = self.pool.begun.pop(0)
        try:
            future.set_result(decode())
        except ZeroDivisionError as error:
            future.set_exception(error)
        on_idle()
        await settled()

    async def end_all(self) -> None:
        """End decodes until nothing runs."""
        while self.pool.begun:
            await self.end()


async def settled() -> None:
    """Let the event loop do what it has to do."""
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.fixture
async def one():
    """A scheduler whose only thread is busy with a final."""
    bench = Bench(1)
    await bench.wants("running", FINAL)
    return bench


async def test_finals_go_before_speculations_and_these_before_interims(one):
    """What waits is worked off by urgency, and in order of arrival within it."""
    for index, kind in itertools.product(range(3), (INTERIM, AHEAD, FINAL)):
        await one.wants(f"{kind.name} {index}", kind)
    await one.end_all()
    kinds = (FINAL, AHEAD, INTERIM)
    assert one.begun[1:] == [f"{kind.name} {index}" for kind in kinds for index in range(3)]


async def test_the_final_that_is_due_for_longest_goes_first(one):
    """Deadlines count, not when a stream came into the line: it may have been busy."""
    await one.wants("late", FINAL, due_s=one.now_s - 1)
    await one.wants("later", FINAL, due_s=one.now_s)
    await one.wants("latest", FINAL, due_s=one.now_s - 2)
    await one.end_all()
    assert one.begun[1:] == ["latest", "late", "later"]


async def test_callers_have_equal_shares(one):
    """A caller with many streams in the line does not keep out one with few."""
    for who in ["many"] * 6 + ["few"] * 2:
        await one.wants(who, INTERIM, who)
    await one.end_all()
    assert one.begun[1:] == ["many", "few", "many", "few", "many", "many", "many", "many"]


async def test_a_callers_old_deadlines_take_no_share_of_others(one):
    """Who is late with much is not served before all others for that."""
    for number in range(4):
        await one.wants("late", FINAL, "late", one.now_s - 10 + number)
    await one.wants("prompt", FINAL, "prompt")
    await one.end_all()
    assert one.begun[1:] == ["late", "prompt", "late", "late", "late"]


async def test_a_caller_saves_up_no_share(one):
    """Who has waited for nothing so far is not served before all others for that."""
    for _ in range(5):
        await one.wants("old", INTERIM, "old")
        await one.end_all()
    await one.wants("running", FINAL)
    for who in ["old", "new", "new", "old"]:
        await one.wants(who, INTERIM, who)
    one.begun.clear()
    await one.end_all()
    assert one.begun == ["old", "new", "new", "old"]


async def test_what_is_decoded_is_decided_when_a_thread_is_free(one):
    """Nobody is asked for a job before a thread is there to do it."""
    future = await one.wants("waiting", INTERIM)
    assert one.begun == ["running"]
    await one.end()
    assert one.begun == ["running", "waiting"]
    await one.end()
    assert future.result() == "waiting"


async def test_who_has_nothing_to_do_any_more_keeps_nobody_waiting(one):
    """A turn may be given up when it comes."""
    idle = one.scheduler.line_up(FINAL, "", lambda _: None)
    busy = await one.wants("busy", INTERIM)
    await one.end_all()
    assert (idle.result(), busy.result()) == (None, "busy")


async def test_a_cancelled_decode_is_not_begun(one):
    """What was cancelled before its turn costs nothing, nor does it count as waiting."""
    one.now_s += 60
    futures = [await one.wants("superseded", FINAL, caller) for caller in "aab"]
    await one.wants("wanted", INTERIM)
    assert all(future.cancel() for future in futures)
    await one.end()
    assert one.begun == ["running", "wanted"]


async def test_an_exception_belongs_to_its_decode(one):
    """A decode that fails, or cannot be begun, fails alone."""
    failing = one.scheduler.line_up(FINAL, "", lambda _: lambda: 1 // 0)
    unbegun = one.scheduler.line_up(FINAL, "", lambda _: 1 // 0)
    fine = await one.wants("fine", FINAL)
    await one.end_all()
    for future in (failing, unbegun):
        with pytest.raises(ZeroDivisionError):
            future.result()
    assert fine.result() == "fine"


async def test_a_closed_scheduler_takes_nothing(one):
    """Closing ends who waits; nothing can be asked for any more. It may be repeated."""
    waiting = await one.wants("waiting", FINAL)
    assert one.scheduler.close()
    assert one.scheduler.close()
    with pytest.raises(CancelledError):
        waiting.result()
    with pytest.raises(RuntimeError, match="closed"):
        one.scheduler.line_up(FINAL, "", lambda _: None)


@pytest.mark.parametrize("decodes", [2, 3, 8])
async def test_interims_leave_a_thread_to_finals(decodes):
    """However many interims are wanted, a final that comes then begins at once."""
    bench = Bench(decodes)
    for number in range(3 * decodes):
        await bench.wants(f"interim {number}", INTERIM)
    assert len(bench.begun) == decodes - 1
    await bench.wants("final", FINAL)
    assert bench.begun[-1] == "final"


async def test_a_single_thread_is_for_interims_too():
    """With one thread there is none to leave to the finals."""
    bench = Bench(1)
    await bench.wants("interim", INTERIM)
    assert bench.begun == ["interim"]


async def test_an_interim_that_waits_for_long_goes_before_speculations():
    """Under load interims become rare, but not rarer than stated; finals go first even then."""
    bench = Bench(1)
    await bench.wants("running", FINAL)
    await bench.wants("interim", INTERIM)
    for number in range(3):
        await bench.wants(f"ahead {number}", AHEAD)
    await bench.wants("final", FINAL)
    await bench.end(after_s=RARE_S / 2)
    await bench.end()
    await bench.end(after_s=RARE_S / 2)
    await bench.end_all()
    assert bench.begun == ["running", "final", "ahead 0", "interim", "ahead 1", "ahead 2"]


async def test_an_interim_that_waits_for_long_may_use_every_thread():
    """The thread that is left to finals is used when an interim has waited for long."""
    bench = Bench(2)
    await bench.wants("interim 0", INTERIM)
    await bench.wants("interim 1", INTERIM)
    assert bench.begun == ["interim 0"]
    bench.now_s += RARE_S
    await bench.wants("ahead", AHEAD)
    assert bench.begun == ["interim 0", "interim 1"]


@pytest.fixture
def loop():
    """An event loop in virtual time."""
    loop = VirtualLoop()
    yield loop
    loop.close()


def test_an_interim_that_waits_for_long_begins_though_nothing_else_happens(loop):
    """It waits for nobody to line up or to end, where a thread is idle; one that has left the
    line does not begin."""

    async def run() -> list[str]:
        bench = Bench(2, loop.time)
        await bench.wants("running", INTERIM)
        superseded = await bench.wants("superseded", INTERIM)
        await asyncio.sleep(RARE_S / 3)
        await bench.wants("waiting", INTERIM)
        superseded.cancel()
        await asyncio.sleep(0.9 * RARE_S)
        assert bench.begun == ["running"]
        await asyncio.sleep(0.2 * RARE_S)
        return bench.begun

    assert loop.run_until_complete(run()) == ["running", "waiting"]


def test_a_closed_scheduler_waits_for_no_interim(loop):
    """It leaves no timer behind."""

    async def run() -> None:
        bench = Bench(2, loop.time)
        await bench.wants("running", INTERIM)
        await bench.wants("waiting", INTERIM)
        bench.scheduler.close()

    loop.run_until_complete(run())
    with pytest.raises(RuntimeError, match="everything waits"):
        loop.run_until_complete(loop.create_future())
    assert loop.time() == 0.0


async def test_there_is_time_for_long_interims_only_where_nobody_needs_the_thread():
    """Another thread is idle, nobody waits, and half of the newest time was unused."""
    bench = Bench(2)
    await bench.wants("idle", INTERIM)
    await bench.wants("one thread left", FINAL)
    assert bench.had_time == [True, False]
    await bench.end(after_s=60)
    await bench.end()
    await bench.wants("after a busy minute", INTERIM)
    await bench.end()
    bench.now_s += 60
    await bench.wants("after an idle minute", INTERIM)
    assert bench.had_time == [True, False, False, True]


async def test_there_is_no_time_for_long_interims_while_others_wait(one):
    """Who is in the line would wait for it."""
    await one.wants("first", INTERIM)
    await one.wants("second", INTERIM)
    one.scheduler._utilization = Utilization(1.0)
    await one.end()
    one.now_s += 60
    await one.end()
    assert one.had_time[1:] == [False, False]


def test_utilization_is_an_average_of_the_newest_time():
    """It lies between 0 and 1, follows the load, and forgets."""
    utilization = Utilization(5.0)
    utilization.note(0.0, 1.0)
    assert utilization.at(0.0) == 0.0
    assert 0.6 < utilization.at(5.0) < 0.65
    utilization.note(50.0, 0.5)
    assert utilization.at(50.0) > 0.99
    assert utilization.at(100.0) == pytest.approx(SPARE_UTILIZATION, abs=0.01)
