"""What phrases do to a CTC model's finals, by their boost.

    OMP_NUM_THREADS=1 python -m benchmarks.ctc_phrases --model FOLDER [MANIFEST...]

Every clip is one segment. Words count as they are spelled, for that is what phrases change.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import jiwer

from benchmarks.support import Clip, manifest_arguments, read_clips
from service.core.hypothesis import DecodeOptions, Phrase, Window
from service.recognizers.base import Recognizer
from service.recognizers.registry import load, parse_spec

BOOSTS = (2.0, 4.0, 6.0, 10.0, 20.0)
ABSENT = (
    "zebra crossing",
    "parliament",
    "quantum computer",
    "xylophone",
    "Barcelona",
    "turnip",
    "thyme",
    "evening star",
    "for tea",
    "six teen",
)
"""Phrases that nobody says in the held-out clips; some sound like what is said."""


def measure(
    recognizer: Recognizer,
    clips: Sequence[Clip],
    phrases: Callable[[Clip], Sequence[str]],
    boost: float,
) -> str:
    """Return a line of the word error rate and the CPU seconds per second of audio."""
    begin_s = time.process_time()
    heard = [
        recognizer.open_stream(
            DecodeOptions(phrases=tuple(Phrase(text, boost) for text in phrases(clip)))
        )
        .final(Window(clip.samples))
        .text
        for clip in clips
    ]
    cost = (time.process_time() - begin_s) / sum(clip.duration_s for clip in clips)
    rate = jiwer.wer([clip.text for clip in clips], heard)
    return f"WER {100 * rate:4.1f} %  {cost:.4f} CPU-s per audio s"


def main() -> None:
    """Measure the model on the manifests."""
    parser = manifest_arguments((__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", required=True, help="hub id or folder")
    arguments = parser.parse_args()
    clips = [clip for clip in read_clips(arguments.manifests) if clip.text and clip.duration_s < 28]
    recognizer = load(parse_spec(f"transformers:{arguments.model}?precision=fp32"), 1, 1)
    words = sorted({word for clip in clips for word in clip.text.split()})
    print("greedy                       ", measure(recognizer, clips, lambda _: (), 0.0))
    print("search, nothing known        ", measure(recognizer, clips, lambda _: ABSENT[:1], 0.0))
    for boost in BOOSTS:
        for name, phrases in (
            ("the clip's own words", lambda clip: clip.text.split()),
            (f"all {len(words)} words", lambda _: words),
            ("phrases nobody says", lambda _: ABSENT),
        ):
            print(
                f"boost {boost:4.1f}  {name:20}",
                measure(recognizer, clips, phrases, boost),
                flush=True,
            )


if __name__ == "__main__":
    main()
