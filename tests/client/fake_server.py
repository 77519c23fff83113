"""A server that does what a test tells it to, behind the real contract on a real socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import grpc
import grpc.aio
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from client.messages import to_duration
from protos.asr.v1 import asr_pb2, asr_pb2_grpc
from protos.asr.v1.asr_pb2 import (
    AudioChunk,
    FlushDone,
    Model,
    Result,
    StreamEnding,
    StreamStarted,
    Transcript,
)

Context: TypeAlias = "grpc.aio.ServicerContext[AudioChunk, Transcript]"
Handler = Callable[["FakeServer", AsyncIterator[AudioChunk], Context], AsyncIterator[Transcript]]

STARTED = Transcript(stream_started=StreamStarted(stream_id="stream-1", model="fake"))


def interim(text: str, stable: str = "", segment: int = 0) -> Transcript:
    """Make an interim result."""
    return Transcript(
        interim_result=Result(segment_id=segment, text=text, stable_text=stable),
    )


def final(text: str, start_s: float = 0.0, end_s: float = 1.0, segment: int = 0) -> Transcript:
    """Make a final result, with its end as the cursors."""
    end = to_duration(end_s)
    return Transcript(
        final_result=Result(
            segment_id=segment, text=text, start_offset=to_duration(start_s), end_offset=end
        ),
        received_offset=end,
        processed_offset=end,
        final_offset=end,
    )


def ending(reason: str, seconds: float) -> Transcript:
    """Make the notice that the server will end the stream."""
    return Transcript(stream_ending=StreamEnding(reason=reason, time_left=to_duration(seconds)))


async def abort(context: Context, code: grpc.StatusCode, reason: str, message: str) -> None:
    """End a call as the contract says: a status with ErrorInfo."""
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="asr.v1"))
    status = status_pb2.Status(code=code.value[0], message=message, details=[detail])
    await context.abort(code, message, (("grpc-status-details-bin", status.SerializeToString()),))


async def count_bytes(
    server: "FakeServer", requests: AsyncIterator[AudioChunk], _: Context
) -> AsyncIterator[Transcript]:
    """Send an interim for each message of audio, and at the end a final with the byte count."""
    yield STARTED
    async for request in requests:
        server.note(request)
        match request.WhichOneof("payload"):
            case "audio":
                yield interim(f"{server.audio_bytes} bytes")
            case "flush":
                yield Transcript(flush_done=FlushDone(id=request.flush.id))
    server.half_closed.set()
    if server.audio_bytes:
        yield final(f"{server.audio_bytes} bytes")


@dataclass
class FakeServer:
    """What a test sees of the server."""

    address: str = ""
    models: list[Model] = field(default_factory=lambda: [Model(name="fake")])
    messages: list[AudioChunk] = field(default_factory=list)
    audio_bytes: int = 0
    streams: int = 0
    half_closed: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    recordings: list[asr_pb2.RecognizeRequest] = field(default_factory=list)
    stop: Callable[[], Awaitable[None]] | None = None

    def note(self, message: AudioChunk) -> None:
        """Count a message; audio itself is not kept."""
        if message.WhichOneof("payload") == "audio":
            self.audio_bytes += len(message.audio)
        else:
            self.messages.append(message)

    @property
    def config(self) -> asr_pb2.StreamingConfig:
        """The config of the last stream."""
        return next(m.config for m in reversed(self.messages) if m.HasField("config"))


class _Servicer(asr_pb2_grpc.SpeechServiceServicer):
    def __init__(self, server: FakeServer, handler: Handler) -> None:
        self._server = server
        self._handler = handler

    async def StreamingRecognize(  # noqa: N802
        self, requests: AsyncIterator[AudioChunk], context: Context
    ) -> AsyncIterator[Transcript]:
        self._server.streams += 1
        try:
            async for transcript in self._handler(self._server, requests, context):
                yield transcript
        except asyncio.CancelledError:
            self._server.cancelled.set()
            raise

    async def Recognize(  # noqa: N802
        self, request: asr_pb2.RecognizeRequest, context: Context
    ) -> asr_pb2.RecognizeResponse:
        self._server.recordings.append(request)
        if request.config.model:
            await abort(
                context, grpc.StatusCode.NOT_FOUND, "UNKNOWN_MODEL", "there is no such model"
            )
        result = Result(text=f"{len(request.audio)} bytes")
        return asr_pb2.RecognizeResponse(results=[result], model="fake")

    async def ListModels(  # noqa: N802
        self, _: asr_pb2.ListModelsRequest, __: Context
    ) -> asr_pb2.ListModelsResponse:
        return asr_pb2.ListModelsResponse(models=self._server.models)


@asynccontextmanager
async def fake_server(
    handler: Handler = count_bytes,
    models: list[Model] | None = None,
    listen: str = "127.0.0.1:0",
) -> AsyncIterator[FakeServer]:
    """Run a server, on a free port of loopback unless told otherwise."""
    state = FakeServer()
    if models is not None:
        state.models = models
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    asr_pb2_grpc.add_SpeechServiceServicer_to_server(_Servicer(state, handler), server)
    state.address = f"127.0.0.1:{server.add_insecure_port(listen)}"
    await server.start()
    state.stop = partial(server.stop, None)
    try:
        yield state
    finally:
        await server.stop(None)
