"""From the records of a run to its line of figures, and from repeats to medians."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import median
from typing import Any

import numpy as np

from benchmarks.load_scripts import Record, Script
from benchmarks.support import word_errors

MOST_LAG_S = 1.0
MOST_FINAL_S = 0.7


@dataclass(frozen=True)
class Cost:
    """What a server used for a run; None is what cannot be known of it."""

    cpu_s: float | None = None
    memory_bytes: int | None = None
    """The most at any time, beyond what it held idle after warming up."""
    received_s: float | None = None
    """Audio that the server counted, and below what it decoded of it for what."""
    interim_decoded_s: float | None = None
    final_decoded_s: float | None = None


@dataclass(frozen=True)
class Figures:
    """What one number of streams came to. None is what was not or cannot be measured."""

    system: str
    streams: int
    repeat: int
    audio_s: float
    interim_lag_p50_s: float | None
    interim_lag_p99_s: float | None
    interim_gap_p50_s: float | None
    interim_gap_p99_s: float | None
    shown_p50_s: float | None
    shown_p95_s: float | None
    final_p50_s: float | None
    final_p95_s: float | None
    final_p99_s: float | None
    wer_percent: float | None
    cpu_s_per_s: float | None
    memory_mb_per_stream: float | None
    amplification: float | None
    """Audio decoded for a second of audio received."""
    amplification_interims: float | None
    """Of it, for interims."""
    failed: int
    """Streams that were refused or broke off."""
    lost: int
    """Clips without a final."""
    changed: int | None
    """Streams whose finals are not those of the same stream alone."""
    sender_late_p99_s: float | None

    @property
    def is_held(self) -> bool:
        """Whether everything is within its bounds."""
        return (
            self.interim_lag_p99_s is not None
            and self.interim_lag_p99_s <= MOST_LAG_S
            and self.final_p95_s is not None
            and self.final_p95_s <= MOST_FINAL_S
            and not self.failed
            and not self.lost
            and not self.changed
        )

    @property
    def line(self) -> str:
        """The figures in one line."""
        return (
            f"{self.system:12} {self.streams:3d} streams  "
            f"interim lag p50 {_text(self.interim_lag_p50_s)} "
            f"p99 {_text(self.interim_lag_p99_s)} s  "
            f"gap p50 {_text(self.interim_gap_p50_s)} p99 {_text(self.interim_gap_p99_s)} s  "
            f"shown p50 {_text(self.shown_p50_s)} p95 {_text(self.shown_p95_s)} s  "
            f"final p50 {_text(self.final_p50_s)} p95 {_text(self.final_p95_s)} s  "
            f"WER {_text(self.wer_percent)} %  failed {self.failed}  lost finals {self.lost}  "
            f"changed finals {_text(self.changed)}  "
            f"CPU {_text(self.cpu_s_per_s, 3)} s/s  "
            f"memory {_text(self.memory_mb_per_stream, 1)} MB/stream  "
            f"A {_text(self.amplification)} ({_text(self.amplification_interims)} interims)  "
            f"sender late p99 {_text(self.sender_late_p99_s, 3)} s  "
            f"{'held' if self.is_held else 'not held'}"
        )


def figures_of(
    system: str,
    repeat: int,
    scripts: Sequence[Script],
    records: Sequence[Record],
    alone: Sequence[Record] | None,
    cost: Cost,
    *,
    has_words: bool = True,
) -> Figures:
    """Work out the figures of one run.

    Args:
        system: Name of what was measured.
        repeat: Which one of several.
        scripts: What was said.
        records: What came of it, in the same order.
        alone: What comes of each stream alone, or None if that would say nothing.
        cost: What the server used.
        has_words: Whether the words that come out can be those that were said.
    """
    audio_s = sum(script.duration_s for script in scripts)
    at = _percentiles_of(records)
    wer_percent = None
    if has_words:
        said = [script.text for script in scripts]
        wer_percent = word_errors(said, [record.text for record in records]).percent
    changed = None
    if alone is not None:
        pairs = zip(records, alone, strict=False)
        changed = sum(record.finals != other.finals for record, other in pairs)
    interims = _ratio(cost.interim_decoded_s, cost.received_s)
    finals = _ratio(cost.final_decoded_s, cost.received_s)
    memory = None if cost.memory_bytes is None else cost.memory_bytes / 1e6 / len(scripts)
    return Figures(
        system=system,
        streams=len(scripts),
        repeat=repeat,
        audio_s=audio_s,
        interim_lag_p50_s=at("interim_lag_s", 50),
        interim_lag_p99_s=at("interim_lag_s", 99),
        interim_gap_p50_s=at("interim_gap_s", 50),
        interim_gap_p99_s=at("interim_gap_s", 99),
        shown_p50_s=at("shown_s", 50),
        shown_p95_s=at("shown_s", 95),
        final_p50_s=at("final_s", 50),
        final_p95_s=at("final_s", 95),
        final_p99_s=at("final_s", 99),
        wer_percent=wer_percent,
        cpu_s_per_s=_ratio(cost.cpu_s, audio_s),
        memory_mb_per_stream=memory,
        amplification=None if interims is None or finals is None else interims + finals,
        amplification_interims=interims,
        failed=sum(bool(record.failure) for record in records),
        lost=sum(
            max(0, len(script.clips) - len(record.final_s))
            for script, record in zip(scripts, records, strict=True)
        ),
        changed=changed,
        sender_late_p99_s=at("lateness_s", 99),
    )


def medians(runs: Iterable[Figures]) -> list[Figures]:
    """Join the repeats of each system and number of streams, in the order of the first ones.

    Times and costs become medians; of failed, lost and changed the most in any repeat count,
    so that what fails once is not held. ``repeat`` says how many there were.
    """
    groups: dict[tuple[str, int], list[Figures]] = {}
    for run in runs:
        groups.setdefault((run.system, run.streams), []).append(run)
    return [_joined(group) for group in groups.values()]


def most_held(runs: Iterable[Figures]) -> dict[str, int]:
    """Return for each system the largest number of streams that is held, or 0."""
    most: dict[str, int] = {}
    for run in runs:
        held = run.streams if run.is_held else 0
        most[run.system] = max(most.get(run.system, 0), held)
    return most


def _joined(group: Sequence[Figures]) -> Figures:
    values: dict[str, Any] = {}
    for name in (field.name for field in fields(Figures)):
        known = [value for run in group if (value := getattr(run, name)) is not None]
        values[name] = _JOINS.get(name, median)(known) if known else None
    return Figures(**{**values, "repeat": len(group)})


_JOINS: Mapping[str, Callable[[Sequence[Any]], Any]] = {
    "system": min,
    "streams": max,
    "failed": max,
    "lost": max,
    "changed": max,
}


def _percentiles_of(records: Sequence[Record]) -> Callable[[str, float], float | None]:
    def at(name: str, percent: float) -> float | None:
        values = [value for record in records for value in getattr(record, name)]
        return float(np.percentile(values, percent)) if values else None

    return at


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _text(value: float | None, digits: int = 2) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"
