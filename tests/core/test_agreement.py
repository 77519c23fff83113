"""Which words are agreed on, stable, and shown."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.core.agreement import Agreement

hearings = st.lists(
    st.tuples(
        st.sampled_from(["interim", "confirm", "confirm in silence"]),
        st.lists(st.sampled_from(["a", "A,", "b", "b'd", "c.", "d"]), max_size=8),
    )
)


def _hear(agreement: Agreement, kind: str, words: list[str]) -> tuple[str, ...]:
    if kind == "interim":
        return agreement.interim(words)
    return agreement.confirm(words, is_silent=kind == "confirm in silence")


def test_two_interims_agree_but_for_the_last_word():
    """What two successive interims both say is agreed on, and stays so in later interims."""
    agreement = Agreement(confirms=True)
    agreement.interim(["the", "train"])
    assert agreement.agreed_words == ()
    agreement.interim(["the", "train", "to", "the"])
    assert agreement.agreed_words == ("the", "train")
    assert agreement.interim(["the", "rain", "two", "the", "coast"])[:2] == ("the", "train")


def test_case_and_punctuation_do_not_stand_against_agreement():
    """Words agree if they sound alike; the newer spelling is kept."""
    agreement = Agreement(confirms=True)
    agreement.interim(["hello.", "How"])
    agreement.interim(["Hello,", "how", "are"])
    assert agreement.agreed_words == ("Hello,", "how")


def test_agreed_words_are_stable_once_a_confirming_decode_bears_them_out():
    """Interims alone promise nothing, and the four newest words are not promised yet."""
    agreement = Agreement(confirms=True)
    for _ in range(3):
        agreement.interim(["the", "train", "to", "the", "coast"])
    assert agreement.stable_words == ()
    agreement.confirm(["The", "train", "to", "the", "coast", "is"], is_silent=False)
    assert agreement.stable_words == ("The", "train")
    assert agreement.agreed_words == ("The", "train", "to", "the")


def test_a_confirming_decode_corrects_what_interims_agreed_on():
    """It hears more: later interims go on from its words, of which none is promised yet."""
    agreement = Agreement(confirms=True)
    for _ in range(2):
        agreement.interim(["the", "rain", "to", "the", "coast"])
    agreement.confirm(["the", "train", "to", "the", "coast"], is_silent=False)
    assert agreement.stable_words == ("the",)
    assert agreement.agreed_words == ("the", "train", "to")


def test_without_confirming_decodes_agreed_words_are_stable():
    """A recognizer that cannot confirm promises what its interims agree on."""
    agreement = Agreement(confirms=False)
    agreement.interim(["the", "train"])
    agreement.interim(["the", "train", "to"])
    assert agreement.stable_words == ("the", "train")


@pytest.mark.parametrize("kind", ["interim", "confirm"])
def test_a_new_last_word_is_not_shown_at_once(kind):
    """Its audio may be cut; it is shown when it is there once more, or is not the last."""
    agreement = Agreement(confirms=True)
    assert agreement.interim(["the"]) == ("the",)
    assert _hear(agreement, kind, ["the", "tray"]) == ("the",)
    assert _hear(agreement, kind, ["the", "train"]) == ("the",)
    assert _hear(agreement, kind, ["the", "train"]) == ("the", "train")
    assert _hear(agreement, kind, ["the", "train", "to", "a"]) == ("the", "train", "to")


def test_silence_shows_the_last_word():
    """A word that silence follows is whole."""
    agreement = Agreement(confirms=True)
    agreement.interim(["the"])
    assert agreement.confirm(["the", "train"], is_silent=True) == ("the", "train")


def test_a_settled_word_may_grow():
    """A recognizer may write on at the last word that it was given."""
    agreement = Agreement(confirms=True)
    agreement.interim(["I", "like"])
    agreement.interim(["I", "like", "it"])
    assert agreement.agreed_words == ("I", "like")
    assert agreement.interim(["I", "like,", "and", "how"]) == ("I", "like,", "and")


@given(st.booleans(), hearings)
@example(
    confirms=False,
    hearings=[
        ("interim", ["a", "b"]),
        ("interim", ["a", "b", "a"]),
        # The last agreed word has grown, which does not make it a new one.
        ("interim", ["a", "b'd"]),
    ],
)
def test_stable_text_is_never_taken_back(confirms, hearings):
    """Stable text only grows, and whatever is shown begins with it."""
    agreement = Agreement(confirms=confirms)
    before = ""
    for kind, words in hearings:
        shown = _hear(agreement, kind, words)
        stable = " ".join(agreement.stable_words)
        assert stable.startswith(before)
        assert " ".join(shown).startswith(stable)
        assert " ".join(agreement.agreed_words).startswith(stable)
        before = stable
