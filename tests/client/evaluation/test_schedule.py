"""The schedule is fixed in advance and fair."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from client.evaluation.schedule import PAUSE_S, make_schedule


@given(st.lists(st.floats(0.1, 30), max_size=40), st.integers(1, 8))
def test_every_clip_is_spoken_once_and_lanes_never_talk_over_themselves(durations_s, lanes):
    """Each clip has one slot, each lane pauses between two, all lanes begin within a pause."""
    schedule = make_schedule(durations_s, lanes)
    slots = [slot for lane in schedule for slot in lane]
    assert sorted(slot.item for slot in slots) == list(range(len(durations_s)))
    assert len(schedule) == min(lanes, len(durations_s))
    for lane in schedule:
        assert 0 <= lane[0].start_s < PAUSE_S
        for slot, following in itertools.pairwise(lane):
            assert following.start_s >= slot.start_s + durations_s[slot.item] + PAUSE_S - 1e-9
