"""Cutting final results into pieces that fit on a screen for a few seconds."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from client.messages import to_seconds
from protos.asr.v1.asr_pb2 import Result, Word

LINE_CHARACTERS = 42
MAX_LINES = 2
"""The common measures for subtitles. A single longer word stays whole."""

MAX_DURATION_S = 7.0
"""The common measure for how long a cue may stand."""

LONG_PAUSE_S = 1.0
"""A gap between two words after which the second deserves a cue of its own."""

_SENTENCE_ENDS = (".", "!", "?", "…")


@dataclass(frozen=True)
class Cue:
    """A piece of text and when to show it, in milliseconds from the begin of the stream."""

    start_ms: int
    end_ms: int
    text: str


class Cutter:
    """Cuts the finals of one stream. Cues never overlap and always last at least 1 ms."""

    def __init__(self) -> None:
        """Begin with the first final of a stream."""
        self._end_ms = 0

    def cut(self, result: Result) -> Iterator[Cue]:
        """Cut one final result: by its words where it has them, otherwise it stays whole."""
        if not result.words:
            yield self._cue(
                to_seconds(result.start_offset), to_seconds(result.end_offset), result.text
            )
            return
        for words in _balanced(_groups(result.words)):
            yield self._cue(
                to_seconds(words[0].start_offset),
                to_seconds(words[-1].end_offset),
                _text(words),
            )

    def _cue(self, start_s: float, end_s: float, text: str) -> Cue:
        start_ms = max(round(start_s * 1000), self._end_ms)
        self._end_ms = max(round(end_s * 1000), start_ms + 1)
        return Cue(start_ms, self._end_ms, " ".join(text.split()))


def _groups(words: Sequence[Word]) -> Iterator[list[Word]]:
    """Group words so that each group makes a cue."""
    group: list[Word] = []
    for word in words:
        if group and _ends_cue(group, word):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _balanced(groups: Iterable[list[Word]]) -> Iterator[list[Word]]:
    """Share words out anew where a full cue would leave a word or two to the next one."""
    before: list[Word] = []
    for group in groups:
        is_run_on = before and not before[-1].text.endswith(_SENTENCE_ENDS)
        if is_run_on and _gap_s(before[-1], group[0]) <= LONG_PAUSE_S:
            while len(_text(group)) + len(before[-1].text) < len(_text(before[:-1])):
                group.insert(0, before.pop())
        if before:
            yield before
        before = group
    if before:
        yield before


def _text(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)


def _gap_s(word: Word, following: Word) -> float:
    return to_seconds(following.start_offset) - to_seconds(word.end_offset)


def _ends_cue(group: list[Word], following: Word) -> bool:
    """Whether a cue ends before the following word."""
    text = _text(group)
    if len(lines(f"{text} {following.text}")) > MAX_LINES:
        return True
    if to_seconds(following.end_offset) - to_seconds(group[0].start_offset) > MAX_DURATION_S:
        return True
    if _gap_s(group[-1], following) > LONG_PAUSE_S:
        return True
    # A sentence ends the cue once the cue is worth reading alone.
    return text.endswith(_SENTENCE_ENDS) and len(text) > LINE_CHARACTERS


def lines(text: str) -> list[str]:
    """Break a text into lines as they stand on the screen; no word is broken."""
    return textwrap.wrap(text, LINE_CHARACTERS, break_long_words=False, break_on_hyphens=False)
