"""What processes that decode bring, and what they cost.

    OMP_NUM_THREADS=1 python -m benchmarks.workers throughput
    python -m benchmarks.workers memory
    python -m benchmarks.workers lag

throughput: audio decoded in a second, by finals of windows of 10 s, with as many threads asking
as decodes may run; without network. A server's own process with one decode, the same in one
worker, and on all cores both ways; in turns, medians of the rounds. The cores that were used say
whether the machine was free.
memory: of a server that is ready, and that has decoded, with no worker and with some; what
processes share counts once, and beside it what is each process's own.
lag: by how much a server's event loop is late while streams keep all decodes busy.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import statistics
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import psutil
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.support import RATE_HZ, ROOT, Clip, Server, own_server, read_clips
from client.stream import Client, RecognitionStream, StreamingConfig
from service.core.hypothesis import DecodeOptions, Window
from service.recognizers import registry
from service.recognizers.base import Recognizer
from service.recognizers.warming import warm_up
from service.workers.pool import WorkerPool
from service.workers.remote import RemoteRecognizer
from service.workers.roster import Roster
from service.workers.worker import Launch

WINDOW_S = 10
STREAMS = 6
"""More than two cores keep up with."""
LOOKS_S = (0.01, 0.05, 0.1)


@dataclass(frozen=True)
class System:
    """A model that is loaded in some way, and how many decodes it is to have at once."""

    name: str
    recognizer: Recognizer
    decodes: int
    processes: Callable[[], Sequence[psutil.Process]]
    """That decode."""

    def decode(self, windows: Sequence[Window]) -> tuple[float, float]:
        """Decode windows, all cores at once; return audio seconds per second and per CPU second."""
        before_s, begin_s = self._cpu_s(), time.monotonic()
        with ThreadPoolExecutor(self.decodes) as threads:
            list(threads.map(self._final, windows))
        took_s, spent_s = time.monotonic() - begin_s, self._cpu_s() - before_s
        audio_s = sum(len(window.samples) for window in windows) / RATE_HZ
        return audio_s / took_s, audio_s / spent_s

    def _final(self, window: Window) -> None:
        stream = self.recognizer.open_stream(DecodeOptions())
        stream.final(window)
        stream.close()

    def _cpu_s(self) -> float:
        times = [process.cpu_times() for process in self.processes()]
        return sum(each.user + each.system for each in times)


@contextmanager
def in_this_process(spec: str, decodes: int) -> Iterator[System]:
    """Load a model as a server without workers does."""
    recognizer = registry.load(registry.parse_spec(spec), 1, decodes)
    warm_up(recognizer)
    mine = psutil.Process()
    yield System(f"this process, decodes {decodes}", recognizer, decodes, lambda: [mine])
    recognizer.close()


@contextmanager
def in_workers(spec: str, workers: int) -> Iterator[System]:
    """Load a model as a server with workers does, each of them decoding once at a time."""
    roster = Roster()
    launch = Launch(spec, 1, 1, lambda _: 1, 600.0, 600.0, "warning", "json")
    recognizer = RemoteRecognizer(WorkerPool(spec, launch, workers, roster))
    processes = [psutil.Process(pid) for pid in roster.ready[spec]] + [psutil.Process()]
    name = f"workers {workers}, decodes {workers}"
    yield System(name, recognizer, workers, lambda: processes)
    recognizer.close()


def throughput(spec: str, cores: int, rounds: int, windows: int) -> None:
    """Print a line for each system."""
    samples = _passage().samples
    length = WINDOW_S * RATE_HZ
    starts = [i * RATE_HZ % (len(samples) - length) for i in range(windows)]
    work = [Window(samples[start : start + length]) for start in starts]
    with ExitStack() as stack:
        loaders = [
            *(in_this_process(spec, decodes) for decodes in (1, cores)),
            *(in_workers(spec, count) for count in (1, cores)),
        ]
        systems = [stack.enter_context(loader) for loader in loaders]
        for system in systems:
            system.decode(work[:cores])
        found: dict[str, list[tuple[float, float]]] = {system.name: [] for system in systems}
        for _ in range(rounds):
            for system in systems:
                found[system.name].append(system.decode(work))
    first = found[systems[0].name]
    for name, figures in found.items():
        rate, per_cpu = (statistics.median(column) for column in zip(*figures, strict=True))
        ratio = statistics.median(
            each / base for (each, _), (base, _) in zip(figures, first, strict=True)
        )
        print(
            f"{name:26} {rate:6.1f} audio s/s  {per_cpu:6.1f} audio s per CPU s  "
            f"{ratio:.2f} times  ({rate / per_cpu:.2f} cores)"
        )


def memory(spec: str, counts: Sequence[int]) -> None:
    """Print a line for each number of workers."""
    for count in counts:
        with own_server("--model", spec, "--workers", str(count)) as server:
            ready = _memory(server)
            asyncio.run(_keep_busy(server.address, count or 1, 0.0))
            print(f"workers {count}: ready {ready}; has decoded {_memory(server)}", flush=True)


def _memory(server: Server) -> str:
    processes = (server.process, *server.process.children())
    sizes = [process.memory_full_info() for process in processes]
    own = ", ".join(f"{size.uss / 1e6:.0f}" for size in sizes)
    return f"{sum(size.pss for size in sizes) / 1e6:.0f} MB, of which each process's own: {own}"


def lag(spec: str, counts: Sequence[int], seconds: float) -> None:
    """Print a line for each number of workers."""
    for count in counts:
        options = ("--workers", str(count), "--metrics-listen", "127.0.0.1:0")
        with own_server("--model", spec, *options) as server:
            [port] = [
                connection.laddr.port
                for connection in server.process.net_connections("tcp4")
                if connection.status == psutil.CONN_LISTEN
                and connection.laddr.port != int(server.address.rpartition(":")[2])
            ]
            before = _lags(port)
            asyncio.run(_keep_busy(server.address, STREAMS, seconds))
            after = _lags(port)
        times = after[math.inf] - before[math.inf]
        shares = "  ".join(
            f"over {limit * 1000:g} ms {1 - (after[limit] - before[limit]) / times:4.0%}"
            for limit in LOOKS_S
        )
        mean_s = (after[-1.0] - before[-1.0]) / times
        print(f"workers {count}: mean {mean_s * 1000:5.1f} ms  {shares}  ({times:.0f})")


def _lags(port: int) -> Mapping[float, float]:
    """Return how often the loop was late by no more than each bound; the sum is at -1."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
        families = list(text_string_to_metric_families(page.read().decode()))
    [family] = [each for each in families if each.name == "asr_event_loop_lag_seconds"]
    found = {float(s.labels["le"]): s.value for s in family.samples if "le" in s.labels}
    return found | {-1.0: next(s.value for s in family.samples if s.name.endswith("_sum"))}


