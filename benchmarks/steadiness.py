"""How long what is shown lasts, and how soon it is shown.

python -m benchmarks.steadiness MANIFEST...

One stream at a time at the pace of speech, as python -m client.evaluate measures it
(docs/evaluating.md): unstable partial word ratio, stable words that the final changed,
retractions of stable text, word emission latency; with the word error rate and the
server's processor time beside them.
"""

from __future__ import annotations

import asyncio

from benchmarks.support import (
    Clip,
    Server,
    manifest_arguments,
    own_server,
    percentiles,
    read_clips,
    word_errors,
)
from client.evaluation.hearing import Hearing, hear
from client.evaluation.latency import delays
from client.evaluation.steadiness import steadiness, total
from client.pace import WallClock
from client.stream import Client, StreamingConfig


async def hear_all(server: Server, clips: list[Clip], model: str) -> list[Hearing]:
    """Stream the clips one after the other."""
    config = StreamingConfig(model=model, interim_results=True, word_offsets=True)
    clock = WallClock()
    async with Client(server.address) as client:
        return [
            await hear(client, clip.pcm, config, clock=clock, start_s=clock.now_s())
            for clip in clips
        ]


def main() -> None:
    """Print the figures."""
    parser = manifest_arguments("Steadiness of interims and word latency, at the pace of speech.")
    parser.add_argument("--model", default="whisper", help="model spec (default: %(default)s)")
    parser.add_argument("--every", type=int, default=1, help="take every so many-th clip")
    parser.add_argument("--server-option", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    clips = [clip for clip in read_clips(options.manifests) if clip.text][:: options.every]
    settings = [part for option in options.server_option for part in f"--{option}".split("=")]
    with own_server("--model", options.model, *settings) as server:
        before_s = server.cpu_s
        hearings = asyncio.run(hear_all(server, clips, options.model.partition("?")[0]))
        cpu_s = server.cpu_s - before_s
    audio_s = sum(clip.duration_s for clip in clips)
    steady = total([steadiness(hearing) for hearing in hearings])
    late = [delays(hearing, clip.text) for hearing, clip in zip(hearings, clips, strict=True)]
    shown = [delay for clip in late for delay in clip.word_shown_s]
    settled = [delay for clip in late for delay in clip.word_stable_s]
    errors = word_errors(
        [clip.text for clip in clips], [hearing.transcript for hearing in hearings]
    )
    share = 100 * (steady.changed_stable_share or 0.0)
    print(f"1 stream, {len(clips)} clips, {audio_s:.0f} s of audio, WER {errors.percent:.2f} %")
    print(f"unstable partial word ratio          {steady.unstable_partial_word_ratio or 0:.3f}")
    print(f"stable words that the final changed  {share:.2f} % of {steady.stable_words}")
    print(f"retractions of stable text           {steady.retractions}")
    print(f"word shown after its end             {_with_mean(shown)}")
    print(f"word stable or final after its end   {_with_mean(settled)}")
    print(f"server's processor time              {cpu_s / audio_s:.3f} s per second of audio")


def _with_mean(values: list[float]) -> str:
    mean = sum(values) / max(1, len(values))
    return f"mean {mean:.2f} s  {percentiles(values)}"


if __name__ == "__main__":
    main()
