"""The first decodes, which take longer than all others."""

from __future__ import annotations

import numpy as np

from service.core.hypothesis import SAMPLE_RATE_HZ, DecodeOptions, Window
from service.recognizers.base import Recognizer


def warm_up(recognizer: Recognizer) -> None:
    """Decode a second of noise, so that the first stream waits for nothing."""
    noise = np.random.default_rng(0).normal(0, 0.01, SAMPLE_RATE_HZ).astype(np.float32)
    stream = recognizer.open_stream(DecodeOptions())
    try:
        stream.interim(Window(noise))
        stream.final(Window(noise))
    finally:
        stream.close()
