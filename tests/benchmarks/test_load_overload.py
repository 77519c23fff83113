"""Too many callers."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from benchmarks.load_overload import RETRY_S, joined, knocks, overload_of
from benchmarks.load_scripts import STAGGER_S, Record
from tests.benchmarks.spoken import clip, script

SLOTS = [script(clip(8.0), start_s=0.5), script(clip(9.0), start_s=1.5)]


def test_callers_come_on_a_schedule():
    """Each caller comes every RETRY_S, after all streams have begun and before any has ended."""
    times_s = sorted(knock.start_s for knock in knocks(SLOTS, 3))
    assert times_s[0] > STAGGER_S
    assert times_s[-1] < 8.5
    one = [knock.start_s for knock in knocks(SLOTS, 1)]
    assert len(one) >= 3
    assert [after - before for before, after in pairwise(one)] == pytest.approx(
        [RETRY_S] * (len(one) - 1)
    )


def pair(admitted_s=0.5, refused_s=0.01):
    return overload_of(
        2,
        1.5,
        [Record(final_s=[0.5, 0.5], lateness_s=[0.0])],
        [Record(final_s=[admitted_s, admitted_s], lateness_s=[0.0])],
        [Record(refused_s=refused_s, failure="UNAVAILABLE: x", lateness_s=[0.25])],
    )


def test_the_same_streams_are_compared():
    """The ratio is of admitted streams to themselves at capacity; refusals are no failures."""
    found = pair(admitted_s=0.55)
    assert found.ratio_p99 == pytest.approx(1.1)
    assert (found.refusals, found.failed, found.taken) == (1, 0, 0)
    assert found.refusal_most_s == 0.01
    assert found.admitted_late_p99_s > found.capacity_late_p99_s
    assert found.is_met
    assert "met" in found.line


@pytest.mark.parametrize(
    "bad",
    [
        pair(admitted_s=0.65),
        pair(refused_s=0.06),
        pair(refused_s=None),
        replace(pair(), failed=1),
    ],
)
def test_what_does_not_meet_the_bounds(bad):
    """Slower streams, slow refusals, a caller who was not refused, a stream that broke."""
    assert not bad.is_met


def test_who_is_taken_is_not_refused():
    """A caller that finds a slot after all is counted, and so is one of the streams that does
    not get its own."""
    answered, refused = Record(final_s=[0.5]), Record(failure="UNAVAILABLE: x", refused_s=0.01)
    found = overload_of(1, 2.0, [answered], [answered], [refused, Record(is_admitted=True)])
    assert (found.refusals, found.taken, found.failed) == (1, 1, 0)
    found = overload_of(2, 2.0, [answered, refused], [answered], [refused])
    assert found.failed == 1
    assert not found.is_met


def test_no_answers_are_no_success():
    """Where nothing was measured, nothing is met."""
    found = overload_of(1, 1.5, [Record(final_s=[0.1])], [Record()], [])
    assert found.admitted_p99_s == math.inf
    assert not found.is_met


def test_medians_of_pairs():
    """Times are medians; what should not happen counts when it happens once."""
    pairs = [pair(0.5), pair(0.6), replace(pair(0.55), failed=1)]
    found = joined(pairs)
    assert found.ratio_p99 == pytest.approx(1.1)
    assert found.failed == 1
    assert not found.is_met
