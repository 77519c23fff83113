"""A report as one page that needs nothing but itself: charts, tables, and clips to listen to."""

import base64
from collections.abc import Callable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from client.evaluation.accuracy import Comparison, Count, Step
from client.evaluation.charts import Bar, Line, bar_chart, line_chart
from client.evaluation.latency import LABELS
from client.evaluation.report import Clip, Report, Result
from client.evaluation.tables import (
    Table,
    accuracy_table,
    differences_table,
    groups_table,
    headline,
    latency_table,
    steadiness_table,
    verdicts_table,
)

WORST_CLIPS = 10

_CHARTED = ("first_interim_s", "word_shown_s", "word_stable_s", "final_after_close_s")
_CURVE_STEP_PERCENT = 2
_CHARTED_PERCENT = 98
"""Charts end here: a single slow word would press all others against the axis."""


def make_page(report: Report, flac_of: Callable[[Clip], bytes | None]) -> str:
    """Write the page.

    Args:
        report: What to show.
        flac_of: What was streamed of a clip, as a FLAC file; None where it cannot be made again.
    """
    title = f"Speech recognition: {', '.join(_names(report))}"
    sections = [
        f"<h1>{escape(title)}</h1>",
        _headlines(report),
        _problems(report),
        _section("Thresholds", [_table(verdicts_table(report))] if report.verdicts else []),
        _section("Differences", [_table(differences_table(report))] if report.differences else []),
        _section("Accuracy", [_table(accuracy_table(report)), _noise_chart(report)]),
        _section("By group", _groups(report)),
        _section("Most frequent errors", [_errors(result) for result in report.results]),
        _section("Latency", [_latency_charts(report), _table(latency_table(report))]),
        _section("Steadiness", [_table(steadiness_table(report))]),
        _section("Worst clips", _worst(report, flac_of)),
        _section("How this was measured", [_methods(report)]),
    ]
    style = (files("client.evaluation") / "page.css").read_text(encoding="utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>"
        f"<body><main>{''.join(sections)}</main></body></html>\n"
    )


def worst_clips(clips: Sequence[Clip]) -> list[Clip]:
    """Choose the clips with the most word errors; ties by their rate."""
    wrong = [clip for clip in clips if clip.comparison.word_errors]
    wrong.sort(key=lambda c: (-c.comparison.word_errors, c.comparison.words, c.name))
    return wrong[:WORST_CLIPS]


def marked(comparison: Comparison) -> str:
    """Write what was said, with what was heard instead marked."""
    words = []
    for piece in comparison.pieces:
        said, heard = escape(piece.said), escape(piece.heard)
        match piece.step:
            case Step.RIGHT:
                words.append(said)
            case Step.SUBSTITUTED:
                words.append(f"<del>{said}</del> <ins>{heard}</ins>")
            case Step.DELETED:
                words.append(f"<del>{said}</del>")
            case Step.INSERTED:
                words.append(f"<ins>{heard}</ins>")
    return " ".join(words)


def _names(report: Report) -> list[str]:
    return list(dict.fromkeys(result.system for result in report.results)) or ["nothing measured"]


def _headlines(report: Report) -> str:
    lines = [f"<li>{escape(headline(result, report))}</li>" for result in report.results]
    return f'<ul class="headlines">{"".join(lines)}</ul>' if lines else ""


def _series(result: Result) -> str:
    return f"{result.system}, {result.condition}"


def _section(title: str, parts: Sequence[str]) -> str:
    content = "".join(parts)
    return f"<h2>{escape(title)}</h2>{content}" if content else ""


def _problems(report: Report) -> str:
    lines = [
        f"<li><b>{escape(problem.where)}</b>: {escape(problem.sentence)}</li>"
        for problem in report.problems
    ]
    return _section("Not measured", [f'<ul class="missed">{"".join(lines)}</ul>'] if lines else [])


