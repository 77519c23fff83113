"""Sending on the schedule of a microphone."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from client.pace import Pace


class FakeClock:
    def __init__(self):
        self.time_s = 100.0

    def now_s(self):
        return self.time_s

    async def sleep(self, duration_s):
        assert duration_s > 0
        self.time_s += duration_s


async def follow(pace, clock, sizes, slow):
    async def blocks():
        for size in sizes:
            yield bytes(size)

    due = []
    async with contextlib.aclosing(pace.follow(blocks())) as paced:
        async for block in paced:
            due.append((round(clock.time_s - 100, 6), len(block)))
            clock.time_s += slow.get(len(due) - 1, 0)
    return due


async def test_blocks_are_due_when_they_were_spoken():
    """A block is handed out when its last sample would have been spoken, not before."""
    clock = FakeClock()
    pace = Pace(1000, clock)
    assert await follow(pace, clock, [100, 100, 50], {}) == [(0.1, 100), (0.2, 100), (0.25, 50)]
    assert pace.worst_lateness_s < 1e-6


async def test_a_slow_server_does_not_slow_the_clock():
    """A block that the server takes late delays none that come after the delay is made up."""
    clock = FakeClock()
    pace = Pace(1000, clock)
    due = await follow(pace, clock, [100] * 6, {1: 0.25})
    assert [when for when, _ in due] == [0.1, 0.2, 0.45, 0.45, 0.5, 0.6]
    assert round(pace.worst_lateness_s, 6) == 0.15


@given(
    st.lists(st.integers(1, 500), max_size=30),
    st.dictionaries(st.integers(0, 29), st.floats(0, 2), max_size=5),
)
async def test_never_early_and_nothing_lost(sizes, slow):
    """Whatever the sizes and delays: no block is early, none is lost, lateness is what it was."""
    clock = FakeClock()
    pace = Pace(1000, clock)
    due = await follow(pace, clock, sizes, slow)
    assert [size for _, size in due] == sizes
    total, worst_s = 0, 0.0
    for when, size in due:
        total += size
        assert when >= total / 1000 - 1e-5
        worst_s = max(worst_s, when - total / 1000)
    assert abs(worst_s - pace.worst_lateness_s) < 1e-4


async def test_a_start_that_was_fixed_before():
    """Where the begin is given, a late first block does not move the schedule."""
    clock = FakeClock()
    clock.time_s = 100.3
    pace = Pace(1000, clock, start_s=100.0)
    due = await follow(pace, clock, [100] * 5, {})
    assert [when for when, _ in due] == [0.3, 0.3, 0.3, 0.4, 0.5]
    assert [round(late, 6) for late in pace.lateness_s] == [0.2, 0.1, 0, 0, 0]
