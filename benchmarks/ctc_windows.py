"""How good and how late windowed CTC interims are, by hop and right context.

    OMP_NUM_THREADS=1 python -m benchmarks.ctc_windows --model FOLDER [MANIFEST...]

For each hop and right context every clip is heard as
a growing segment. Told are the error rate of the interims' settled words at the end of the
clip, how late a word's first interim comes on average (hop / 2 plus what the word is missing
behind it), and what it costs.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from benchmarks.support import Clip, manifest_arguments, read_clips, word_errors
from service.core.hypothesis import SAMPLE_RATE_HZ, DecodeOptions, Window
from service.recognizers.base import Recognizer
from service.recognizers.registry import load, parse_spec

HOPS_S = (0.25, 0.5, 1.0)
RIGHTS_S = (0.0, 0.25, 0.5, 1.0)


def hear(recognizer: Recognizer, clip: Clip, hop_s: float) -> tuple[str, list[float], float]:
    """Return the last interim, each word's delay in seconds, and the CPU seconds."""
    stream = recognizer.open_stream(DecodeOptions())
    hop = round(hop_s * SAMPLE_RATE_HZ)
    final = recognizer.open_stream(DecodeOptions(word_offsets=True)).final(Window(clip.samples))
    delays: list[float] = []
    text = ""
    begin_s = time.process_time()
    for end in [*range(hop, len(clip.samples), hop), len(clip.samples)]:
        interim = stream.interim(Window(clip.samples[:end]))
        if interim is None:
            continue
        text = interim.text
        right = [one.text for one in interim.words]
        while len(delays) < len(final.words):
            word = final.words[len(delays)]
            if [one.text for one in final.words[: len(delays) + 1]] != right[: len(delays) + 1]:
                break
            delays.append(end / SAMPLE_RATE_HZ - (word.end_s or 0.0))
    return text, delays, time.process_time() - begin_s


def main() -> None:
    """Measure the model on the manifests."""
    parser = manifest_arguments((__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", required=True, help="hub id or folder")
    parser.add_argument("--left", type=float, default=4.0)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--rights", type=float, nargs="*", default=RIGHTS_S, metavar="S")
    parser.add_argument("--hops", type=float, nargs="*", default=HOPS_S, metavar="S")
    parser.add_argument("--options", default="", help="more options of the model: batch=2&...")
    arguments = parser.parse_args()
    clips = [clip for clip in read_clips(arguments.manifests) if clip.text and clip.duration_s < 28]
    clips = clips[: arguments.limit]
    references = [clip.text for clip in clips]
    for right_s in arguments.rights:
        query = f"precision=fp32&left_s={arguments.left}&right_s={right_s}&{arguments.options}"
        query = query.rstrip("&")
        recognizer = load(parse_spec(f"transformers:{arguments.model}?{query}"), 1, 1)
        finals = [
            recognizer.open_stream(DecodeOptions()).final(Window(clip.samples)).text
            for clip in clips
        ]
        if right_s == arguments.rights[0]:
            print(f"finals: WER {word_errors(references, finals).percent:.1f} %")
        for hop_s in arguments.hops:
            heard = [hear(recognizer, clip, hop_s) for clip in clips]
            delays = [delay for _, clip_delays, _ in heard for delay in clip_delays]
            cpu_s = sum(cost for _, _, cost in heard) / sum(clip.duration_s for clip in clips)
            texts = [text for text, _, _ in heard]
            print(
                f"right {right_s:4.2f} s  hop {hop_s:4.2f} s  "
                f"WER of last interims {word_errors(references, texts).percent:5.1f} %  "
                f"against finals {word_errors(finals, texts).percent:5.1f} %  "
                f"word delay mean {statistics.mean(delays or [0]):.2f} s "
                f"p95 {np.percentile(delays or [0], 95):.2f} s  {cpu_s:.3f} CPU-s per audio s",
                flush=True,
            )
        recognizer.close()


if __name__ == "__main__":
    main()
