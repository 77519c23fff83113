"""The tables of a report, whatever shows them. Pure: a report in, words out."""

from collections.abc import Sequence
from dataclasses import dataclass

from client.evaluation.accuracy import Accuracy
from client.evaluation.latency import LABELS
from client.evaluation.report import Report, Result
from client.evaluation.significance import Interval


@dataclass(frozen=True)
class Table:
    """Cells are text; those of figures stand to the right."""

    title: str
    labels: Sequence[str]
    figures: Sequence[str]
    rows: Sequence[Sequence[str]]


def headline(result: Result, report: Report) -> str:
    """Say streams, latency and accuracy in one line: none of them means much alone."""
    words = result.latency["word_shown_s"]
    finals = result.latency["final_after_close_s"]
    streams = report.settings["streams"]
    parts = ["1 stream" if streams == 1 else f"{streams} streams"]
    parts += [f"word shown {words.mean_s:.2f} s after its end (mean)"] if words else []
    parts += [f"last final {finals.p95_s:.2f} s after the half-close (p95)"] if finals else []
    parts.append(f"WER {percent(result.accuracy.wer)}")
    return f"{result.system}, {result.condition}: " + ", ".join(parts)


def percent(interval: Interval) -> str:
    """Write a rate with its bounds."""
    return f"{100 * interval.value:.2f} % ({100 * interval.low:.2f}-{100 * interval.high:.2f})"


def accuracy_table(report: Report) -> Table:
    """All clips of each system under each condition."""
    return Table(
        "Accuracy (95 % confidence)",
        ["system", "condition"],
        ["clips", "minutes", "words", "WER", "CER", "sub", "ins", "del"],
        [
            [
                result.system,
                result.condition,
                str(result.accuracy.clips),
                f"{result.audio_s / 60:.1f}",
                *_accuracy_cells(result.accuracy),
            ]
            for result in report.results
        ],
    )


def groups_table(report: Report) -> Table:
    """Each group."""
    return Table(
        "Accuracy by group (95 % confidence)",
        ["system", "condition", "group"],
        ["clips", "words", "WER", "CER", "sub", "ins", "del"],
        [
            [result.system, result.condition, group, str(found.clips), *_accuracy_cells(found)]
            for result in report.results
            for group, found in result.groups.items()
        ],
    )


def latency_table(report: Report) -> Table:
    """Each delay that was measured."""
    return Table(
        "Latency in seconds",
        ["system", "condition", "delay"],
        ["count", "mean", "p50", "p95", "p99", "max"],
        [
            [
                result.system,
                result.condition,
                label,
                str(found.count),
                f"{found.mean_s:.3f}",
                f"{found.p50_s:.3f}",
                f"{found.p95_s:.3f}",
                f"{found.p99_s:.3f}",
                f"{found.max_s:.3f}",
            ]
            for result in report.results
            for name, label in LABELS.items()
            if (found := result.latency[name]) is not None
        ],
    )


def steadiness_table(report: Report) -> Table:
    """How much of what was shown did not last."""
    rows = []
    for result in report.results:
        steady = result.steadiness
        if steady is None:
            continue
        ratio, share = steady.unstable_partial_word_ratio, steady.changed_stable_share
        rows.append(
            [
                result.system,
                result.condition,
                "-" if ratio is None else f"{ratio:.3f}",
                str(steady.retractions),
                str(steady.stable_words),
                "-" if share is None else f"{steady.changed_stable_words} ({100 * share:.2f} %)",
            ]
        )
    return Table(
        "Steadiness",
        ["system", "condition"],
        ["unstable partial word ratio", "retractions", "stable words", "changed by the final"],
        rows,
    )


def differences_table(report: Report) -> Table:
    """Pairs of systems, and now against before."""
    return Table(
        "Differences in WER (matched pairs)",
        ["first", "second", "condition"],
        ["clips", "first", "second", "second - first, points", "p"],
        [
            [
                found.first,
                found.second,
                found.condition,
                str(found.clips),
                f"{100 * found.first_wer:.2f} %",
                f"{100 * found.second_wer:.2f} %",
                _points(found.difference),
                f"{found.probability:.3f}",
            ]
            for found in report.differences
        ],
    )


def verdicts_table(report: Report) -> Table:
    """Thresholds and whether they are met."""
    return Table(
        "Thresholds",
        ["threshold", "condition"],
        ["limit", "value", "verdict"],
        [
            [
                f"--{verdict.threshold}",
                verdict.condition,
                f"{verdict.limit:g}",
                "not measured" if verdict.value is None else f"{verdict.value:.3f}",
                "met" if verdict.met else "MISSED",
            ]
            for verdict in report.verdicts
        ],
    )


def _points(difference: Interval) -> str:
    value, low, high = (100 * v for v in (difference.value, difference.low, difference.high))
    return f"{value:+.2f} ({low:+.2f} to {high:+.2f})"


def _accuracy_cells(found: Accuracy) -> list[str]:
    return [
        str(found.words),
        percent(found.wer),
        percent(found.cer),
        str(found.substitutions),
        str(found.insertions),
        str(found.deletions),
    ]
