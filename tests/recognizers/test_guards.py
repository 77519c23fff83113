"""What tells speech from loops and signs."""

from service.recognizers.guards import (
    before_loop,
    before_second_turn,
    has_words,
    repeats,
    without_loops,
)


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


def test_what_stands_before_a_loop_is_kept_with_its_first_turn():
    """Of text that was cut at its longest; what says nothing twice has no loop to leave out."""
    said = ["he", "turned", "off", "the", "light", "in", "the", "kitchen"]
    loop = ["and", "he", "was", "about", "to", "leave", "or"]
    assert before_loop([*said, *loop, *loop, *loop[:3]]) == [*said, *loop]
    assert before_loop([*said, *loop]) is None
    assert before_loop(["no", "no", "no"]) is None


def test_an_interim_ends_before_a_phrase_that_is_said_again():
    """However much of its second turn, or of further ones, is there."""
    said, turn = ["so"], ["at", "year", "end", "we", "counted", "6,000"]
    for again in range(4, 15):
        text = [*said, *turn, *(turn * 3)[:again]]
        assert before_second_turn(text) == [*said, *turn]


def test_what_is_not_yet_said_again_is_kept():
    """A few words may begin two clauses, and emphasis is short."""
    for text in (
        "it was the best of times it was the",
        "it was the age of wisdom it was the age of foolishness",
        "no no no no",
        "",
    ):
        assert before_second_turn(text.split()) == text.split()
