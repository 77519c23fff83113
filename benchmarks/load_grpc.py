"""Paced streams of real speech against any server that speaks the contract."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from benchmarks.load_scripts import PATIENCE_S, STAGGER_S, Record, Script, until_due
from client.access import Tls, Token
from client.call import GrpcCall
from client.messages import to_seconds
from protos.asr.v1 import asr_pb2, asr_pb2_grpc

REFUSALS = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")
"""Of a server that is full, and of one that this caller asks too much of."""


@dataclass(frozen=True)
class Endpoint:
    """Where a server is, and what it wants of its callers."""

    address: str
    """HOST:PORT."""
    tls: Tls | None = None
    """None is plain text."""
    token: Token | None = None

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What is sent with each call."""
        return self.token.metadata() if self.token is not None else ()

    def channel(self) -> grpc.aio.Channel:
        """Open a connection of its own, as a caller on another machine has."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        if self.tls is None:
            return grpc.aio.insecure_channel(self.address, options=options)
        credentials = grpc.ssl_channel_credentials(*self.tls.pem())
        return grpc.aio.secure_channel(self.address, credentials, options=options)


async def play_all(
    server: Endpoint, scripts: Sequence[Script], model: str, *, paced: bool = True
) -> list[Record]:
    """Run the streams at once, each on a connection of its own."""
    begin_s = time.monotonic() + 0.5
    return await asyncio.gather(
        *(play(server, script, model, begin_s if paced else None) for script in scripts)
    )


async def play(server: Endpoint, script: Script, model: str, begin_s: float | None) -> Record:
    """Run one stream, from this time on by ``time.monotonic``; None is as fast as it goes.

    Without pace there are no interims: what is wanted is the text.
    """
    record = Record()
    start_s = None if begin_s is None else begin_s + script.start_s
    if start_s is not None:
        await until_due(start_s, record)
    opened_s = time.monotonic()
    async with server.channel() as channel:
        stub = asr_pb2_grpc.SpeechServiceStub(channel)
        # As the client library does, for the true status of a stream that is refused.
        call = GrpcCall(server.address, stub.StreamingRecognize(metadata=server.metadata))
        sending = asyncio.create_task(_send(call, script, model, start_s, record))
        try:
            async with asyncio.timeout(script.duration_s + STAGGER_S + PATIENCE_S):
                await _read(call, script, start_s, record)
                error = await call.failure()
            if error is None:
                record.final_s.append(time.monotonic() - (start_s or 0.0) - script.ends_s[-1])
            else:
                record.failure = f"{error.code}: {error.message}"
                if error.code in REFUSALS and not record.is_admitted:
                    record.refused_s = time.monotonic() - opened_s
        except TimeoutError:
            record.failure = "no end within a minute of the end of its audio"
            call.cancel()
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    return record


async def _send(
    call: GrpcCall, script: Script, model: str, start_s: float | None, record: Record
) -> None:
    config = asr_pb2.StreamingConfig(model=model, interim_results=start_s is not None)
    await call.write(asr_pb2.AudioChunk(config=config))
    for message in script.messages():
        if start_s is not None:
            await until_due(start_s + message.due_s, record)
        await call.write(asr_pb2.AudioChunk(audio=message.pcm))
        if message.ends_clip is not None and message.ends_clip < len(script.clips) - 1:
            await call.write(asr_pb2.AudioChunk(flush=asr_pb2.Flush(id=str(message.ends_clip))))
    await call.done_writing()


async def _read(call: GrpcCall, script: Script, start_s: float | None, record: Record) -> None:
    newest: tuple[int, float] | None = None
    while (transcript := await call.read()) is not None:
        now_s = time.monotonic() - (start_s or 0.0)
        record.is_admitted = True
        match transcript.WhichOneof("event"):
            case "interim_result":
                result = transcript.interim_result
                end_s = to_seconds(result.end_offset)
                record.interim_lag_s.append(now_s - end_s)
                if newest is not None and newest[0] == result.segment_id:
                    record.interim_gap_s.append(now_s - newest[1])
                newest = (result.segment_id, now_s)
                record.shows(script.speech_ends_s, end_s, now_s)
            case "final_result":
                result = transcript.final_result
                record.finals.append(result.text)
                record.shows(script.speech_ends_s, to_seconds(result.end_offset), now_s)
            case "flush_done":
                record.final_s.append(now_s - script.ends_s[int(transcript.flush_done.id)])
