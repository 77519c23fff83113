"""What DeepSpeech costs behind the service, against the library alone in a loop.

Used by benchmarks.deepspeech.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.support import RATE_HZ, Clip, Server
from client.stream import Client, StreamingConfig
from service.recognizers.deepspeech import READINGS
from service.recognizers.deepspeech_model import NativeModel

AT_ONCE = 8
PAUSE_S = 1.0
MESSAGE_BYTES = 3_200
PIECE_SAMPLES = 8_000
"""What the service has heard at a time: 0.5 s, its interval of interims."""


def streams_of(clips: Sequence[Clip], least_s: float) -> list[bytes]:
    """Return PCM of streams at least so long: clips one after the other, with pauses between.

    With 0, each clip is a stream, and ends with its last word. What is left over at the end
    and fills no stream is dropped.
    """
    if not least_s:
        return [clip.pcm for clip in clips]
    streams, stream = [], b""
    for clip in clips:
        stream += clip.pcm + bytes(2 * round(PAUSE_S * RATE_HZ))
        if len(stream) >= 2 * least_s * RATE_HZ:
            streams.append(stream)
            stream = b""
    return streams


def measure(model: NativeModel, server: Server, streams: Sequence[bytes], rounds: int) -> None:
    """Print what the service costs beyond the library, as the medians of rounds in turns."""
    audio_s = sum(map(len, streams)) / 2 / RATE_HZ
    ways: dict[str, Callable[[], float]] = {
        "library": lambda: _library_cpu_s(model, streams, readings=1),
        "library, as asked by the service": lambda: _library_cpu_s(
            model, streams, readings=READINGS, piece_samples=PIECE_SAMPLES
        ),
        "service": lambda: _service_cpu_s(server, streams, interims=False),
        "library, as asked for interims": lambda: _library_cpu_s(
            model, streams, readings=READINGS, piece_samples=PIECE_SAMPLES, interims=True
        ),
        "service, interims": lambda: _service_cpu_s(server, streams, interims=True),
    }
    for way in ways.values():
        way()
    spent = [{name: way() for name, way in ways.items()} for _ in range(rounds)]
    print(
        f"throughput: {len(streams)} streams of {audio_s / len(streams):.1f} s, {audio_s:.0f} s in "
        f"all, {AT_ONCE} at once, {rounds} rounds"
    )
    names = list(ways)
    for index, name in enumerate(names):
        cost_ms = 1_000 * statistics.median(costs[name] for costs in spent) / audio_s
        ratios = [costs[names[0]] / costs[name] for costs in spent]
        line = (
            f"  {name:32} {1_000 / cost_ms:6.1f} audio s per CPU s ({cost_ms:6.1f} ms/s), "
            f"{statistics.median(ratios):.3f} of the library "
            f"({min(ratios):.3f} to {max(ratios):.3f})"
        )
        if name.startswith("service"):
            asked = [costs[names[index - 1]] / costs[name] for costs in spent]
            line += f", {statistics.median(asked):.3f} of it as asked"
        print(line)


def _library_cpu_s(
    model: NativeModel,
    streams: Sequence[bytes],
    *,
    readings: int,
    piece_samples: int | None = None,
    interims: bool = False,
) -> float:
    begin_s = time.process_time()
    for pcm in streams:
        stream = model.open_stream({})
        samples = np.frombuffer(pcm, dtype="<i2")
        size = piece_samples or len(samples)
        for begin in range(0, len(samples), size):
            stream.feed(samples[begin : begin + size])
            if interims:
                stream.text_so_far()
        stream.finish(readings)
    return time.process_time() - begin_s


def _service_cpu_s(server: Server, streams: Sequence[bytes], *, interims: bool) -> float:
    begin_s = server.cpu_s
    asyncio.run(stream_all(server, streams, interims=interims))
    return server.cpu_s - begin_s


async def stream_all(server: Server, streams: Sequence[bytes], *, interims: bool) -> None:
    """Send streams as fast as they are read, so many at once, and read their results."""
    waiting = asyncio.Semaphore(AT_ONCE)
    config = StreamingConfig(interim_results=interims)

    async def hear(client: Client, pcm: bytes) -> None:
        async with waiting, client.stream(config) as stream:
            for begin in range(0, len(pcm), MESSAGE_BYTES):
                await stream.send(pcm[begin : begin + MESSAGE_BYTES])
            await stream.finish()
            async for _ in stream:
                pass

    async with Client(server.address) as client:
        await asyncio.gather(*(hear(client, pcm) for pcm in streams))
