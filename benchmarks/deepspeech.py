"""DeepSpeech behind the service: cost, latency, memory, long streams.

    python -m benchmarks.deepspeech [FIGURE...] [--model PATH] [--options QUERY]
    python -m benchmarks.deepspeech throughput --cells 2048 --tensorflow PYTHON

The second one measures with the small model made as large as the published one, see
scripts/enlarge_deepspeech.py; PYTHON is that of an environment with TensorFlow.

FIGURE is one of these; all of them by default:

- throughput: audio seconds per CPU second of eight streams at a time through a server that
  decodes one at a time, without interims and with, against the library alone in a loop, in
  turns; the medians of the rounds. The library alone: one thread, the same model, beam width and
  scorer, each stream fed whole and finished with one reading; and as the service asks it, with
  eight readings, in pieces of half a second, for interims with the text after each. A stream is
  one clip, all speech; or with --stream-s S clips with pauses of a second, until it is so long
- latency: one stream at the pace of speech, 20 ms a message. From the message that completes
  the silence which ends a segment (0.8 s after its last speech) to its final; and from the
  half-close, sent without any silence, to the last final. Of both also the CPU seconds of the
  final's own decode, which is what is left of them on a machine that does nothing else
- memory: growth of a server's resident memory over so many streams, each other one cancelled
- long: CPU seconds of each minute of a 30-minute stream with interims, in virtual time
- instance: resident memory of one more loaded model
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil

from benchmarks.deepspeech_latency import SILENCE_S, cpu_left, latencies
from benchmarks.deepspeech_throughput import AT_ONCE, measure, streams_of
from benchmarks.support import (
    RATE_HZ,
    ROOT,
    Clip,
    Server,
    own_server,
    percentiles,
    read_clips,
)
from client.stream import Client, StreamingConfig
from service.recognizers.deepspeech_library import DEEPSPEECH, load_functions
from service.recognizers.deepspeech_model import NativeModel
from service.recognizers.deepspeech_options import DeepSpeechOptions, parse_options
from service.recognizers.deepspeech_stderr import captured_stderr
from service.recognizers.registry import load, parse_spec
from tests.driver import Driver

FOLDER = ROOT / "tests" / "recognizers" / "small_deepspeech"
INSTANCES = 4


def throughput(arguments: argparse.Namespace, clips: list[Clip]) -> None:
    """Print what the service costs beyond the library."""
    model = _native(arguments)
    with own_server("--model", _spec(arguments), "--decodes", "1") as server:
        measure(model, server, streams_of(clips, arguments.stream_s), arguments.rounds)
    model.close()


def latency(arguments: argparse.Namespace, clips: list[Clip]) -> None:
    """Print how late finals are."""
    with own_server("--model", _spec(arguments)) as server:
        endpoints, closes = asyncio.run(latencies(server, clips))
    recognizer = load(parse_spec(_spec(arguments)), 1, 1)
    left = cpu_left(recognizer, clips)
    recognizer.close()
    print("latency: one stream at the pace of speech; and CPU of the final's own decode")
    for name, late, cpu in (
        (f"after the silence of {SILENCE_S} s", endpoints, left[0]),
        ("after the half-close", closes, left[1]),
    ):
        print(f"  final {name:27} {percentiles(late)}")
        print(f"    its decode, CPU                 {percentiles(cpu)}")


def memory(arguments: argparse.Namespace, clips: list[Clip]) -> None:
    """Print what is left of many streams."""
    words = min(clips, key=lambda clip: clip.duration_s).pcm[:16_000]
    warm_up = max(AT_ONCE, arguments.streams // 10)
    with own_server("--model", _spec(arguments)) as server:
        asyncio.run(_many(server, warm_up, words))
        before = server.resident_bytes
        asyncio.run(_many(server, arguments.streams, words))
        growth = server.resident_bytes - before
    print(
        f"memory: {growth / 1e6:.1f} MB over {arguments.streams} streams of 0.5 s, every second "
        f"one cancelled, after {warm_up} others; {before / 1e6:.0f} MB before"
    )


async def _many(server: Server, count: int, words: bytes) -> None:
    numbers = iter(range(count))
    config = StreamingConfig(interim_results=True)

    async def one_after_the_other(client: Client) -> None:
        for number in numbers:
            async with client.stream(config) as stream:
                await stream.send(words)
                if number % 2:
                    continue
                await stream.finish()
                async for _ in stream:
                    pass

    async with Client(server.address) as client:
        await asyncio.gather(*(one_after_the_other(client) for _ in range(AT_ONCE)))


def long(arguments: argparse.Namespace, clips: list[Clip]) -> None:
    """Print what each minute of a long stream costs, with pauses and without any."""
    for name, pause_s in (("with pauses of 1 s", 1.0), ("without a pause", 0.0)):
        costs = _minutes(arguments, clips, pause_s)
        first, last = statistics.mean(costs[:3]), statistics.mean(costs[-3:])
        print(
            f"long: {len(costs)} minutes {name}: {60 / statistics.median(costs):.1f} audio s per "
            f"CPU s; minute {len(costs)} against minute 1: {costs[-1] / costs[0]:.3f}, last three "
            f"against first three: {last / first:.3f}"
        )


def _minutes(arguments: argparse.Namespace, clips: Sequence[Clip], pause_s: float) -> list[float]:
    recognizer = load(parse_spec(_spec(arguments)), 1, 1)
    driver = Driver(recognizer=recognizer)
    pause = np.zeros(round(pause_s * RATE_HZ), dtype=np.float32)
    round_of_speech = np.concatenate([piece for clip in clips for piece in (clip.samples, pause)])
    # Every minute holds the same speech, or the minutes could not be compared.
    minute = Clip(Path(), "", np.resize(round_of_speech, 60 * RATE_HZ)).pcm
    costs = []
    for _ in range(arguments.minutes):
        begin_s = time.process_time()
        for begin in range(0, len(minute), 3_200):
            driver.session.feed(minute[begin : begin + 3_200])
            driver.work()
        costs.append(time.process_time() - begin_s)
        driver.updates.clear()
        driver.done.clear()
    driver.run([])
    recognizer.close()
    return costs


def instance(arguments: argparse.Namespace, _clips: list[Clip]) -> None:
    """Print what one more model holds."""
    process = psutil.Process()
    models = [_native(arguments)]
    sizes = [process.memory_info().rss]
    for _ in range(INSTANCES):
        models.append(_native(arguments))
        sizes.append(process.memory_info().rss)
    growth = statistics.median(later - earlier for earlier, later in itertools.pairwise(sizes))
    size = Path(arguments.model).stat().st_size
    print(f"instance: {growth / 1e6:.1f} MB for one more of a model of {size / 1e6:.1f} MB")
    for model in models:
        model.close()


def _spec(arguments: argparse.Namespace) -> str:
    return f"deepspeech:{arguments.model}" + (f"?{arguments.options}" if arguments.options else "")


def _native(arguments: argparse.Namespace) -> NativeModel:
    options: DeepSpeechOptions = parse_options(parse_spec(_spec(arguments)).options)
    functions = load_functions(DEEPSPEECH, options.library, threads=1)
    with captured_stderr():
        model = NativeModel(functions, Path(arguments.model), options)
    stream = model.open_stream({})
    stream.feed(np.zeros(RATE_HZ, dtype=np.int16))
    stream.finish(1)
    return model


FIGURES = {
    "throughput": throughput,
    "latency": latency,
    "memory": memory,
    "long": long,
    "instance": instance,
}


def main() -> None:
    """Print the figures that were named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=", ".join(FIGURES))
    parser.add_argument("--model", default=str(FOLDER / "model.pb"))
    parser.add_argument("--options", default="", help="name=value&...")
    parser.add_argument("--cells", type=int, help="make the model so large, e.g. 2048")
    parser.add_argument("--tensorflow", metavar="PYTHON", help="a Python with TensorFlow")
    parser.add_argument("--clips", type=int, help="so many of the manifest's, default: all")
    parser.add_argument("--manifest", type=Path, default=FOLDER / "held_out" / "manifest.jsonl")
    parser.add_argument(
        "--stream-s", type=float, default=0.0, help="of the figure throughput, default: one clip"
    )
    parser.add_argument("--rounds", type=int, default=7, help="of the figure throughput")
    parser.add_argument("--streams", type=int, default=10_000, help="of the figure memory")
    parser.add_argument("--minutes", type=int, default=30, help="of the figure long")
    arguments = parser.parse_args()
    unknown = set(arguments.figures) - set(FIGURES)
    if unknown:
        parser.error(f"no figure is called {', '.join(sorted(unknown))}")
    if bool(arguments.cells) != bool(arguments.tensorflow):
        parser.error("--cells and --tensorflow go together")
    clips = read_clips([arguments.manifest])[: arguments.clips]
    with tempfile.TemporaryDirectory() as folder:
        if arguments.cells:
            arguments.model = str(Path(folder) / "large.pb")
            program = [arguments.tensorflow, "-m", "scripts.enlarge_deepspeech", arguments.model]
            subprocess.run([*program, "--cells", str(arguments.cells)], cwd=ROOT, check=True)
        for name, figure in FIGURES.items():
            if not arguments.figures or name in arguments.figures:
                figure(arguments, clips)


if __name__ == "__main__":
    main()
