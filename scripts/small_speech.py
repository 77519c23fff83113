"""What the small models are trained on, as ``scripts.synthesize_small_speech`` wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

RATE_HZ: Final = 16_000
EDGE_S: Final = 0.1
"""Silence at each end of a sentence."""


@dataclass(frozen=True)
class Sentence:
    """A spoken sentence: its text, and its samples at 16 kHz between -1 and 1."""

    text: str
    samples: NDArray[np.float32]


def read(path: Path) -> list[Sentence]:
    """Read a file of spoken sentences."""
    data = np.load(path)
    samples = data["samples"].astype(np.float32) / 32_768
    pieces = np.split(samples, data["ends"][:-1])
    return [Sentence(str(text), piece) for text, piece in zip(data["texts"], pieces, strict=True)]


def at_another_speed(item: Sentence, speed: float) -> Sentence:
    """Return the sentence played faster or slower, its pitch with it."""
    places = np.arange(0, len(item.samples) - 1, speed)
    samples = np.interp(places, np.arange(len(item.samples)), item.samples)
    return Sentence(item.text, samples.astype(np.float32))
