"""What is known beside the audio: phrases that are likely, and a language model of words.

Shallow fusion: while text is searched for, its score gains what is known of it. Pure
functions of the text so far, which the search carries along as a state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from service.core.hypothesis import Phrase
from service.recognizers.transformers_tokens import Vocabulary

WORD_END: Final = " "
"""Stands behind each word of a phrase, so that "art" is not found in "artist"."""


class LanguageModel(Protocol):
    """Tells how probable words are behind other words. States are values."""

    def start(self, history: Sequence[str]) -> Any:  # noqa: ANN401
        """Return the state behind these words; without words, that of a sentence's begin."""

    def score(self, state: Any, word: str) -> tuple[float, Any]:  # noqa: ANN401
        """Return what a word adds to the text's score, and the state behind it."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a text so far."""

    settled: float = 0.0
    """Score of its whole words and phrases."""
    model_state: Any = None
    word: str = ""
    """Letters of the word that is not whole yet."""
    matches: tuple[tuple[int, int], ...] = ()
    """Phrases that may be going on: their number, and how many letters of them are there."""
    hoped: float = 0.0
    """Part of a phrase's boost, by its letters so far; lost if it goes on otherwise."""

    @property
    def score(self) -> float:
        """What the text gains in the search, a natural logarithm."""
        return self.settled + self.hoped


class Fusion:
    """Follows texts token by token, for one segment."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        phrases: Sequence[Phrase] = (),
        model: LanguageModel | None = None,
        history: Sequence[str] = (),
    ) -> None:
        """Prefer these phrases, and words that the model finds probable behind the history.

        A phrase gains its boost once for each of its words. Letters that the vocabulary lacks,
        and case, do not count.
        """
        self._vocabulary = vocabulary
        self._model = model
        state = model.start(history) if model else None
        self.nothing: Final = Known(model_state=state)
        """What is known before any token."""
        self._phrases = [
            (letters, phrase.boost * letters.count(WORD_END))
            for phrase in phrases
            if (letters := self._letters(phrase.text))
        ]

    def extend(self, known: Known, token: int) -> Known:
        """Return what is known with one more token behind the text."""
        vocabulary = self._vocabulary
        if token == vocabulary.delimiter or token in vocabulary.word_begins:
            known = self.end_word(known)
        if token == vocabulary.delimiter or token in vocabulary.silent:
            return known
        for letter in vocabulary.spell([token]):
            known = self._follow(known, letter.lower(), is_first=not known.word)
            known = replace(known, word=known.word + letter)
        return known

    def end_word(self, known: Known) -> Known:
        """Return what is known once the word is whole, which the end of the text makes it."""
        if not known.word:
            return known
        word, known = known.word, self._follow(known, WORD_END, is_first=False)
        if self._model is None:
            return replace(known, word="")
        score, state = self._model.score(known.model_state, word)
        return replace(known, settled=known.settled + score, model_state=state, word="")

    def _follow(self, known: Known, letter: str, *, is_first: bool) -> Known:
        """Go on with the phrases that have this letter next, and bank those that are whole."""
        if not self._phrases:
            return known
        begun = [(number, 0) for number in range(len(self._phrases))] if is_first else []
        settled, hoped, matches = known.settled, 0.0, []
        for number, there in (*known.matches, *begun):
            letters, boost = self._phrases[number]
            if letters[there] != letter:
                continue
            if there + 1 == len(letters):
                settled += boost
                continue
            matches.append((number, there + 1))
            hoped = max(hoped, boost * (there + 1) / len(letters))
        return replace(known, settled=settled, matches=tuple(matches), hoped=hoped)

    def _letters(self, text: str) -> str:
        known = self._vocabulary.letters
        words = ("".join(filter(known.__contains__, word)) for word in text.lower().split())
        return "".join(word + WORD_END for word in words if word)
