"""Which words are stable."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.core.agreement import LocalAgreement


def test_words_become_stable_when_two_interims_agree():
    """What two successive interims both say is stable, but for the last word."""
    agreement = LocalAgreement()
    agreement.update(["the", "train"])
    assert agreement.stable_words == ()
    agreement.update(["the", "train", "to", "the"])
    assert agreement.stable_words == ("the", "train")
    agreement.update(["the", "train", "two", "the", "coast"])
    assert agreement.stable_words == ("the", "train")


def test_case_and_punctuation_do_not_stand_against_agreement():
    """Words agree if they sound alike; the newer spelling is kept."""
    agreement = LocalAgreement()
    agreement.update(["hello.", "How"])
    agreement.update(["Hello,", "how", "are"])
    assert agreement.stable_words == ("Hello,", "how")


@given(st.lists(st.lists(st.sampled_from(["a", "A,", "b", "c.", "d"]), max_size=8)))
def test_stable_words_are_never_taken_back(interims):
    """Stable words only grow, and what is shown always begins with them."""
    agreement = LocalAgreement()
    stable: tuple[str, ...] = ()
    for words in interims:
        shown = agreement.update(words)
        assert stable == agreement.stable_words[: len(stable)]
        stable = agreement.stable_words
        assert stable == shown[: len(stable)]
        assert len(shown) >= len(words)
