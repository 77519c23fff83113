"""What a second of audio costs: how often it is computed, and for what.

python -m benchmarks.amplification MANIFEST...

One stream of continuous speech: clips one behind the other at the pace of speech, interims
every 0.5 s of new audio. For a second of audio received, by kind of decode and in sum:

- audio that the model computed, padding left out (A), from the server's metrics
- time of worker threads; with one thread a decode this is processor time on a quiet machine

and of the server as a whole its processor time, which is divided by that of the same audio sent
as a recording, whose finals are all that is decoded: A in processor seconds. Finals that were
decoded ahead of time are told apart by what became of them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from urllib.request import urlopen

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.load_watch import DECODED, RECEIVED, free_address
from benchmarks.support import RATE_HZ, Clip, manifest_arguments, own_server, read_clips
from client.evaluation.hearing import hear
from client.pace import WallClock
from client.stream import Client, StreamingConfig

SPENT = "asr_decode_seconds_sum"
BEGUN = "asr_decode_seconds_count"
FORESEEN = "asr_speculative_finals_total"


@dataclass(frozen=True)
class Spent:
    """What a stream took."""

    cpu_s: float
    metrics: Counter[tuple[str, str]]
    """What was counted, by the metric and its kind or result."""

    def of(self, name: str) -> dict[str, float]:
        """Return the values of a metric by kind or result."""
        return {label: value for (metric, label), value in self.metrics.items() if metric == name}


def counted(exposition: str) -> Counter[tuple[str, str]]:
    """Return the counts that matter here, by metric and kind or result."""
    counts: Counter[tuple[str, str]] = Counter()
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if sample.name in (RECEIVED, DECODED, SPENT, BEGUN, FORESEEN):
                label = sample.labels.get("kind") or sample.labels.get("result", "")
                # A Counter that holds seconds; the types know only whole numbers.
                counts[sample.name, label] += sample.value  # type: ignore[assignment]
    return counts


def lines(streamed: Spent, recorded: Spent) -> list[str]:
    """Return the figures, a line for each."""
    received_s = sum(streamed.of(RECEIVED).values())
    heard_s, spent_s, begun = (streamed.of(name) for name in (DECODED, SPENT, BEGUN))
    table = [
        f"{kind:20} {heard_s[kind] / received_s:6.2f} s/s audio  "
        f"{spent_s[kind] / received_s:.3f} s/s of threads  {begun[kind]:4.0f} decodes"
        for kind in sorted(heard_s)
    ]
    foreseen = streamed.of(FORESEEN)
    thrown_away, all_foreseen = foreseen.get("discarded", 0), sum(foreseen.values())
    own, recording = (
        streamed.cpu_s / received_s,
        recorded.cpu_s / sum(recorded.of(RECEIVED).values()),
    )
    return [
        f"one stream, {received_s:.0f} s of audio",
        *table,
        f"{'A in audio':20} {sum(heard_s.values()) / received_s:6.2f} s/s",
        f"{'server, processor':20} {own:.3f} s/s streamed  {recording:.3f} s/s as a recording",
        f"{'A in processor time':20} {own / recording:6.2f}",
        f"{'ahead of time':20} {all_foreseen:.0f} finals, {thrown_away:.0f} thrown away",
    ]


def measure(clips: list[Clip], model: str, seconds: float, settings: list[str]) -> list[str]:
    """Send the clips one behind the other, at the pace of speech and as a recording."""
    samples = np.concatenate([clip.samples for clip in clips])[: round(seconds * RATE_HZ)]
    pcm = Clip(clips[0].path, "", samples).pcm
    metrics = free_address()
    name = model.partition("?")[0]
    with own_server("--model", model, "--metrics-listen", metrics, *settings) as server:

        def now() -> Spent:
            with urlopen(f"http://{metrics}/metrics", timeout=10) as response:
                return Spent(server.cpu_s, counted(response.read().decode()))

        async def stream() -> None:
            config = StreamingConfig(model=name, interim_results=True)
            clock = WallClock()
            async with Client(server.address) as client:
                await hear(client, pcm, config, clock=clock, start_s=clock.now_s())

        async def recognize() -> None:
            async with Client(server.address) as client:
                await client.recognize(pcm, StreamingConfig(model=name))

        def spent(work: Coroutine[None, None, None]) -> Spent:
            before = now()
            asyncio.run(work)
            after = now()
            counts = after.metrics.copy()
            counts.subtract(before.metrics)
            return Spent(after.cpu_s - before.cpu_s, counts)

        # A recording first, lest the stream meets memory that nobody has touched.
        recorded = [spent(recognize()) for _ in range(2)][1]
        return lines(spent(stream()), recorded)


def main() -> None:
    """Print the figures."""
    parser = manifest_arguments("How often audio is computed in a stream, and at what cost.")
    parser.add_argument("--model", default="whisper", help="model spec (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=120, help="of speech (default: 120)")
    parser.add_argument("--server-option", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    clips = [clip for clip in read_clips(options.manifests) if clip.text]
    settings = [part for option in options.server_option for part in f"--{option}".split("=")]
    for line in measure(clips, options.model, options.seconds, settings):
        print(line)


if __name__ == "__main__":
    main()
