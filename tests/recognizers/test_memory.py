"""What a recognizer holds does not grow with how many lengths or words it has heard."""

from __future__ import annotations

import asyncio
import random
import string
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.soak_support import Held
from service.core.hypothesis import SAMPLE_RATE_HZ, DecodeOptions, Window
from service.recognizers import registry
from service.recognizers.base import Recognizer
from service.recognizers.whisper import WhisperRecognizer
from tests.samples import read_sample

SMALL_CTC = Path(__file__).parent / "small_ctc"
FIRST, MORE = 30, 30
"""Lengths heard before memory is looked at, and after."""


def _whisper() -> Recognizer:
    return registry.load(registry.parse_spec("whisper"), 1, 1)


def _small_ctc() -> Recognizer:
    pytest.importorskip("torch", reason="needs the extra transformers")
    return registry.load(registry.parse_spec(f"transformers:{SMALL_CTC}?precision=bf16"), 1, 1)


async def _heap_bytes() -> int:
    return Held.now().heap_bytes


@pytest.mark.parametrize(("load", "most_bytes"), [(_whisper, 3_000_000), (_small_ctc, 10_000_000)])
def test_lengths_of_audio_leave_little_behind(load: Callable[[], Recognizer], most_bytes: int):
    """After thirty lengths, thirty others add little to the heap.

    Without whole seconds Whisper grows by 14 MB; the CTC model, in bf16, by 63 MB without a bound
    on what oneDNN keeps, and by 52 without one on what torch keeps of it.
    """
    recognizer = load()
    samples = read_sample("without_pauses.flac")
    lengths = np.random.default_rng(0).permutation(FIRST + MORE) * 0.07 + 1.3

    def hear(durations_s: np.ndarray) -> None:
        for duration_s in durations_s:
            stream = recognizer.open_stream(DecodeOptions())
            window = Window(samples[: round(duration_s * SAMPLE_RATE_HZ)])
            stream.interim(window)
            stream.final(window)
            stream.close()

    try:
        hear(lengths[:FIRST])
        before = asyncio.run(_heap_bytes())
        hear(lengths[FIRST:])
        assert asyncio.run(_heap_bytes()) - before <= most_bytes
    finally:
        recognizer.close()


def test_words_leave_nothing_behind(recognizer: WhisperRecognizer):
    """A tokenizer that kept the words it meets would keep 0.8 MB of two thousand."""
    chance = random.Random(0)
    words = ["".join(chance.choices(string.ascii_lowercase, k=7)) for _ in range(2_000)]
    recognizer._model.tokens("hello")
    before = asyncio.run(_heap_bytes())
    for word in words:
        recognizer._model.tokens(word)
    assert asyncio.run(_heap_bytes()) - before <= 100_000


def test_the_first_beam_search_leaves_nothing_behind(recognizer: WhisperRecognizer):
    """What it compiles for good is there since the start; it would be 0.6 MB, and 4 of code."""
    samples = read_sample("without_pauses.flac")[: 3 * SAMPLE_RATE_HZ]
    options = DecodeOptions(max_alternatives=5)
    recognizer.open_stream(DecodeOptions()).final(Window(samples))
    before = asyncio.run(_heap_bytes())
    assert recognizer.open_stream(options).final(Window(samples)).alternatives
    assert asyncio.run(_heap_bytes()) - before <= 200_000
