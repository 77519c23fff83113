"""Thresholds of the command line, and the earlier report that some of them compare with."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from client.evaluation.report import (
    FORMAT_VERSION,
    ClipErrors,
    Difference,
    Result,
    Verdict,
)

BASELINE = "baseline"

MISSED = 6
"""Exit code where all was measured and a threshold is missed; no other program has it."""


class BaselineError(Exception):
    """A file is no report of an evaluation. `str()` of it is a sentence for people."""


@dataclass(frozen=True)
class Baseline:
    """What an earlier report says of its first system."""

    system: str
    errors: Mapping[str, Mapping[str, ClipErrors]]
    """By condition and clip."""


def read_baseline(path: Path) -> Baseline:
    """Read the file that an earlier run wrote with --json.

    Raises:
        BaselineError: It cannot be read, or is something else.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        if report["format_version"] != FORMAT_VERSION:
            raise BaselineError(
                f"{path} has format {report['format_version']}, not {FORMAT_VERSION}; make it anew"
            )
        system = report["settings"]["systems"][0]["name"]
        errors: dict[str, dict[str, ClipErrors]] = {}
        for clip in report["clips"]:
            if clip["system"] == system:
                own = errors.setdefault(clip["condition"], {})
                own[clip["name"]] = ClipErrors(int(clip["word_errors"]), int(clip["words"]))
    except OSError as error:
        raise BaselineError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, LookupError, TypeError):
        raise BaselineError(f"{path} is no report that --json of this program wrote") from None
    return Baseline(system, errors)


@dataclass(frozen=True)
class Threshold:
    """A figure that may not exceed a limit."""

    option: str
    """Without its dashes."""

    unit: str
    help: str
    figure: Callable[[Result], float | None]
    """In the unit; None where it was not measured."""


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _p95(name: str) -> Callable[[Result], float | None]:
    def figure(result: Result) -> float | None:
        found = result.latency[name]
        return None if found is None else found.p95_s

    return figure


def _mean_word_shown(result: Result) -> float | None:
    found = result.latency["word_shown_s"]
    return None if found is None else found.mean_s


THRESHOLDS = (
    Threshold("max-wer", "PERCENT", "word error rate", lambda r: 100 * r.accuracy.wer.value),
    Threshold("max-cer", "PERCENT", "character error rate", lambda r: 100 * r.accuracy.cer.value),
    Threshold("max-first-interim", "S", "first interim, p95", _p95("first_interim_s")),
    Threshold("max-word-shown", "S", "word shown after its end, mean", _mean_word_shown),
    Threshold(
        "max-final", "S", "last final after the half-close, p95", _p95("final_after_close_s")
    ),
    Threshold(
        "max-upwr",
        "RATIO",
        "unstable partial word ratio",
        lambda r: None if r.steadiness is None else r.steadiness.unstable_partial_word_ratio,
    ),
    Threshold(
        "max-retractions",
        "N",
        "retractions of stable_text",
        lambda r: None if r.steadiness is None else r.steadiness.retractions,
    ),
    Threshold(
        "max-stable-changed",
        "PERCENT",
        "stable words that the final changed",
        lambda r: None if r.steadiness is None else _percent(r.steadiness.changed_stable_share),
    ),
)

WER_RISE = "max-wer-rise"


def judge(
    limits: Mapping[str, float],
    results: Sequence[Result],
    differences: Sequence[Difference],
    conditions: Sequence[str],
) -> list[Verdict]:
    """Hold figures against limits, under every condition that was asked for.

    Args:
        limits: By the option's name; what is not in it is not judged.
        results: Of the system under test alone.
        differences: From the baseline to it.
        conditions: Labels; one without a figure misses what is asked of it.
    """
    verdicts = []
    for condition in conditions:
        result = next((r for r in results if r.condition == condition), None)
        for threshold in THRESHOLDS:
            if threshold.option in limits:
                value = None if result is None else threshold.figure(result)
                verdicts.append(
                    _verdict(threshold.option, condition, limits[threshold.option], value)
                )
        if WER_RISE in limits:
            found = next((d for d in differences if d.condition == condition), None)
            rise = None if found is None else 100 * found.difference.value
            verdicts.append(_verdict(WER_RISE, condition, limits[WER_RISE], rise))
    return verdicts


def _verdict(threshold: str, condition: str, limit: float, value: float | None) -> Verdict:
    return Verdict(threshold, condition, limit, value, met=value is not None and value <= limit)
