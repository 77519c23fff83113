"""A report for people at a terminal, and a bar while it is made."""

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table as Drawing
from rich.text import Text

from client.evaluation import tables
from client.evaluation.accuracy import Count
from client.evaluation.report import Report, Result

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

        def advance(name: str, audio_s: float) -> None:
            bar.update(task, description=name, advance=audio_s)

        yield advance


def show(report: Report) -> None:
    """Print a report; what the encoding of standard output lacks is written in ASCII.

    Raises:
        OSError: Standard output takes no more.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Words and names are in any language.
        sys.stdout.reconfigure(errors="backslashreplace")
    console = Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS, highlight=False)
    # By itself rich would end the program where nobody reads any more.
    with console.capture() as captured:
        _print(console, report)
    try:
        sys.stdout.write(captured.get())
        sys.stdout.flush()
    except OSError:
        # Python would try once more while it exits, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _print(console: Console, report: Report) -> None:
    shown = [tables.accuracy_table(report)]
    if any(len(result.groups) > 1 for result in report.results):
        shown.append(tables.groups_table(report))
    shown += [
        tables.latency_table(report),
        tables.steadiness_table(report),
        tables.differences_table(report),
        tables.verdicts_table(report),
    ]
    for table in shown:
        if table.rows:
            console.print(_drawing(table))
    for result in report.results:
        if line := _errors_line(result, "->" if console.options.ascii_only else "→"):
            console.print(line)
    for name, method in report.methods.items():
        console.print(Text(f"{name}: {method}", style="dim"))
    for result in report.results:
        console.print(Text(tables.headline(result, report), style="bold"))
    for problem in report.problems:
        console.print(Text(f"not measured: {problem.where}: {problem.sentence}", style="red"))


def _drawing(table: tables.Table) -> Drawing:
    drawing = Drawing(title=table.title, title_justify="left", title_style="bold")
    for label in table.labels:
        drawing.add_column(label, overflow="fold")
    for figure in table.figures:
        drawing.add_column(figure, justify="right")
    for row in table.rows:
        # Names come from files and may hold what rich takes for markup.
        drawing.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    return drawing


_STYLES = {"met": "green", "MISSED": "bold red"}


def _errors_line(result: Result, arrow: str) -> Text | None:
    parts = [
        ("substituted", [f"{c.said} {arrow} {c.heard}{_times(c)}" for c in result.substitutions]),
        ("inserted", [f"{c.heard}{_times(c)}" for c in result.insertions]),
        ("deleted", [f"{c.said}{_times(c)}" for c in result.deletions]),
    ]
    lists = [f"{name} {', '.join(errors[:_SHOWN_ERRORS])}" for name, errors in parts if errors]
    return Text(f"{result.system}, {result.condition}: {'; '.join(lists)}") if lists else None


def _times(count: Count) -> str:
    return f" ({count.times})" if count.times > 1 else ""
