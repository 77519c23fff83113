"""Readings of a search become words."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.recognizers.deepspeech_model import Reading
from service.recognizers.deepspeech_words import hypothesis_of


def _reading(text: str, probability: float = 1.0, start_s: float = 0.0) -> Reading:
    """Return a reading with a letter each 100 ms."""
    times_s = tuple(start_s + 0.1 * index for index in range(len(text)))
    return Reading(tuple(letter.encode() for letter in text), times_s, math.log(probability))


def test_words_lie_between_their_spaces():
    """A word begins at its first letter and ends at the space; the last one a step after it."""
    words = hypothesis_of([_reading("go on")], 0, 1.0).words
    places = [(word.text, word.start_s, word.end_s) for word in words]
    assert places == [("go", 0.0, 0.2), ("on", pytest.approx(0.3), pytest.approx(0.42))]


def test_a_first_letter_is_not_dated_to_the_silence_before():
    """The first word begins near its second letter, however early the search began."""
    reading = Reading((b"g", b"o"), (0.0, 3.0), 0.0)
    (word,) = hypothesis_of([reading], 0, 5.0).words
    assert word.start_s == pytest.approx(2.9)


@pytest.mark.parametrize("text", ["", " ", "   "])
def test_spaces_are_no_words(text):
    """A reading of nothing but spaces is silence, whatever else was kept."""
    assert hypothesis_of([_reading(text), _reading("a", 0.1)], 5, 1.0).words == ()


def test_readings_that_spell_the_same_text_count_as_one():
    """Spaces at the edges make no other text: its probabilities are added up."""
    readings = [_reading("go", 0.5), _reading("no", 0.3), _reading("go ", 0.2)]
    heard = hypothesis_of(readings, 5, 1.0)
    assert heard.confidence == pytest.approx(0.7)
    assert [other.text for other in heard.alternatives] == ["no"]
    assert heard.alternatives[0].confidence == pytest.approx(0.3)


def test_a_word_is_as_certain_as_the_readings_that_have_it_there():
    """A word counts in another reading at its own time only."""
    readings = [_reading("go on", 0.6), _reading("so on", 0.3), _reading("on the go", 0.1)]
    words = hypothesis_of(readings, 0, 1.0).words
    assert [word.confidence for word in words] == [pytest.approx(0.6), pytest.approx(0.9)]


def test_letters_of_several_bytes_are_put_together():
    """A model of bytes spells a letter in pieces."""
    reading = Reading((b"\xc3", b"\xa9", b"t", b"\xc3", b"\xa9"), (0.1,) * 5, 0.0)
    assert hypothesis_of([reading], 0, 1.0).text == "été"


@given(
    scores=st.lists(st.floats(-1e6, 50), min_size=1, max_size=16),
    texts=st.lists(st.text("ab ", max_size=12), min_size=16, max_size=16),
    end_s=st.floats(0.0, 2.0),
)
def test_any_readings_give_a_sound_hypothesis(scores, texts, end_s):
    """Confidences lie in 0 to 1, places rise within the segment, alternatives differ."""
    readings = [
        Reading(
            tuple(char.encode() for char in text),
            tuple(0.05 * i for i in range(12))[: len(text)],
            score,
        )
        for score, text in zip(sorted(scores, reverse=True), texts, strict=False)
    ]
    heard = hypothesis_of(readings, 3, end_s)
    others = [other.text for other in heard.alternatives]
    assert len(others) <= 3
    assert len({heard.text, *others}) == 1 + len(others)
    assert all(0 <= other.confidence <= 1 for other in heard.alternatives)
    places = [place for word in heard.words for place in (word.start_s, word.end_s)]
    assert places == sorted(places)
    assert all(0 <= place <= end_s for place in places)
