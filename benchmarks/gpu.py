"""What one GPU does: a model of wav2vec2-base's size at random weights, and Whisper.

    python -m benchmarks.gpu
    python -m benchmarks.gpu --device cpu

Told are, for windows as interims have them, audio seconds per second of transformers' own loop
over single windows, and of the recognizer from many threads; finals of long segments offline;
how many streams have their interims in time; and whether finals are the same to the last bit
whoever is beside them. Accuracy is not measured: by chance there is none. With --device cpu
everything is tried with few weights and few streams, to see that it works; those are no figures.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoFeatureExtractor, AutoModelForCTC

from benchmarks.ctc_speed import BASE
from benchmarks.gpu_streams import measure_streams
from benchmarks.support import ROOT, read_clips
from service.core.hypothesis import SAMPLE_RATE_HZ, DecodeOptions, Window
from service.recognizers.base import ModelUnavailableError, Recognizer
from service.recognizers.registry import load, parse_spec
from service.recognizers.transformers_ctc import CtcRecognizer
from tests.recognizers.tiny_ctc import write_checkpoint

WINDOW_S = 5.5
"""An interim's window: 4 s on the left, 0.5 s that are new, 1 s on the right."""
IN_TIME_S = 0.3
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    weights: dict[str, Any]
    windows: int
    offline_s: float
    recordings: int
    streams: tuple[int, ...]
    seconds: float
    whisper_clips: int


FULL = Scale(BASE, 1_024, 20.0, 256, (100, 250, 500, 750, 1_000, 1_250, 1_500, 2_000), 15.0, 64)
SMALL = Scale({}, 16, 3.0, 8, (2,), 1.0, 1)


def rate(heard_s: float, hear: Callable[[], object]) -> float:
    """Return audio seconds per second of wall time; the first time is not counted."""
    hear()
    begin_s = time.perf_counter()
    hear()
    return heard_s / (time.perf_counter() - begin_s)


def noises(count: int, seconds: float) -> NDArray[np.float32]:
    """Return so many different windows."""
    size = (count, round(seconds * SAMPLE_RATE_HZ))
    return np.random.default_rng(1).normal(0, 0.05, size).astype(np.float32)


