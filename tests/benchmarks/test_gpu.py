"""The benchmark for GPUs, where there is none: its code runs, and it claims nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the extra 'transformers' is not installed")

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(300)
"""It loads torch and two models, and speaks for some seconds."""


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_gpu_it_says_so():
    """One sentence with what to do, and a status that is not 0."""
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    result = _run()
    assert result.returncode == 1
    assert result.stderr.startswith("no CUDA device: nothing was measured.")
    assert result.stdout == ""


def test_on_a_cpu_it_tries_everything():
    """Each figure is there, marked as none; no final differs with its neighbours."""
    result = _run("--device", "cpu")
    assert result.returncode == 0, result.stderr
    out = result.stdout
    assert out.startswith("CPU, few weights: no figures, a trial")
    assert "finals that differ with neighbours: 0 of 8" in out
    for figure in (
        "transformers, one window after the other, fp32",
        "offline, segments of 3 s",
        "2 streams: interims p50",
        "streams with interim p99 of at most 300 ms",
        "batches by size",
        "Whisper tiny.en, 1 at once",
    ):
        assert figure in out
