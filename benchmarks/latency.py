"""How soon words are shown, how soon they are final, and what it costs.

python -m benchmarks.latency MANIFEST...

One stream at a time, paced: a message of 100 ms is sent when its last sample would have
been spoken, on a schedule that a slow server cannot slow. Measured at the client:

- first interim: arrival of the first interim with text, after the end of the first word
  (its end offset in the final, by the model's own alignment)
- final: arrival of the last final after the half-close, clips up to 10 s
- processor time of the server per second of audio
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from benchmarks.support import Clip, Server, manifest_arguments, own_server, percentiles, read_clips
from client.stream import Client, StreamingConfig, to_seconds

CHUNK_S = 0.1
SHORT_S = 10.0


@dataclass(frozen=True)
class Timing:
    """What one stream took."""

    duration_s: float
    first_interim_s: float | None
    """After the first word's end; None if the stream had no interim or no word."""
    final_s: float | None
    """After the half-close; None if nothing was said."""


async def measure(client: Client, clip: Clip, model: str) -> Timing:
    """Stream a clip at the pace of speech."""
    config = StreamingConfig(model=model, interim_results=True, word_offsets=True)
    pcm, chunk_bytes = clip.pcm, round(CHUNK_S * 32_000)
    first_interim = first_word_end_s = last_final = None
    async with client.stream(config) as stream:
        began = time.monotonic()

        async def send() -> float:
            for index, begin in enumerate(range(0, len(pcm), chunk_bytes)):
                await asyncio.sleep(began + (index + 1) * CHUNK_S - time.monotonic())
                await stream.send(pcm[begin : begin + chunk_bytes])
            await stream.finish()
            return time.monotonic()

        sending = asyncio.create_task(send())
        async for transcript in stream:
            match transcript.WhichOneof("event"):
                case "interim_result" if first_interim is None:
                    first_interim = time.monotonic() - began
                case "final_result":
                    last_final = time.monotonic()
                    if first_word_end_s is None and transcript.final_result.words:
                        first_word_end_s = to_seconds(transcript.final_result.words[0].end_offset)
        half_closed = await sending
    after_word_s = after_close_s = None
    if first_interim is not None and first_word_end_s is not None:
        after_word_s = first_interim - first_word_end_s
    if last_final is not None:
        after_close_s = max(0.0, last_final - half_closed)
    return Timing(clip.duration_s, after_word_s, after_close_s)


async def measure_all(server: Server, clips: list[Clip], model: str) -> list[Timing]:
    """Stream the clips one after the other."""
    async with Client(server.address) as client:
        return [await measure(client, clip, model) for clip in clips]


def main() -> None:
    """Print the figures."""
    parser = manifest_arguments("Latency and cost of one stream at the pace of speech.")
    parser.add_argument("--model", default="whisper", help="model spec (default: %(default)s)")
    parser.add_argument("--limit", type=int, help="measure so many clips, spread over all")
    parser.add_argument("--server-option", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    clips = [clip for clip in read_clips(options.manifests) if clip.text]
    if options.limit:
        clips = clips[:: max(1, len(clips) // options.limit)][: options.limit]
    settings = [part for option in options.server_option for part in f"--{option}".split("=")]
    with own_server("--model", options.model, *settings) as server:
        before_s = server.cpu_s
        timings = asyncio.run(measure_all(server, clips, options.model.partition("?")[0]))
        cpu_s = server.cpu_s - before_s
    audio_s = sum(timing.duration_s for timing in timings)
    interims = [t.first_interim_s for t in timings if t.first_interim_s is not None]
    short = [t.final_s for t in timings if t.final_s is not None and t.duration_s <= SHORT_S]
    print(f"one stream, {len(clips)} clips, {audio_s:.0f} s of audio")
    print(f"first interim after the first word  {percentiles(interims)}")
    print(f"final after the half-close, <= 10 s {percentiles(short)}")
    print(f"server's processor time             {cpu_s / audio_s:.3f} s per second of audio")


if __name__ == "__main__":
    main()
