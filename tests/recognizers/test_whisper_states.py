"""How the default recognizer's encoders differ, and in what they do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from service.core.hypothesis import SAMPLE_RATE_HZ, ContextSegment, DecodeOptions, Window
from service.recognizers import whisper
from service.recognizers.whisper_segments import WindowEncoder
from service.recognizers.whisper_states import CHUNK_S, LOOKAHEAD_S, MARGIN_S
from tests.recognizers.hearing import error_rate, final
from tests.samples import read_sample

NAMES = ("message", "kitchen", "weather")


@pytest.fixture(scope="module")
def windows():
    """A recognizer that encodes whole windows, as one on a GPU does."""
    recognizer = whisper.load("", {"encoder": "windows"}, threads=1, decodes=1)
    assert isinstance(recognizer._segments, WindowEncoder)
    yield recognizer
    recognizer.close()


def _behind_each_other(recognizer, *, forgets):
    """Return the finals of segments, each behind those before it."""
    context: tuple[ContextSegment, ...] = ()
    memory = None
    finals = []
    for name in NAMES:
        samples = read_sample(f"{name}.flac")[: 4 * SAMPLE_RATE_HZ]
        window = Window(samples, context, memory=None if forgets else memory)
        hypothesis = recognizer.open_stream(DecodeOptions(word_offsets=True)).final(window)
        memory = hypothesis.memory
        context = (*context, ContextSegment(samples, hypothesis.text))
        finals.append(hypothesis)
    return finals


def test_what_a_final_leaves_behind_changes_nothing(recognizer):
    """With it lost, as by the end of a worker, the finals are the same to the last digit."""
    kept = _behind_each_other(recognizer, forgets=False)
    assert all(hypothesis.words for hypothesis in kept)
    assert _behind_each_other(recognizer, forgets=True) == kept


def test_what_a_final_leaves_behind_saves_hearing_the_context_again(recognizer):
    """Each second is encoded once, and not once more for each segment behind it."""
    kept = _behind_each_other(recognizer, forgets=False)
    lost = _behind_each_other(recognizer, forgets=True)
    lengths = [min(4 * SAMPLE_RATE_HZ, len(read_sample(f"{name}.flac"))) for name in NAMES]
    assert [hypothesis.heard_samples for hypothesis in kept] == lengths
    assert [hypothesis.heard_samples for hypothesis in lost] == list(np.cumsum(lengths))


def test_what_lay_behind_other_context_is_not_gone_on_from(recognizer):
    """Where context was let go, it is heard anew: the final is what it is for who knew nothing."""
    first, second, third = (read_sample(f"{name}.flac") for name in NAMES)
    before = ContextSegment(first, final(recognizer, first).text)
    behind = recognizer.open_stream(DecodeOptions()).final(Window(second, (before,)))
    window = Window(third, (ContextSegment(second, behind.text),), memory=behind.memory)
    known = recognizer.open_stream(DecodeOptions()).final(window)
    unknown = recognizer.open_stream(DecodeOptions()).final(replace(window, memory=None))
    assert known == unknown
    assert known.heard_samples == len(second) + len(third)


def test_silence_leaves_the_memory_as_it_was(recognizer):
    """A segment without words is no context, so that the next one goes on from before it."""
    samples = read_sample("kitchen.flac")
    spoken = recognizer.open_stream(DecodeOptions()).final(Window(samples))
    context = (ContextSegment(samples, spoken.text),)
    silence = Window(np.zeros(SAMPLE_RATE_HZ, np.float32), context, memory=spoken.memory)
    assert recognizer.open_stream(DecodeOptions()).final(silence).memory is spoken.memory


def test_interims_encode_only_what_is_new(recognizer):
    """Beside it the newest part of what was heard before, which had heard too little behind it."""
    samples = read_sample("library.flac")
    stream = recognizer.open_stream(DecodeOptions())
    step = SAMPLE_RATE_HZ // 2
    heard = [
        stream.interim(Window(samples[:end])).heard_samples
        for end in range(step, len(samples), step)
    ]
    assert heard[0] == step
    assert set(heard[1:]) == {step + round(MARGIN_S * SAMPLE_RATE_HZ)}


def _grown(recognizer, samples, window=None):
    """Return a stream that has heard a segment grow, with an interim every half second."""
    window = window or Window(samples)
    stream = recognizer.open_stream(DecodeOptions())
    confirmed = 0
    for end in range(SAMPLE_RATE_HZ // 2, len(samples), SAMPLE_RATE_HZ // 2):
        growing = replace(window, samples=samples[:end])
        confirmable = int((end / SAMPLE_RATE_HZ - LOOKAHEAD_S) / CHUNK_S)
        if confirmable > confirmed:
            stream.final(replace(growing, is_growing=True))
        else:
            stream.interim(growing)
        confirmed = max(confirmed, confirmable)
    return stream


def test_a_growing_segment_is_confirmed_from_what_was_encoded(recognizer):
    """What is heard as a final while it grows costs as little as an interim, and says the same."""
    samples = read_sample("library.flac")
    confirmed = _grown(recognizer, samples).final(Window(samples, is_growing=True))
    assert confirmed.heard_samples < 1.5 * SAMPLE_RATE_HZ
    assert error_rate([final(recognizer, samples).text], [confirmed.text]) <= 0.1


@pytest.mark.parametrize("length_s", [4.0, 8.0, 13.0])
@pytest.mark.parametrize("has_context", [False, True])
def test_what_interims_had_encoded_changes_no_final(recognizer, length_s, has_context):
    """A final goes on from the chunks that are complete, and is the same to the last digit."""
    before = read_sample("message.flac")[: 4 * SAMPLE_RATE_HZ]
    samples = read_sample("without_pauses.flac")[: round(length_s * SAMPLE_RATE_HZ)]
    window = Window(samples)
    if has_context:
        left = final(recognizer, before)
        window = Window(samples, (ContextSegment(before, left.text),), memory=left.memory)
    grown = _grown(recognizer, samples, window).final(window)
    fresh = recognizer.open_stream(DecodeOptions()).final(window)
    assert grown == fresh
    chunks = int((length_s - LOOKAHEAD_S) / CHUNK_S)
    assert grown.heard_samples == len(samples) - round(chunks * CHUNK_S * SAMPLE_RATE_HZ)
    looked_ahead_samples = round(chunks * LOOKAHEAD_S * SAMPLE_RATE_HZ)
    assert fresh.heard_samples == len(samples) + looked_ahead_samples


@pytest.mark.parametrize("length_s", [3.0, 5.5, 8.0, 10.5])
def test_a_cut_changes_no_final(recognizer, length_s):
    """More was heard of a segment than it has in the end: what lies behind it plays no part."""
    samples = read_sample("without_pauses.flac")[: 12 * SAMPLE_RATE_HZ]
    window = Window(samples[: round(length_s * SAMPLE_RATE_HZ)])
    cut = _grown(recognizer, samples).final(window)
    assert cut == recognizer.open_stream(DecodeOptions()).final(window)


def test_what_was_encoded_behind_other_context_is_not_gone_on_from(recognizer):
    """While a segment grew, the final before it may have been late."""
    before = read_sample("message.flac")
    samples = read_sample("without_pauses.flac")[: 8 * SAMPLE_RATE_HZ]
    left = final(recognizer, before)
    window = Window(samples, (ContextSegment(before, left.text),), memory=left.memory)
    grown = _grown(recognizer, samples).final(window)
    assert grown == recognizer.open_stream(DecodeOptions()).final(window)


def test_a_segment_that_is_cut_is_heard_anew(recognizer):
    """It may become shorter than what was heard of it."""
    samples = read_sample("library.flac")
    stream = recognizer.open_stream(DecodeOptions())
    stream.interim(Window(samples))
    cut = stream.interim(Window(samples[: 2 * SAMPLE_RATE_HZ]))
    assert cut.heard_samples == 2 * SAMPLE_RATE_HZ
    assert cut == recognizer.open_stream(DecodeOptions()).interim(
        Window(samples[: 2 * SAMPLE_RATE_HZ])
    )


def test_a_long_segment_outgrows_its_context(recognizer):
    """Context and segment together may become longer than Whisper's window; then it is alone."""
    before = read_sample("without_pauses.flac")[: 11 * SAMPLE_RATE_HZ]
    samples = read_sample("without_pauses.flac")[: 20 * SAMPLE_RATE_HZ]
    left = recognizer.open_stream(DecodeOptions()).final(Window(before))
    stream = recognizer.open_stream(DecodeOptions())
    window = Window(
        samples[: 4 * SAMPLE_RATE_HZ], (ContextSegment(before, left.text),), memory=left.memory
    )
    assert stream.interim(window).heard_samples == 4 * SAMPLE_RATE_HZ
    longer = stream.final(Window(samples, is_growing=True))
    assert longer.heard_samples > len(samples)
    assert error_rate([final(recognizer, samples).text], [longer.text]) <= 0.1


