"""Charts as inline SVG. Pure: numbers in, markup out; the page's style sheet colours it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

COLOURS = 8
"""Series that the style sheet can tell apart; after that they begin again."""

_WIDTH, _HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 12, 44
_BAR_HEIGHT, _BAR_LEFT = 18, 220
_TICKS = 5
_SMALLEST = 1e-6
"""What is nearer together than that share of its size is one value."""


@dataclass(frozen=True)
class Line:
    """A series of points in the order of x."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Bar:
    """A value with its bounds."""

    name: str
    series: int
    """Which colour."""

    value: float
    low: float
    high: float


def line_chart(title: str, x_label: str, y_label: str, lines: Sequence[Line]) -> str:
    """Draw lines over common axes; y begins at 0."""
    points = [point for line in lines for point in line.points]
    x_ticks = ticks(min(x for x, _ in points), max(x for x, _ in points))
    y_ticks = ticks(0.0, max(y for _, y in points))

    def x_of(x: float) -> float:
        share = (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0])
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y_of(y: float) -> float:
        return _HEIGHT - _BOTTOM - y / y_ticks[-1] * (_HEIGHT - _TOP - _BOTTOM)

    marks = []
    for y in y_ticks:
        marks.append(_rule(_LEFT, y_of(y), _WIDTH - _RIGHT, y_of(y)))
        marks.append(_text(_LEFT - 6, y_of(y) + 4, f"{y:g}", "end"))
    marks += [_text(x_of(x), _HEIGHT - _BOTTOM + 16, f"{x:g}", "middle") for x in x_ticks]
    marks.append(_text((_LEFT + _WIDTH) / 2, _HEIGHT - 8, x_label, "middle"))
    marks.append(
        f'<text transform="translate(14 {(_HEIGHT - _BOTTOM) / 2:.0f}) rotate(-90)" '
        f'text-anchor="middle">{escape(y_label)}</text>'
    )
    for number, line in enumerate(lines):
        drawn = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in line.points)
        marks.append(f'<polyline class="line s{number % COLOURS}" points="{drawn}"/>')
        if len(line.points) <= 2 * _TICKS:
            marks += [
                f'<circle class="dot s{number % COLOURS}" cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" '
                f'r="4"><title>{escape(line.name)}: {x:g}, {y:.2f}</title></circle>'
                for x, y in line.points
            ]
    keys = [
        f'<svg viewBox="0 0 24 12" aria-hidden="true">'
        f'<line class="line s{number % COLOURS}" x2="24" y1="6" y2="6"/></svg>{escape(line.name)}'
        for number, line in enumerate(lines)
    ]
    return _figure(title, _HEIGHT, marks, keys)


def bar_chart(title: str, x_label: str, bars: Sequence[Bar], legend: Sequence[str]) -> str:
    """Draw horizontal bars with whiskers from low to high; x begins at 0."""
    x_ticks = ticks(0.0, max(bar.high for bar in bars))
    height = _TOP + len(bars) * _BAR_HEIGHT + _BOTTOM

    def x_of(x: float) -> float:
        return _BAR_LEFT + x / x_ticks[-1] * (_WIDTH - _BAR_LEFT - _RIGHT)

    marks = []
    for x in x_ticks:
        marks.append(_rule(x_of(x), _TOP, x_of(x), height - _BOTTOM))
        marks.append(_text(x_of(x), height - _BOTTOM + 16, f"{x:g}", "middle"))
    marks.append(_text((_BAR_LEFT + _WIDTH) / 2, height - 8, x_label, "middle"))
    for number, bar in enumerate(bars):
        top = _TOP + number * _BAR_HEIGHT
        middle = top + _BAR_HEIGHT / 2
        if number == 0 or bars[number - 1].name != bar.name:
            marks.append(_text(_BAR_LEFT - 6, middle + 4, bar.name, "end"))
        marks.append(
            f'<rect class="bar s{bar.series % COLOURS}" x="{_BAR_LEFT}" y="{top + 2}" '
            f'width="{x_of(bar.value) - _BAR_LEFT:.1f}" height="{_BAR_HEIGHT - 4}">'
            f"<title>{escape(bar.name)}: {bar.value:.2f} ({bar.low:.2f} to {bar.high:.2f})</title>"
            "</rect>"
        )
        marks.append(
            f'<line class="whisker" x1="{x_of(bar.low):.1f}" x2="{x_of(bar.high):.1f}" '
            f'y1="{middle}" y2="{middle}"/>'
        )
    keys = [
        f'<svg viewBox="0 0 12 12" aria-hidden="true">'
        f'<rect class="bar s{number % COLOURS}" width="12" height="12"/></svg>{escape(name)}'
        for number, name in enumerate(legend)
    ]
    return _figure(title, height, marks, keys)


def ticks(least: float, most: float) -> list[float]:
    """Choose round numbers, evenly spaced, from at or below `least` to at or above `most`."""
    size = max(abs(least), abs(most), _SMALLEST)
    span = most - least if most - least > size * _SMALLEST else size
    rough = span / _TICKS
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= rough * 0.999)
    first = math.floor(least / step + 1e-9)
    last = max(first + 1, math.ceil(most / step - 1e-9))
    return [round(number * step, 10) for number in range(first, last + 1)]


def _figure(title: str, height: float, marks: Sequence[str], keys: Sequence[str]) -> str:
    legend = "".join(f'<span class="key">{key}</span>' for key in keys)
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(title)}">{"".join(marks)}</svg><div>{legend}</div></figure>'
    )


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="rule" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
