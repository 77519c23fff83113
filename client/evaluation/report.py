"""Everything that an evaluation found, as plain data. The other outputs show this."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from client.evaluation.accuracy import (
    Accuracy,
    Comparison,
    Count,
    Normalizer,
    Step,
    accuracy,
    compare,
    top_errors,
)
from client.evaluation.conditions import Condition
from client.evaluation.latency import METHOD, Delays, Distribution, delays, distributions
from client.evaluation.manifest import Problem
from client.evaluation.run import Take
from client.evaluation.significance import (
    DRAWS,
    SIGN_FLIPS,
    Interval,
    difference_interval,
    sign_flip_probability,
)
from client.evaluation.steadiness import Steadiness, steadiness, total

FORMAT_VERSION = 1
"""Of the JSON. It grows by new fields; where one changes its meaning this is counted up."""


@dataclass(frozen=True)
class Clip:
    """One clip under one condition at one system."""

    system: str
    condition: str
    name: str
    group: str
    duration_s: float
    text: str
    """What is said, as in the manifest."""

    transcript: str
    """What was heard, as the server wrote it."""

    comparison: Comparison
    delays: Delays
    steadiness: Steadiness | None
    """None without pace: there were no interims."""


@dataclass(frozen=True)
class Result:
    """One system under one condition."""

    system: str
    condition: str
    noise: str
    """The condition without its ratio; empty where it has no noise."""

    snr_db: float | None
    audio_s: float
    accuracy: Accuracy
    groups: Mapping[str, Accuracy]
    substitutions: tuple[Count, ...]
    insertions: tuple[Count, ...]
    deletions: tuple[Count, ...]
    latency: Mapping[str, Distribution | None]
    steadiness: Steadiness | None
    """None without pace: there were no interims."""


@dataclass(frozen=True)
class Difference:
    """Two systems, or now and before, under one condition, on the clips that both heard."""

    first: str
    second: str
    condition: str
    clips: int
    first_wer: float
    second_wer: float
    difference: Interval
    """Second minus first, as a share of the reference's words."""

    probability: float
    """Of a difference this large between two that are equally good."""


@dataclass(frozen=True)
class Verdict:
    """One threshold of the command line, under one condition."""

    threshold: str
    condition: str
    limit: float
    value: float | None
    """None where it could not be measured, which misses the threshold."""

    met: bool


@dataclass(frozen=True)
class Report:
    """The whole."""

    settings: Mapping[str, Any]
    methods: Mapping[str, str]
    results: tuple[Result, ...]
    differences: tuple[Difference, ...]
    verdicts: tuple[Verdict, ...]
    problems: tuple[Problem, ...]
    clips: tuple[Clip, ...]


def score(
    takes: Sequence[Take], systems: Sequence[str], normalize: Callable[[str], str]
) -> list[Clip]:
    """Measure each take. No reference is empty once it is normalized."""
    return [
        Clip(
            system=systems[take.item.system],
            condition=take.item.condition.label,
            name=take.item.entry.name,
            group=take.item.entry.group,
            duration_s=take.hearing.duration_s,
            text=take.item.entry.text,
            transcript=take.hearing.transcript,
            comparison=compare(normalize(take.item.entry.text), normalize(take.hearing.transcript)),
            delays=delays(take.hearing, take.item.entry.text) if take.paced else Delays(),
            steadiness=steadiness(take.hearing) if take.paced else None,
        )
        for take in takes
    ]


def results(
    clips: Sequence[Clip], systems: Sequence[str], conditions: Sequence[Condition], seed: int
) -> list[Result]:
    """Sum up each system under each condition; none where no clip was measured."""
    found = []
    for condition in conditions:
        for system in systems:
            own = [
                clip for clip in clips if (clip.system, clip.condition) == (system, condition.label)
            ]
            if own:
                found.append(_result(own, condition, seed))
    return found


