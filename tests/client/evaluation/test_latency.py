"""Delays of hearings that are written out."""

import pytest

from client.evaluation.latency import delays, distribution
from tests.client.evaluation.hearings import final, hearing, interim


def near(*values_s):
    return pytest.approx(values_s)


def test_each_delay_counts_from_the_word_that_it_is_about():
    """Shown by an interim, stable by another, final by the final; the sender as it was."""
    found = delays(
        hearing(
            interim(0.9, "Good"),
            interim(1.5, "Good mourning", stable="Good"),
            interim(2.0, "Good morning", stable="Good"),
            final(3.0, "Good morning.", (0.5, 1.0)),
            duration_s=2.5,
            lateness_s=(0.0, 0.1),
        ),
        "good morning",
    )
    assert found.first_interim_s == near(0.4)
    assert found.word_shown_s == near(0.4, 1.0)
    assert found.word_stable_s == near(1.0, 2.0)
    assert found.final_after_speech_s == near(2.0)
    assert found.final_after_close_s == near(0.5)
    assert found.sender_lateness_s == (0.0, 0.1)


def test_only_words_of_the_reference_are_timed():
    """A word that is heard wrongly has no place in the reference, and no delay."""
    found = delays(hearing(final(2.0, "bad morning", (0.5, 1.0))), "good morning")
    assert found.word_shown_s == near(1.0)
    assert found.first_interim_s == ()


def test_a_word_that_the_next_segment_takes_over_was_shown_before():
    """What an interim showed beyond the end of its segment is not shown anew by the next."""
    found = delays(
        hearing(
            interim(2.0, "one two three"),
            final(3.0, "One two.", (0.5, 1.0)),
            interim(3.5, "three", segment=1),
            final(4.0, "Three.", (1.5,), segment=1),
        ),
        "one two three",
    )
    assert found.word_shown_s == near(1.5, 1.0, 0.5)


def test_a_word_said_twice_is_not_shown_the_second_time_by_the_first():
    """The second of two equal words counts from its own place."""
    found = delays(
        hearing(
            interim(0.6, "the"),
            interim(2.1, "the cat the"),
            final(3.0, "the cat the", (0.5, 1.0, 2.0)),
        ),
        "the cat the",
    )
    assert found.word_shown_s == near(0.1, 1.1, 0.1)


def test_without_word_ends_only_the_half_close_is_measured():
    """A model that cannot place words has no word delays, and is not an error."""
    found = delays(hearing(interim(1.0, "one"), final(11.0, "One.")), "one")
    assert found.word_shown_s == found.first_interim_s == found.final_after_speech_s == ()
    assert found.final_after_close_s == near(1.0)


def test_a_final_before_the_half_close_is_not_after_it():
    """Where the endpoint came first, nothing was waited for after the half-close."""
    assert delays(hearing(final(9.0, "One.", (8.0,))), "one").final_after_close_s == ()


def test_distribution():
    """Percentiles of what there is; none of nothing."""
    assert distribution([]) is None
    found = distribution([float(value) for value in range(101)])
    assert (found.p50_s, found.p95_s, found.p99_s, found.max_s) == (50, 95, 99, 100)
    assert found.curve_s[:3] == (0, 2, 4)
