"""What every recognizer keeps, whichever engine is behind it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from service.core.hypothesis import (
    SAMPLE_RATE_HZ,
    ContextSegment,
    DecodeOptions,
    Hypothesis,
    Phrase,
    Samples,
    Window,
)
from service.recognizers.base import Recognizer
from tests.recognizers.contract import CASES, Case

pytestmark = pytest.mark.timeout(400)
"""Whisper hears 30 s each time; under transformers that takes a second of CPU time."""


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(scope="module")
def recognizer(case: Case) -> Iterator[Recognizer]:
    recognizer = case.load()
    yield recognizer
    recognizer.close()


@pytest.fixture(scope="module")
def speech(case: Case) -> tuple[Samples, ...]:
    return case.speech()


def _final(
    recognizer: Recognizer, window: Window, options: DecodeOptions | None = None
) -> Hypothesis:
    stream = recognizer.open_stream(options or DecodeOptions())
    hypothesis = stream.final(window)
    stream.close()
    return hypothesis


def _context(recognizer: Recognizer, *segments: Samples) -> tuple[ContextSegment, ...]:
    return tuple(
        ContextSegment(samples, _final(recognizer, Window(samples)).text) for samples in segments
    )


def _silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE_HZ), dtype=np.float32)


def test_a_final_is_the_same_each_time(recognizer, speech):
    """The same window gives the same final, from new streams and after other finals."""
    first = [_final(recognizer, Window(samples)) for samples in speech]
    again = [_final(recognizer, Window(samples)) for samples in reversed(speech)]
    assert all(len(hypothesis.words) >= 3 for hypothesis in first)
    assert first == list(reversed(again))


def test_a_final_in_context_is_the_same_each_time(recognizer, speech):
    """Context takes nothing from the finals' being a function of the window."""
    if not recognizer.capabilities.left_context:
        pytest.skip("hears no context")
    window = Window(speech[2], _context(recognizer, *speech[:2]))
    first = _final(recognizer, window)
    _final(recognizer, Window(speech[0]))
    assert first.words
    assert _final(recognizer, window) == first


def test_interims_do_not_change_the_final(recognizer, speech):
    """A final after interims is the final without them."""
    for samples in speech:
        stream = recognizer.open_stream(DecodeOptions())
        for part in (0.3, 0.5, 0.8, 1.0):
            stream.interim(Window(samples[: round(part * len(samples))]))
        assert stream.final(Window(samples)) == _final(recognizer, Window(samples))
        stream.close()


