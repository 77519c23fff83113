"""Finals of the default recognizer, with its real weights."""

from __future__ import annotations

import numpy as np
import pytest

from service.core.hypothesis import SAMPLE_RATE_HZ, ContextSegment, DecodeOptions, Samples, Window
from service.recognizers.whisper_model import Prompt
from tests.recognizers.hearing import error_rate, final
from tests.samples import SAMPLES, read_sample

SHORT = [sample for sample in SAMPLES if sample.duration_s <= 28]


def _noise(seconds: float, level: float) -> Samples:
    chance = np.random.default_rng(7)
    return chance.normal(0, level, round(seconds * SAMPLE_RATE_HZ)).astype(np.float32)


def _cut(samples: Samples, at_s: float) -> tuple[Samples, Samples]:
    at = round(at_s * SAMPLE_RATE_HZ)
    return samples[:at], samples[at:]


def test_recordings_are_transcribed(recognizer):
    """At most one word in twenty of the recordings is wrong."""
    heard = [final(recognizer, read_sample(sample.name)).text for sample in SHORT]
    assert error_rate([sample.text for sample in SHORT], heard) <= 0.05


def test_a_segment_goes_on_from_its_context(recognizer):
    """A sentence cut in two at a word is whole again when the second piece hears the first."""
    first, second = _cut(read_sample("garden.flac"), 2.85)
    before = final(recognizer, first).text
    after = final(recognizer, second, (ContextSegment(first, before),)).text
    reference = next(sample.text for sample in SAMPLES if sample.name == "garden.flac")
    assert error_rate([reference], [f"{before} {after}"]) == 0


def test_context_text_is_not_repeated(recognizer):
    """What context says does not stand in the segment's text again."""
    first, second = read_sample("kitchen.flac"), read_sample("bakery.flac")
    context = (ContextSegment(first, final(recognizer, first).text),)
    assert "kitchen" not in final(recognizer, second, context).text
    assert "bakery" in final(recognizer, second, context).text


def test_oldest_context_is_left_out_whole(recognizer):
    """More context than fits changes nothing."""
    sample = read_sample("bakery.flac")
    near = ContextSegment(read_sample("kitchen.flac"), "Turn off the light in the kitchen.")
    far = ContextSegment(_noise(27, 0.01), "Nothing of this is heard.")
    assert final(recognizer, sample, (far, near)) == final(recognizer, sample, (near,))


def test_context_that_fits_is_heard(recognizer):
    """Context takes part in the decode: the wrong words for it change the final."""
    first, second = _cut(read_sample("weather.flac"), 1.5)
    heard = final(recognizer, second, (ContextSegment(first, "It rained all night"),))
    assert heard != final(recognizer, second)


@pytest.mark.parametrize("level", [1e-3, 1e-2])
@pytest.mark.parametrize("name", ["kitchen", "bakery", "command"])
def test_noise_behind_repeated_speech_has_no_words(recognizer, name, level):
    """Noise after a sentence said three times is not heard as that sentence again."""
    speech = read_sample(f"{name}.flac")
    context = (ContextSegment(speech, final(recognizer, speech).text),) * 3
    assert final(recognizer, _noise(3, level), context).words == ()


@pytest.mark.parametrize("seconds", [1, 5, 20])
@pytest.mark.parametrize("level", [1e-4, 1e-2, 0.1])
def test_noise_has_no_words(recognizer, seconds, level):
    """White noise, hardly audible to loud, is heard as nothing."""
    assert final(recognizer, _noise(seconds, level)).words == ()


def test_a_hum_has_no_words(recognizer):
    """The hum of mains is heard as nothing."""
    seconds = np.arange(5 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    hum = 0.05 * np.sin(2 * np.pi * 50 * seconds)
    assert final(recognizer, hum.astype(np.float32)).words == ()


def test_a_final_never_depends_on_agreed_words(recognizer):
    """Stable words are for interims; a final that is given them is the same."""
    samples = read_sample("question.flac")
    stream = recognizer.open_stream(DecodeOptions())
    with_words = stream.final(Window(samples, agreed_words=("Which", "thyme")))
    assert with_words == final(recognizer, samples)


def test_word_offsets_follow_the_speech(recognizer):
    """Two seconds of silence before the speech move its words by two seconds."""
    samples = read_sample("kitchen.flac")
    options = DecodeOptions(word_offsets=True)
    later = np.concatenate([np.zeros(2 * SAMPLE_RATE_HZ, dtype=np.float32), samples])
    plain, moved = (final(recognizer, audio, (), options).words for audio in (samples, later))
    assert [word.text for word in plain] == [word.text for word in moved]
    # The first word's begin is where the silence before it ends, and lies anywhere there.
    ends_s = [(one.end_s, two.end_s) for one, two in zip(plain, moved, strict=True)]
    assert all(two - one == pytest.approx(2, abs=0.25) for one, two in ends_s)


def test_word_offsets_count_from_the_segment(recognizer):
    """Context moves no word: offsets count from the segment's first sample."""
    samples = read_sample("bakery.flac")
    options = DecodeOptions(word_offsets=True)
    first = read_sample("kitchen.flac")
    context = (ContextSegment(first, final(recognizer, first).text),)
    alone = final(recognizer, samples, (), options).words
    behind = final(recognizer, samples, context, options).words
    assert [word.text for word in alone] == [word.text for word in behind]
    for one, two in zip(alone, behind, strict=True):
        assert one.end_s == pytest.approx(two.end_s, abs=0.5)


def test_words_have_confidence_with_their_offsets(recognizer):
    """Confidence comes with offsets, for each word; the hypothesis always has one."""
    samples = read_sample("command.flac")
    words = final(recognizer, samples, (), DecodeOptions(word_offsets=True)).words
    assert all(word.confidence is not None and 0 < word.confidence <= 1 for word in words)
    assert final(recognizer, samples).confidence > 0.5


def test_alternatives_are_other_texts(recognizer):
    """Speech that can be written in several ways has alternatives."""
    options = DecodeOptions(max_alternatives=5)
    hypothesis = final(recognizer, read_sample("weather.flac"), (), options)
    assert 1 <= len(hypothesis.alternatives) <= 4
    assert all(0 < other.confidence <= 1 for other in hypothesis.alternatives)


def test_text_before_the_audio_takes_no_room_from_the_answer(recognizer):
    """However much was said before, as much may be written, and no more."""
    model = recognizer._model
    encoded = model.encode(read_sample("library.flac"))
    alone = model.decode(encoded, Prompt("en"))[0]
    before = model.tokens(" ".join(["It was a long day and we went home late."] * 6))
    for count in (1, 5, len(before)):
        told = model.decode(encoded, Prompt("en", before=before[:count]))[0]
        assert not told.is_cut
        assert error_rate([model.text(alone.tokens)], [model.text(told.tokens)]) <= 0.1
        short = model.decode(
            encoded, Prompt("en", alone.tokens[:2], before[:count]), most_tokens=3
        )[0]
        assert (len(short.tokens), short.is_cut) == (3, True)
