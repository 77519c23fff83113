"""DeepSpeech with the small model that scripts/train_small_deepspeech.py trained."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.errors import InvalidFieldError
from service.core.hypothesis import SAMPLE_RATE_HZ, DecodeOptions, Phrase, Samples, Window
from service.recognizers.deepspeech import READINGS, DeepSpeechRecognizer
from service.recognizers.deepspeech_model import NativeModel
from service.recognizers.deepspeech_options import DeepSpeechOptions
from tests.recognizers.small_deepspeech_model import (
    MODEL,
    SCORER,
    clips,
    functions,
    load_small,
    load_with_scorer,
)


@pytest.fixture(scope="module")
def recognizer() -> Iterator[DeepSpeechRecognizer]:
    recognizer = load_small()
    yield recognizer
    recognizer.close()


@pytest.fixture(scope="module")
def with_scorer() -> Iterator[DeepSpeechRecognizer]:
    recognizer = load_with_scorer()
    yield recognizer
    recognizer.close()


@pytest.fixture(scope="module")
def model() -> Iterator[NativeModel]:
    model = NativeModel(functions(), MODEL, DeepSpeechOptions(beam_width=100))
    yield model
    model.close()


SPEECH = [samples for _, samples in clips()]


def _final(recognizer: DeepSpeechRecognizer, samples: Samples, **options: object):
    stream = recognizer.open_stream(DecodeOptions(**options))
    hypothesis = stream.final(Window(samples))
    stream.close()
    return hypothesis


@pytest.mark.parametrize(("scorer", "most"), [("", 0.2), (str(SCORER), 0.1)])
def test_held_out_sentences_are_understood(scorer, most):
    """Few words in sentences that were not trained on are wrong, fewer with the scorer."""
    recognizer = load_small(scorer=scorer)
    heard = [_final(recognizer, samples).text for samples in SPEECH]
    assert jiwer.wer([text for text, _ in clips()], heard) < most
    recognizer.close()


@settings(max_examples=25, deadline=None)
@given(places=st.lists(st.integers(0, 3 * SAMPLE_RATE_HZ), max_size=40), looks=st.integers(0, 3))
def test_the_library_hears_the_same_however_audio_is_cut(model, places, looks):
    """Cuts anywhere and intermediate decodes leave every reading, time and score as it is."""
    samples = np.round(SPEECH[0] * 32_767).astype(np.int16)
    whole = model.open_stream({})
    whole.feed(samples)
    pieces = model.open_stream({})
    edges = [0, *sorted(min(place, len(samples)) for place in places), len(samples)]
    for begin, end in itertools.pairwise(edges):
        pieces.feed(samples[begin:end])
        for _ in range(looks):
            pieces.text_so_far()
    assert whole.finish(READINGS) == pieces.finish(READINGS)


@settings(max_examples=15, deadline=None)
@given(ends=st.lists(st.floats(0.05, 1.0), max_size=12))
def test_any_interims_before_it_leave_the_final(recognizer, ends):
    """Whatever was heard before, longer windows among it, the final is that of its window."""
    samples = SPEECH[1]
    stream = recognizer.open_stream(DecodeOptions(word_offsets=True))
    for end in ends:
        stream.interim(Window(samples[: round(end * len(samples))]))
    part = samples[: round(0.7 * len(samples))]
    heard = stream.final(Window(part))
    stream.close()
    assert heard == _final(recognizer, part, word_offsets=True)


def test_interims_are_ahead_of_the_final(recognizer):
    """Words are shown while later ones are still to be spoken."""
    samples = max(SPEECH, key=len)
    final = _final(recognizer, samples).text.split()
    stream = recognizer.open_stream(DecodeOptions())
    half = stream.interim(Window(samples[: len(samples) // 2])).text.split()
    stream.close()
    assert 1 <= len(half) < len(final)
    assert half[:-1] == final[: len(half) - 1]


def test_without_interims_to_show_a_segment_is_heard_all_the_same(recognizer):
    """An interim that nobody sees has no words, and the final is as ever."""
    samples = SPEECH[0]
    stream = recognizer.open_stream(DecodeOptions(interim_results=False))
    hypothesis = stream.interim(Window(samples))
    assert (hypothesis.words, hypothesis.heard_samples) == ((), len(samples))
    assert stream.final(Window(samples)) == _final(recognizer, samples)


def test_words_stand_where_they_are_said(recognizer):
    """Silence before a sentence moves its words, and their places with them."""
    samples = SPEECH[0]
    quiet = np.zeros(SAMPLE_RATE_HZ, dtype=np.float32)
    early = _final(recognizer, samples, word_offsets=True).words
    late = _final(recognizer, np.concatenate([quiet, samples]), word_offsets=True).words
    moved = {word.text: word.start_s for word in late}
    shared = [word for word in early if word.text in moved]
    assert len(shared) >= 0.7 * len(early)
    for word in shared:
        assert moved[word.text] - word.start_s == pytest.approx(1.0, abs=0.15)


def test_confidences_are_shares_of_one_whole(recognizer):
    """Readings share what probability there is, the best one first."""
    for samples in SPEECH:
        heard = _final(recognizer, samples, max_alternatives=5)
        shares = [heard.confidence, *(other.confidence for other in heard.alternatives)]
        assert 0 < sum(shares) <= 1.001
        assert shares[1:] == sorted(shares[1:], reverse=True)
        assert all(heard.confidence <= word.confidence <= 1 for word in heard.words)


def test_confidence_falls_with_noise(recognizer):
    """Speech that can hardly be heard is told with less confidence."""
    noise = np.random.default_rng(0).normal(0, 0.05, len(SPEECH[0])).astype(np.float32)
    clean, noisy = _final(recognizer, SPEECH[0]), _final(recognizer, SPEECH[0] + noise)
    assert (noisy.confidence or 0.0) < clean.confidence


def test_a_narrow_beam_is_an_option(recognizer):
    """With a beam of one there is nothing to prefer the best reading to."""
    greedy = load_small(beam_width="1")
    heard = _final(greedy, SPEECH[0], max_alternatives=5)
    assert heard.alternatives == ()
    assert heard.confidence == 1.0
    assert _final(recognizer, SPEECH[0], max_alternatives=5).alternatives
    greedy.close()


def test_the_scorer_allows_its_own_words_only(with_scorer):
    """With a scorer, every word is one of its vocabulary."""
    vocabulary = with_scorer._vocabulary
    heard = [word.text for samples in SPEECH for word in _final(with_scorer, samples).words]
    assert heard
    assert all(word in vocabulary for word in heard)


def _readings(recognizer: DeepSpeechRecognizer) -> list[list[str]]:
    heard = [_final(recognizer, samples, max_alternatives=5) for samples in SPEECH[:8]]
    return [[one.text, *(other.text for other in one.alternatives)] for one in heard]


def test_alpha_and_beta_change_the_search(with_scorer):
    """Whether the language model weighs nothing or much, and what a word costs, is heard."""
    found = [_readings(with_scorer)]
    for alpha, beta in (("0.0", "0.0"), ("0.0", "8.0"), ("8.0", "-8.0")):
        other = load_with_scorer(lm_alpha=alpha, lm_beta=beta)
        found.append(_readings(other))
        other.close()
    assert all(one != another for one, another in itertools.combinations(found, 2))


def _preferred(vocabulary, boost: float, count: int = 200) -> tuple[Phrase, ...]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = (
        "".join(pair) for size in (1, 2, 3) for pair in itertools.product(letters, repeat=size)
    )
    known = itertools.islice((word for word in words if word in vocabulary), count)
    return tuple(Phrase(word, boost) for word in known)


def test_phrases_change_what_is_heard_and_only_in_their_stream(with_scorer):
    """A stream with phrases hears otherwise; streams beside and after it hear as ever."""
    phrases = _preferred(with_scorer._vocabulary, 20.0)
    plain = [_final(with_scorer, samples) for samples in SPEECH]
    boosted = [_final(with_scorer, samples, phrases=phrases) for samples in SPEECH]
    assert [heard.text for heard in boosted] != [heard.text for heard in plain]
    before = with_scorer.open_stream(DecodeOptions())
    before.interim(Window(SPEECH[0][:8_000]))
    beside = with_scorer.open_stream(DecodeOptions(phrases=phrases))
    beside.interim(Window(SPEECH[0][:8_000]))
    after = with_scorer.open_stream(DecodeOptions())
    assert after.final(Window(SPEECH[0])) == plain[0]
    assert before.final(Window(SPEECH[0])) == plain[0]
    assert beside.final(Window(SPEECH[0])) == boosted[0]


def test_phrases_stay_in_their_stream_among_threads(with_scorer):
    """Streams with and without phrases that run at the same time hear what each hears alone."""
    phrases = _preferred(with_scorer._vocabulary, 20.0)
    alone = {chosen: _final(with_scorer, SPEECH[0], phrases=chosen) for chosen in ((), phrases)}
    turns = [(), phrases] * 12
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(_final, with_scorer, SPEECH[0], phrases=turn) for turn in turns]
        assert [job.result() for job in jobs] == [alone[turn] for turn in turns]


BAD_PHRASES = {
    "two words": ((Phrase("the", 1.0), Phrase("the man", 1.0)), "phrases[1].text", "each its own"),
    "unknown": ((Phrase("xyzzy", 1.0),), "phrases[0].text", "vocabulary"),
    "twice": ((Phrase("the", 1.0), Phrase("The", 2.0)), "phrases[1].text", "twice"),
    "blank": ((Phrase("  ", 1.0),), "phrases[0].text", "one word"),
    "zero byte": ((Phrase("a\0b", 1.0),), "phrases[0].text", "zero byte"),
}


@pytest.mark.parametrize("case", BAD_PHRASES)
def test_phrases_without_effect_are_refused(with_scorer, case):
    """What the library would ignore in silence is refused by name, with what to do."""
    phrases, field, remedy = BAD_PHRASES[case]
    with pytest.raises(InvalidFieldError, match=remedy) as refusal:
        with_scorer.open_stream(DecodeOptions(phrases=phrases))
    assert refusal.value.field == field


def test_phrases_need_a_scorer(recognizer, with_scorer):
    """Phrases are offered where they have an effect."""
    assert not recognizer.capabilities.phrases
    assert with_scorer.capabilities.phrases