def test_a_segment_may_become_shorter(recognizer, speech):
    """A segment that is cut before its newest sample has the final of what is left."""
    cut = Window(speech[2][: len(speech[2]) // 2])
    stream = recognizer.open_stream(DecodeOptions())
    stream.interim(Window(speech[2]))
    stream.interim(cut)
    assert stream.final(cut) == _final(recognizer, cut)
    stream.close()


def test_interleaved_streams_hear_what_each_hears_alone(recognizer, speech):
    """Streams that take turns know nothing of each other."""
    alone = [_hear_growing(recognizer, samples) for samples in speech]
    turns = [_hearing(recognizer, samples) for samples in speech]
    together = [list(step) for step in zip(*turns, strict=True)]
    assert [list(steps) for steps in zip(*together, strict=True)] == alone


def test_streams_in_threads_hear_what_each_hears_alone(recognizer, speech):
    """Streams that are heard at the same time know nothing of each other."""
    alone = [_hear_growing(recognizer, samples) for samples in speech[:2]]
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(_hear_growing, recognizer, samples) for samples in speech[:2]]
        assert [job.result() for job in jobs] == alone


def _hearing(recognizer: Recognizer, samples: Samples) -> Iterator[Hypothesis]:
    stream = recognizer.open_stream(DecodeOptions())
    for part in (0.4, 0.7, 1.0):
        yield stream.interim(Window(samples[: round(part * len(samples))]))
    yield stream.final(Window(samples))
    stream.close()


def _hear_growing(recognizer: Recognizer, samples: Samples) -> list[Hypothesis]:
    return list(_hearing(recognizer, samples))


def test_a_hypothesis_tells_how_much_was_heard_for_it(recognizer, speech):
    """State that is carried leaves nothing to be heard twice; else at least what is new is."""
    for samples in speech:
        *interims, final = _hear_growing(recognizer, samples)
        heard = [one.heard_samples for one in interims]
        if recognizer.capabilities.native_streaming:
            assert sum(heard) + final.heard_samples == len(samples)
        else:
            assert final.heard_samples is None or final.heard_samples >= len(samples)
        assert all(samples is None or samples >= 0 for samples in heard)


@pytest.mark.parametrize("seconds", [0.5, 5.0, 20.0])
def test_silence_has_no_words(recognizer, seconds):
    """Digital silence is heard as nothing."""
    assert _final(recognizer, Window(_silence(seconds))).words == ()


def test_silence_behind_speech_has_no_words(recognizer, speech):
    """Silence is heard as nothing after speech too."""
    if not recognizer.capabilities.left_context:
        pytest.skip("hears no context")
    window = Window(_silence(2.0), _context(recognizer, *speech[:2]))
    assert _final(recognizer, window).words == ()


def test_interims_begin_with_the_agreed_words(case, recognizer, speech):
    """Agreed words stand at the begin of the interim; the last of them may grow."""
    for samples in speech:
        text = [word.text for word in _final(recognizer, Window(samples)).words]
        stream = recognizer.open_stream(DecodeOptions())
        shown = 0
        for count, part in enumerate((0.6, 0.8, 1.0), start=1):
            agreed = tuple(text[:count])
            window = Window(samples[: round(part * len(samples))], agreed_words=agreed)
            interim = stream.interim(window)
            if not interim.is_doubtful:
                shown += 1
                heard = tuple(word.text for word in interim.words[:count])
                assert heard[:-1] == agreed[:-1]
                assert heard[-1].startswith(agreed[-1])
        assert shown or not case.shows_interims
        stream.close()


def test_word_offsets_lie_in_the_segment_in_order(recognizer, speech):
    """Offsets that were asked for stand at every word, rise, and stay in the segment."""
    if not recognizer.capabilities.word_offsets:
        pytest.skip("has no word offsets")
    options = DecodeOptions(word_offsets=True)
    context = _context(recognizer, speech[0]) if recognizer.capabilities.left_context else ()
    for window in (Window(speech[1]), Window(speech[1], context)):
        words = _final(recognizer, window, options).words
        assert words
        places = [place for word in words for place in (word.start_s, word.end_s)]
        assert None not in places
        assert all(earlier <= later for earlier, later in itertools.pairwise(places))
        assert places[0] >= 0
        assert places[-1] <= len(speech[1]) / SAMPLE_RATE_HZ
        assert all(0 <= word.confidence <= 1 for word in words if word.confidence is not None)


def test_offsets_change_no_word(recognizer, speech):
    """Asking for offsets changes nothing in the text."""
    if not recognizer.capabilities.word_offsets:
        pytest.skip("has no word offsets")
    for samples in speech:
        with_offsets = _final(recognizer, Window(samples), DecodeOptions(word_offsets=True))
        assert with_offsets.text == _final(recognizer, Window(samples)).text


def test_alternatives_are_different_and_no_more_than_asked_for(recognizer, speech):
    """Alternatives differ from each other and from the best, which they do not change."""
    most = recognizer.capabilities.max_alternatives
    for samples in speech:
        best = _final(recognizer, Window(samples))
        assert best.alternatives == ()
        hypothesis = _final(recognizer, Window(samples), DecodeOptions(max_alternatives=most))
        texts = [hypothesis.text, *(other.text for other in hypothesis.alternatives)]
        assert texts[0] == best.text
        assert len(texts) <= most
        assert len(set(texts)) == len(texts)


def test_phrases_leave_a_final_a_function_of_its_window(recognizer, speech):
    """With phrases, too, a final is the same each time; an unlikely one is no fault."""
    if not recognizer.capabilities.phrases:
        pytest.skip("prefers no phrases")
    phrases = (Phrase("kitchen light", 4.0), Phrase("...", 20.0), Phrase("the", -20.0))
    options = DecodeOptions(phrases=phrases, word_offsets=recognizer.capabilities.word_offsets)
    for samples in speech:
        first = _final(recognizer, Window(samples), options)
        assert first.words
        assert _final(recognizer, Window(samples), options) == first


@pytest.mark.parametrize("samples", [0, 1, 200, 400, 1_599, 1_600])
def test_very_short_audio_is_no_fault(recognizer, samples, speech):
    """Audio too short for a word, speech or not, has a final and may have an interim."""
    capabilities = recognizer.capabilities
    options = DecodeOptions(
        word_offsets=capabilities.word_offsets, max_alternatives=capabilities.max_alternatives
    )
    for audio in (speech[0][-samples:] if samples else _silence(0), _silence(1)[:samples]):
        stream = recognizer.open_stream(options)
        stream.interim(Window(audio))
        assert stream.final(Window(audio)).text.strip() == stream.final(Window(audio)).text
        stream.close()


def test_the_longest_window_is_heard(recognizer, speech):
    """Context and segment may fill the longest window, the segment may do so alone."""
    capabilities = recognizer.capabilities
    longest = round(capabilities.longest_window_s * SAMPLE_RATE_HZ)
    endless = np.concatenate([*speech * 30])
    assert _final(recognizer, Window(endless[:longest])).words
    if capabilities.left_context:
        context = _context(recognizer, endless[: longest - len(speech[0])])
        assert _final(recognizer, Window(speech[0], context)).words


def test_a_hypothesis_is_clean_text(recognizer, speech):
    """Words have no spaces in or around them, and confidence lies in 0 to 1."""
    for samples in speech:
        hypothesis = _final(recognizer, Window(samples))
        assert all(word.text.split() == [word.text] for word in hypothesis.words)
        assert hypothesis.confidence is None or 0 <= hypothesis.confidence <= 1


def test_closing_a_stream_twice_is_no_fault(recognizer, speech):
    """A stream may be closed unused, used, and once more."""
    stream = recognizer.open_stream(DecodeOptions())
    stream.close()
    stream.close()
    used = recognizer.open_stream(DecodeOptions())
    used.interim(Window(speech[0]))
    used.close()
    used.close()


def test_closing_a_recognizer_twice_is_no_fault(case):
    """A recognizer may be closed unused, and once more."""
    recognizer = case.load()
    recognizer.close()
    recognizer.close()


def test_capabilities_are_sane(recognizer):
    """Capabilities name a positive window and rate, and stay the same."""
    capabilities = recognizer.capabilities
    assert capabilities.longest_window_s > 0
    assert capabilities.sample_rate_hz > 0
    assert capabilities.max_alternatives >= 1
    assert len(set(capabilities.languages)) == len(capabilities.languages)
    assert recognizer.capabilities == capabilities
