"""How soon words are shown and how soon they are final.

All times are the client's, from the scheduled begin of the audio. Where the reference's words end
is taken from the server's own final word offsets: the finals are aligned with the reference
(jiwer, on bare words), and only words that are the same in both are timed. Words that were
recognized wrongly, and models that cannot place words, therefore have no word latency.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from client.evaluation.hearing import Hearing, Interim
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
    heard = [word for final in hearing.finals for word in final.words]
    found = matches(bare_words(reference), [word.text for word in heard])
    final_s = [final.at_s for final in hearing.finals for _ in final.words]
    shown_s = _first_shown(hearing, lambda interim: interim.text)
    stable_s = _first_shown(hearing, lambda interim: interim.stable_text)
    first_interim: tuple[float, ...] = ()
    if 0 in found and (first := _first_with_text(hearing.interims)) is not None:
        first_interim = (first.at_s - heard[found[0]].end_s,)
    last_s = max((final.at_s for final in hearing.finals), default=0.0)
    return Delays(
        first_interim_s=first_interim,
        word_shown_s=tuple(
            shown_s.get(index, final_s[index]) - heard[index].end_s for index in found.values()
        ),
        word_stable_s=tuple(
            stable_s.get(index, final_s[index]) - heard[index].end_s for index in found.values()
        ),
        final_after_speech_s=tuple(
            final.at_s - final.words[-1].end_s for final in hearing.finals if final.words
        ),
        final_after_close_s=(last_s - hearing.duration_s,) if last_s > hearing.duration_s else (),
        sender_lateness_s=hearing.lateness_s,
    )


def _first_shown(hearing: Hearing, text_of: Callable[[Interim], str]) -> dict[int, float]:
    """Say when words of the finals first stood in a growing text, in their place.

    A growing text is compared with as many words from where its segment begins, over the
    segment's end where it reaches so far: a segment that ends at its longest duration leaves its
    last words to the next. A word that is said twice is thus not taken for shown too soon.

    Returns:
        Indices of words, counted over all finals, each with a time; those that no interim showed
        before their final came are missing.
    """
    heard = [word.text for final in hearing.finals for word in final.words]
    begins: dict[int, int] = {}
    count = 0
    for final in hearing.finals:
        begins[final.segment] = count
        count += len(final.words)
    first_s: dict[int, float] = {}
    before: dict[int, str] = {}
    for interim in hearing.interims:
        text = text_of(interim)
        if text == before.get(interim.segment):
            continue
        before[interim.segment] = text
        # A segment without a final may have left its words to the next.
        later = [segment for segment in begins if segment >= interim.segment]
        begin = begins[min(later)] if later else count
        words = bare_words(text)
        for index in matches(heard[begin : begin + len(words)], words):
            first_s.setdefault(begin + index, interim.at_s)
    return first_s


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
