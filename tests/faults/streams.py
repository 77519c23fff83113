"""Streams through the client library, which knows the server's own status from gRPC's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from client.access import Tls, Token
from client.stream import Client, RecognitionError, RecognitionStream, StreamingConfig
from protos.asr.v1 import asr_pb2
from tests.tones import pcm, tones

CHUNK_BYTES = 3_200


@dataclass
class Outcome:
    """What came of a stream."""

    transcripts: list[asr_pb2.Transcript] = field(default_factory=list)
    code: str = "OK"
    reason: str = ""

    @property
    def finals(self) -> list[bytes]:
        """The final results, to compare bit by bit."""
        return [
            transcript.final_result.SerializeToString(deterministic=True)
            for transcript in self.transcripts
            if transcript.HasField("final_result")
        ]


def chunks(words: str) -> list[bytes]:
    """Return speech in messages of 100 ms."""
    data = pcm(tones(words))
    return [data[begin : begin + CHUNK_BYTES] for begin in range(0, len(data), CHUNK_BYTES)]


@dataclass(frozen=True)
class Access:
    """How a server is reached that does not let everyone in."""

    tls: Tls | None = None
    token: Token | None = None


OPEN = Access()


def client_of(address: str, access: Access = OPEN) -> Client:
    """Return a client that asks once."""
    return Client(address, retry=False, connect_timeout_s=60, tls=access.tls, token=access.token)


async def finish(stream: RecognitionStream, outcome: Outcome) -> Outcome:
    """Read a stream to its end, whatever that is."""
    try:
        async for transcript in stream:
            outcome.transcripts.append(transcript)
    except RecognitionError as error:
        outcome.code, outcome.reason = error.code, error.reason
    return outcome


async def recognize(address: str, blocks: Sequence[bytes]) -> Outcome:
    """Run a stream of its own connection from begin to end."""
    outcome = Outcome()
    try:
        async with (
            client_of(address) as client,
            client.stream(StreamingConfig(interim_results=True)) as stream,
        ):
            for block in blocks:
                if not await stream.send(block):
                    break
            await stream.finish()
            return await finish(stream, outcome)
    except RecognitionError as error:
        outcome.code, outcome.reason = error.code, error.reason
    return outcome
