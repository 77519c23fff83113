"""Decodes that run at the same time are computed at once, and know nothing of each other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.recognizers.batching import Batcher, Bucket

FOR_EVER_S = 3_600.0
SHORT, LONG = Bucket(1), Bucket(2)
SHORT_FINAL, LONG_FINAL = Bucket(1, is_final=True), Bucket(2, is_final=True)


@dataclass
class Device:
    """Doubles numbers, strings fail; stands still until it is told to go on."""

    batches: list[tuple[Bucket, list[object]]] = field(default_factory=list)
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    may_go_on: threading.Event = field(default_factory=threading.Event)

    def __call__(self, bucket: Bucket, items: Sequence[object]) -> list[object]:
        self.batches.append((bucket, list(items)))
        self.begun.release()
        assert self.may_go_on.wait(60)
        if any(isinstance(item, str) for item in items):
            raise ValueError(f"cannot double {items}")
        return [2 * item for item in items]


@pytest.fixture
def device() -> Device:
    return Device()


@contextmanager
def batcher_of(device: Callable, most: int = 4, wait_s: float = 0.0):
    batcher = Batcher(device, lambda _: most, wait_s)
    try:
        yield batcher
    finally:
        batcher.close()


@contextmanager
def waiting(batcher: Batcher, *items: tuple[Bucket, object]):
    """Ask for items, each from a thread of its own, in this order; gives their futures."""
    before = _taken(batcher)
    with ThreadPoolExecutor(len(items)) as pool:
        futures: list[Future] = []
        for bucket, item in items:
            futures.append(pool.submit(batcher.compute, bucket, item))
            _until(lambda: _taken(batcher) >= before + len(futures))
        yield futures


def _taken(batcher: Batcher) -> int:
    """How many items have come so far, those that wait and those whose batch has begun."""
    with batcher._changed:
        waiting = sum(map(len, batcher._line.values()))
        return waiting + sum(size * batches for size, batches in batcher._sizes.items())


def _until(holds: Callable[[], bool]) -> None:
    """Look until it holds; the test's own timeout is the only one."""
    turn = threading.Event()
    while not holds():
        turn.wait(0.001)


@contextmanager
def busy(device: Device, batcher: Batcher):
    """While the block runs the device computes something else."""
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(batcher.compute, LONG, 0)
        device.begun.acquire()
        device.batches.clear()
        yield
        device.may_go_on.set()
        assert first.result() == 0


def test_what_gathers_meanwhile_is_computed_at_once(device):
    """While a batch is computed the next one fills up, whatever the wait."""
    with batcher_of(device) as batcher:
        with busy(device, batcher), waiting(batcher, (SHORT, 1), (SHORT, 2), (SHORT, 3)) as futures:
            device.may_go_on.set()
            assert [future.result() for future in futures] == [2, 4, 6]
        assert device.batches == [(SHORT, [1, 2, 3])]
        assert batcher.sizes == {1: 1, 3: 1}


def test_a_batch_holds_one_length_and_no_more_than_allowed(device):
    """Lengths are never mixed, and what does not fit is the next batch."""
    wanted = [(SHORT, 1), (LONG, 2), (SHORT, 3), (LONG, 4), (SHORT, 5)]
    with batcher_of(device, most=2) as batcher:
        with busy(device, batcher), waiting(batcher, *wanted) as futures:
            device.may_go_on.set()
            assert [future.result() for future in futures] == [2, 4, 6, 8, 10]
        assert device.batches == [(SHORT, [1, 3]), (LONG, [2, 4]), (SHORT, [5])]


def test_finals_go_before_interims_and_apart_from_them(device):
    """However long interims have waited, and whatever their length."""
    wanted = [(SHORT, 1), (LONG, 2), (SHORT_FINAL, 3), (LONG_FINAL, 4), (SHORT_FINAL, 5)]
    with batcher_of(device) as batcher:
        with busy(device, batcher), waiting(batcher, *wanted) as futures:
            device.may_go_on.set()
            assert [future.result() for future in futures] == [2, 4, 6, 8, 10]
        buckets = [bucket for bucket, _ in device.batches]
        assert buckets == [SHORT_FINAL, LONG_FINAL, SHORT, LONG]


