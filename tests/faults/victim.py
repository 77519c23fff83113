"""A stream that faults befall, and how far it has come when they do.

python -m tests.faults.victim ADDRESS PHASE   comes so far, prints a line, and waits to be killed
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import grpc.aio

from client.call import GrpcCall
from client.recognition import RecognitionStream
from client.stream import RecognitionError
from protos.asr.v1 import asr_pb2
from tests.faults.faulty_service import SLOW
from tests.faults.streams import OPEN, Access, Outcome, chunks
from tests.rpc.streams import config
from tests.tones import pcm, quiet

METHOD = "/asr.v1.SpeechService/StreamingRecognize"

PHASES = ("opened", "configured", "in speech", "after a final", "half-closed")
TRANSCRIPT = f"alfa bravo {SLOW}"


def _serialized(message: asr_pb2.AudioChunk | bytes) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()


@dataclass
class Victim:
    """One stream on a channel of its own."""

    channel: grpc.aio.Channel
    call: GrpcCall
    stream: RecognitionStream
    outcome: Outcome = field(default_factory=Outcome)
    done: int = 0
    """Steps that are behind it; as many as the number of its phase."""

    async def reach(self, phase: str) -> None:
        """Come as far as this phase."""
        while self.done < PHASES.index(phase):
            await self._step()

    async def complete(self) -> Outcome:
        """Say all that is left to say, and read to the end."""
        try:
            while self.done < len(PHASES) - 1:
                await self._step()
        except RecognitionError:
            pass  # reading tells as well
        return await self.end()

    async def end(self) -> Outcome:
        """Read to the end."""
        try:
            async for transcript in self.stream:
                self.outcome.transcripts.append(transcript)
        except RecognitionError as error:
            self.outcome.code, self.outcome.reason = error.code, error.reason
        return self.outcome

    async def send(self, *messages: asr_pb2.AudioChunk | bytes) -> None:
        """Send messages, whatever becomes of them."""
        for message in messages:
            if not await self.call.write(message):
                return

    async def _step(self) -> None:
        match self.done:
            case 0:
                await self.send(config(interim_results=True))
                await self._until("stream_started")
            case 1:
                await self.send(*_audio(chunks("alfa bravo")))
                await self._until("interim_result")
            case 2:
                await self.send(*_audio([pcm(quiet(1_000))]))
                await self._until("final_result")
            case 3:
                await self.send(*_audio(chunks(SLOW)))
                await self.stream.finish()
        self.done += 1

    async def _until(self, event: str) -> None:
        async for transcript in self.stream:
            self.outcome.transcripts.append(transcript)
            if transcript.HasField(event):
                return


def _audio(blocks: list[bytes]) -> list[asr_pb2.AudioChunk]:
    return [asr_pb2.AudioChunk(audio=block) for block in blocks]


@asynccontextmanager
async def victim_of(
    address: str, timeout_s: float | None = None, access: Access = OPEN
) -> AsyncIterator[Victim]:
    """Open a stream; nothing is sent on it yet."""
    async with _channel_to(address, access) as channel:
        method = channel.stream_stream(
            METHOD, _serialized, response_deserializer=asr_pb2.Transcript.FromString
        )
        await channel.channel_ready()
        proof = access.token.metadata() if access.token is not None else None
        call = GrpcCall(address, method(timeout=timeout_s, metadata=proof))
        stream = RecognitionStream(call)
        try:
            yield Victim(channel, call, stream)
        finally:
            await stream.close()


def _channel_to(address: str, access: Access) -> grpc.aio.Channel:
    options = [("grpc.enable_retries", 0)]
    if access.tls is None:
        return grpc.aio.insecure_channel(address, options)
    credentials = grpc.ssl_channel_credentials(*access.tls.pem())
    return grpc.aio.secure_channel(address, credentials, options)


async def _wait_to_be_killed(address: str, phase: str) -> None:
    async with victim_of(address) as victim:
        await victim.reach(phase)
        sys.stdout.write("reached\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(_wait_to_be_killed(*sys.argv[1:]))
