"""The recordings in samples/, spoken by the project's own script."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from service.core.hypothesis import SAMPLE_RATE_HZ, Samples

FOLDER = Path(__file__).parent.parent / "samples"


@dataclass(frozen=True)
class Sample:
    """One recording and what is said in it."""

    name: str
    text: str
    duration_s: float

    @property
    def path(self) -> Path:
        return FOLDER / self.name


def _read_manifest() -> list[Sample]:
    lines = (FOLDER / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    return [Sample(entry["audio"], entry["text"], entry["duration_s"]) for entry in entries]


SAMPLES = _read_manifest()


def read_sample(name: str) -> Samples:
    """Return a recording as the session hears it."""
    samples, rate_hz = soundfile.read(FOLDER / name, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    return np.asarray(soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ), dtype=np.float32)
