"""By how much the server's memory grows in an hour of streams that come and go.

python -m benchmarks.growth                 an hour at the pace of speech, behind some fast minutes
python -m benchmarks.growth --minutes 10    scaled: growth is told for an hour all the same
python -m benchmarks.growth --fast          as fast as the server goes: more hours in less time
python -m benchmarks.growth MANIFEST…       with other recordings than the project's own

Round for round some streams at once, each a minute of recordings with interims and a flush, on
connections of their own; no two say the same, and pieces differ in length, for libraries keep
things for each length that they meet. When a round is over, its slots are free and garbage is
collected, the server's process is looked at: its resident memory, once the allocator was made to
give back what is free, as the server has it do every few minutes; and what is in use of the heap
of its libraries in C, which is exact to some kilobytes.

Left out is what comes before caches have reached their size: the rounds of --warm-minutes, which
are spoken as fast as the server goes, and a quarter of the others. What is told is the slope of the
line that fits the rest best, for an hour that each stream speaks (60 rounds), with its standard
error, beside the difference between the medians of its first and last fifths.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import psutil

from benchmarks.soak_support import Held, soak_settings
from benchmarks.support import RATE_HZ, Clip, manifest_arguments, read_clips
from client.stream import Client, StreamingConfig
from service.app import RunningServer, run_server
from service.memory import give_back, one_heap
from service.telemetry import configure_logging

STREAM_S = 60.0
MESSAGE_S = 0.1
LEFT_OUT = 0.25
REST_S = 1.0
"""Until what streams held is freed."""
LEAST_ROUNDS = 8


@dataclass(frozen=True)
class Growth:
    """What memory did while streams came and went."""

    rounds: int
    duration_s: float
    per_hour_bytes: float
    """Of speech of each stream."""
    error_bytes: float
    """Its standard error."""
    difference_bytes: float

    @classmethod
    def of(cls, duration_s: float, sizes: Sequence[int]) -> Growth:
        """Fit a line to the sizes after each round."""
        kept = np.array(sizes[round(LEFT_OUT * len(sizes)) :], dtype=float)
        hours = np.arange(len(kept)) * STREAM_S / 3_600
        (slope, _), covariance = np.polyfit(hours, kept, 1, cov=True)
        fifth = max(1, len(kept) // 5)
        return cls(
            rounds=len(sizes),
            duration_s=duration_s,
            per_hour_bytes=float(slope),
            error_bytes=float(np.sqrt(covariance[0, 0])),
            difference_bytes=float(np.median(kept[-fifth:]) - np.median(kept[:fifth])),
        )

    @property
    def line(self) -> str:
        """The figures in one line."""
        return (
            f"{self.rounds} rounds in {self.duration_s / 60:.0f} min  "
            f"growth {self.per_hour_bytes / 1e6:+.2f} MB ± {self.error_bytes / 1e6:.2f} an hour  "
            f"first to last fifth {self.difference_bytes / 1e6:+.2f} MB"
        )


async def one_stream(address: str, clips: Sequence[Clip], *, is_paced: bool) -> None:
    """Speak the clips, with a flush behind the first."""
    size = round(MESSAGE_S * RATE_HZ) * 2
    async with (
        Client(address) as client,
        client.stream(StreamingConfig(interim_results=True)) as stream,
    ):

        async def send() -> None:
            began_s, sent = time.monotonic(), 0
            for number, clip in enumerate(clips):
                pcm = clip.pcm
                for begin in range(0, len(pcm), size):
                    sent += 1
                    if is_paced:
                        await asyncio.sleep(began_s + sent * MESSAGE_S - time.monotonic())
                    await stream.send(pcm[begin : begin + size])
                if not number:
                    await stream.flush("first")
            await stream.finish()

        sending = asyncio.create_task(send())
        async for _ in stream:
            pass
        await sending


def some_clips(clips: Sequence[Clip], stream: str) -> list[Clip]:
    """Return about a minute of clips, cut somewhere, in an order of the stream's own."""
    generator = random.Random(stream)
    chosen: list[Clip] = []
    while sum(clip.duration_s for clip in chosen) < STREAM_S:
        clip = generator.choice(clips)
        begin = generator.randrange(len(clip.samples) // 2)
        chosen.append(replace(clip, samples=clip.samples[begin:]))
    return chosen


async def drive(options: argparse.Namespace) -> None:
    """Do one round, in a process of its own: only the server's memory is to be measured."""
    clips = [clip for clip in read_clips(options.manifests) if clip.text]
    await asyncio.gather(
        *(
            one_stream(
                options.drive,
                some_clips(clips, f"{options.round}-{number}"),
                is_paced=options.is_paced,
            )
            for number in range(options.streams)
        )
    )


@dataclass
class Sizes:
    """What the server's process held after each round."""

    at_s: list[float]
    heap_bytes: list[int]
    resident_bytes: list[int]

    async def take(self, running: RunningServer, at_s: float) -> None:
        """Measure once more, when the last round's streams are over."""
        await running.engine.slots.wait_until_free(60)
        await asyncio.sleep(REST_S)
        self.heap_bytes.append(Held.now().heap_bytes)
        give_back()
        self.resident_bytes.append(psutil.Process().memory_info().rss)
        self.at_s.append(at_s)


async def watch(options: argparse.Namespace) -> Sizes:
    """Run rounds of streams for so long."""
    sizes = Sizes([], [], [])
    settings = soak_settings(
        model=[options.model], voice_activity="silero", max_streams=options.streams + 1
    )
    async with run_server(settings) as running:
        command = ("-m", "benchmarks.growth", *sys.argv[1:], "--drive", running.address)
        numbers = itertools.count()

        async def rounds(minutes: float, *, is_paced: bool) -> AsyncIterator[float]:
            began_s = time.monotonic()
            while time.monotonic() - began_s < 60 * minutes:
                how = ("--round", str(next(numbers)), *(["--is-paced"] if is_paced else []))
                process = await asyncio.create_subprocess_exec(sys.executable, *command, *how)
                if await process.wait():
                    raise RuntimeError("the client of the benchmark failed")
                yield time.monotonic() - began_s

        # Also what there is when somebody has had enough.
        with suppress(asyncio.CancelledError):
            warming = [at_s async for at_s in rounds(options.warm_minutes, is_paced=False)]
            print(f"warm after {len(warming)} rounds", flush=True)
            async for at_s in rounds(options.minutes, is_paced=not options.fast):
                await sizes.take(running, at_s)
                if len(sizes.at_s) % 10 == 1:
                    print(
                        f"{at_s / 60:5.1f} min  resident {sizes.resident_bytes[-1] / 1e6:.1f} MB  "
                        f"heap {sizes.heap_bytes[-1] / 1e6:.2f} MB",
                        flush=True,
                    )
    return sizes


def main() -> None:
    """Print the figures."""
    parser = manifest_arguments("Growth of the server's memory in an hour.")
    parser.add_argument("--minutes", type=float, default=60, help="(default: %(default)s)")
    parser.add_argument(
        "--warm-minutes", type=float, default=5, help="before them (default: %(default)s)"
    )
    parser.add_argument("--streams", type=int, default=4, help="at once (default: %(default)s)")
    parser.add_argument("--fast", action="store_true", help="without the pace of speech")
    parser.add_argument("--model", default="whisper", help="model spec (default: %(default)s)")
    parser.add_argument("--drive", metavar="HOST:PORT", help=argparse.SUPPRESS)
    parser.add_argument("--round", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--is-paced", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.drive:
        asyncio.run(drive(options))
        return
    one_heap()
    configure_logging("warning", "console")
    sizes = asyncio.run(watch(options))
    if len(sizes.at_s) < LEAST_ROUNDS:
        sys.exit(f"{len(sizes.at_s)} rounds are too few to tell growth; give it more --minutes")
    print(f"resident  {Growth.of(sizes.at_s[-1], sizes.resident_bytes).line}")
    print(f"heap      {Growth.of(sizes.at_s[-1], sizes.heap_bytes).line}")


if __name__ == "__main__":
    main()
