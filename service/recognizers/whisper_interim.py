"""Interims: the newest seconds of a growing segment in a short encoder window.

The encoder sees them and a few seconds of padding in place of 30 s. The decoder is given
the words that earlier interims agreed on and goes on from them. Words that lie far enough back are
let go with their audio; they are then what was said before, as Whisper was trained to be told of it.
The model was not trained on such windows and may fall into loops in them: the answer's length is
capped, and an interim that loops is not shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain

from service.core.agreement import letters_of
from service.core.hypothesis import SAMPLE_RATE_HZ, Hypothesis, Samples, Window
from service.recognizers.guards import (
    before_loop,
    before_second_turn,
    has_words,
    plain_words,
    repeats,
)
from service.recognizers.whisper_model import Encoded, Prompt, WhisperModel
from service.recognizers.whisper_segments import GrowingSegmentEncoder

PADDING_S = 4.0
"""Silence behind the segment in the encoder's window. With 1, 2, 4 and 8 s, 10.8, 7.8,
5.3 and 4.9 % of the words were wrong, at nearly the same cost."""
LEAST_WINDOW_S = 8.0
"""A shorter window is padded to it, for loops are most frequent at a segment's begin: of
49 segments, each heard 0.3, 0.5 and 0.75 s after its speech began, 22, 27 and 16 % had
nothing to show with 4 s of padding, and 12, 12 and 6 % with this window."""
TOKENS_PER_S = 6.0
TOKENS_BESIDE = 12
"""Speech has at most so many tokens a second, and so many more."""
LEAST_LOG_PROBABILITY = -1.5
"""An interim that is less probable is not shown. The figures at LEAST_WINDOW_S are with it;
with -1.0, as for finals, 35, 31 and 10 % had nothing to show."""

TRIM_ABOVE_S = 4.0
KEPT_S = 1.5
MOST_TOKENS_BEFORE = 60
"""When more than TRIM_ABOVE_S is heard at once, agreed words are let go with their audio,
but for the newest KEPT_S: new words need something before them. The text of what was let go is
told, the newest MOST_TOKENS_BEFORE of its tokens; what else was tried stands in docs/whisper.md."""
NEWEST_WORDS = 2
"""So many must be the same where a confirming decode changed words that had been let go."""


class InterimDecoder:
    """Decodes one growing segment again and again; remembers how far it is settled."""

    def __init__(self, model: WhisperModel, language: str) -> None:
        """Begin a segment, heard in this language."""
        self._model = model
        self._language = language
        self._settled: tuple[str, ...] = ()
        self._settled_tokens: list[int] = []
        self._begin_samples = 0
        """The settled words end here; audio before it is not heard again."""

    def decode(self, window: Window, segment: GrowingSegmentEncoder) -> Hypothesis:
        """Hear the segment so far, which this encodes."""
        agreed = window.agreed_words
        count = 0
        if len(window.samples) >= self._begin_samples:
            count = _end_among(agreed, self._settled)
        if agreed[:count] != self._settled:
            self._settle(agreed[:count], self._begin_samples if count else 0)
        samples = window.samples[self._begin_samples :]
        if not samples.any():
            return Hypothesis(plain_words(" ".join(agreed)), heard_samples=0)
        window_s = max(LEAST_WINDOW_S, len(samples) / SAMPLE_RATE_HZ + PADDING_S)
        encoded = segment.newest(window.samples, self._begin_samples, window_s)
        unsettled = agreed[count:]
        prefix = self._model.tokens(" ".join(unsettled))
        total_tokens = TOKENS_BESIDE + round(TOKENS_PER_S * len(samples) / SAMPLE_RATE_HZ)
        decoded = self._model.decode(
            encoded,
            Prompt(self._language, prefix, self._settled_tokens),
            most_tokens=max(1, total_tokens - len(prefix)),
        )[0]
        # Read together with the prefix: what was written may be the end of its last word.
        is_worded = has_words(self._model.text(decoded.tokens))
        text = self._model.text([*prefix, *decoded.tokens] if is_worded else prefix)
        words: Sequence[str] | None = before_second_turn(text.split())
        if decoded.is_cut or repeats(text):
            words = before_loop(text.split())
        if words is None or decoded.log_probability < LEAST_LOG_PROBABILITY:
            return Hypothesis(is_doubtful=True, heard_samples=encoded.encoded_samples)
        self._trim(samples, encoded, unsettled)
        confidence = min(1.0, math.exp(decoded.log_probability))
        shown = plain_words(" ".join((*agreed[:count], *words)))
        return Hypothesis(shown, confidence, heard_samples=encoded.encoded_samples)

    def _trim(self, samples: Samples, encoded: Encoded, unsettled: Sequence[str]) -> None:
        """Settle agreed words that lie far enough back, if there is too much to hear."""
        if len(samples) <= TRIM_ABOVE_S * SAMPLE_RATE_HZ or not unsettled:
            return
        tokens = [self._model.tokens(word) for word in unsettled]
        times = self._model.align(encoded, self._language, list(chain.from_iterable(tokens)))
        latest_s = len(samples) / SAMPLE_RATE_HZ - KEPT_S
        end = 0
        cut = (0, 0.0)
        # The next word's begin must be known, for there the audio is cut.
        for number, word_tokens in enumerate(tokens[:-1], start=1):
            end += len(word_tokens)
            if times[end].start_s > latest_s:
                break
            cut = (number, (times[end - 1].end_s + times[end].start_s) / 2)
        count, cut_s = cut
        if not count:
            return
        begin_samples = self._begin_samples + round(cut_s * SAMPLE_RATE_HZ)
        self._settle((*self._settled, *unsettled[:count]), begin_samples)

    def _settle(self, words: tuple[str, ...], end_samples: int) -> None:
        self._settled = words
        self._settled_tokens = self._model.tokens(" ".join(words))[-MOST_TOKENS_BEFORE:]
        self._begin_samples = end_samples


def _end_among(agreed: Sequence[str], settled: Sequence[str]) -> int:
    """Return how many of the agreed words are the settled ones; 0 if that cannot be told.

    A confirming decode may have changed settled words, made two of one or one of two; where the
    newest two still stand, their audio still ends where it did. Letter by letter, as in
    ``agreed_words``, there would always be an end, and audio would be cut where none is certain.
    """
    if tuple(agreed[: len(settled)]) == tuple(settled):
        return len(settled)
    newest = [letters_of(word) for word in settled[-NEWEST_WORDS:]]
    for shift in (0, 1, -1, 2, -2):
        end = len(settled) + shift
        words = agreed[max(0, end - NEWEST_WORDS) : max(0, end)]
        if [letters_of(word) for word in words] == newest:
            return end
    return 0
