"""Where segments begin and end."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.core.endpointing import Endpointing
from service.core.errors import InvalidFieldError
from service.core.segmenter import (
    HANGOVER_SAMPLES,
    IDLE_SAMPLES,
    LEAD_SAMPLES,
    ONSET_FRAMES,
    Segmenter,
    Step,
)
from service.core.vad import FRAME_SAMPLES

FRAME_S = FRAME_SAMPLES / 16_000


def _frames(seconds: float) -> int:
    return round(seconds / FRAME_S)


def _segmenter(origin: int = 0, **settings) -> Segmenter:
    return Segmenter(Endpointing(**settings).resolve(28.0), origin)


def _push(segmenter: Segmenter, probability: float, frames: int, loudness: float = 1.0) -> Step:
    for _ in range(frames):
        step = segmenter.push(probability, loudness)
        if step is not Step.NOTHING:
            return step
    return Step.NOTHING


def test_a_segment_ends_a_hangover_after_its_last_speech():
    """Speech, then the configured silence: the segment ends at speech plus hangover."""
    segmenter = _segmenter(silence_s=0.8)
    assert Step.SPEECH_STARTED is _push(segmenter, 0.9, 50)
    _push(segmenter, 0.9, 50 - ONSET_FRAMES)
    assert Step.ENDPOINT is _push(segmenter, 0.0, 50)
    assert segmenter.end_samples == 50 * FRAME_SAMPLES + HANGOVER_SAMPLES
    assert pytest.approx(0.8, abs=FRAME_S) == segmenter.position_samples / 16_000 - 50 * FRAME_S


def test_speech_keeps_a_lead_but_reaches_not_behind_the_origin():
    """A segment begins a lead before its speech, and never before its stretch."""
    late, early = _segmenter(origin=1_000), _segmenter(origin=1_000)
    _push(late, 0.0, 60)
    _push(late, 0.9, 10)
    _push(early, 0.9, 10)
    assert late.start_samples == 1_000 + 60 * FRAME_SAMPLES - LEAD_SAMPLES
    assert early.start_samples == 1_000


def test_a_click_is_no_speech():
    """Fewer frames than an onset takes begin no segment, however often they come."""
    segmenter = _segmenter()
    for _ in range(20):
        assert Step.NOTHING is _push(segmenter, 1.0, ONSET_FRAMES - 1)
        assert Step.NOTHING is _push(segmenter, 0.0, 1)


def test_a_doubtful_frame_changes_nothing():
    """Between the two thresholds speech goes on and silence goes on."""
    segmenter = _segmenter(silence_s=0.3)
    assert Step.NOTHING is _push(segmenter, 0.45, 30)
    assert Step.SPEECH_STARTED is _push(segmenter, 0.9, ONSET_FRAMES)
    assert Step.NOTHING is _push(segmenter, 0.45, 100)
    _push(segmenter, 0.1, 5)
    assert Step.ENDPOINT is _push(segmenter, 0.45, 30)


def test_speech_that_goes_on_unsettles_the_end():
    """The end is settled once the hangover has passed, and no longer when speech goes on."""
    segmenter = _segmenter(silence_s=0.8)
    _push(segmenter, 0.9, 20)
    _push(segmenter, 0.0, _frames(0.3))
    assert not segmenter.is_settled
    _push(segmenter, 0.0, _frames(0.2))
    assert segmenter.is_settled
    segmenter.push(0.9, 1.0)
    assert not segmenter.is_settled


@pytest.mark.parametrize(
    ("silence_s", "earlier_s", "ending_s"),
    [
        (0.3, None, None),
        (0.6, 0.4, 0.4),
        (0.75, 0.4, 0.5),
        (0.8, 0.45, 0.55),
        (3.0, 0.45, 0.55),
    ],
)
def test_an_end_is_foreseen_late_enough_and_early_enough(silence_s, earlier_s, ending_s):
    """Behind the hangover and 0.55 s of silence, but 0.25 s before the end if there is room; that
    it may be so, 0.1 s earlier."""
    segmenter = _segmenter(silence_s=silence_s)
    _push(segmenter, 0.9, 20)
    silent_s = 0.0
    earlier_found_s = None
    while not segmenter.is_ending:
        silent_s += FRAME_S
        if segmenter.push(0.0, 0.0) is Step.ENDPOINT:
            assert ending_s is None
            return
        if segmenter.may_be_ending and earlier_found_s is None:
            earlier_found_s = silent_s
    assert ending_s is not None
    assert ending_s <= silent_s <= ending_s + 2 * FRAME_S
    assert earlier_found_s is not None
    assert earlier_s <= earlier_found_s <= earlier_s + 2 * FRAME_S


def test_a_long_segment_is_cut_at_its_quietest_point():
    """At the longest duration the cut lies in the quietest frames of the last third."""
    segmenter = _segmenter(max_segment_s=4.0)
    _push(segmenter, 0.9, ONSET_FRAMES)
    _push(segmenter, 0.9, _frames(2.5) - ONSET_FRAMES)
    _push(segmenter, 0.9, 3, loudness=0.001)
    _push(segmenter, 0.9, _frames(0.5))
    _push(segmenter, 0.9, 3, loudness=0.01)
    assert Step.TOO_LONG is _push(segmenter, 0.9, 100)
    assert segmenter.position_samples / 16_000 <= 4.0
    assert pytest.approx(3.0 + 4.5 * FRAME_S, abs=FRAME_S) == segmenter.end_samples / 16_000


def test_long_silence_is_let_go():
    """Without speech the stretch ends, keeping only what a lead needs."""
    segmenter = _segmenter(origin=500)
    assert Step.IDLE is _push(segmenter, 0.0, 1_000)
    assert segmenter.position_samples - LEAD_SAMPLES == segmenter.end_samples
    assert segmenter.position_samples - 500 >= IDLE_SAMPLES


def test_disabled_endpointing_waits_for_the_longest_duration():
    """Silence ends nothing when endpointing is disabled."""
    segmenter = _segmenter(disabled=True, max_segment_s=10.0)
    _push(segmenter, 0.9, 30)
    assert Step.NOTHING is _push(segmenter, 0.0, _frames(8.0))
    assert not segmenter.is_settled
    assert Step.TOO_LONG is _push(segmenter, 0.0, _frames(2.0))


def test_speech_that_was_long_uncertain_is_not_cut_too_late():
    """Speech that becomes certain only behind its longest duration is cut before that, at its
    quietest point, and goes on there; also where a flush cuts it."""
    segmenter = _segmenter(max_segment_s=2.0)
    assert Step.NOTHING is _push(segmenter, 0.7, _frames(1.5))
    assert Step.NOTHING is _push(segmenter, 0.7, 3, loudness=0.5)
    assert Step.NOTHING is _push(segmenter, 0.7, _frames(3.0))
    assert Step.SPEECH_STARTED is _push(segmenter, 0.9, 1)
    assert segmenter.start_samples == 0
    assert segmenter.cut_samples(segmenter.position_samples) == 32_000
    assert Step.TOO_LONG is _push(segmenter, 0.9, 1)
    assert pytest.approx(1.5 + 1.5 * FRAME_S, abs=FRAME_S) == segmenter.end_samples / 16_000


PROBABILITIES = st.sampled_from([0.0, 0.4, 0.6, 0.7, 0.9]) | st.floats(0, 1)
RUNS = st.tuples(PROBABILITIES, st.sampled_from([1, 2, 10, 60, 150]))
"""As a detector goes: the same for a while. Otherwise nothing would be uncertain for seconds."""


@given(
    runs=st.lists(RUNS, max_size=20),
    loudness=st.sampled_from([None, 1.0]),
    silence_s=st.floats(0.1, 3.0),
    longest_s=st.sampled_from([2.0, 3.0]) | st.floats(2.0, 28.0),
)
@example(runs=[(0.7, 150), (0.9, 2)], loudness=None, silence_s=0.8, longest_s=2.0)
def test_every_stretch_moves_on_and_no_segment_is_too_long(runs, loudness, silence_s, longest_s):
    """Whatever the detector says: stretches lie in order, segments within their bounds."""
    rules = Endpointing(silence_s, longest_s).resolve(28.0)
    segmenter = Segmenter(rules, 7)
    longest_samples = round(longest_s * 16_000)
    for probability in (probability for probability, frames in runs for _ in range(frames)):
        step = segmenter.push(probability, probability if loudness is None else loudness)
        start_samples = segmenter.start_samples
        if start_samples is not None:
            assert segmenter.origin_samples <= start_samples
            so_far_samples = segmenter.cut_samples(segmenter.position_samples) - start_samples
            assert 0 < so_far_samples <= longest_samples
        if step in (Step.NOTHING, Step.SPEECH_STARTED):
            continue
        assert segmenter.origin_samples < segmenter.end_samples <= segmenter.position_samples
        if start_samples is not None:
            assert 0 < segmenter.end_samples - start_samples <= longest_samples
        segmenter = Segmenter(rules, segmenter.end_samples)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"silence_s": 0.05}, "endpointing.silence_duration"),
        ({"silence_s": -1.0}, "endpointing.silence_duration"),
        ({"max_segment_s": 29.0}, "endpointing.max_segment_duration"),
        ({"max_segment_s": 0.0}, "endpointing.max_segment_duration"),
        ({"disabled": True, "single_utterance": True}, "endpointing.single_utterance"),
        ({"disabled": True, "silence_s": 1.0}, "endpointing.silence_duration"),
    ],
)
def test_endpointing_out_of_range_is_refused(settings, field):
    """A setting out of range, or at odds with another, is refused by its name."""
    with pytest.raises(InvalidFieldError) as refusal:
        Endpointing(**settings).resolve(28.0)
    assert field == refusal.value.field
