"""Paced streams of real speech against any server that speaks the contract.

Open loop: every message has a time at which its last sample would have been spoken, fixed
before the run. A slow server makes streams late, never the schedule.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import grpc

from benchmarks.support import RATE_HZ, Clip
from client.messages import to_seconds
from protos.asr.v1 import asr_pb2, asr_pb2_grpc

MESSAGE_S = 0.1
_BYTES_PER_S = 2 * RATE_HZ
_STAGGER_S = 2.0
"""Streams begin spread over so long, as callers would."""
_PATIENCE_S = 60.0
"""How long after the end of its audio a stream may go on before it counts as lost."""


@dataclass(frozen=True)
class Script:
    """What one stream says: clips one behind the other, each followed by a flush."""

    clips: tuple[Clip, ...]
    start_s: float
    """After the begin of the run."""

    @property
    def duration_s(self) -> float:
        """Audio in the stream."""
        return sum(clip.duration_s for clip in self.clips)

    @property
    def text(self) -> str:
        """What is said."""
        return " ".join(clip.text for clip in self.clips)


@dataclass
class Record:
    """What came of one stream. Times are seconds."""

    interim_lag_s: list[float] = field(default_factory=list)
    """Arrival of each interim after its newest audio was spoken."""
    interim_gap_s: list[float] = field(default_factory=list)
    """Between two interims of a segment."""
    final_s: list[float] = field(default_factory=list)
    """Answer to each flush after it was due; the last one of the half-close."""
    lateness_s: list[float] = field(default_factory=list)
    """Each message after it was due, when it was handed to the transport."""
    finals: list[str] = field(default_factory=list)
    failure: str = ""

    @property
    def text(self) -> str:
        """The transcript."""
        return " ".join(self.finals)


def make_scripts(clips: Sequence[Clip], streams: int, duration_s: float) -> list[Script]:
    """Give each stream clips of its own order; the same for the same stream number."""
    scripts = []
    for number in range(streams):
        generator = random.Random(number)
        chosen: list[Clip] = []
        while sum(clip.duration_s for clip in chosen) < duration_s:
            chosen.append(generator.choice(clips))
        scripts.append(Script(tuple(chosen), generator.uniform(0, _STAGGER_S)))
    return scripts


async def play_all(
    address: str, scripts: Sequence[Script], model: str, *, paced: bool = True
) -> list[Record]:
    """Run the streams at once, each on a connection of its own."""
    begin_s = time.monotonic() + 0.5
    return await asyncio.gather(
        *(_play(address, script, model, begin_s if paced else None) for script in scripts)
    )


async def _play(address: str, script: Script, model: str, begin_s: float | None) -> Record:
    record = Record()
    # A channel of its own for each stream, as callers on many machines have.
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        call = asr_pb2_grpc.SpeechServiceStub(channel).StreamingRecognize()
        start_s = None if begin_s is None else begin_s + script.start_s
        sending = asyncio.create_task(_send(call, script, model, start_s, record))
        try:
            async with asyncio.timeout(script.duration_s + _STAGGER_S + _PATIENCE_S):
                await _read(call, script, start_s, record)
        except grpc.aio.AioRpcError as error:
            record.failure = f"{error.code().name}: {error.details()}"
        except TimeoutError:
            record.failure = "no end within a minute of the end of its audio"
            call.cancel()
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    return record


async def _send(
    call: grpc.aio.StreamStreamCall[asr_pb2.AudioChunk, asr_pb2.Transcript],
    script: Script,
    model: str,
    start_s: float | None,
    record: Record,
) -> None:
    config = asr_pb2.StreamingConfig(model=model, interim_results=start_s is not None)
    await call.write(asr_pb2.AudioChunk(config=config))
    message_bytes = round(MESSAGE_S * _BYTES_PER_S)
    spoken_bytes = 0
    for number, clip in enumerate(script.clips):
        pcm = clip.pcm
        for begin in range(0, len(pcm), message_bytes):
            data = pcm[begin : begin + message_bytes]
            spoken_bytes += len(data)
            if start_s is not None:
                due_s = start_s + spoken_bytes / _BYTES_PER_S
                await asyncio.sleep(due_s - time.monotonic())
                record.lateness_s.append(time.monotonic() - due_s)
            await call.write(asr_pb2.AudioChunk(audio=data))
        if number < len(script.clips) - 1:
            await call.write(asr_pb2.AudioChunk(flush=asr_pb2.Flush(id=str(number))))
    await call.done_writing()


async def _read(
    call: grpc.aio.StreamStreamCall[asr_pb2.AudioChunk, asr_pb2.Transcript],
    script: Script,
    start_s: float | None,
    record: Record,
) -> None:
    due_s = []
    spoken_s = 0.0
    for clip in script.clips:
        spoken_s += len(clip.pcm) / _BYTES_PER_S
        due_s.append(spoken_s)
    newest: tuple[int, float] | None = None
    async for transcript in call:
        now_s = time.monotonic() - (start_s or 0.0)
        match transcript.WhichOneof("event"):
            case "interim_result":
                result = transcript.interim_result
                record.interim_lag_s.append(now_s - to_seconds(result.end_offset))
                if newest is not None and newest[0] == result.segment_id:
                    record.interim_gap_s.append(now_s - newest[1])
                newest = (result.segment_id, now_s)
            case "final_result":
                record.finals.append(transcript.final_result.text)
            case "flush_done":
                record.final_s.append(now_s - due_s[int(transcript.flush_done.id)])
    record.final_s.append(time.monotonic() - (start_s or 0.0) - due_s[-1])
