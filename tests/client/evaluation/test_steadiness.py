"""What did not last, of hearings that are written out."""

from hypothesis import given
from hypothesis import strategies as st

from client.evaluation.steadiness import steadiness, total
from tests.client.evaluation.hearings import final, hearing, interim


def test_changed_and_vanished_words_are_unstable():
    """One word that changes and one that goes, over four words of the final."""
    found = steadiness(
        hearing(
            interim(1, "I scream"),
            interim(2, "ice cream is"),
            interim(3, "ice cream"),
            final(4, "Ice cream, it is."),
        )
    )
    assert (found.unstable_words, found.final_words) == (3, 4)
    assert found.unstable_partial_word_ratio == 0.75


def test_one_changed_word_is_one():
    """What stands behind a changed word was not changed."""
    found = steadiness(hearing(interim(1, "one to three four"), final(2, "One two three four.")))
    assert found.unstable_words == 1


def test_a_retraction_is_counted():
    """An interim must begin with what an earlier one of its segment promised."""
    found = steadiness(
        hearing(
            interim(1, "One two", stable="One"),
            interim(2, "On the", stable=""),
            interim(3, "Two", segment=1),
            final(4, "One two."),
            final(5, "Two.", segment=1),
        )
    )
    assert found.retractions == 1


def test_a_stable_word_that_the_final_changes():
    """Case and marks may change, words may not."""
    found = steadiness(
        hearing(interim(1, "for onions and more", stable="for onions"), final(2, "Four onions."))
    )
    assert (found.stable_words, found.changed_stable_words) == (2, 1)
    assert found.changed_stable_share == 0.5


def test_words_that_the_next_segment_takes_over_are_not_lost():
    """A segment cut at its longest duration leaves its last words to the next."""
    found = steadiness(
        hearing(
            interim(1, "stir it well so that nothing", stable="stir it well so that"),
            final(2, "Stir it well."),
            interim(3, "so that nothing sticks", segment=1),
            final(4, "So that nothing sticks.", segment=1),
        )
    )
    assert (found.unstable_words, found.changed_stable_words) == (0, 0)


def test_a_segment_without_a_final_lost_everything():
    """Words that were shown and never came are unstable, and changed if they were promised."""
    found = steadiness(hearing(interim(1, "what was that", stable="what was")))
    assert (found.unstable_words, found.changed_stable_words) == (3, 2)
    assert found.unstable_partial_word_ratio is None


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=15))
def test_text_that_only_grows_is_steady(words):
    """Interims that each add a word, all stable, have nothing to answer for."""
    growing = [" ".join(words[: count + 1]) for count in range(len(words))]
    events = [interim(float(n), text, stable=text) for n, text in enumerate(growing)]
    found = steadiness(hearing(*events, final(99.0, growing[-1])))
    assert (found.unstable_words, found.retractions, found.changed_stable_words) == (0, 0, 0)
    assert total([found, found]).final_words == 2 * len(words)