def loop_rate(folder: str, device: str, precision: str, windows: NDArray[np.float32]) -> float:
    """Measure windows one after the other, as the documentation of transformers has it."""
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    model = AutoModelForCTC.from_pretrained(folder).eval().to(device, TYPES[precision])

    def hear() -> None:
        for window in windows:
            inputs = extractor(window, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
            with torch.inference_mode():
                values = inputs.input_values.to(device, model.dtype)
                model(values).logits.argmax(dim=-1).cpu()

    return rate(windows.size / SAMPLE_RATE_HZ, hear)


def threads_rate(recognizer: CtcRecognizer, workers: int, windows: NDArray[np.float32]) -> float:
    """Measure windows of interims, asked for by many threads."""
    with ThreadPoolExecutor(workers) as pool:
        return rate(
            windows.size / SAMPLE_RATE_HZ,
            lambda: list(
                pool.map(lambda one: recognizer.model.hear(one, is_final=False).shape, windows)
            ),
        )


def offline_rate(recognizer: Recognizer, workers: int, windows: NDArray[np.float32]) -> float:
    """Measure finals, asked for by many threads."""

    def final(samples: NDArray[np.float32]) -> str:
        return recognizer.open_stream(DecodeOptions()).final(Window(samples)).text

    with ThreadPoolExecutor(workers) as pool:
        return rate(windows.size / SAMPLE_RATE_HZ, lambda: list(pool.map(final, windows)))


def differing_finals(recognizer: CtcRecognizer, workers: int, windows: NDArray[np.float32]) -> int:
    """Count the finals whose log-probabilities are others with neighbours than alone."""
    alone = [recognizer.model.hear(window, is_final=True) for window in windows]
    with ThreadPoolExecutor(workers) as pool:
        beside = list(pool.map(lambda one: recognizer.model.hear(one, is_final=True), windows))
    return sum(not np.array_equal(one, two) for one, two in zip(alone, beside, strict=True))


def measure_ctc(arguments: argparse.Namespace, scale: Scale, folder: str) -> None:
    """Measure the CTC model."""
    device, precision = arguments.device, arguments.precision
    windows = noises(scale.windows, WINDOW_S)
    few = windows[: max(4, len(windows) // 8)]
    loops = {name: loop_rate(folder, device, name, few) for name in {"fp32", precision}}
    for name, speed in sorted(loops.items()):
        print(f"transformers, one window after the other, {name}: {speed:.0f} audio s per s")
    best, best_rate = "", 0.0
    for recognizer, query in recognizers(arguments, folder):
        workers = 2 * recognizer.capabilities.batch_size
        speed = threads_rate(recognizer, workers, windows)
        print(
            f"recognizer, {query}: {speed:.0f} audio s per s, {speed / loops[precision]:.1f} times"
        )
        if speed > best_rate:
            best, best_rate = query, speed
    recognizer = load_ctc(folder, best)
    workers = 2 * recognizer.capabilities.batch_size
    recordings = noises(scale.recordings, scale.offline_s)
    speed = offline_rate(recognizer, workers, recordings)
    print(f"offline, segments of {scale.offline_s:.0f} s: {speed:.0f} audio s per s")
    differing = differing_finals(recognizer, workers, recordings)
    print(
        f"finals that differ with neighbours: {differing} of {len(recordings)}, "
        f"computed in {recognizer.model.final_rows} rows"
    )
    in_time = 0
    for streams in arguments.streams or scale.streams:
        measured = asyncio.run(measure_streams(recognizer, workers, streams, scale.seconds))
        print(f"{streams} streams: {measured}", flush=True)
        if measured.interim_p99_s > IN_TIME_S:
            break
        in_time = streams
    print(f"streams with interim p99 of at most {1000 * IN_TIME_S:.0f} ms: {in_time}")
    print(f"batches by size: {dict(sorted(recognizer.batch_sizes.items()))}")
    if device == "cuda":
        print(f"GPU memory: {torch.cuda.max_memory_allocated() / 1e9:.1f} GB at most")
    recognizer.close()


def load_ctc(folder: str, query: str) -> CtcRecognizer:
    """Load the model."""
    recognizer = load(parse_spec(f"transformers:{folder}?{query}"), 1, 1)
    if not isinstance(recognizer, CtcRecognizer):
        raise TypeError(f"{folder} holds no CTC model")
    return recognizer


def recognizers(arguments: argparse.Namespace, folder: str) -> Iterator[tuple[CtcRecognizer, str]]:
    """Load the recognizer in each way there is to run it, one at a time."""
    for graphs in (0, 1) if arguments.device == "cuda" else (0,):
        query = (
            f"device={arguments.device}&precision={arguments.precision}&batch={arguments.batch}"
            f"&graphs={graphs}"
        )
        try:
            recognizer = load_ctc(folder, query)
        except ModelUnavailableError as error:
            print(error)
            continue
        yield recognizer, query
        recognizer.close()


def measure_whisper(device: str, clips: int) -> None:
    """Measure the bundled Whisper: finals, each of which hears 30 s, one and more at once."""
    spoken = [clip for clip in read_clips([ROOT / "samples" / "manifest.jsonl"]) if clip.text]
    spoken = [clip for clip in spoken if clip.duration_s < 28]
    wanted = [spoken[at % len(spoken)] for at in range(clips)]
    heard_s = sum(clip.duration_s for clip in wanted)
    for workers in (1, 4, 16) if device == "cuda" else (1,):
        try:
            recognizer = load(parse_spec(f"whisper?device={device}"), 1, workers)
        except ModelUnavailableError as error:
            print(f"Whisper is not measured: {error}")
            return

        def final(samples: NDArray[np.float32], recognizer: Recognizer = recognizer) -> str:
            return recognizer.open_stream(DecodeOptions()).final(Window(samples)).text

        samples = [clip.samples for clip in wanted]
        with ThreadPoolExecutor(workers) as pool:
            speed = rate(heard_s, lambda: list(pool.map(final, samples)))  # noqa: B023
        finals_per_s = speed / heard_s * len(wanted)
        print(
            f"Whisper tiny.en, {workers} at once: {speed:.0f} audio s "
            f"and {finals_per_s:.1f} finals per s"
        )
        recognizer.close()


def main() -> None:
    """Measure, or say that there is nothing to measure on."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--precision", choices=tuple(TYPES), default="")
    parser.add_argument("--batch", type=int, default=0, help="most windows at once")
    parser.add_argument("--streams", type=int, nargs="*", help="how many, in turn")
    arguments = parser.parse_args()
    is_cuda = arguments.device == "cuda"
    torch.set_num_threads(1)
    if is_cuda and not torch.cuda.is_available():
        sys.exit(
            "no CUDA device: nothing was measured. Run this on a machine with a GPU and a torch "
            "built for CUDA; --device cpu tries the same code with few weights"
        )
    arguments.precision = arguments.precision or ("bf16" if is_cuda else "fp32")
    arguments.batch = arguments.batch or (32 if is_cuda else 2)
    scale = FULL if is_cuda else SMALL
    where = torch.cuda.get_device_name() if is_cuda else "CPU, few weights: no figures, a trial"
    print(f"{where}; {arguments.precision}, at most {arguments.batch} windows at once")
    with tempfile.TemporaryDirectory() as folder:
        write_checkpoint(Path(folder), **scale.weights)
        measure_ctc(arguments, scale, folder)
    measure_whisper(arguments.device, scale.whisper_clips)


if __name__ == "__main__":
    main()
