"""Figures as JSON, so that runs can be compared and drawn later."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.load_figures import MOST_FINAL_S, MOST_LAG_S, Figures, medians, most_held


def report_of(runs: Sequence[Figures]) -> dict[str, Any]:
    """Return everything that there is to know of a run of the benchmark."""
    joined = medians(runs)
    return {
        "arguments": command_line(),
        "machine": machine(),
        "bounds": {"interim_lag_p99_s": MOST_LAG_S, "final_p95_s": MOST_FINAL_S},
        "streams_within_bounds": most_held(joined),
        "medians": [_entry(figures) for figures in joined],
        "runs": [_entry(figures) for figures in runs],
    }


def command_line() -> list[str]:
    """Return what this was called with; of manifests their folders' names are enough."""
    return [Path(part).parent.name if part.endswith(".jsonl") else part for part in sys.argv[1:]]


def machine() -> dict[str, Any]:
    """Return what figures depend on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def write(report: dict[str, Any], path: Path) -> None:
    """Write a report."""
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def read_medians(path: Path) -> list[Figures]:
    """Return the medians of a report."""
    report = json.loads(path.read_text(encoding="utf-8"))
    return [
        Figures(**{name: value for name, value in entry.items() if name != "held"})
        for entry in report["medians"]
    ]


def _entry(figures: Figures) -> dict[str, Any]:
    return {**asdict(figures), "held": figures.is_held}


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
