"""What each precision of a transformers model costs in words, and gains in time.

    OMP_NUM_THREADS=1 python -m benchmarks.precisions --model FOLDER MANIFEST...

Each clip of less than 28 s is decoded as one segment. Told are, of each precision, the word error
rate, the words that differ from those in fp32, and audio seconds per CPU second. `auto` decides by
one sentence; this does by as many as there are.
"""

from __future__ import annotations

import time

import torch

from benchmarks.support import manifest_arguments, read_clips, word_errors
from service.core.hypothesis import DecodeOptions, Window
from service.recognizers.registry import load, parse_spec
from service.recognizers.transformers_options import PRECISIONS

LONGEST_S = 28


def main() -> None:
    """Measure the model on the manifests."""
    parser = manifest_arguments((__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", required=True, help="hub id or folder")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS[1:], default=["int8"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    clips = [
        clip
        for clip in read_clips(arguments.manifests)
        if clip.text and clip.duration_s < LONGEST_S
    ]
    heard_s = sum(clip.duration_s for clip in clips)
    print(f"{len(clips)} clips, {heard_s / 60:.1f} minutes")
    references = [clip.text for clip in clips]
    exact: list[str] = []
    for precision in ["fp32", *arguments.precisions]:
        recognizer = load(parse_spec(f"transformers:{arguments.model}?precision={precision}"), 1, 1)
        begin_s = time.process_time()
        texts = [
            recognizer.open_stream(DecodeOptions()).final(Window(clip.samples)).text
            for clip in clips
        ]
        speed = heard_s / (time.process_time() - begin_s)
        recognizer.close()
        exact = exact or texts
        wrong, changed = word_errors(references, texts), word_errors(exact, texts)
        print(
            f"{precision:10} WER {wrong.percent:6.2f} %, {changed.percent:5.2f} % of the words "
            f"of fp32 changed, {speed:5.1f} audio seconds per CPU second",
            flush=True,
        )


if __name__ == "__main__":
    main()