async def _keep_busy(address: str, streams: int, seconds: float) -> None:
    """Stream the passage as fast as it is taken, again and again until the time is over."""
    end_s = time.monotonic() + seconds
    data = _passage().pcm

    async def one() -> None:
        while True:
            async with client.stream(StreamingConfig(interim_results=True)) as stream:
                reading = asyncio.create_task(_read(stream))
                for begin in range(0, len(data), 32_000):
                    await stream.send(data[begin : begin + 32_000])
                await stream.finish()
                await reading
            if time.monotonic() >= end_s:
                return

    async with Client(address) as client, asyncio.TaskGroup() as group:
        for _ in range(streams):
            group.create_task(one())


async def _read(stream: RecognitionStream) -> None:
    async for _ in stream:
        pass


def _passage() -> Clip:
    clips = read_clips([ROOT / "samples" / "manifest.jsonl"])
    [passage] = [clip for clip in clips if clip.path.name == "passage.flac"]
    return passage


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figure", choices=["throughput", "memory", "lag"])
    parser.add_argument("--model", default="whisper", help="model spec (default: %(default)s)")
    parser.add_argument("--cores", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--windows", type=int, default=16, help="a round (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=20, help="of lag (default: %(default)s)")
    options = parser.parse_args()
    match options.figure:
        case "throughput":
            throughput(options.model, options.cores, options.rounds, options.windows)
        case "memory":
            memory(options.model, range(options.cores + 1))
        case _:
            lag(options.model, (0, options.cores), options.seconds)


if __name__ == "__main__":
    main()
