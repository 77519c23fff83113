"""What Whisper's windows cost and how well they hear: finals, interims, noise.

    OMP_NUM_THREADS=1 python -m benchmarks.whisper_windows [--every N] [MANIFEST...]

Entries without text are noise; words heard in them are counted. Clips longer than one
window are left out.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.support import Clip, manifest_arguments, percentiles, read_clips, word_errors
from service.core.agreement import Agreement
from service.core.hypothesis import (
    SAMPLE_RATE_HZ,
    ContextSegment,
    DecodeOptions,
    Window,
)
from service.recognizers.base import Recognizer
from service.recognizers.registry import load, parse_spec
from service.recognizers.whisper_options import ENCODERS

INTERVAL_S = 0.5
"""New audio between two interims."""


@dataclass
class Figures:
    """What was measured on speech."""

    texts: list[tuple[str, str]] = field(default_factory=list)
    last_interims: list[tuple[str, str]] = field(default_factory=list)
    final_cpu_s: list[float] = field(default_factory=list)
    final_wall_s: list[float] = field(default_factory=list)
    """Of clips up to 10 s."""
    interim_ratios: list[float] = field(default_factory=list)
    """CPU of each interim against its segment's final."""
    interim_cpu_s: list[float] = field(default_factory=list)
    interim_heard_s: float = 0.0
    """Audio that all interims heard, without padding."""
    interims_not_shown: int = 0
    audio_s: float = 0.0


def measure(recognizer: Recognizer, clip: Clip, figures: Figures) -> None:
    """Hear a clip as one growing segment, then as a final."""
    stream = recognizer.open_stream(DecodeOptions())
    agreement = Agreement(confirms=False)
    interim_cpu_s = []
    shown: Sequence[str] = ()
    step = round(INTERVAL_S * SAMPLE_RATE_HZ)
    for end in [*range(step, len(clip.samples), step), len(clip.samples)]:
        window = Window(clip.samples[:end], agreed_words=agreement.agreed_words)
        begin_s = time.process_time()
        hypothesis = stream.interim(window)
        interim_cpu_s.append(time.process_time() - begin_s)
        figures.interim_heard_s += (hypothesis.heard_samples or 0) / SAMPLE_RATE_HZ
        if hypothesis.is_doubtful:
            figures.interims_not_shown += 1
        else:
            shown = agreement.interim([word.text for word in hypothesis.words])
    begin_s, begin_wall_s = time.process_time(), time.perf_counter()
    final = stream.final(Window(clip.samples))
    cpu_s, wall_s = time.process_time() - begin_s, time.perf_counter() - begin_wall_s
    figures.interim_cpu_s += interim_cpu_s
    figures.interim_ratios += [seconds / cpu_s for seconds in interim_cpu_s]
    figures.texts.append((clip.text, final.text))
    figures.last_interims.append((clip.text, " ".join(shown)))
    figures.final_cpu_s.append(cpu_s)
    if clip.duration_s <= 10:
        figures.final_wall_s.append(wall_s)
    figures.audio_s += clip.duration_s


def error_rate(texts: Sequence[tuple[str, str]]) -> float:
    """Return the percentage of words that are wrong."""
    return word_errors([pair[0] for pair in texts], [pair[1] for pair in texts]).percent


def words_in_noise(
    recognizer: Recognizer,
    noise: Sequence[Clip],
    piece_s: float,
    context: tuple[ContextSegment, ...],
) -> tuple[int, int]:
    """Return how many pieces of noise there are, and the words heard in them."""
    length = round(piece_s * SAMPLE_RATE_HZ)
    pieces = [
        clip.samples[begin : begin + length]
        for clip in noise
        for begin in range(0, max(1, len(clip.samples) - length + 1), length)
    ]
    words = 0
    for piece in pieces:
        hypothesis = recognizer.open_stream(DecodeOptions()).final(Window(piece, context))
        words += len(hypothesis.words)
        if hypothesis.words:
            print(f"    {piece_s:.0f} s of noise: {hypothesis.text!r} {hypothesis.confidence:.2f}")
    return len(pieces), words


def report(name: str, figures: Figures) -> None:
    """Print the figures of a set of clips."""
    ratios = figures.interim_ratios
    interims = len(ratios)
    shown = 1 - figures.interims_not_shown / interims
    print(
        f"{name:28} {len(figures.texts):4} clips  "
        f"WER {error_rate(figures.texts):5.2f} %  "
        f"last interims {error_rate(figures.last_interims):5.2f} %  "
        f"final {statistics.mean(figures.final_cpu_s):.3f} CPU-s  "
        f"interim {1000 * statistics.mean(figures.interim_cpu_s):.0f} CPU-ms "
        f"hears {figures.interim_heard_s / interims:.1f} s  "
        f"interim/final median {statistics.median(ratios):.2f} mean {statistics.mean(ratios):.2f} "
        f"p95 {np.percentile(ratios, 95):.2f}  interims shown {100 * shown:.0f} %",
        flush=True,
    )


def main() -> None:
    """Measure the manifests that were named."""
    parser = manifest_arguments((__doc__ or "").partition("\n")[0])
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of one decode")
    parser.add_argument("--every", type=int, default=1, help="take one clip in so many")
    parser.add_argument("--model", default="", help="size or path; default is the bundled one")
    parser.add_argument("--encoder", choices=ENCODERS, default=ENCODERS[0], help="what encodes")
    arguments = parser.parse_args()
    name = f"whisper:{arguments.model}" if arguments.model else "whisper"
    recognizer = load(parse_spec(f"{name}?encoder={arguments.encoder}"), arguments.threads, 1)
    longest_s = recognizer.capabilities.longest_window_s
    recognizer.open_stream(DecodeOptions()).final(Window(np.full(16_000, 1e-3, dtype=np.float32)))
    everything = Figures()
    noise: list[Clip] = []
    context: tuple[ContextSegment, ...] = ()
    for manifest in arguments.manifests:
        clips = read_clips([manifest])
        noise += [clip for clip in clips if not clip.text]
        speech = [clip for clip in clips if clip.text and clip.duration_s <= longest_s]
        speech = speech[:: arguments.every]
        if not speech:
            continue
        figures = Figures()
        for clip in speech:
            measure(recognizer, clip, figures)
        report(manifest.parent.name, figures)
        for name, value in vars(figures).items():
            setattr(everything, name, getattr(everything, name) + value)
        context = context or (ContextSegment(speech[0].samples, figures.texts[0][1]),)
    if everything.texts:
        report("all", everything)
        print(f"final of clips up to 10 s, wall time: {percentiles(everything.final_wall_s)}")
        per_audio_s = sum(everything.final_cpu_s) / everything.audio_s
        print(f"finals: {per_audio_s:.3f} CPU-seconds per audio second")
    for piece_s in (1.0, 2.0, 5.0, 20.0) if noise else ():
        for before in ((), context):
            pieces, words = words_in_noise(recognizer, noise, piece_s, before)
            where = "behind speech" if before else "alone"
            print(f"noise, {pieces} pieces of {piece_s:.0f} s {where}: {words} words", flush=True)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{arguments.threads} threads, peak memory {peak_mb:.0f} MB")


if __name__ == "__main__":
    main()
