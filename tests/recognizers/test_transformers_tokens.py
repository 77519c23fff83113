"""Tokens, words and other readings of frames."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.recognizers.transformers_beam import readings
from service.recognizers.transformers_tokens import Vocabulary, best_path, confidence

PIECES = "-|AB"
BLANK, DELIMITER, A, B = range(4)
LETTERS = Vocabulary(
    blank=BLANK,
    delimiter=DELIMITER,
    word_begins=frozenset(),
    silent=frozenset({BLANK}),
    spell=lambda tokens: "".join(PIECES[token] for token in tokens),
)


def _frames(path: str, probability: float = 0.9) -> np.ndarray:
    frames = np.full((len(path), len(PIECES)), math.log((1 - probability) / 3), dtype=np.float32)
    frames[np.arange(len(path)), [PIECES.index(piece) for piece in path]] = math.log(probability)
    return frames


def _text(path: str, first_frame: int = 0) -> str:
    return LETTERS.text([token.index for token in best_path(_frames(path), BLANK, first_frame)])


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("", ""),
        ("----", ""),
        ("AAA", "A"),
        ("A-A", "AA"),
        ("AABB|||A-B", "AB AB"),
        ("|A||-|B|", "A B"),
        ("||", ""),
    ],
)
def test_repetitions_are_merged_and_blanks_left_out(path, text):
    """A path is read as CTC means it, and words are parted by one space."""
    assert _text(path) == text


def test_a_token_that_begins_in_the_context_is_not_the_segments():
    """A token that goes through the seam belongs to the segment that it begins in."""
    assert _text("AAAA-B", first_frame=2) == "B"
    assert _text("AA--BB", first_frame=2) == "B"


def test_words_stand_where_their_tokens_were_heard():
    """A word goes from its first token's first frame to its last token's last."""
    tokens = best_path(_frames("--AAB-||-BB-"), BLANK)
    words = LETTERS.words(tokens, frame_s=0.02, end_s=1.0)
    assert [(word.text, word.start_s, word.end_s) for word in words] == [
        ("AB", pytest.approx(0.04), pytest.approx(0.10)),
        ("B", pytest.approx(0.18), pytest.approx(0.22)),
    ]
    assert all(word.confidence == pytest.approx(0.9, abs=1e-5) for word in words)


def test_no_word_reaches_beyond_the_segment():
    """The last frame's samples may end behind the segment; its word does not."""
    (word,) = LETTERS.words(best_path(_frames("AAAA"), BLANK), frame_s=0.02, end_s=0.07)
    assert word.end_s == 0.07


def test_nothing_heard_has_no_confidence():
    """Where no token is, nothing can be said about it."""
    assert confidence([]) is None


def test_pieces_of_words_are_joined():
    """Tokens that mark a word's begin part words without a delimiter."""
    pieces = ("<blank>", "_go", "od", "_day")
    vocabulary = Vocabulary(
        blank=0,
        delimiter=None,
        word_begins=frozenset({1, 3}),
        silent=frozenset({0}),
        spell=lambda tokens: "".join(pieces[token] for token in tokens).strip("_"),
    )
    assert vocabulary.text([1, 2, 3]) == "good day"


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(0.05, 1), min_size=3, max_size=3), min_size=1, max_size=5))
def test_the_search_finds_the_most_probable_text(weights):
    """The best reading has the probability that adding up every path gives."""
    probabilities = np.array(weights) / np.sum(weights, axis=1, keepdims=True)
    totals: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(3), repeat=len(probabilities)):
        tokens = tuple(token for token, _ in itertools.groupby(path) if token != 0)
        chance = math.prod(row[token] for row, token in zip(probabilities, path, strict=True))
        totals[tokens] = totals.get(tokens, 0.0) + chance
    (best, log_probability), *_ = readings(np.log(probabilities).astype(np.float32), 0, 3)
    assert totals[best] == pytest.approx(max(totals.values()), rel=0.01)
    assert math.exp(log_probability) == pytest.approx(totals[best], rel=0.01)


def test_readings_are_different_and_in_order():
    """No reading stands twice, and they become less probable."""
    found = readings(_frames("AAB-B|A", probability=0.6), BLANK, 8)
    assert len({tokens for tokens, _ in found}) == len(found) == 8
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
