"""Audio that the scripted recognizer hears as words."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from service.core.hypothesis import SAMPLE_RATE_HZ, Samples
from service.recognizers.scripted import pitch_hz

BURST_MS = 200
GAP_MS = 100


def quiet(ms: int) -> Samples:
    """Return silence."""
    return np.zeros(ms * SAMPLE_RATE_HZ // 1000, dtype=np.float32)


def burst(word: str, ms: int = BURST_MS, rate_hz: int = SAMPLE_RATE_HZ) -> Samples:
    """Return the tone that is heard as a word."""
    seconds = np.arange(ms * rate_hz // 1000) / rate_hz
    return (0.3 * np.sin(2 * np.pi * pitch_hz(word) * seconds)).astype(np.float32)


def tones(words: str | Iterable[str], gap_ms: int = GAP_MS) -> Samples:
    """Return words, each followed by a short gap."""
    spoken = words.split() if isinstance(words, str) else list(words)
    pieces = [piece for word in spoken for piece in (burst(word), quiet(gap_ms))]
    return np.concatenate([quiet(0), *pieces])


def pcm(samples: Samples) -> bytes:
    """Return samples as PCM_S16LE."""
    return np.round(samples * 32767).astype("<i2").tobytes()


def in_pieces(samples: Samples, ms: int = 100) -> list[bytes]:
    """Return samples as messages of PCM_S16LE, each of so much audio."""
    data = pcm(samples)
    return [data[begin : begin + 32 * ms] for begin in range(0, len(data), 32 * ms)]


TWO_UTTERANCES = np.concatenate(
    [quiet(500), tones("alfa bravo charlie"), quiet(1_500), tones("delta echo"), quiet(300)]
)
