"""What a CTC model of wav2vec2-base's size costs, in each precision, weights drawn by chance.

    OMP_NUM_THREADS=1 python -m benchmarks.ctc_speed [--seconds 4]

Told are audio seconds per CPU second: of the model in fp32 as transformers' pipeline runs it,
and behind the recognizer in each precision. Accuracy is not measured: by chance there is none.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from transformers import AutoFeatureExtractor, AutoModelForCTC

from service.core.hypothesis import SAMPLE_RATE_HZ, DecodeOptions, Window
from service.recognizers.registry import load, parse_spec
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
ROUNDS = 4


def cost(hear: Callable[[], object]) -> float:
    """Return the CPU seconds of the cheapest round, one more not counted."""
    hear()
    spent = []
    for _ in range(ROUNDS):
        begin_s = time.process_time()
        hear()
        spent.append(time.process_time() - begin_s)
    return min(spent)


def main() -> None:
    """Measure one length."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=4.0)
    seconds: float = parser.parse_args().seconds
    chance = np.random.default_rng(0)
    samples = chance.normal(0, 0.05, round(seconds * SAMPLE_RATE_HZ)).astype(np.float32)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        write_checkpoint(Path(folder), **BASE)
        extractor = AutoFeatureExtractor.from_pretrained(folder)
        model = AutoModelForCTC.from_pretrained(folder).eval()

        def plain() -> None:
            inputs = extractor(samples, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
            with torch.inference_mode():
                model(**inputs)

        baseline_s = cost(plain)
        print(f"transformers, fp32: {seconds / baseline_s:.1f} audio seconds per CPU second")
        for precision in ("fp32", "bf16"):
            spec = parse_spec(f"transformers:{folder}?precision={precision}")
            stream = load(spec, 1, 1).open_stream(DecodeOptions())
            spent_s = cost(lambda stream=stream: stream.final(Window(samples)))
            print(
                f"recognizer, {precision}: {seconds / spent_s:.1f} audio seconds per CPU second, "
                f"{baseline_s / spent_s:.2f} times the first"
            )


if __name__ == "__main__":
    main()
