"""How many streams a machine holds within its bounds on latency.

python -m benchmarks.load MANIFEST...

Rising numbers of streams, each of real speech at the pace it was spoken, without a pause
between clips, from a process of its own. A number of streams is held if

- 99 % of the interims arrive within 1 s of their newest audio
- 95 % of the flushes and half-closes are answered within 0.7 s
- no stream is refused or breaks off, and every final is the one that the same stream
  gets alone

The word error rate is that of the finals under load. ``--naive`` measures
benchmarks.naive_server, with the same weights, as well. ``--server`` measures another
server that speaks the contract; its processor time and memory are then not known.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from benchmarks.load_streams import Record, Script, make_scripts, play_all
from benchmarks.support import (
    Server,
    manifest_arguments,
    own_server,
    read_clips,
    server_of,
    word_errors,
)

MOST_LAG_S = 1.0
MOST_FINAL_S = 0.7
SAMPLE_EVERY_S = 0.5
SHORTEST_S, LONGEST_S = 1.5, 20.0
"""Of clips that are used; longer ones would leave too few answers to count."""


@dataclass(frozen=True)
class Step:
    """What one number of streams came to."""

    records: Sequence[Record]
    scripts: Sequence[Script]
    cpu_s: float | None
    resident_bytes: int | None
    """The most at any time."""

    @property
    def audio_s(self) -> float:
        """Audio of all streams."""
        return sum(script.duration_s for script in self.scripts)

    def percentile_s(self, name: str, percent: float) -> float:
        """Return a percentile of one of the times in the records; 0 if there are none."""
        values = [value for record in self.records for value in getattr(record, name)]
        return float(np.percentile(values, percent)) if values else 0.0

    def changed(self, alone: Sequence[Record]) -> int:
        """Count streams whose finals are not those of the same stream alone."""
        pairs = zip(self.records, alone, strict=False)
        return sum(record.finals != other.finals for record, other in pairs)

    def is_held(self, alone: Sequence[Record]) -> bool:
        """Whether everything is within its bounds."""
        return (
            self.percentile_s("interim_lag_s", 99) <= MOST_LAG_S
            and self.percentile_s("final_s", 95) <= MOST_FINAL_S
            and not any(record.failure for record in self.records)
            and not self.changed(alone)
        )

    def line(self, alone: Sequence[Record], idle_bytes: int | None) -> str:
        """Return the figures in one line."""
        errors = word_errors(
            [script.text for script in self.scripts], [record.text for record in self.records]
        )
        cpu = "-" if self.cpu_s is None else f"{self.cpu_s / self.audio_s:.3f}"
        memory = "-"
        if self.resident_bytes is not None and idle_bytes is not None:
            memory = f"{(self.resident_bytes - idle_bytes) / 1e6 / len(self.records):.1f}"
        failures = sum(bool(record.failure) for record in self.records)
        return (
            f"{len(self.records):3d} streams  "
            f"interim lag p50 {self.percentile_s('interim_lag_s', 50):.2f} "
            f"p99 {self.percentile_s('interim_lag_s', 99):.2f} s  "
            f"gap p50 {self.percentile_s('interim_gap_s', 50):.2f} "
            f"p99 {self.percentile_s('interim_gap_s', 99):.2f} s  "
            f"final p50 {self.percentile_s('final_s', 50):.2f} "
            f"p95 {self.percentile_s('final_s', 95):.2f} s  "
            f"WER {errors.percent:.2f} %  failed {failures}  "
            f"changed finals {self.changed(alone)}  "
            f"CPU {cpu} s/s  memory {memory} MB/stream  "
            f"sender late p99 {self.percentile_s('lateness_s', 99):.3f} s  "
            f"{'held' if self.is_held(alone) else 'not held'}"
        )


@contextmanager
def _watching(server: Server | None) -> Iterator[list[int]]:
    """Gather the server's resident memory while the block runs."""
    samples: list[int] = []
    is_over = threading.Event()

    def watch() -> None:
        while server is not None and not is_over.wait(SAMPLE_EVERY_S):
            samples.append(server.resident_bytes)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield samples
    finally:
        is_over.set()
        watcher.join()


def run_step(address: str, server: Server | None, scripts: Sequence[Script], model: str) -> Step:
    """Play some streams at once."""
    before_s = server.cpu_s if server is not None else 0.0
    with _watching(server) as resident_bytes:
        records = asyncio.run(play_all(address, scripts, model))
    cpu_s = server.cpu_s - before_s if server is not None else None
    return Step(records, scripts, cpu_s, max(resident_bytes, default=None))


def find_most(
    address: str, server: Server | None, scripts: Sequence[Script], options: argparse.Namespace
) -> int:
    """Print a line for each number of streams; return the largest that is held."""
    alone = asyncio.run(_one_by_one(address, scripts, options.model))
    idle_bytes = server.resident_bytes if server is not None else None
    most = 0
    for streams in options.streams:
        step = run_step(address, server, scripts[:streams], options.model)
        print(step.line(alone, idle_bytes), flush=True)
        for failure in sorted({record.failure for record in step.records if record.failure}):
            print(f"      {failure}")
        if step.is_held(alone):
            most = max(most, streams)
        elif options.stop:
            break
    return most


async def _one_by_one(address: str, scripts: Sequence[Script], model: str) -> list[Record]:
    """Play each stream alone and as fast as the server takes it."""
    return [(await play_all(address, [script], model, paced=False))[0] for script in scripts]


def main() -> None:
    """Print the figures."""
    parser = manifest_arguments("Streams that are held within bounds on latency.")
    parser.add_argument("--server", metavar="HOST:PORT", help="a running server (default: its own)")
    parser.add_argument("--model", default="whisper", help="model spec (default: %(default)s)")
    parser.add_argument(
        "--streams",
        type=lambda text: [int(part) for part in text.split(",")],
        default=[1, 4, 8, 10, 12, 14, 16],
        metavar="N,N,...",
        help="numbers of streams to try (default: 1,4,8,10,12,14,16)",
    )
    parser.add_argument("--seconds", type=float, default=40, help="of each stream (default: 40)")
    parser.add_argument("--naive", action="store_true", help="the naive server as well")
    parser.add_argument("--stop", action="store_true", help="stop at the first that is not held")
    parser.add_argument("--server-option", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    clips = [
        clip
        for clip in read_clips(options.manifests)
        if clip.text and SHORTEST_S <= clip.duration_s <= LONGEST_S
    ]
    scripts = make_scripts(clips, max(options.streams), options.seconds)
    if options.server:
        print(f"streams within bounds: {find_most(options.server, None, scripts, options)}")
        return
    settings = [part for option in options.server_option for part in f"--{option}".split("=")]
    settings += ["--max-streams", str(2 * max(options.streams))]
    with own_server("--model", options.model, *settings) as server:
        options.model = options.model.partition("?")[0]
        print(f"streams within bounds: {find_most(server.address, server, scripts, options)}")
    if options.naive:
        command = [sys.executable, "-m", "benchmarks.naive_server"]
        with server_of(command) as server:
            print(f"naive, within bounds: {find_most(server.address, server, scripts, options)}")


if __name__ == "__main__":
    main()
