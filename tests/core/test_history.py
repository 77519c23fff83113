"""What a stream keeps of the speech before a segment."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.core.decoding import JobKind
from service.core.history import SampleBuffer, SpeechHistory
from service.core.hypothesis import ContextSegment, DecodeOptions, Hypothesis, Window
from service.recognizers.scripted import ScriptedRecognizer, ScriptedStream
from tests.driver import Driver
from tests.tones import TWO_UTTERANCES, in_pieces, tones

WINDOW, MOST = 28, 12
LENGTHS = st.lists(st.integers(1, 15), min_size=1, max_size=30)


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 1)), min_size=1, max_size=30))
def test_audio_stays_addressable_by_the_clock_until_it_is_let_go(steps):
    """However it comes and goes, a stretch that is still held is what was appended there."""
    buffer, heard, begin = SampleBuffer(), np.zeros(0, dtype=np.float32), 0
    for length, share in steps:
        heard = np.concatenate([heard, len(heard) + np.arange(length, dtype=np.float32)])
        buffer.append(heard[len(heard) - length :])
        begin += int(share * (len(heard) - begin))
        buffer.discard_before(begin)
        assert buffer.end_samples == len(heard)
        assert buffer.view(begin, len(heard)).tolist() == heard[begin:].tolist()


def test_audio_that_came_all_at_once_leaves_no_room_behind():
    """A stream whose backlog is worked off holds what an unhurried one does."""
    second = np.zeros(16_000, dtype=np.float32)
    buffer = SampleBuffer()
    tracemalloc.start()
    try:
        for _ in range(38):
            buffer.append(second)
        buffer.discard_before(30 * len(second))
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held_bytes < 2 * 8 * second.nbytes


def _segment(length: int) -> ContextSegment:
    return ContextSegment(np.zeros(length, dtype=np.float32), "word")


@given(LENGTHS, st.integers(1, 28))
def test_context_is_the_newest_segments_within_both_bounds(lengths, segment):
    """It is no longer than the most, and with the segment than the window."""
    history = SpeechHistory(WINDOW, MOST)
    segments = [_segment(length) for length in lengths]
    for each in segments:
        history.append(each, None)
    context = history.before(segment)
    assert list(context) == segments[len(segments) - len(context) :]
    length = sum(len(each.samples) for each in context)
    assert length <= min(MOST, WINDOW - segment)


@given(LENGTHS)
def test_context_begins_anew_only_when_there_is_too_much(lengths):
    """So what was computed of the context before can be used for the one behind it."""
    history = SpeechHistory(WINDOW, MOST)
    before: tuple[ContextSegment, ...] = ()
    for length in lengths:
        segment = _segment(length)
        history.append(segment, None)
        context = history.before(1)
        if context[: len(before)] != before or len(context) != len(before) + 1:
            assert sum(len(each.samples) for each in (*before, segment)) > MOST
            assert sum(len(each.samples) for each in context) <= SpeechHistory.KEPT_PART * MOST + 1
        before = context


class RememberingStream:
    """Leaves a number behind with each final, and notes what the windows brought."""

    def __init__(self, stream: ScriptedStream, heard: list[tuple[bool, object]]) -> None:
        """Hear by this stream, and note here."""
        self._stream = stream
        self._heard = heard

    def interim(self, window: Window) -> Hypothesis:
        """Note, and hear."""
        self._heard.append((window.is_growing, window.memory))
        return self._stream.interim(window)

    def final(self, window: Window) -> Hypothesis:
        """Note, hear and leave something."""
        self._heard.append((window.is_growing, window.memory))
        return replace(self._stream.final(window), memory=len(self._heard))

    def close(self) -> None:
        """Nothing is held."""


class Remembering(ScriptedRecognizer):
    """Opens such streams."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        super().__init__()
        self.heard: list[tuple[bool, object]] = []

    def open_stream(self, options: DecodeOptions) -> RememberingStream:
        """Begin a segment."""
        return RememberingStream(super().open_stream(options), self.heard)


def test_what_a_final_leaves_behind_comes_with_the_next_segments_windows():
    """The first segment has nothing to go on from; all windows of the next one have it."""
    recognizer = Remembering()
    driver = Driver(recognizer=recognizer)
    driver.run(in_pieces(TWO_UTTERANCES), Driver.work)
    assert len(driver.finals) == 2
    memories = [memory for _, memory in recognizer.heard]
    first = memories.index(next(memory for memory in memories if memory is not None))
    assert set(memories[:first]) == {None}
    assert len(set(memories[first:])) == 1


def test_only_confirming_interims_hear_a_segment_that_is_growing():
    """A final, also one ahead of time, is a function of its window."""
    recognizer = Remembering()
    driver = Driver(recognizer=recognizer)
    driver.run(in_pieces(tones(" ".join(["alfa bravo charlie delta echo"] * 3))), Driver.work)
    kinds = [job.kind for job in driver.done]
    growing = [is_growing for is_growing, _ in recognizer.heard]
    assert JobKind.CONFIRMING_INTERIM in kinds
    assert growing == [kind is JobKind.CONFIRMING_INTERIM for kind in kinds]