def _result(clips: Sequence[Clip], condition: Condition, seed: int) -> Result:
    comparisons = [clip.comparison for clip in clips]
    noise, snr_db = condition.signal_to_noise or ("", None)
    groups = sorted({clip.group for clip in clips})
    steady = [clip.steadiness for clip in clips if clip.steadiness is not None]
    return Result(
        system=clips[0].system,
        condition=condition.label,
        noise=noise,
        snr_db=snr_db,
        audio_s=sum(clip.duration_s for clip in clips),
        accuracy=accuracy(comparisons, seed),
        groups={
            group: accuracy([clip.comparison for clip in clips if clip.group == group], seed)
            for group in groups
        },
        substitutions=top_errors(comparisons, Step.SUBSTITUTED),
        insertions=top_errors(comparisons, Step.INSERTED),
        deletions=top_errors(comparisons, Step.DELETED),
        latency=distributions([clip.delays for clip in clips]),
        steadiness=total(steady) if steady else None,
    )


@dataclass(frozen=True)
class ClipErrors:
    """What a comparison of two needs of a clip."""

    errors: int
    words: int


def errors_by_clip(clips: Sequence[Clip], system: str, condition: str) -> dict[str, ClipErrors]:
    """Take the errors of one system under one condition, by the clip's name."""
    return {
        clip.name: ClipErrors(clip.comparison.word_errors, clip.comparison.words)
        for clip in clips
        if (clip.system, clip.condition) == (system, condition)
    }


def difference(
    condition: str,
    first: tuple[str, Mapping[str, ClipErrors]],
    second: tuple[str, Mapping[str, ClipErrors]],
    seed: int,
) -> Difference | None:
    """Compare two on the clips that both heard; None where there are none.

    Args:
        condition: Label of the condition.
        first: A name, and its errors by the clip's name.
        second: The same of the other.
        seed: Chooses the draws.
    """
    first_name, first_errors = first
    second_name, second_errors = second
    # Whose reference is another by now is another clip.
    names = [
        name
        for name, errors in first_errors.items()
        if name in second_errors and second_errors[name].words == errors.words
    ]
    if not names:
        return None
    before = [first_errors[name].errors for name in names]
    after = [second_errors[name].errors for name in names]
    words = [first_errors[name].words for name in names]
    return Difference(
        first=first_name,
        second=second_name,
        condition=condition,
        clips=len(names),
        first_wer=sum(before) / sum(words),
        second_wer=sum(after) / sum(words),
        difference=difference_interval(before, after, words, seed),
        probability=sign_flip_probability(before, after, seed),
    )


def methods(normalizer: Normalizer) -> dict[str, str]:
    """Say how the figures are made, with the versions of what makes them."""
    return {
        "alignment": f"jiwer {version('jiwer')}",
        "normalizer": f"{normalizer.describe()} {version('whisper-normalizer')}",
        "confidence": f"95 %, bootstrap by clip, {DRAWS} draws",
        "difference": (
            f"matched pairs by clip, {SIGN_FLIPS} random sign flips; "
            "interval by bootstrap of the same clips"
        ),
        "word ends": METHOD,
        "schedule": "fixed in advance (open loop); delays count from the schedule",
        "steadiness": "bare words (no case, no marks) in their place; stable_text to the letter",
    }


def to_json(report: Report) -> str:
    """Write a report for machines."""
    fields = asdict(report)
    for clip, found in zip(fields["clips"], report.clips, strict=True):
        clip["word_errors"] = found.comparison.word_errors
        clip["words"] = found.comparison.words
    for result, summed in zip(fields["results"], report.results, strict=True):
        steady = summed.steadiness
        if steady is None:
            continue
        result["steadiness"] |= {
            "unstable_partial_word_ratio": steady.unstable_partial_word_ratio,
            "changed_stable_share": steady.changed_stable_share,
        }
    whole = {"format_version": FORMAT_VERSION, **fields}
    return json.dumps(whole, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
