"""Errors of words and characters, and how sure they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.evaluation.accuracy import Normalizer, Step, accuracy, compare, top_errors
from client.evaluation.significance import (
    difference_interval,
    rate_interval,
    sign_flip_probability,
)

WORDS = st.lists(st.sampled_from(["a", "bb", "ccc"]), max_size=8)


def test_each_kind_of_error_is_counted():
    """Substitutions, insertions and deletions, and the words they happened to."""
    comparisons = [
        compare("the cat sat down", "the hat sat"),
        compare("a cat ran", "a hat ran now"),
    ]
    found = accuracy(comparisons, seed=1)
    assert (found.clips, found.words) == (2, 7)
    assert (found.substitutions, found.insertions, found.deletions) == (2, 1, 1)
    assert found.wer.value == pytest.approx(4 / 7)
    (top,) = top_errors(comparisons, Step.SUBSTITUTED)
    assert (top.said, top.heard, top.times) == ("cat", "hat", 2)
    assert [c.heard for c in top_errors(comparisons, Step.INSERTED)] == ["now"]
    assert [c.said for c in top_errors(comparisons, Step.DELETED)] == ["down"]


@given(WORDS.filter(bool), WORDS)
def test_pieces_spell_both_texts(said, heard):
    """Read along what was said or what was heard, an alignment gives back the text."""
    pieces = compare(" ".join(said), " ".join(heard)).pieces
    assert [piece.said for piece in pieces if piece.said] == said
    assert [piece.heard for piece in pieces if piece.heard] == heard


def test_normalizers():
    """English makes spellings and numbers alike, basic only case and marks, none nothing."""
    assert Normalizer.ENGLISH.load()("Colour, it's  twenty!") == "color it is 20"
    assert Normalizer.BASIC.load()("Colour,  OK!") == "colour ok"
    assert Normalizer.NONE.load()(" A  b! ") == "A b!"


COUNTS = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=1, max_size=30)


@given(COUNTS, st.integers(0, 9))
def test_an_interval_holds_its_value_and_repeats(counts, seed):
    """Bounds are around the rate, and the same seed finds the same ones."""
    errors, lengths = zip(*counts, strict=True)
    found = rate_interval(errors, lengths, seed)
    assert found.value == pytest.approx(sum(errors) / sum(lengths))
    assert found.low - 1e-9 <= found.high
    assert found == rate_interval(errors, lengths, seed)


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    """Of 200 data sets with a known rate, about 95 % of the intervals hold it."""
    import numpy as np

    random = np.random.default_rng(5)
    lengths = [10] * 60
    held = 0
    for seed in range(200):
        found = rate_interval(random.binomial(10, 0.2, 60).tolist(), lengths, seed)
        held += found.low <= 0.2 <= found.high
    assert 0.89 <= held / 200 <= 0.99


def test_a_clear_difference_is_significant_and_none_is_not():
    """Thirty clips that are all a bit worse are no chance; as many better as worse are."""
    worse = [1] * 30
    assert sign_flip_probability([0] * 30, worse, 1) < 0.001
    assert sign_flip_probability([0, 1] * 15, [1, 0] * 15, 1) > 0.9
    assert sign_flip_probability(worse, worse, 1) == 1
    found = difference_interval([0] * 30, worse, [10] * 30, 1)
    assert (found.low, found.value, found.high) == pytest.approx((0.1, 0.1, 0.1))
