"""What tells speech from loops and signs."""

from service.recognizers.guards import has_words, repeats, without_loops


def test_loops_are_told_from_speech():
    """A phrase over and over is a loop; emphasis and figures of speech are not."""
    assert repeats("the end of the day " * 6)
    assert repeats("la " * 10)
    assert not repeats("no, no, no, no")
    assert not repeats("It was the best of times, it was the worst of times, it was the age")
    assert not repeats("")


def test_a_loop_is_cut_to_one_turn():
    """Of a loop its first turn is kept, and all that is around it."""
    looping = [*["so", "I", "said"], *(["to", "the", "left"] * 5), "and", "went"]
    assert without_loops(looping) == ["so", "I", "said", "to", "the", "left", "and", "went"]
    assert without_loops(["very"] * 3) == ["very"] * 3


def test_punctuation_is_no_word():
    """Signs alone are no words, in any script letters and digits are."""
    assert not has_words(" . ... !")
    assert has_words(" 5")
    assert has_words("да")
