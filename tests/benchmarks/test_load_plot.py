"""What is drawn."""

from dataclasses import replace

import pytest

from benchmarks.load_plot import Line, draw, panel
from benchmarks.load_report import read_medians, report_of, write
from tests.benchmarks.test_load_figures import good


def runs():
    return [
        replace(good(), system=system, streams=streams, final_p95_s=value, cpu_s_per_s=None)
        for system, streams, value in (
            ("ours", 4, 0.5),
            ("ours", 1, 0.25),
            ("naive", 1, 3.0),
            ("naive", 4, None),
        )
    ]


def test_a_panel_has_a_line_for_each_system():
    """Points are in the order of the streams; what is not known is left out, and a system of
    which nothing is known altogether."""
    found = panel(runs(), "final_p95_s", "Final", "s", 0.7)
    assert found.lines == (
        Line("ours", (1, 4), (0.25, 0.5)),
        Line("naive", (1,), (3.0,)),
    )
    assert panel(runs(), "cpu_s_per_s", "CPU", "s").lines == ()


def test_a_report_can_be_read_again(tmp_path):
    """What is drawn later from a report is what was measured."""
    report = report_of(runs())
    assert report["streams_within_bounds"] == {"ours": 4, "naive": 0}
    write(report, tmp_path / "load.json")
    assert read_medians(tmp_path / "load.json") == [replace(run, repeat=1) for run in runs()]


def test_pictures(tmp_path):
    """The pictures name every system; without a figure they are drawn all the same."""
    pytest.importorskip("matplotlib", reason="drawing wants the extra bench")
    latency, cpu = draw(runs(), tmp_path / "new")
    text = latency.read_text()
    assert ">ours<" in text
    assert ">naive<" in text
    assert cpu.read_text().startswith("<?xml")
