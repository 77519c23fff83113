"""From the frames of a CTC model to tokens and words; pure functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from service.core.hypothesis import Word
from service.recognizers.transformers_stitch import Frames

WORD_BEGIN: Final = ("\u2581", "\u0120")
"""With these a token begins that begins a word: SentencePiece's, and byte-level BPE's."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token, and the frames in which it was heard."""

    index: int
    """In the vocabulary."""
    first_frame: int
    end_frame: int
    """One past its last."""
    log_probability: float
    """In its most certain frame."""

    def later(self, frames: int) -> Token:
        """Return the token, heard so many frames later."""
        return replace(
            self, first_frame=self.first_frame + frames, end_frame=self.end_frame + frames
        )


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a CTC model's outputs stand for."""

    blank: int
    """The output that stands for no token."""
    delimiter: int | None
    """The token between words, if there is one."""
    word_begins: frozenset[int]
    """Tokens that begin a word."""
    silent: frozenset[int]
    """Tokens that stand for no text."""
    spell: Callable[[Sequence[int]], str]
    """Gives the text of a word's tokens."""
    letters: frozenset[str] = frozenset()
    """All that words may be made of, in lower case."""

    def text(self, indices: Sequence[int]) -> str:
        """Return the text of tokens, its words parted by one space."""
        spelled = (self.spell([indices[at] for at in word]) for word in self._split(indices))
        return " ".join(" ".join(spelled).split())

    def words(self, tokens: Sequence[Token], frame_s: float, end_s: float) -> tuple[Word, ...]:
        """Return words with their places and confidences.

        Args:
            tokens: From ``best_path``.
            frame_s: Seconds from frame to frame.
            end_s: Where the segment ends; no word reaches further.
        """
        words: list[Word] = []
        for positions in self._split([token.index for token in tokens]):
            word = [tokens[at] for at in positions]
            start_s = min(word[0].first_frame * frame_s, end_s)
            stop_s = min(word[-1].end_frame * frame_s, end_s)
            spelled = self.spell([token.index for token in word])
            words += [Word(text, start_s, stop_s, confidence(word)) for text in spelled.split()]
        return tuple(words)

    def _split(self, indices: Sequence[int]) -> list[list[int]]:
        """Return the positions of each word's tokens."""
        words: list[list[int]] = [[]]
        for at, index in enumerate(indices):
            if index == self.delimiter or index in self.word_begins:
                words.append([])
            if index != self.delimiter and index not in self.silent:
                words[-1].append(at)
        return [word for word in words if word]


def best_path(frames: Frames, blank: int, first_frame: int = 0) -> list[Token]:
    """Return the tokens of each frame's most probable output, repetitions merged.

    Graves et al., "Connectionist Temporal Classification" (ICML 2006), section 3.2.

    Args:
        frames: Log-probabilities, shape (frames, vocabulary).
        blank: The output that stands for no token.
        first_frame: Frames before it are context: they are not answered, nor is a token
            that begins in them. Places are counted from here.
    """
    if not len(frames):
        return []
    best = frames.argmax(axis=1)
    log_probabilities = frames[np.arange(len(best)), best]
    begins = np.flatnonzero(np.concatenate([[True], best[1:] != best[:-1]]))
    peaks = np.maximum.reduceat(log_probabilities, begins)
    runs = zip(
        best[begins].tolist(),
        begins.tolist(),
        [*begins[1:].tolist(), len(best)],
        peaks.tolist(),
        strict=True,
    )
    return [
        Token(index, begin - first_frame, end - first_frame, peak)
        for index, begin, end, peak in runs
        if index != blank and begin >= first_frame
    ]


def align(frames: Frames, indices: Sequence[int], blank: int) -> list[Token]:
    """Return where tokens that are known were heard: the most probable path through them.

    Graves et al., as above, section 4.1, with the best path in place of the sum over all.
    If there are too few frames for all of them, no token is returned.
    """
    if not indices:
        return []
    # Between tokens, before and behind them there may be blanks; these are the states.
    states = np.full(2 * len(indices) + 1, blank)
    states[1::2] = indices
    may_skip = np.zeros(len(states), dtype=bool)
    may_skip[3::2] = states[3::2] != states[1:-2:2]
    scores = np.full(len(states), -np.inf)
    scores[:2] = frames[0, states[:2]]
    steps = np.zeros((len(frames), len(states)), dtype=np.int8)
    for at in range(1, len(frames)):
        choices = np.full((3, len(states)), -np.inf)
        choices[0] = scores
        choices[1, 1:] = scores[:-1]
        choices[2, 2:] = np.where(may_skip[2:], scores[:-2], -np.inf)
        steps[at] = choices.argmax(axis=0)
        scores = choices.max(axis=0) + frames[at, states]
    state = len(states) - 1 if scores[-1] >= scores[-2] else len(states) - 2
    if scores[state] == -np.inf:
        return []
    places: list[list[int]] = [[] for _ in indices]
    for at in range(len(frames) - 1, -1, -1):
        if state % 2:
            places[state // 2].append(at)
        state -= int(steps[at, state])
    return [
        Token(index, heard[-1], heard[0] + 1, float(frames[heard, index].max()))
        for index, heard in zip(indices, places, strict=True)
    ]


def own_frames(frames: Frames, blank: int, first_frame: int) -> int:
    """Return the first frame behind the context and behind a token that began in it."""
    if not first_frame:
        return 0
    best = frames[first_frame - 1 :].argmax(axis=1)
    if best[0] == blank:
        return first_frame
    others = np.flatnonzero(best != best[0])
    return first_frame - 1 + int(others[0] if len(others) else len(best))


def confidence(tokens: Sequence[Token]) -> float | None:
    """Return the geometric mean of the tokens' probabilities; None without tokens."""
    if not tokens:
        return None
    mean = sum(token.log_probability for token in tokens) / len(tokens)
    return math.exp(min(0.0, mean))


def read_vocabulary(tokenizer: Any, blank: int) -> Vocabulary:  # noqa: ANN401
    """Find out what outputs stand for.

    Args:
        tokenizer: Of transformers: characters with a delimiter between words, or pieces of
            words whose first is marked.
        blank: The output that stands for no token.
    """
    size = len(tokenizer)
    pieces: list[str] = list(tokenizer.convert_ids_to_tokens(range(size)))
    delimiter_piece = getattr(tokenizer, "word_delimiter_token", None)
    delimiter = pieces.index(delimiter_piece) if delimiter_piece in pieces else None
    begins = [at for at, piece in enumerate(pieces) if piece.startswith(WORD_BEGIN)]
    silent = {blank, *tokenizer.all_special_ids} - {delimiter}
    is_lower = getattr(tokenizer, "do_lower_case", False)

    def spell_characters(tokens: Sequence[int]) -> str:
        text = "".join(pieces[token] for token in tokens)
        return text.lower() if is_lower else text

    def spell_pieces(tokens: Sequence[int]) -> str:
        text = tokenizer.convert_tokens_to_string([pieces[token] for token in tokens])
        return str(text).strip()

    spell = spell_characters if delimiter is not None or not begins else spell_pieces
    return Vocabulary(
        blank=blank,
        delimiter=delimiter,
        word_begins=frozenset(begins if delimiter is None else ()),
        silent=frozenset(silent),
        spell=spell,
        letters=frozenset(
            letter for at in range(size) if at not in silent for letter in spell([at]).lower()
        ),
    )