def test_both_encoders_hear_the_same(recognizer, windows):
    """Our own in 32 bits and CTranslate2's in 8 write nearly the same words."""
    texts = [
        [final(heard, read_sample(f"{name}.flac")).text for name in NAMES]
        for heard in (recognizer, windows)
    ]
    assert error_rate(texts[1], texts[0]) <= 0.1


def test_whole_windows_hear_context_again_and_leave_nothing(windows):
    """A final in context hears what lies before once, and itself twice: it must be borne out."""
    first, second = _behind_each_other(windows, forgets=False)[:2]
    lengths = [min(4 * SAMPLE_RATE_HZ, len(read_sample(f"{name}.flac"))) for name in NAMES]
    assert first.heard_samples == lengths[0]
    assert second.heard_samples == lengths[0] + 2 * lengths[1]
    assert second.memory is None


def test_whole_windows_let_audio_go_under_agreed_words(windows):
    """An interim hears only the newest part of a long segment."""
    samples = read_sample("library.flac")
    stream = windows.open_stream(DecodeOptions())
    agreed = tuple(final(windows, samples).text.split())
    longer = np.concatenate([samples, read_sample("kitchen.flac")])
    assert stream.interim(Window(longer, agreed_words=agreed)).heard_samples == len(longer)
    assert stream.interim(Window(longer, agreed_words=agreed)).heard_samples < len(longer)
