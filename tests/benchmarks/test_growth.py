"""What is told of memory over time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.growth import STREAM_S, Growth, some_clips
from tests.benchmarks.spoken import clip


@settings(deadline=None)
@given(
    per_round=st.integers(-1_000, 10_000),
    rounds=st.integers(20, 200),
    warm_up_bytes=st.integers(0, 10**9),
)
def test_growth_is_the_slope_without_the_warm_up(per_round, rounds, warm_up_bytes):
    """Whatever the first quarter does, the rest tells bytes for an hour, sixty rounds."""
    sizes = [5 * 10**8 + per_round * index for index in range(rounds)]
    for index in range(rounds // 4):
        sizes[index] -= warm_up_bytes
    growth = Growth.of(60.0, sizes)
    assert growth.per_hour_bytes == pytest.approx(60 * per_round, abs=60)
    assert growth.error_bytes == pytest.approx(0, abs=60)
    assert growth.rounds == rounds
    assert growth.difference_bytes == pytest.approx(per_round * 0.75 * 0.8 * rounds, rel=0.3)


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), rounds=st.integers(40, 200))
def test_growth_tells_how_sure_it_is(seed, rounds):
    """Where sizes only go up and down, the slope is within some standard errors of none."""
    sizes = np.random.default_rng(seed).normal(5e8, 2e6, rounds).astype(int).tolist()
    growth = Growth.of(60.0, sizes)
    assert abs(growth.per_hour_bytes) < 6 * growth.error_bytes


def test_a_stream_speaks_for_a_minute_what_no_other_speaks():
    """Clips in an order of its own, cut, and the same again for the same stream."""
    clips = [clip(0.5 * number) for number in range(4, 20)]
    spoken = [some_clips(clips, stream) for stream in ("0-0", "1-0", "0-0")]
    assert all(sum(one.duration_s for one in chosen) >= STREAM_S for chosen in spoken)
    lengths = [[one.duration_s for one in chosen] for chosen in spoken]
    assert lengths[0] == lengths[2]
    assert not set(lengths[0]) & set(lengths[1])