def test_a_full_batch_waits_for_nothing(device):
    """It begins at once, though its items could wait for ever."""
    device.may_go_on.set()
    with (
        batcher_of(device, most=3, wait_s=FOR_EVER_S) as batcher,
        waiting(batcher, (SHORT, 1), (LONG, 7), (SHORT, 2), (SHORT, 3)) as futures,
    ):
        assert [futures[at].result() for at in (0, 2, 3)] == [2, 4, 6]
        assert not futures[1].done()
        batcher.close()
        assert futures[1].result() == 14


def test_a_batch_that_nobody_joins_begins_after_the_wait(device):
    """One item alone is computed, too."""
    device.may_go_on.set()
    with batcher_of(device, wait_s=0.01) as batcher:
        assert batcher.compute(SHORT, 21) == 42


def test_an_error_reaches_only_whose_it_is(device):
    """If a batch fails its items are computed one by one, and only what fails then has failed."""
    with (
        batcher_of(device) as batcher,
        busy(device, batcher),
        waiting(batcher, (SHORT, 1), (SHORT, "two"), (SHORT, 3)) as futures,
    ):
        device.may_go_on.set()
        assert [futures[0].result(), futures[2].result()] == [2, 6]
        with pytest.raises(ValueError, match="two"):
            futures[1].result()


def test_it_goes_on_after_an_error(device):
    """Also after one that is meant to end a thread."""
    device.may_go_on.set()

    def exits(bucket: Bucket, items: Sequence[object]) -> Sequence[object]:
        if items == ["exit"]:
            raise SystemExit(1)
        return device(bucket, items)

    with batcher_of(exits) as batcher:
        with pytest.raises(SystemExit):
            batcher.compute(SHORT, "exit")
        assert batcher.compute(SHORT, 1) == 2


def test_a_wrong_number_of_results_leaves_nobody_waiting():
    """A computation that loses one is an error of each, not a thread that waits for ever."""
    with batcher_of(lambda *_: []) as batcher, pytest.raises(ValueError, match="shorter"):
        batcher.compute(SHORT, 1)


def test_closing_computes_what_waits_and_takes_nothing_new(device):
    """Nobody who was let in goes without a result; close may be called again."""
    batcher = Batcher(device, lambda _: 4, FOR_EVER_S)
    with waiting(batcher, (SHORT, 1), (LONG, 2)) as futures:
        device.may_go_on.set()
        batcher.close()
        assert [future.result() for future in futures] == [2, 4]
    batcher.close()
    with pytest.raises(RuntimeError, match="closed"):
        batcher.compute(SHORT, 1)


@settings(deadline=None, max_examples=25)
@given(
    wanted=st.lists(st.tuples(st.integers(1, 3), st.booleans(), st.integers()), max_size=60),
    threads=st.integers(1, 16),
    most=st.integers(1, 5),
    wait_s=st.sampled_from([0.0, 0.001]),
)
def test_everybody_has_their_own_result(wanted, threads, most, wait_s):
    """Whatever meets whatever from however many threads: no result is lost or another's."""
    seen: list[tuple[Bucket, int]] = []

    def double(bucket: Bucket, items: Sequence[int]) -> list[int]:
        seen.append((bucket, len(items)))
        return [2 * item for item in items]

    with batcher_of(double, most, wait_s) as batcher, ThreadPoolExecutor(threads) as pool:
        results = pool.map(lambda one: batcher.compute(Bucket(one[0], one[1]), one[2]), wanted)
        assert list(results) == [2 * number for _, _, number in wanted]
    assert sum(size for _, size in seen) == len(wanted)
    assert all(1 <= size <= most for _, size in seen)
