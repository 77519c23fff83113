"""What one caller may take."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.callers import MAX_BUCKETS, Caller, Callers
from service.engine.refusals import RateQuotaError, StreamQuotaError

ONE, OTHER = Caller("one", "1"), Caller("other", "2")


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def _start(callers: Callers, caller: Caller) -> bool:
    try:
        with callers.admit(caller):
            return True
    except RateQuotaError:
        return False


def test_each_caller_has_its_own_streams():
    """One too many is refused, whoever else has how many; what ends makes room."""
    callers = Callers(max_streams=2)
    with ExitStack() as streams:
        for caller in (ONE, ONE, OTHER):
            streams.enter_context(callers.admit(caller))
        with pytest.raises(StreamQuotaError), callers.admit(ONE):
            pass
        with callers.admit(OTHER), pytest.raises(StreamQuotaError), callers.admit(OTHER):
            pass
    for _ in range(3):
        with pytest.raises(KeyError), callers.admit(ONE):
            raise KeyError


def test_without_limits_nothing_is_refused():
    """0 is no limit."""
    callers = Callers()
    with ExitStack() as streams:
        for _ in range(500):
            streams.enter_context(callers.admit(ONE))


def test_a_rate_is_refused_with_the_time_after_which_it_is_not():
    """The time that a refusal names is enough, and hardly less is not."""
    clock = Clock()
    callers = Callers(max_starts_per_s=0.5, clock=clock)
    assert _start(callers, ONE)
    with pytest.raises(RateQuotaError) as refusal, callers.admit(ONE):
        pass
    assert _start(callers, OTHER)
    clock.now_s += refusal.value.retry_after_s * 0.99
    assert not _start(callers, ONE)
    clock.now_s += refusal.value.retry_after_s * 0.02
    assert _start(callers, ONE)


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=200))
def test_a_rate_holds_over_any_time(steps):
    """Whatever the pattern, no more starts pass than the burst and the rate allow."""
    clock = Clock()
    callers = Callers(max_starts_per_s=5, clock=clock)
    passed = {ONE: 0, OTHER: 0}
    begin_s = clock.now_s
    for wait_s, is_other in steps:
        clock.now_s += wait_s
        caller = OTHER if is_other else ONE
        passed[caller] += _start(callers, caller)
        assert passed[caller] <= 10 + 5 * (clock.now_s - begin_s) + 1e-6


def test_what_is_remembered_of_callers_is_bounded():
    """However many callers come, memory is held for so many only."""
    callers = Callers(max_starts_per_s=1)
    for number in range(MAX_BUCKETS + 500):
        _start(callers, Caller(str(number), ""))
    assert len(callers._buckets) == MAX_BUCKETS
    assert not callers._open
