"""How soon words are shown and how soon they are final.

All times are the client's, from the scheduled begin of the audio. Where the reference's words end
is taken from the server's own final word offsets: the finals are aligned with the reference
(jiwer, on bare words), and only words that are the same in both are timed. Words that were
recognized wrongly, and models that cannot place words, therefore have no word latency.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from client.evaluation.hearing import Final, Hearing, Interim
from client.evaluation.words import bare_words, matches

METHOD = (
    "the server's final word offsets, for words that an alignment with the fewest errors (jiwer) "
    "finds the same in the reference"
)


@dataclass(frozen=True)
class Delays:
    """Delays of one clip, in seconds."""

    first_interim_s: tuple[float, ...] = ()
    """First interim with text, after the end of the first spoken word; one or none."""

    word_shown_s: tuple[float, ...] = ()
    """First result that shows a word, after the word's end."""

    word_stable_s: tuple[float, ...] = ()
    """First result that holds a word for good, as stable text or final, after the word's end."""

    final_after_speech_s: tuple[float, ...] = ()
    """Each final, after the end of its last word. Holds the silence that ends a segment, which
    is a setting."""

    final_after_close_s: tuple[float, ...] = ()
    """The last final, after the half-close was due; one or none. None where all came before."""

    sender_lateness_s: tuple[float, ...] = ()
    """Each message, after it was due."""


LABELS = {
    "first_interim_s": "first interim after the first word",
    "word_shown_s": "word shown after its end",
    "word_stable_s": "word stable or final after its end",
    "final_after_speech_s": "final after the end of speech",
    "final_after_close_s": "last final after the half-close",
    "sender_lateness_s": "sender behind its schedule",
}
"""What the fields of `Delays` are called."""


def delays(hearing: Hearing, reference: str) -> Delays:
    """Measure one clip that was streamed at the pace of speech."""
    said = bare_words(reference)
    heard = [word for final in hearing.finals for word in final.words]
    found = matches(said, [word.text for word in heard])
    matched = set(found.values())
    shown: list[float] = []
    stable: list[float] = []
    first_index = 0
    for final in hearing.finals:
        timed = [i for i in range(len(final.words)) if first_index + i in matched]
        own = [interim for interim in hearing.interims if interim.segment == final.segment]
        shown += _emissions(final, timed, [(interim.at_s, interim.text) for interim in own])
        stable += _emissions(final, timed, [(interim.at_s, interim.stable_text) for interim in own])
        first_index += len(final.words)
    first_interim = ()
    if 0 in found and (first := _first_with_text(hearing.interims)) is not None:
        first_interim = (first.at_s - heard[found[0]].end_s,)
    last_s = max((final.at_s for final in hearing.finals), default=0.0)
    return Delays(
        first_interim_s=first_interim,
        word_shown_s=tuple(shown),
        word_stable_s=tuple(stable),
        final_after_speech_s=tuple(
            final.at_s - final.words[-1].end_s for final in hearing.finals if final.words
        ),
        final_after_close_s=(last_s - hearing.duration_s,) if last_s > hearing.duration_s else (),
        sender_lateness_s=hearing.lateness_s,
    )


def _emissions(
    final: Final, timed: Sequence[int], growing: Sequence[tuple[float, str]]
) -> list[float]:
    """Say how long after its end each timed word of a final first stood in a growing text.

    A word stands there when an alignment of that text with the final finds it in its place; one
    that never does is shown by the final.
    """
    texts = [word.text for word in final.words]
    first_s: dict[int, float] = {}
    before = ""
    for at_s, text in growing:
        if text == before:
            continue
        before = text
        for index in matches(texts, bare_words(text)):
            first_s.setdefault(index, at_s)
    return [first_s.get(index, final.at_s) - final.words[index].end_s for index in timed]


def _first_with_text(interims: Sequence[Interim]) -> Interim | None:
    return next((interim for interim in interims if interim.text.strip()), None)


@dataclass(frozen=True)
class Distribution:
    """Delays over some clips, in seconds."""

    count: int
    mean_s: float
    p50_s: float
    p95_s: float
    p99_s: float
    max_s: float
    curve_s: tuple[float, ...] = field(repr=False)
    """Every second percentile from 0 to 100, for a chart."""


def distribution(values_s: Sequence[float]) -> Distribution | None:
    """Sum up some delays; None where there are none."""
    if not values_s:
        return None
    p50, p95, p99 = np.percentile(values_s, [50, 95, 99])
    curve = np.percentile(values_s, np.linspace(0, 100, 51))
    return Distribution(
        count=len(values_s),
        mean_s=float(np.mean(values_s)),
        p50_s=float(p50),
        p95_s=float(p95),
        p99_s=float(p99),
        max_s=float(max(values_s)),
        curve_s=tuple(float(value) for value in curve),
    )


def distributions(clips: Sequence[Delays]) -> dict[str, Distribution | None]:
    """Sum up the delays of some clips, by the name of the field."""
    return {
        name: distribution([value for clip in clips for value in getattr(clip, name)])
        for name in LABELS
    }
