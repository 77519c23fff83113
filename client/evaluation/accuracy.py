"""Word and character errors of each clip, and what they add up to.

Texts are normalized by whisper-normalizer and aligned by jiwer, both as they are installed.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import jiwer

from client.evaluation.significance import Interval, rate_interval

TOP_ERRORS = 10


class Normalizer(StrEnum):
    """How texts are made alike before they are compared."""

    ENGLISH = "english"
    BASIC = "basic"
    NONE = "none"

    def describe(self) -> str:
        """Name the implementation, for reports."""
        match self:
            case Normalizer.ENGLISH:
                return "whisper-normalizer, EnglishTextNormalizer"
            case Normalizer.BASIC:
                return "whisper-normalizer, BasicTextNormalizer"
            case Normalizer.NONE:
                return "none"

    def load(self) -> Callable[[str], str]:
        """Make the function."""
        match self:
            case Normalizer.ENGLISH:
                from whisper_normalizer.english import EnglishTextNormalizer

                normalize: Callable[[str], str] = EnglishTextNormalizer()
            case Normalizer.BASIC:
                from whisper_normalizer.basic import BasicTextNormalizer

                normalize = BasicTextNormalizer()
            case Normalizer.NONE:
                normalize = str
        return lambda text: " ".join(normalize(text).split())


class Step(StrEnum):
    """What happened to a piece of the reference."""

    RIGHT = "right"
    SUBSTITUTED = "substituted"
    INSERTED = "inserted"
    DELETED = "deleted"


_STEPS = {
    "equal": Step.RIGHT,
    "substitute": Step.SUBSTITUTED,
    "insert": Step.INSERTED,
    "delete": Step.DELETED,
}


@dataclass(frozen=True)
class Piece:
    """One word of an alignment: said, heard or both."""

    step: Step
    said: str
    heard: str


@dataclass(frozen=True)
class Comparison:
    """One clip's text against its reference, both normalized."""

    pieces: tuple[Piece, ...]
    character_errors: int
    characters: int

    @property
    def words(self) -> int:
        """Words of the reference."""
        return sum(piece.step is not Step.INSERTED for piece in self.pieces)

    @property
    def word_errors(self) -> int:
        """Substitutions, insertions and deletions."""
        return sum(piece.step is not Step.RIGHT for piece in self.pieces)


def compare(reference: str, hypothesis: str) -> Comparison:
    """Compare two normalized texts; the reference is not empty."""
    said, heard = reference.split(), hypothesis.split()
    chunks = jiwer.process_words(reference, hypothesis).alignments[0]
    pieces = [
        Piece(
            _STEPS[chunk.type],
            said[chunk.ref_start_idx + offset] if chunk.type != "insert" else "",
            heard[chunk.hyp_start_idx + offset] if chunk.type != "delete" else "",
        )
        for chunk in chunks
        for offset in range(
            max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
        )
    ]
    output = jiwer.process_characters(reference, hypothesis)
    return Comparison(
        pieces=tuple(pieces),
        character_errors=output.substitutions + output.insertions + output.deletions,
        characters=output.hits + output.substitutions + output.deletions,
    )


@dataclass(frozen=True)
class Count:
    """How often an error was made."""

    said: str
    heard: str
    times: int


@dataclass(frozen=True)
class Accuracy:
    """Errors over some clips. Rates are shares of the reference's words or characters."""

    clips: int
    words: int
    substitutions: int
    insertions: int
    deletions: int
    wer: Interval
    cer: Interval


def accuracy(comparisons: Sequence[Comparison], seed: int) -> Accuracy:
    """Add up the errors of at least one clip."""
    steps = Counter(piece.step for comparison in comparisons for piece in comparison.pieces)
    return Accuracy(
        clips=len(comparisons),
        words=sum(comparison.words for comparison in comparisons),
        substitutions=steps[Step.SUBSTITUTED],
        insertions=steps[Step.INSERTED],
        deletions=steps[Step.DELETED],
        wer=rate_interval(
            [comparison.word_errors for comparison in comparisons],
            [comparison.words for comparison in comparisons],
            seed,
        ),
        cer=rate_interval(
            [comparison.character_errors for comparison in comparisons],
            [comparison.characters for comparison in comparisons],
            seed,
        ),
    )


def top_errors(comparisons: Sequence[Comparison], step: Step) -> tuple[Count, ...]:
    """List the most frequent errors of one kind; ties in the order of the alphabet."""
    times = Counter(
        (piece.said, piece.heard)
        for comparison in comparisons
        for piece in comparison.pieces
        if piece.step is step
    )
    ranked = sorted(times.items(), key=lambda item: (-item[1], item[0]))[:TOP_ERRORS]
    return tuple(Count(said, heard, number) for (said, heard), number in ranked)
