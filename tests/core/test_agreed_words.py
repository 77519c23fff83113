"""Agreed words stand at the begin of every later reading."""

from __future__ import annotations

import pytest

from service.core.agreed_words import beginning_with
from service.core.hypothesis import Word


@pytest.mark.parametrize(
    ("stable", "heard", "shown"),
    [
        ("", "a b", "a b"),
        ("a b", "a b c", "a b c"),
        ("a b", "ab c d", "a b c d"),
        ("every one is", "everyone is here now", "every one is here now"),
        ("everyone is", "every one is here", "everyone is here"),
        ("a b", "", "a b"),
        ("a b", "x", "a b"),
    ],
)
def test_agreed_words_stay_and_what_follows_is_not_doubled(stable, heard, shown):
    """Words go on behind the stable ones, though the newest hearing parts them otherwise."""
    words = beginning_with(stable.split(), [Word(text) for text in heard.split()])
    assert " ".join(word.text for word in words) == shown
