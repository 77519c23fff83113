"""What Whisper's parts cost: encoders by what they hear, tokens by how they are told, batches.

    OMP_NUM_THREADS=1 python -m benchmarks.whisper_costs

Processor time, medians of one decode after the other, of CTranslate2's parts and of our own. A
window's time grows faster than its length; a token that is forced costs CTranslate2 a step of the
decoder as one that is written does, and our own takes all in one, as both do for those of earlier
text. For batches it is the time of one item, by CTranslate2: of the encoder it stays what it is, of
the decoder's steps it falls.
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
from service.recognizers.whisper_folder import bundled_folder
from service.recognizers.whisper_load import load_parts, own_encoder
from service.recognizers.whisper_model import Prompt, WhisperModel
from service.recognizers.whisper_options import parse_options

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


def encoders(clip: Clip, model: WhisperModel) -> None:
    """Print what encoders cost."""
    for window_s in WINDOWS_S:
        samples = clip.samples[: window_s * RATE_HZ]
        spent_ms = cpu_ms(partial(model.encode, samples, window_s))
        print(f"CTranslate2's encoder, window of {window_s:2d} s: {spent_ms:.1f} ms")
    own = own_encoder(bundled_folder(), 1)
    assert own is not None
    mel = model.mel(clip.samples, round(FRAMES_PER_S * max(NEW_S)))
    before = extended(own.nothing, own.encode(own.embedded(mel), own.nothing, 0), SILENCE)
    for new_s in NEW_S:
        new = own.embedded(mel[:, : round(FRAMES_PER_S * new_s)])
        spent_ms = cpu_ms(partial(own.encode, new, before, SILENCE))
        print(f"our own encoder, {new_s:4.1f} s behind others: {spent_ms:.1f} ms")


def decoders(clip: Clip, models: dict[str, WhisperModel]) -> None:
    """Print what tokens cost: those that are told, in two ways, and those that are written."""
    for window_s in DECODED_WINDOWS_S:
        for name, model in models.items():
            encoded = model.encode(clip.samples, window_s)
            written = model.decode(encoded, Prompt("en"))[0].tokens[:TOKENS]
            first_ms, written_ms, forced_ms, told_ms = (
                cpu_ms(partial(model.decode, encoded, prompt, most_tokens=most))
                for prompt, most in (
                    (Prompt("en"), 1),
                    (Prompt("en"), len(written)),
                    (Prompt("en", written), 1),
                    (Prompt("en", before=written), 1),
                )
            )
            print(
                f"{name} decoder, window of {window_s:2d} s: first token {first_ms:.1f} ms  "
                f"each more {(written_ms - first_ms) / (len(written) - 1):.2f} ms  "
                f"{len(written)} forced {forced_ms - first_ms:.1f} ms  "
                f"as earlier text {told_ms - first_ms:.1f} ms"
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
    windows, _ = load_parts("", parse_options({"encoder": "windows"}), 1, 1)
    own, _ = load_parts("", parse_options({}), 1, 1)
    encoders(clip, windows)
    decoders(clip, {"CTranslate2's": windows, "our own": own})
    batches(clip)


if __name__ == "__main__":
    main()
