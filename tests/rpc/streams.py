"""Sends messages to a server and gathers what it answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable

import grpc
from google.rpc import error_details_pb2, status_pb2

from protos.asr.v1 import asr_pb2, asr_pb2_grpc


def config(**fields: object) -> asr_pb2.AudioChunk:
    """Return a first message."""
    return asr_pb2.AudioChunk(config=asr_pb2.StreamingConfig(**fields))


def audio(data: bytes, chunk_bytes: int = 3_200) -> list[asr_pb2.AudioChunk]:
    """Return audio messages."""
    return [
        asr_pb2.AudioChunk(audio=data[begin : begin + chunk_bytes])
        for begin in range(0, len(data), chunk_bytes)
    ]


def flush(flush_id: str = "") -> asr_pb2.AudioChunk:
    """Return a flush."""
    return asr_pb2.AudioChunk(flush=asr_pb2.Flush(id=flush_id))


async def paced(messages: Iterable[asr_pb2.AudioChunk], delay_s: float) -> AsyncIterator:
    """Yield messages with a delay before each."""
    for message in messages:
        await asyncio.sleep(delay_s)
        yield message


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is so that nobody announces; the test's time-out is the limit."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def recognize(
    stub: asr_pb2_grpc.SpeechServiceStub,
    messages: Iterable[asr_pb2.AudioChunk] | AsyncIterable[asr_pb2.AudioChunk],
) -> list[asr_pb2.Transcript]:
    """Run a stream to its end."""
    return [transcript async for transcript in stub.StreamingRecognize(messages)]


def finals(transcripts: Iterable[asr_pb2.Transcript]) -> list[asr_pb2.Result]:
    """Return the final results."""
    return [t.final_result for t in transcripts if t.WhichOneof("event") == "final_result"]


def text(transcripts: Iterable[asr_pb2.Transcript]) -> str:
    """Return the transcript of a stream."""
    return " ".join(final.text for final in finals(transcripts))


def details(error: grpc.aio.AioRpcError) -> tuple[error_details_pb2.ErrorInfo, dict[str, bytes]]:
    """Return the ErrorInfo of a status, and all its details by their type's short name."""
    packed = dict(error.trailing_metadata())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(packed)
    by_name = {detail.type_url.rpartition(".")[2]: detail.value for detail in status.details}
    return error_details_pb2.ErrorInfo.FromString(by_name["ErrorInfo"]), by_name
