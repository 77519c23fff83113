"""Which word of one text is which of another."""

from hypothesis import given
from hypothesis import strategies as st

from client.evaluation.words import bare, bare_words, kept, matches

TEXTS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=12)


def test_a_bare_word_has_no_case_and_no_marks_around_it():
    """Marks inside a word are a part of it; a lone mark is no word."""
    assert [bare(word) for word in ("“It's", "NINE-TO-FIVE,", "-", "Äpfel.")] == [
        "it's",
        "nine-to-five",
        "",
        "äpfel",
    ]
    assert bare_words(" One - two. ") == ["one", "two"]


@given(TEXTS, TEXTS)
def test_matches_are_the_same_words_in_the_same_order(first, second):
    """An alignment never crosses itself and only joins what is equal."""
    found = matches(first, second)
    assert all(first[left] == second[right] for left, right in found.items())
    assert list(found) == sorted(found)
    assert list(found.values()) == sorted(found.values())


@given(TEXTS, TEXTS)
def test_a_text_that_goes_on_keeps_every_word(first, more):
    """What only grows has lost nothing."""
    assert kept(first, [*first, *more]) == len(first)


def test_a_word_said_again_further_on_is_not_the_same():
    """A word that went is not found in a later place."""
    assert kept(["cut", "them", "in"], ["cut", "them", "into", "small", "pieces", "and", "in"]) == 2
