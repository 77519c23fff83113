"""How many streams the scheduler holds, in virtual time: the same on a busy machine.

python -m benchmarks.schedule MANIFEST...

Each stream is first played alone and every decode done for real, to learn what decodes
cost in processor time, and what the finals are. Then rising numbers of streams are played
at once by the engine itself, but in virtual time: a final costs what it did, an interim what
one of about the same length did, and decodes share the cores with what else a stream costs.
That every final is the one the stream had alone is checked here, too. Real contention
for memory and caches is not part of it; benchmarks.load measures that on a quiet machine.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Sequence

import numpy as np

from benchmarks.load import LONGEST_S, SHORTEST_S
from benchmarks.load_scripts import Record, Script, make_scripts
from benchmarks.measured_costs import Costs, Measured, Replayed
from benchmarks.support import RATE_HZ, manifest_arguments, read_clips
from benchmarks.virtual_time import SharedCores, VirtualLoop
from service.core.events import FinalResult, FlushDone, InterimResult
from service.core.session import RecognitionSession
from service.core.vad import DetectorFactory
from service.detectors import silero
from service.engine.request import StreamRequest, decode_options, session_config
from service.engine.scheduler import Scheduler
from service.engine.stream import LiveStream
from service.recognizers import registry
from service.recognizers.base import Recognizer

STREAM_CORES = 0.02
"""Processor time of a second of a stream beside its decodes, sender included."""


def play(
    scripts: Sequence[Script],
    recognizer: Recognizer,
    costs: Costs,
    detector: DetectorFactory,
    decodes: int,
    cores: float,
) -> tuple[list[Record], float]:
    """Play streams at once, in virtual time; also return the processor time of the decodes."""
    loop = VirtualLoop()
    pool = SharedCores(loop, decodes, lambda: costs.last_s, cores - STREAM_CORES * len(scripts))

    async def run() -> list[Record]:
        scheduler = Scheduler("", decodes, pool, loop.time)
        return await asyncio.gather(
            *(_stream(script, recognizer, detector, scheduler) for script in scripts)
        )

    try:
        return loop.run_until_complete(run()), pool.cpu_s
    finally:
        loop.close()


async def _stream(
    script: Script, recognizer: Recognizer, detector: DetectorFactory, scheduler: Scheduler
) -> Record:
    """Play one stream; its record is what benchmarks.load has of a real one."""
    record = Record()
    loop = asyncio.get_running_loop()
    request = StreamRequest(interim_results=True)
    await asyncio.sleep(script.start_s)
    began_s = loop.time()
    live = LiveStream(
        RecognitionSession(session_config(request, recognizer.capabilities, 0.5), detector),
        recognizer,
        decode_options(request, "", recognizer.capabilities),
        scheduler,
        caller=str(id(script)),
    )

    async def send() -> None:
        for message in script.messages():
            await asyncio.sleep(began_s + message.due_s - loop.time())
            await live.audio(message.pcm)
            if message.ends_clip is not None and message.ends_clip < len(script.clips) - 1:
                await live.flush(str(message.ends_clip))
        await live.finish()

    sending = asyncio.create_task(send())
    newest: tuple[int, float] | None = None
    async for update in live.updates():
        match update.event:
            case InterimResult(segment_id=segment_id, end_samples=end_samples):
                record.interim_lag_s.append(loop.time() - began_s - end_samples / RATE_HZ)
                if newest is not None and newest[0] == segment_id:
                    record.interim_gap_s.append(loop.time() - newest[1])
                newest = segment_id, loop.time()
            case FinalResult(text=text):
                record.finals.append(text)
            case FlushDone(flush_id=flush_id):
                record.final_s.append(loop.time() - began_s - script.ends_s[int(flush_id)])
    record.final_s.append(loop.time() - began_s - script.ends_s[-1])
    await sending
    await live.close()
    return record


def main() -> None:
    """Print the figures."""
    parser = manifest_arguments("Streams held within bounds on latency, in virtual time.")
    parser.add_argument("--model", default="whisper", help="model spec (default: %(default)s)")
    parser.add_argument(
        "--streams",
        type=lambda text: [int(part) for part in text.split(",")],
        default=[1, 4, 8, 12, 14, 16],
        metavar="N,N,...",
        help="numbers of streams (default: 1,4,8,12,14,16)",
    )
    parser.add_argument("--seconds", type=float, default=25, help="of each stream (default: 25)")
    parser.add_argument("--cores", type=float, default=2, help="of the machine (default: 2)")
    parser.add_argument("--decodes", type=int, default=2, help="decodes at once (default: 2)")
    parser.add_argument("--repeats", type=int, default=4, help="with other begins (default: 4)")
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        help="multiplies what decodes cost; below 1 if they were measured on a busy machine",
    )
    options = parser.parse_args()
    clips = [
        clip
        for clip in read_clips(options.manifests)
        if clip.text and SHORTEST_S <= clip.duration_s <= LONGEST_S
    ]
    scripts = make_scripts(clips, max(options.streams), options.seconds)
    recognizer = registry.load(registry.parse_spec(options.model), 1, 1)
    costs = Costs(recognizer.capabilities)
    measured = Measured(recognizer, costs)
    detector = silero.load()
    alone = [play([script], measured, costs, detector, 1, 2)[0][0] for script in scripts]
    costs.scale = options.scale
    for streams in options.streams:
        print(_line(streams, scripts, alone, costs, detector, options), flush=True)


def _line(
    streams: int,
    scripts: Sequence[Script],
    alone: Sequence[Record],
    costs: Costs,
    detector: DetectorFactory,
    options: argparse.Namespace,
) -> str:
    records: list[Record] = []
    changed, cpu_s, audio_s = 0, 0.0, 0.0
    for repeat in range(options.repeats):
        chance = random.Random(repeat)
        chosen = chance.sample(range(len(scripts)), streams)
        played = [Script(scripts[index].clips, chance.uniform(0, 4)) for index in chosen]
        new, spent_s = play(
            played, Replayed(costs), costs, detector, options.decodes, options.cores
        )
        pairs = zip(chosen, new, strict=True)
        changed += sum(alone[index].finals != record.finals for index, record in pairs)
        records += new
        cpu_s += spent_s
        audio_s += sum(script.duration_s for script in played)

    def times(name: str, *percents: int) -> str:
        values = [value for record in records for value in getattr(record, name)]
        parts = (f"p{p} {np.percentile(values, p) if values else 0:.2f}" for p in percents)
        return f"{' '.join(parts)} s"

    return (
        f"{streams:3d} streams  interim lag {times('interim_lag_s', 50, 99)}  "
        f"gap {times('interim_gap_s', 50, 99)}  final {times('final_s', 50, 90, 95, 99)}  "
        f"changed finals {changed}  decodes {cpu_s / audio_s:.3f} s/s"
    )


if __name__ == "__main__":
    main()
