"""What Whisper's parts cost: the encoder by its window, tokens by how they are told, batches.

    OMP_NUM_THREADS=1 python -m benchmarks.whisper_costs

Processor time, medians of one decode after the other. A window's time grows faster than its
length; a token that is forced costs a step of the decoder as one that is written does, while
those of earlier text are one step together. For batches it is the time of one item: of the
encoder it stays what it is, of the decoder's steps it falls.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import ctranslate2
import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor

from benchmarks.support import RATE_HZ, ROOT, Clip, read_clips
from service.recognizers.whisper_encoder import extended
from service.recognizers.whisper_load import (
    bundled_folder,
    load_model,
    own_encoder,
    parse_options,
)
from service.recognizers.whisper_model import Prompt

WINDOWS_S = (4, 8, 15, 20, 30)
NEW_S = (0.5, 1.0, 2.0, 4.0, 8.0)
SILENCE = 200
"""Positions behind what is new; 4 s."""
DECODED_WINDOWS_S = (8, 30)
BATCHES = (1, 2, 4, 8)
TOKENS = 40
RUNS = 9
FRAMES_PER_S = 100
START, NO_TIMESTAMPS, WORD = 50_257, 50_362, 262
"""Tokens of tiny.en; the word is "the"."""


def cpu_ms(compute: Callable[[], object]) -> float:
    """Return the median processor time, after a first run that does not count."""
    compute()
    times_s = []
    for _ in range(RUNS):
        begin_s = time.process_time()
        compute()
        times_s.append(time.process_time() - begin_s)
    return 1_000 * statistics.median(times_s)


def parts(clip: Clip) -> None:
    """Print what the encoder and the tokens cost."""
    model = load_model("", parse_options({}), 1, 1)
    tokens = model.tokens(clip.text)[:TOKENS]
    for window_s in WINDOWS_S:
        samples = clip.samples[: window_s * RATE_HZ]
        spent_ms = cpu_ms(partial(model.encode, samples, window_s))
        print(f"encoder, window of {window_s:2d} s: {spent_ms:.1f} ms")
    own = own_encoder("", 1)
    assert own is not None
    mel = model.mel(clip.samples, round(FRAMES_PER_S * max(NEW_S)))
    before = extended(own.nothing, own.encode(own.embedded(mel), own.nothing, 0), SILENCE)
    for new_s in NEW_S:
        new = own.embedded(mel[:, : round(FRAMES_PER_S * new_s)])
        spent_ms = cpu_ms(partial(own.encode, new, before, SILENCE))
        print(f"own encoder, {new_s:4.1f} s behind others: {spent_ms:.1f} ms")
    for window_s in DECODED_WINDOWS_S:
        encoded = model.encode(clip.samples, window_s)
        first_ms, forced_ms, told_ms = (
            cpu_ms(partial(model.decode, encoded, prompt, most_tokens=1))
            for prompt in (Prompt("en"), Prompt("en", tokens), Prompt("en", before=tokens))
        )
        print(
            f"decoder, window of {window_s:2d} s: first token {first_ms:.1f} ms  "
            f"each forced {(forced_ms - first_ms) / len(tokens):.2f} ms  "
            f"each of earlier text {(told_ms - first_ms) / len(tokens):.2f} ms"
        )


def batches(clip: Clip) -> None:
    """Print what one of several that are computed together costs."""
    model = ctranslate2.models.Whisper(
        str(bundled_folder()), compute_type="int8", inter_threads=1, intra_threads=1
    )
    extract = FeatureExtractor()
    mel = extract(clip.samples)[None, :, : DECODED_WINDOWS_S[0] * FRAMES_PER_S]
    for size in BATCHES:
        windows = ctranslate2.StorageView.from_array(np.repeat(mel, size, axis=0))
        encoded = model.encode(windows)
        encoder_ms = cpu_ms(partial(model.encode, windows))
        none_ms, all_ms = (
            cpu_ms(
                partial(
                    model.generate,
                    encoded,
                    [[START, NO_TIMESTAMPS, *[WORD] * tokens]] * size,
                    beam_size=1,
                    # The library writes at most half of this, the forced tokens included.
                    max_length=2 * (tokens + 1),
                )
            )
            for tokens in (0, TOKENS)
        )
        step_ms = (all_ms - none_ms) / TOKENS
        print(
            f"batch of {size}, of one item: encoder {encoder_ms / size:.1f} ms  "
            f"a token {step_ms / size:.2f} ms"
        )


def main() -> None:
    """Print the figures."""
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0]).parse_args()
    clips = read_clips([ROOT / "samples" / "manifest.jsonl"])
    clip = max(clips, key=lambda clip: len(clip.samples))
    parts(clip)
    batches(clip)


if __name__ == "__main__":
    main()
