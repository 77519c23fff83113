"""What a CTC model of wav2vec2-base's size costs, in each precision, weights drawn by chance.

    OMP_NUM_THREADS=1 python -m benchmarks.ctc_speed [--seconds 4] [--precisions int8 ...]

Told are audio seconds per CPU second: of the model in fp32 as transformers' pipeline runs it, in
a process of its own, behind the recognizer in each precision, and of 1, 2, 4 and 8 equally long
windows at once. All are measured in turns, the cheapest of their rounds counts. Accuracy is not
measured: by chance there is none.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoFeatureExtractor, AutoModelForCTC

from service.core.hypothesis import SAMPLE_RATE_HZ, DecodeOptions, Window
from service.recognizers.registry import load, parse_spec
from service.recognizers.transformers_options import PRECISIONS
from tests.recognizers.tiny_ctc import write_checkpoint

BASE = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "conv_dim": (512,) * 7,
    "num_conv_pos_embeddings": 128,
    "num_conv_pos_embedding_groups": 16,
}
ROUNDS = 5


def costs(ways: Mapping[str, Callable[[], float]], rounds: int = ROUNDS) -> dict[str, float]:
    """Return the CPU seconds of each way's cheapest round; in turns, one more not counted."""
    for hear in ways.values():
        hear()
    spent_s = dict.fromkeys(ways, math.inf)
    for _ in range(rounds):
        for name, hear in ways.items():
            spent_s[name] = min(spent_s[name], hear())
    return spent_s


def timed(hear: Callable[[], object]) -> Callable[[], float]:
    """Return what hears and tells the CPU seconds that it took."""

    def measure() -> float:
        begin_s = time.process_time()
        hear()
        return time.process_time() - begin_s

    return measure


def _pipeline(folder: str, samples: NDArray[np.float32]) -> Callable[[], object]:
    """The model as transformers' pipeline runs it, without what is around it."""
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    model = AutoModelForCTC.from_pretrained(folder).eval()

    def hear() -> None:
        inputs = extractor(samples, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
        with torch.inference_mode():
            model(**inputs)

    return hear


def _answer(folder: str, samples: NDArray[np.float32], connection: Connection) -> None:
    torch.set_num_threads(1)
    hear = timed(_pipeline(folder, samples))
    with contextlib.suppress(EOFError):
        while connection.recv():
            connection.send(hear())


@contextlib.contextmanager
def plain(folder: str, samples: NDArray[np.float32]) -> Iterator[Callable[[], float]]:
    """Run transformers in a process of its own, for ours tells the allocator what to keep."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_answer, args=(folder, samples, theirs)
    )
    process.start()
    theirs.close()

    def hear() -> float:
        ours.send("again")
        spent_s: float = ours.recv()
        return spent_s

    try:
        yield hear
    finally:
        # Without it, it would wait for us, and we at our end for it.
        ours.close()
        process.join()


def main() -> None:
    """Measure one length."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=["fp32", "auto"])
    parser.add_argument("--batches", nargs="*", type=int, default=[1, 2, 4, 8], help="windows")
    arguments = parser.parse_args()
    seconds: float = arguments.seconds
    chance = np.random.default_rng(0)
    windows = chance.normal(
        0, 0.05, (max([1, *arguments.batches]), round(seconds * SAMPLE_RATE_HZ))
    )
    windows = windows.astype(np.float32)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        write_checkpoint(Path(folder), **BASE)
        with plain(folder, windows[0]) as hear:
            _compare(folder, windows, arguments.precisions, arguments.batches, hear)


def _compare(
    folder: str,
    windows: NDArray[np.float32],
    precisions: Sequence[str],
    batches: Sequence[int],
    hear_plainly: Callable[[], float],
) -> None:
    seconds = windows.shape[1] / SAMPLE_RATE_HZ
    first = "transformers, fp32"
    ways = {first: hear_plainly}
    heard_s = {first: seconds}
    for asked in precisions:
        recognizer = load(parse_spec(f"transformers:{folder}?precision={asked}"), 1, 1)
        chosen = recognizer.model.precision
        precision = chosen if asked == chosen else f"{asked}: {chosen}"
        stream = recognizer.open_stream(DecodeOptions())
        name = f"recognizer, {precision}"
        ways[name] = timed(partial(stream.final, Window(windows[0])))
        heard_s[name] = seconds
        for size in batches:
            name = f"{size} at once, {precision}"
            ways[name] = timed(partial(recognizer.model.log_probabilities, windows[:size]))
            heard_s[name] = size * seconds
    spent_s = costs(ways)
    speeds = {name: heard_s[name] / spent_s[name] for name in ways}
    for name, speed in speeds.items():
        print(
            f"{name:28} {speed:5.1f} audio seconds per CPU second, "
            f"{speed / speeds[first]:.2f} times the first"
        )


if __name__ == "__main__":
    main()
