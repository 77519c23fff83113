"""By how much the server's memory grows in an hour of streams that come and go.

python -m benchmarks.growth                 an hour, at the pace of speech
python -m benchmarks.growth --minutes 10    scaled: growth is told for an hour all the same
python -m benchmarks.growth --fast          as fast as the server goes: more streams in less time

Round for round some streams at once, each a minute of the project's own samples with interims
and a flush, on connections of their own; every round says the same. Resident memory is looked at
when a round is over. The first quarter is left out, for until then threads and allocator still
reach their size. What is told is the slope of the line that fits the rest best, for an hour of
time and for a thousand rounds, beside the difference between the medians of its first and last
fifths.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from benchmarks.support import RATE_HZ, ROOT, Clip, Server, own_server, read_clips
from client.stream import Client, StreamingConfig

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
    per_round_bytes: float
    difference_bytes: float

    @classmethod
    def of(cls, times_s: Sequence[float], sizes: Sequence[int]) -> Growth:
        """Fit lines to the sizes after each round."""
        first = round(LEFT_OUT * len(sizes))
        kept, at_s = np.array(sizes[first:], dtype=float), np.array(times_s[first:])
        fifth = max(1, len(kept) // 5)
        return cls(
            rounds=len(sizes),
            duration_s=times_s[-1],
            per_hour_bytes=float(np.polyfit(at_s, kept, 1)[0]) * 3_600,
            per_round_bytes=float(np.polyfit(np.arange(len(kept)), kept, 1)[0]),
            difference_bytes=float(np.median(kept[-fifth:]) - np.median(kept[:fifth])),
        )

    @property
    def line(self) -> str:
        """The figures in one line."""
        return (
            f"{self.rounds} rounds in {self.duration_s / 60:.0f} min  "
            f"growth {self.per_hour_bytes / 1e6:+.2f} MB an hour, "
            f"{self.per_round_bytes * 1_000 / 1e6:+.2f} MB for 1000 rounds  "
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


def some_clips(clips: Sequence[Clip], number: int) -> list[Clip]:
    """Return about a minute of clips in an order of the stream's own."""
    generator = random.Random(number)
    chosen: list[Clip] = []
    while sum(clip.duration_s for clip in chosen) < STREAM_S:
        chosen.append(generator.choice(clips))
    return chosen


async def watch(
    server: Server, clips: Sequence[Clip], at_once: int, duration_s: float, *, is_paced: bool
) -> tuple[list[float], list[int]]:
    """Run rounds of streams for so long; return when each had ended and what it left."""
    said = [some_clips(clips, number) for number in range(at_once)]
    began_s = time.monotonic()
    times_s: list[float] = []
    sizes: list[int] = []
    # Also what there is when somebody has had enough.
    with suppress(asyncio.CancelledError):
        while time.monotonic() - began_s < duration_s:
            await asyncio.gather(
                *(one_stream(server.address, spoken, is_paced=is_paced) for spoken in said)
            )
            await asyncio.sleep(REST_S)
            times_s.append(time.monotonic() - began_s)
            sizes.append(server.resident_bytes)
            if len(sizes) % 10 == 1:
                print(f"{times_s[-1] / 60:5.1f} min  {sizes[-1] / 1e6:.1f} MB", flush=True)
    return times_s, sizes


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Growth of the server's memory in an hour.")
    parser.add_argument("--minutes", type=float, default=60, help="(default: %(default)s)")
    parser.add_argument("--streams", type=int, default=4, help="at once (default: %(default)s)")
    parser.add_argument("--fast", action="store_true", help="without the pace of speech")
    parser.add_argument("--model", default="whisper", help="model spec (default: %(default)s)")
    parser.add_argument("--server-option", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    settings = [part for option in options.server_option for part in f"--{option}".split("=")]
    clips = [c for c in read_clips([ROOT / "samples" / "manifest.jsonl"]) if c.text]
    with own_server(
        *("--max-streams", str(options.streams + 1), "--max-starts-per-caller", "0"),
        *("--model", options.model, *settings),
    ) as server:
        times_s, sizes = asyncio.run(
            watch(server, clips, options.streams, 60 * options.minutes, is_paced=not options.fast)
        )
    if len(sizes) < LEAST_ROUNDS:
        sys.exit(f"{len(sizes)} rounds are too few to tell growth; give it more --minutes")
    print(Growth.of(times_s, sizes).line)


if __name__ == "__main__":
    main()
