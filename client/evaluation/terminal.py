"""A report as tables for people at a terminal."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from client.evaluation.accuracy import Accuracy, Count
from client.evaluation.latency import LABELS
from client.evaluation.report import Report, Result
from client.evaluation.significance import Interval

_PIPE_COLUMNS = 120
_SHOWN_ERRORS = 5


@contextmanager
def progress(total_s: float) -> Iterator[Callable[[str, float], None]]:
    """Draw a bar on standard error where that is a terminal; yields what moves it.

    It is moved by the name of a clip and its seconds of audio.
    """
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task("streaming", total=total_s)
        yield lambda name, audio_s: bar.update(task, description=name, advance=audio_s)


def show(report: Report) -> None:
    """Print a report."""
    console = Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS, highlight=False)
    if report.results:
        console.print(_accuracy_table(report.results))
        if any(len(result.groups) > 1 for result in report.results):
            console.print(_groups_table(report.results))
        for result in report.results:
            console.print(_errors_line(result))
        if any(found for result in report.results for found in result.latency.values()):
            console.print(_latency_table(report.results))
        console.print(_steadiness_table(report.results))
    if report.differences:
        console.print(_differences_table(report))
    if report.verdicts:
        console.print(_verdicts_table(report))
    for name, method in report.methods.items():
        console.print(Text(f"{name}: {method}", style="dim"))
    for problem in report.problems:
        console.print(Text(f"not measured: {problem.where}: {problem.sentence}", style="red"))


def percent(interval: Interval) -> str:
    """Write a rate with its bounds."""
    return f"{100 * interval.value:.2f} % ({100 * interval.low:.2f}-{100 * interval.high:.2f})"


def _table(title: str, labels: Sequence[str], figures: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for label in labels:
        table.add_column(label, overflow="fold")
    for figure in figures:
        table.add_column(figure, justify="right")
    return table


def _accuracy_table(results: Sequence[Result]) -> Table:
    table = _table(
        "Accuracy (95 % confidence)",
        ["system", "condition"],
        ["clips", "minutes", "words", "WER", "CER", "sub", "ins", "del"],
    )
    for result in results:
        found = result.accuracy
        table.add_row(
            Text(result.system),
            Text(result.condition),
            str(found.clips),
            f"{result.audio_s / 60:.1f}",
            *_accuracy_cells(found),
        )
    return table


def _groups_table(results: Sequence[Result]) -> Table:
    table = _table(
        "Accuracy by group",
        ["system", "condition", "group"],
        ["clips", "words", "WER", "CER", "sub", "ins", "del"],
    )
    for result in results:
        for group, found in result.groups.items():
            table.add_row(
                Text(result.system),
                Text(result.condition),
                Text(group),
                str(found.clips),
                *_accuracy_cells(found),
            )
    return table


def _accuracy_cells(found: Accuracy) -> list[str]:
    return [
        str(found.words),
        percent(found.wer),
        percent(found.cer),
        str(found.substitutions),
        str(found.insertions),
        str(found.deletions),
    ]


def _errors_line(result: Result) -> Text:
    parts = [
        ("substituted", [f"{c.said} → {c.heard}{_times(c)}" for c in result.substitutions]),
        ("inserted", [f"{c.heard}{_times(c)}" for c in result.insertions]),
        ("deleted", [f"{c.said}{_times(c)}" for c in result.deletions]),
    ]
    line = Text(f"{result.system}, {result.condition}: ", style="bold")
    for name, errors in parts:
        if errors:
            line.append(f"{name} ", style="dim")
            line.append(", ".join(errors[:_SHOWN_ERRORS]) + "; ", style="not bold")
    return line


def _times(count: Count) -> str:
    return f" ({count.times})" if count.times > 1 else ""


def _latency_table(results: Sequence[Result]) -> Table:
    table = _table(
        "Latency in seconds",
        ["system", "condition", "delay"],
        ["count", "mean", "p50", "p95", "p99", "max"],
    )
    for result in results:
        for name, label in LABELS.items():
            if (found := result.latency[name]) is None:
                continue
            values = (found.mean_s, found.p50_s, found.p95_s, found.p99_s, found.max_s)
            table.add_row(
                Text(result.system),
                Text(result.condition),
                label,
                str(found.count),
                *(f"{value:.3f}" for value in values),
            )
    return table


def _steadiness_table(results: Sequence[Result]) -> Table:
    table = _table(
        "Steadiness",
        ["system", "condition"],
        ["unstable partial word ratio", "retractions", "stable words", "changed by the final"],
    )
    for result in results:
        steady = result.steadiness
        ratio, share = steady.unstable_partial_word_ratio, steady.changed_stable_share
        table.add_row(
            Text(result.system),
            Text(result.condition),
            "-" if ratio is None else f"{ratio:.3f}",
            str(steady.retractions),
            str(steady.stable_words),
            "-" if share is None else f"{steady.changed_stable_words} ({100 * share:.2f} %)",
        )
    return table


def _differences_table(report: Report) -> Table:
    table = _table(
        "Differences in WER (matched pairs)",
        ["first", "second", "condition"],
        ["clips", "first", "second", "second - first, points", "p"],
    )
    for found in report.differences:
        low, high = 100 * found.difference.low, 100 * found.difference.high
        table.add_row(
            Text(found.first),
            Text(found.second),
            Text(found.condition),
            str(found.clips),
            f"{100 * found.first_wer:.2f} %",
            f"{100 * found.second_wer:.2f} %",
            f"{100 * found.difference.value:+.2f} ({low:+.2f} to {high:+.2f})",
            f"{found.probability:.3f}",
        )
    return table


def _verdicts_table(report: Report) -> Table:
    table = _table("Thresholds", ["threshold", "condition"], ["limit", "value", ""])
    for verdict in report.verdicts:
        table.add_row(
            f"--{verdict.threshold}",
            Text(verdict.condition),
            f"{verdict.limit:g}",
            "not measured" if verdict.value is None else f"{verdict.value:.3f}",
            Text("met", style="green") if verdict.met else Text("missed", style="red"),
        )
    return table
