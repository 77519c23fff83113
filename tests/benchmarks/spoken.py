"""Clips of tones: so much sound, then so much quiet."""

from pathlib import Path

import numpy as np

from benchmarks.load_scripts import Script
from benchmarks.support import RATE_HZ, Clip


def clip(sound_s: float, quiet_s: float = 0.0, text: str = "words") -> Clip:
    sound = 0.3 * np.sin(np.arange(round(sound_s * RATE_HZ)) * 2 * np.pi * 440 / RATE_HZ)
    samples = np.concatenate([sound, np.zeros(round(quiet_s * RATE_HZ))])
    return Clip(Path("none.wav"), text, samples.astype(np.float32))


def script(*clips: Clip, start_s: float = 0.0) -> Script:
    return Script(clips, start_s)
