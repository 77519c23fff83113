"""Interims of the default recognizer, with its real weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from service.core.agreement import Agreement
from service.core.hypothesis import SAMPLE_RATE_HZ, DecodeOptions, Window
from service.recognizers.whisper_interim import TRIM_ABOVE_S
from tests.recognizers.hearing import error_rate, final
from tests.samples import read_sample


def _interims(recognizer, samples):
    """Yield the interims of a growing segment, the agreed words before each, and the stream."""
    stream = recognizer.open_stream(DecodeOptions())
    agreement = Agreement(confirms=False)
    for end in range(SAMPLE_RATE_HZ, len(samples) + 1, SAMPLE_RATE_HZ // 2):
        agreed = agreement.agreed_words
        hypothesis = stream.interim(Window(samples[:end], agreed_words=agreed))
        if not hypothesis.is_doubtful:
            agreement.interim([word.text for word in hypothesis.words])
        yield end, agreed, hypothesis, stream


def test_interims_of_a_long_segment_hear_only_its_end(recognizer):
    """In a segment of 20 s, audio under agreed words is let go, and their words stay."""
    samples = read_sample("without_pauses.flac")[: 20 * SAMPLE_RATE_HZ]
    longest_heard_s = 0.0
    words: tuple[str, ...] = ()
    for _, agreed, hypothesis, _ in _interims(recognizer, samples):
        if not hypothesis.is_doubtful:
            longest_heard_s = max(longest_heard_s, hypothesis.heard_samples / SAMPLE_RATE_HZ)
            words = tuple(word.text for word in hypothesis.words)
            assert words[: len(agreed[:-1])] == agreed[:-1]
    assert longest_heard_s <= TRIM_ABOVE_S + 3
    assert error_rate([final(recognizer, samples).text], [" ".join(words)]) <= 0.15


def test_most_interims_are_shown(recognizer):
    """Guards against loops hide few of the interims of clear speech."""
    heard = [
        hypothesis
        for name in ("library", "mountain", "message")
        for _, _, hypothesis, _ in _interims(recognizer, read_sample(f"{name}.flac"))
    ]
    assert sum(hypothesis.is_doubtful for hypothesis in heard) <= len(heard) / 4


def test_agreed_words_stand_even_if_they_are_wrong(recognizer):
    """An interim goes on from the agreed words and does not correct them."""
    stream = recognizer.open_stream(DecodeOptions())
    window = Window(read_sample("kitchen.flac"), agreed_words=("Turn", "of", "the"))
    interim = stream.interim(window)
    assert [word.text for word in interim.words[:3]] == ["Turn", "of", "the"]
    assert "kitchen" in interim.text


def test_other_agreed_words_take_back_what_was_let_go(recognizer):
    """A segment whose agreed words are not those that were settled is heard whole again."""
    samples = read_sample("library.flac")
    stream = recognizer.open_stream(DecodeOptions())
    long = np.concatenate([samples, samples])
    text = final(recognizer, samples).text.split()
    stream.interim(Window(long, agreed_words=tuple(text)))
    assert stream._interims._begin_samples > 0
    stream.interim(Window(samples, agreed_words=()))
    assert stream._interims._begin_samples == 0


@pytest.mark.parametrize(
    "changed",
    [("In", "libraries"), ("Inside", "the", "old", "library"), ("It's",)],
    ids=["other", "more", "fewer"],
)
def test_what_was_let_go_stays_so_when_its_first_words_are_heard_otherwise(recognizer, changed):
    """A confirming decode may change words far back; the newest of them tell where audio ends."""
    samples = read_sample("library.flac")
    stream = recognizer.open_stream(DecodeOptions())
    text = final(recognizer, samples).text.split()
    longer = np.concatenate([samples, read_sample("kitchen.flac")])
    window = Window(longer, agreed_words=tuple(text))
    stream.interim(window)
    begin_samples = stream._interims._begin_samples
    assert begin_samples > 0
    words = (*changed, *text[2:])
    heard = stream.interim(replace(window, agreed_words=words))
    assert stream._interims._begin_samples == begin_samples
    assert tuple(word.text for word in heard.words)[: len(words) - 1] == words[:-1]
