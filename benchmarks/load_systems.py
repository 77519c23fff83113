"""What can be put under load: our server, another that speaks the contract, and peers."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks import load_grpc, load_whisper_live
from benchmarks.load_figures import Figures, figures_of
from benchmarks.load_grpc import Endpoint
from benchmarks.load_peers import whisper_live_python
from benchmarks.load_scripts import Record, Script
from benchmarks.load_watch import Watch, free_address
from benchmarks.support import own_server, server_of
from client.serving import ServerError
from service.recognizers.whisper_folder import bundled_folder

WARM_UP_S = 12.0
"""Of each stream that warms a server up: long windows, a pause, a final."""

WARM_UP_STREAMS = 2 * (os.cpu_count() or 1)
"""Two for each thread that decodes, so that none is idle."""

Play = Callable[[Sequence[Script]], Awaitable[list[Record]]]


@dataclass
class System:
    """A server that runs, and how to speak with it."""

    name: str
    play: Play
    """Runs streams at the pace of speech."""
    watch: Watch
    most_streams: int
    """At once."""
    play_alone: Play | None = None
    """Runs streams one by one as fast as they are taken; None where the result would depend
    on the pace."""
    has_words: bool = True
    """Whether it recognizes speech."""
    alone: list[Record] | None = field(default=None, init=False)

    def warm_up(self, scripts: Sequence[Script]) -> None:
        """Have every thread decode, note what the streams get alone, take the idle memory.

        Raises:
            ServerError: a stream alone fails, so that there is nothing to measure.
        """
        short = [script.cut(WARM_UP_S) for script in scripts]
        # Every worker must have met long windows, or its first ones would count as memory
        # of the streams.
        streams = min(self.most_streams, WARM_UP_STREAMS)
        asyncio.run(self.play([short[number % len(short)] for number in range(streams)]))
        if self.play_alone is not None:
            self.alone = asyncio.run(self.play_alone(scripts))
            failures = sorted({record.failure for record in self.alone if record.failure})
            if failures:
                raise ServerError(f"{self.name}: a stream alone failed: {'; '.join(failures)}")
        self.watch.settle()
        self.watch.take_baseline()

    def measure(self, scripts: Sequence[Script], repeat: int) -> tuple[Figures, list[str]]:
        """Run streams; return the figures, and in what ways streams failed."""
        self.watch.settle()
        with self.watch.watching():
            records = asyncio.run(self.play(scripts))
        figures = figures_of(
            self.name,
            repeat,
            scripts,
            records,
            self.alone,
            self.watch.cost,
            has_words=self.has_words,
        )
        return figures, sorted({record.failure for record in records if record.failure})


@contextmanager
def ours(spec: str, settings: Sequence[str], streams: int) -> Iterator[System]:
    """Run our server with a model."""
    metrics = free_address()
    arguments = ["--model", spec, *settings, "--max-streams", str(streams)]
    arguments += ["--max-starts-per-caller", "0", "--metrics-listen", metrics]
    with own_server(*arguments) as server:
        watch = Watch(server, metrics)
        has_words = spec.partition("?")[0] != "scripted"
        endpoint = Endpoint(server.address)
        yield _grpc_system("ours", endpoint, "", watch, streams, has_words=has_words)


@contextmanager
def other(server: Endpoint, model: str, metrics: str, streams: int) -> Iterator[System]:
    """Speak with a server that runs somewhere."""
    yield _grpc_system("server", server, model, Watch(None, metrics), streams)


@contextmanager
def naive(streams: int) -> Iterator[System]:
    """Run benchmarks.naive_server."""
    with server_of([sys.executable, "-m", "benchmarks.naive_server"]) as server:
        yield _grpc_system("naive", Endpoint(server.address), "", Watch(server), streams)


@contextmanager
def whisper_live(streams: int, name: str = "whisper-live", *options: str) -> Iterator[System]:
    """Run WhisperLive's server with our default model's weights."""
    command = [str(whisper_live_python()), "-m", "benchmarks.whisper_live_server"]
    command += ["--model", str(bundled_folder()), *options]
    command += ["--max-clients", str(streams)]
    with server_of(command) as server:

        async def play(scripts: Sequence[Script]) -> list[Record]:
            return await load_whisper_live.play_all(server.address, scripts)

        yield System(name, play, Watch(server), streams)


@contextmanager
def whisper_live_all_cores(streams: int) -> Iterator[System]:
    """Run it with as many threads for a decode as there are cores."""
    threads = str(os.cpu_count() or 1)
    with whisper_live(streams, "whisper-live-all-cores", "--threads", threads) as system:
        yield system


@contextmanager
def whisper_live_batch(streams: int) -> Iterator[System]:
    """Run it in its batched mode, which searches greedily, on all cores."""
    threads = str(os.cpu_count() or 1)
    options = ("--batch", "--threads", threads)
    with whisper_live(streams, "whisper-live-batch", *options) as system:
        yield system


PEERS = {
    "naive": naive,
    "whisper-live": whisper_live,
    "whisper-live-all-cores": whisper_live_all_cores,
    "whisper-live-batch": whisper_live_batch,
}


def _grpc_system(
    name: str, server: Endpoint, model: str, watch: Watch, streams: int, *, has_words: bool = True
) -> System:
    async def play(scripts: Sequence[Script]) -> list[Record]:
        return await load_grpc.play_all(server, scripts, model)

    async def play_alone(scripts: Sequence[Script]) -> list[Record]:
        return [
            (await load_grpc.play_all(server, [script], model, paced=False))[0]
            for script in scripts
        ]

    return System(name, play, watch, streams, play_alone, has_words)
