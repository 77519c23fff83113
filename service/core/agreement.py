"""Which words of a growing segment are settled: for the recognizer, and for who reads."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

HELD_WORDS = 2
"""Words at the end of a confirming decode that are heard anew with more audio behind them."""
UNPROMISED_WORDS = 4
"""Words at its end that do not become stable. With 2, 3, 4 and 5, the final had others in
place of 0.8, 1.0, 0.75 and 0.6 % of the stable words, and 978, 900, 804 and 711 of 1 606 words
were stable before it (110 clips in virtual time; 6 to 9 words, so the differences are small)."""


class Agreement:
    """Follows the interims of one segment.

    Two successive interims agree on the words at their begin, but for the last word, whose
    audio may be cut: LocalAgreement-2 of Liu et al., "Low-Latency Sequence-to-Sequence Speech
    Recognition and Translation by Partial Hypothesis Selection" (Interspeech 2020). A recognizer
    may go on from agreed words instead of hearing them again.

    Interims are cheap hearings, and agree with each other on what a final hears otherwise: of
    the words agreed on by Whisper tiny.en, 3.2 % were other words in the final, and with three
    interims 2.2 %. So words are promised as stable only when a confirming decode, one that
    hears as a final does, bears them out as well.
    """

    def __init__(self, *, confirms: bool) -> None:
        """Begin a segment.

        Args:
            confirms: Confirming decodes will come. Without them agreed words are stable.
        """
        self._confirms = confirms
        self._previous: tuple[str, ...] = ()
        self._has_shown = False
        self.agreed_words: tuple[str, ...] = ()
        """May be other words after a confirming decode."""
        self.stable_words: tuple[str, ...] = ()
        """Only grows; ``agreed_words`` begin with them."""

    def interim(self, words: Sequence[str]) -> tuple[str, ...]:
        """Take the words of the next interim.

        Returns:
            The words to show. They begin with ``stable_words``. A last word that the hearing
            before did not have is left out, for many of those are other words in the next;
            but not a segment's first word, which says that something is heard.
        """
        heard = _go_on(self.agreed_words, words)
        self.agreed_words = heard[: self._agreed_count(heard, len(self.agreed_words))]
        if not self._confirms:
            self.stable_words = self.agreed_words
        return self._show(heard, keeps_last=False)

    def confirm(self, words: Sequence[str], *, is_silent: bool) -> tuple[str, ...]:
        """Take the words of a confirming decode.

        Args:
            words: What it heard.
            is_silent: Silence follows the last word, which is therefore whole.

        Returns:
            The words to show, as of an interim; but in silence all of them.
        """
        heard = _go_on(self.stable_words, words)
        count = len(self.stable_words)
        borne_out = max(count, len(heard) - HELD_WORDS)
        if self._confirms:
            promised = min(len(heard) - UNPROMISED_WORDS, self._agreed_count(heard, count))
            self.stable_words = heard[: max(count, promised)]
        self.agreed_words = heard[:borne_out]
        return self._show(heard, keeps_last=is_silent)

    def _agreed_count(self, heard: Sequence[str], count: int) -> int:
        """Count the words that this and the previous hearing begin with; at least so many."""
        for old, new in zip(self._previous[count:], heard[count:-1], strict=False):
            if letters_of(old) != letters_of(new):
                break
            count += 1
        return count

    def _show(self, heard: tuple[str, ...], *, keeps_last: bool) -> tuple[str, ...]:
        shown = heard
        is_new = len(heard) > len(self.agreed_words) and not self._stood_before(heard)
        if is_new and not keeps_last and (len(heard) > 1 or self._has_shown):
            shown = heard[:-1]
        self._previous = heard
        self._has_shown = self._has_shown or bool(shown)
        return shown

    def _stood_before(self, heard: tuple[str, ...]) -> bool:
        """Whether the hearing before had this one's last word in the same place."""
        last = len(heard) - 1
        if not 0 <= last < len(self._previous):
            return False
        return letters_of(self._previous[last]) == letters_of(heard[last])


def _go_on(settled: tuple[str, ...], words: Sequence[str]) -> tuple[str, ...]:
    """Return what was heard with its begin as it is settled.

    The last settled word may have grown: "I" has become "I'd".
    """
    count = len(settled)
    if count and len(words) >= count and words[count - 1].startswith(settled[-1]):
        settled = (*settled[:-1], words[count - 1])
    return (*settled, *words[count:])


def letters_of(word: str) -> str:
    """Return a word as words are compared: without case and punctuation."""
    letters = "".join(char for char in word.casefold() if unicodedata.category(char)[0] in "LNM")
    return letters or word
