"""Frames of overlapping windows, put together."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.recognizers.transformers_stitch import Frames, Stitcher
from service.recognizers.transformers_tokens import best_path

LEFT, RIGHT, BLANK, VOCABULARY = 6, 4, 0, 5

outputs = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=80)
ends = st.lists(st.integers(1, 80), max_size=12)


def _frames(best: list[int]) -> Frames:
    frames = np.full((len(best), VOCABULARY), -5.0, dtype=np.float32)
    frames[np.arange(len(best)), best] = -0.1
    return frames


def _hear(truth: Frames, begin: int, end: int) -> Frames:
    """A model that lacks context is wrong: near a cut that the whole does not have."""
    heard = truth[begin:end].copy()
    wrong = np.roll(heard, 1, axis=1)
    if begin > 0:
        heard[:LEFT] = wrong[:LEFT]
    if end < len(truth):
        heard[max(0, len(heard) - RIGHT) :] = wrong[max(0, len(heard) - RIGHT) :]
    return heard


def _grow(stitcher: Stitcher, truth: Frames, sizes: list[int]) -> Frames:
    everything = truth[:0]
    for size in sizes:
        stitcher.shorten(size)
        everything = stitcher.add(_hear(truth, stitcher.window_begin, size))
    return everything


@given(outputs, ends)
def test_stitched_frames_are_those_of_the_whole(best, sizes):
    """However a segment grows, or shrinks, its last frames are those of one pass."""
    truth = _frames(best)
    sizes = [*(size for size in sizes if size <= len(truth)), len(truth)]
    assert np.array_equal(_grow(Stitcher(LEFT, RIGHT), truth, sizes), truth)


@given(outputs, ends)
def test_no_token_is_doubled_or_lost_at_a_seam(best, sizes):
    """Tokens of stitched frames are those of the whole, also where a seam goes through one."""
    truth = _frames([index for index in best for _ in range(3)])
    sizes = [*sorted(size for size in sizes if size < len(truth)), len(truth)]
    stitched = _grow(Stitcher(LEFT, RIGHT), truth, sizes)
    assert best_path(stitched, BLANK) == best_path(truth, BLANK)


@given(outputs, ends)
def test_every_frame_of_the_segment_is_there(best, sizes):
    """An answer has as many frames as the segment, at each step."""
    truth = _frames(best)
    stitcher = Stitcher(LEFT, RIGHT)
    for size in (size for size in sizes if size <= len(truth)):
        stitcher.shorten(size)
        assert len(stitcher.add(truth[stitcher.window_begin : size])) == size


def test_a_window_is_no_longer_than_its_context_and_what_is_new():
    """Settled frames are not heard again beyond the left context: a long segment stays cheap."""
    truth = _frames([1] * 1_000)
    stitcher = Stitcher(LEFT, RIGHT)
    for size in range(10, 1_000, 10):
        assert size - stitcher.window_begin <= LEFT + RIGHT + 10
        stitcher.add(truth[stitcher.window_begin : size])
