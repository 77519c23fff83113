"""How soon a final comes after a natural pause, beyond the silence that is waited for.

python -m benchmarks.pauses MANIFEST...

One stream at a time, paced: clips one behind the other, each followed by a pause of noise as
loud as the quietest tenth of the clip, in messages of 20 ms, as a browser or a telephone sends
them. A final is counted if silence ended its segment, and late by its arrival minus the time at
which the sample was spoken that completes the configured silence. That silence begins

- by the recording: where the last 20 ms end that are within 35 dB of the clip's loudest
- by the server: where it says that the speech ended; what is between the two is its voice
  activity detector's

Interims are on, every 0.5 s. Pauses within a clip may end segments as well, and are not counted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.load_scripts import speech_end_s
from benchmarks.support import (
    RATE_HZ,
    Clip,
    frame_levels,
    manifest_arguments,
    own_server,
    percentiles,
    read_clips,
)
from client.stream import Client, StreamingConfig, to_seconds
from service.core.endpointing import DEFAULT_SILENCE_S

PAUSE_S = 2.0
MESSAGE_S = 0.02
CLIPS_PER_STREAM = 4
NEAR_S = 0.5
"""The server's end of speech belongs to the recording's if it is so near."""


@dataclass
class Lateness:
    """Of finals, after the end of the silence."""

    by_recording_s: list[float] = field(default_factory=list)
    by_server_s: list[float] = field(default_factory=list)
    detected_late_s: list[float] = field(default_factory=list)
    """The server's end of speech after the recording's."""


def quiet_level(samples: np.typing.NDArray[np.float32]) -> float:
    """Return the level (root mean square) of the quietest tenth of a clip."""
    return float(np.percentile(frame_levels(samples), 10))


def with_pauses(clips: Sequence[Clip]) -> tuple[bytes, list[float]]:
    """Return the audio of a stream (PCM_S16LE), and where speech ends in it, in seconds."""
    noise = np.random.default_rng(0)
    parts: list[np.typing.NDArray[np.float32]] = []
    ends_s: list[float] = []
    for clip in clips:
        begin_s = sum(map(len, parts)) / RATE_HZ
        end_s = speech_end_s(clip.samples)
        spoken = clip.samples[: round(end_s * RATE_HZ)]
        pause = noise.normal(0, quiet_level(clip.samples), round(PAUSE_S * RATE_HZ))
        parts += [spoken, pause.astype(np.float32)]
        ends_s.append(begin_s + end_s)
    return Clip(clips[0].path, "", np.concatenate(parts)).pcm, ends_s


async def measure(client: Client, clips: Sequence[Clip], model: str, lateness: Lateness) -> None:
    """Play one stream and add to the lateness."""
    pcm, ends_s = with_pauses(clips)
    config = StreamingConfig(model=model, interim_results=True)
    size = round(MESSAGE_S * RATE_HZ) * 2
    async with client.stream(config) as stream:
        began_s = time.monotonic()

        async def send() -> None:
            for number, begin in enumerate(range(0, len(pcm), size), start=1):
                await asyncio.sleep(began_s + number * MESSAGE_S - time.monotonic())
                await stream.send(pcm[begin : begin + size])
            await stream.finish()

        sending = asyncio.create_task(send())
        said_end_s: list[float] = []
        async for transcript in stream:
            now_s = time.monotonic() - began_s
            if transcript.WhichOneof("event") == "speech_ended":
                said_end_s.append(to_seconds(transcript.speech_ended.offset))
            elif transcript.WhichOneof("event") == "final_result" and said_end_s:
                _note(lateness, now_s, said_end_s[-1], ends_s)
        await sending


def _note(lateness: Lateness, now_s: float, said_s: float, ends_s: Sequence[float]) -> None:
    nearest_s = min(ends_s, key=lambda end_s: abs(end_s - said_s))
    if abs(nearest_s - said_s) <= NEAR_S:
        lateness.by_server_s.append(now_s - said_s - DEFAULT_SILENCE_S)
        lateness.by_recording_s.append(now_s - nearest_s - DEFAULT_SILENCE_S)
        lateness.detected_late_s.append(said_s - nearest_s)


async def measure_all(address: str, clips: Sequence[Clip], model: str) -> Lateness:
    """Play the streams one after the other."""
    lateness = Lateness()
    async with Client(address) as client:
        for first in range(0, len(clips), CLIPS_PER_STREAM):
            await measure(client, clips[first : first + CLIPS_PER_STREAM], model, lateness)
    return lateness


def main() -> None:
    """Print the figures."""
    parser = manifest_arguments("How soon a final comes after a natural pause.")
    parser.add_argument("--model", default="whisper", help="model spec (default: %(default)s)")
    parser.add_argument("--limit", type=int, help="measure so many clips, spread over all")
    parser.add_argument("--server-option", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    clips = [clip for clip in read_clips(options.manifests) if clip.text]
    if options.limit:
        clips = clips[:: max(1, len(clips) // options.limit)][: options.limit]
    settings = [part for option in options.server_option for part in f"--{option}".split("=")]
    with own_server("--model", options.model, *settings) as server:
        lateness = asyncio.run(measure_all(server.address, clips, options.model.partition("?")[0]))
    print(f"one stream, {len(clips)} clips with pauses of {PAUSE_S:g} s")
    print(f"final after the silence, by the recording  {percentiles(lateness.by_recording_s)}")
    print(f"final after the silence, by the server     {percentiles(lateness.by_server_s)}")
    print(f"end of speech found after the recording's  {percentiles(lateness.detected_late_s)}")


if __name__ == "__main__":
    main()
