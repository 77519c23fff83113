"""Draws what benchmarks.load has measured.

python -m benchmarks.load_plot REPORT.json FOLDER

Writes FOLDER/load-latency.svg (answer to a flush, and lag of interims, against streams) and
FOLDER/load-cpu.svg (processor time for a second of audio, against streams). Wants the extra
``bench``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.load_figures import MOST_FINAL_S, MOST_LAG_S, Figures
from benchmarks.load_report import read_medians

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#1f6f8b", "#c8553d", "#6a994e", "#7b5ea7", "#8d6b3f", "#555555")
"""One for each system, in their order."""


@dataclass(frozen=True)
class Line:
    """One system's values of one figure against the number of streams."""

    system: str
    streams: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Panel:
    """One diagram."""

    title: str
    unit: str
    lines: tuple[Line, ...]
    bound: float | None
    """A line across: what is held lies below."""


def panel(
    figures: Sequence[Figures], name: str, title: str, unit: str, bound: float | None = None
) -> Panel:
    """Gather one figure of all systems; a system of which it is not known has no line."""
    points: dict[str, list[tuple[int, float]]] = {}
    for entry in figures:
        value = getattr(entry, name)
        if value is not None:
            points.setdefault(entry.system, []).append((entry.streams, value))
    lines = tuple(
        Line(system, *(tuple(part) for part in zip(*sorted(values), strict=True)))
        for system, values in points.items()
    )
    return Panel(title, unit, lines, bound)


def draw(figures: Sequence[Figures], folder: Path) -> list[Path]:
    """Write the pictures; return where they are."""
    systems = list(dict.fromkeys(entry.system for entry in figures))
    latency = (
        panel(figures, "final_p95_s", "End of a clip to its final, p95", "s", MOST_FINAL_S),
        panel(figures, "interim_lag_p99_s", "Lag of interims, p99", "s", MOST_LAG_S),
    )
    cpu = (panel(figures, "cpu_s_per_s", "Processor time for a second of audio", "s"),)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "load-latency.svg", folder / "load-cpu.svg"]
    for path, panels in zip(paths, (latency, cpu), strict=True):
        _draw(panels, systems, path)
    return paths


def _draw(panels: Sequence[Panel], systems: Sequence[str], path: Path) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # Text stays text, and the same figures give the same file.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": path.stem, "font.size": 10}):
        figure = Figure(figsize=(4.6 * len(panels) + 0.4, 3.6), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for one, axis in zip(panels, axes, strict=True):
            _draw_panel(one, systems, axis)
        if panels[0].lines:
            axes[0].legend(frameon=False)
        figure.savefig(path, metadata={"Date": None})


def _draw_panel(one: Panel, systems: Sequence[str], axis: Axes) -> None:
    for line in one.lines:
        colour = COLOURS[systems.index(line.system) % len(COLOURS)]
        axis.plot(line.streams, line.values, marker="o", color=colour, label=line.system)
    values = [value for line in one.lines for value in line.values]
    if values and max(values) > 20 * max(min(values), 0.01):
        # Systems that differ by orders of magnitude are all to be seen.
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
    else:
        axis.set_ylim(bottom=0)
    if one.bound is not None:
        axis.axhline(one.bound, color="#888888", linestyle="--", linewidth=1)
        note = axis.annotate(
            f"bound {one.bound:g} {one.unit}",
            (0, one.bound),
            xycoords=("axes fraction", "data"),
            xytext=(4, 3),
            textcoords="offset points",
            color="#666666",
            fontsize=8,
        )
        # Its height is that of the data, so it must not be asked for room.
        note.set_in_layout(False)
    axis.set_title(one.title, fontsize=10)
    axis.set_xlabel("streams")
    axis.set_ylabel(one.unit)
    axis.set_xticks(sorted({count for line in one.lines for count in line.streams}))
    axis.grid(visible=True, alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Draw a report."""
    parser = argparse.ArgumentParser(description="Draws what benchmarks.load has measured.")
    parser.add_argument("report", type=Path, metavar="REPORT.json")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    for path in draw(read_medians(options.report), options.folder):
        print(path, file=sys.stderr)


if __name__ == "__main__":
    main()
