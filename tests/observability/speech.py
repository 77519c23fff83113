"""Speech on which a server does all that it can do with the scripted recognizer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np

from protos.asr.v1 import asr_pb2
from tests.observability.scrape import samples
from tests.rpc.streams import audio, config
from tests.tones import pcm, quiet, tones

WORDS = pcm(np.concatenate([quiet(300), tones("alfa bravo")]))
PAUSE = pcm(quiet(500))
"""Long enough to decode ahead of time, too short to end the segment."""
REST = pcm(np.concatenate([quiet(1_000), tones("charlie")]))
SPEECH_S = len(WORDS + PAUSE + REST) / 32_000


async def speak(metrics_address: str) -> AsyncIterator[asr_pb2.AudioChunk]:
    """Say two segments, and wait until the first had an interim and was decoded ahead of time.

    Both are optional, and left out where all audio is there at once.
    """
    yield config(interim_results=True)
    for part, kind in ((WORDS, "interim"), (PAUSE, "speculative_final"), (REST, None)):
        for message in audio(part):
            yield message
        while kind and not await _decodes(metrics_address, kind):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def _decodes(metrics_address: str, kind: str) -> float:
    found = await samples(metrics_address)
    return found.get(("asr_decode_seconds_count", kind, "scripted"), 0)