def _table(table: Table) -> str:
    if not table.rows:
        return ""
    kinds = [""] * len(table.labels) + [' class="number"'] * len(table.figures)
    heads = zip(kinds, [*table.labels, *table.figures], strict=True)
    head = "".join(f'<th scope="col"{kind}>{escape(name)}</th>' for kind, name in heads)
    rows = "".join(
        "<tr>"
        + "".join(f"<td{k}>{escape(cell)}</td>" for k, cell in zip(kinds, row, strict=True))
        + "</tr>"
        for row in table.rows
    )
    # A table that is wider than the screen scrolls by itself, with the keyboard as well.
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(table.title)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _noise_chart(report: Report) -> str:
    """Draw the error rate against the ratio of speech to noise, where there are several."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for result in report.results:
        if result.snr_db is not None:
            points = lines.setdefault(f"{result.system}, {result.noise}", [])
            points.append((result.snr_db, 100 * result.accuracy.wer.value))
    chosen = [Line(name, sorted(points)) for name, points in lines.items() if len(points) > 1]
    if not chosen:
        return ""
    return line_chart("Word error rate against noise", "speech to noise, dB", "WER, %", chosen)


def _groups(report: Report) -> list[str]:
    if all(len(result.groups) < 2 for result in report.results):
        return []
    groups = list(dict.fromkeys(group for result in report.results for group in result.groups))
    bars = [
        Bar(group, number, 100 * wer.value, 100 * wer.low, 100 * wer.high)
        for group in groups
        for number, result in enumerate(report.results)
        if group in result.groups
        for wer in [result.groups[group].wer]
    ]
    legend = [_series(result) for result in report.results]
    chart = bar_chart("Word error rate by group, 95 % confidence", "WER, %", bars, legend)
    return [chart, _table(groups_table(report))]


def _errors(result: Result) -> str:
    def listed(counts: Sequence[Count]) -> str:
        items = [
            f"{' → '.join(word for word in (c.said, c.heard) if word)} ({c.times})" for c in counts
        ]
        return escape(", ".join(items)) or "none"

    return (
        f"<p><b>{escape(_series(result))}</b><br>"
        f"substituted: {listed(result.substitutions)}<br>"
        f"inserted: {listed(result.insertions)}<br>deleted: {listed(result.deletions)}</p>"
    )


def _latency_charts(report: Report) -> str:
    charts = []
    for name in _CHARTED:
        lines = [
            Line(_series(result), curve)
            for result in report.results
            if (found := result.latency[name]) is not None
            for curve in [
                [
                    (value, float(number * _CURVE_STEP_PERCENT))
                    for number, value in enumerate(found.curve_s)
                    if number * _CURVE_STEP_PERCENT <= _CHARTED_PERCENT
                ]
            ]
        ]
        if lines:
            charts.append(line_chart(LABELS[name], "seconds", "share that was sooner, %", lines))
    return f'<div class="charts">{"".join(charts)}</div>' if charts else ""


def _worst(report: Report, flac_of: Callable[[Clip], bytes | None]) -> list[str]:
    clips = [_clip(clip, flac_of(clip)) for clip in worst_clips(report.clips)]
    key = '<p class="faint"><del>said and not heard</del>, <ins>heard and not said</ins></p>'
    return [key, *clips] if clips else []


def _clip(clip: Clip, flac: bytes | None) -> str:
    audio = ""
    if flac is not None:
        data = base64.b64encode(flac).decode("ascii")
        audio = (
            f'<audio controls preload="metadata" aria-label="{escape(clip.name)}" '
            f'src="data:audio/flac;base64,{data}"></audio>'
        )
    comparison = clip.comparison
    return (
        f'<div class="clip"><b>{escape(clip.name)}</b> '
        f'<span class="faint">{escape(clip.system)}, {escape(clip.condition)}: '
        f"{comparison.word_errors} errors in {comparison.words} words</span>{audio}"
        f"<div>{marked(comparison)}</div>"
        f'<div class="faint">heard: {escape(clip.transcript) or "nothing"}</div></div>'
    )


def _methods(report: Report) -> str:
    lines = [*report.methods.items(), *report.settings.items()]
    return (
        "<ul>"
        + "".join(
            f"<li>{escape(str(name))}: {escape(shown)}</li>"
            for name, method in lines
            if (shown := _shown(method))
        )
        + "</ul>"
    )


def _shown(value: Any) -> str:  # noqa: ANN401
    """Write a setting for people; empty where it says nothing."""
    if isinstance(value, Mapping):
        parts = [f"{name} {shown}" for name, part in value.items() if (shown := _shown(part))]
        return ", ".join(parts)
    if isinstance(value, list | tuple):
        return "; ".join(shown for part in value if (shown := _shown(part)))
    return str(value)
