"""The RPCs: read, translate, pass on, write."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
import structlog
from google.protobuf.message import Message

from protos.asr.v1 import asr_pb2
from service.core.errors import ClientError, InvalidFieldError, ProtocolViolationError
from service.core.events import FinalResult
from service.engine.engine import Engine
from service.engine.stream import LiveStream
from service.rpc import convert
from service.rpc.status import abort, failure_of

SERVICE = "asr.v1.SpeechService"

MAX_FLUSH_ID_CHARACTERS = 128
MAX_SILENCE_NS = 60 * convert.NANOSECONDS

CANCELLATION_DELAY_S = 0.002
"""grpc.aio shows a cancelled stream as a half-closed one first; the cancellation
arrives within a millisecond. Without the wait, dead streams would be finalized."""

Context = grpc.aio.ServicerContext[bytes, Message]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Limits:
    """What a message may hold."""

    audio_message_bytes: int
    recording_bytes: int


class SpeechServicer:
    """Implements SpeechService on an engine.

    Requests come as bytes and are parsed here, so that a malformed one is the client's
    error and not an unknown one.
    """

    def __init__(self, engine: Engine, limits: Limits) -> None:
        """Serve this engine."""
        self._engine = engine
        self._limits = limits

    def handler(self) -> grpc.GenericRpcHandler:
        """Return what a server takes."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "StreamingRecognize": grpc.stream_stream_rpc_method_handler(
                    self.streaming_recognize,
                    response_serializer=asr_pb2.Transcript.SerializeToString,
                ),
                "Recognize": grpc.unary_unary_rpc_method_handler(
                    self.recognize,
                    response_serializer=asr_pb2.RecognizeResponse.SerializeToString,
                ),
                "ListModels": grpc.unary_unary_rpc_method_handler(
                    self.list_models,
                    response_serializer=asr_pb2.ListModelsResponse.SerializeToString,
                ),
            },
        )

    async def streaming_recognize(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[asr_pb2.Transcript]:
        """Recognize live audio."""
        stream_id = uuid.uuid4().hex
        began_s = time.monotonic()
        outcome, received_s, finals = "CANCELLED", 0.0, 0
        try:
            first = await anext(aiter(requests), None)
            if first is None:
                outcome = "OK"
                return
            request = convert.stream_request(_config(first))
            async with self._engine.stream(request) as live:
                model = self._engine.model_name(request)
                yield convert.stream_started(stream_id, model)
                reader = asyncio.create_task(self._read(requests, live), name=f"read {stream_id}")
                try:
                    async for update in live.updates():
                        yield convert.transcript(update)
                        finals += isinstance(update.event, FinalResult)
                finally:
                    received_s = live.cursors.received_s
                    reader.cancel()
                    await asyncio.gather(reader, return_exceptions=True)
            outcome = "OK"
        except Exception as error:  # noqa: BLE001 - every failure becomes a status
            failure = failure_of(error)
            outcome = failure.reason
            await abort(context, failure)
        finally:
            log.info(
                "stream ended",
                stream_id=stream_id,
                outcome=outcome,
                audio_s=round(received_s, 3),
                duration_s=round(time.monotonic() - began_s, 3),
                finals=finals,
            )

    async def recognize(self, data: bytes, context: Context) -> asr_pb2.RecognizeResponse:
        """Recognize one complete recording."""
        try:
            message = convert.parse(asr_pb2.RecognizeRequest, data)
            self._check_recording(message.audio)
            request = convert.stream_request(message.config)
            recognition = await self._engine.recognize(request, message.audio)
            finals = [event for event in recognition.events if isinstance(event, FinalResult)]
            return asr_pb2.RecognizeResponse(
                results=[
                    convert.final_result(final, with_words=request.word_offsets) for final in finals
                ],
                audio_duration=convert.duration(recognition.duration_s),
                model=self._engine.model_name(request),
            )
        except Exception as error:  # noqa: BLE001 - every failure becomes a status
            await abort(context, failure_of(error))

    async def list_models(self, data: bytes, context: Context) -> asr_pb2.ListModelsResponse:
        """List the models."""
        try:
            convert.parse(asr_pb2.ListModelsRequest, data)
        except ClientError as error:
            await abort(context, failure_of(error))
        return asr_pb2.ListModelsResponse(
            models=[
                convert.model(name, capabilities)
                for name, capabilities in self._engine.capabilities.items()
            ]
        )

    def _check_recording(self, audio: bytes) -> None:
        if len(audio) > self._limits.recording_bytes:
            raise InvalidFieldError(
                f"the recording has {len(audio)} bytes, and this server takes "
                f"{self._limits.recording_bytes}; stream it instead",
                "audio",
            )

    async def _read(self, requests: AsyncIterator[bytes], live: LiveStream) -> None:
        """Pass on what the client sends; what goes wrong ends the stream's updates."""
        try:
            async for data in requests:
                await self._pass_on(convert.parse(asr_pb2.AudioChunk, data), live)
            await asyncio.sleep(CANCELLATION_DELAY_S)
            await live.finish()
        except Exception as error:  # noqa: BLE001 - whoever reads the updates gets it
            live.fail(error)

    async def _pass_on(self, chunk: asr_pb2.AudioChunk, live: LiveStream) -> None:
        match chunk.WhichOneof("payload"):
            case "audio":
                if not 0 < len(chunk.audio) <= self._limits.audio_message_bytes:
                    raise InvalidFieldError(
                        f"the audio message has {len(chunk.audio)} bytes; "
                        f"send 1 to {self._limits.audio_message_bytes}, best 100 ms at a time",
                        "audio",
                    )
                await live.audio(chunk.audio)
            case "flush":
                if len(chunk.flush.id) > MAX_FLUSH_ID_CHARACTERS:
                    raise InvalidFieldError(
                        f"the id has {len(chunk.flush.id)} characters; "
                        f"choose at most {MAX_FLUSH_ID_CHARACTERS}",
                        "flush.id",
                    )
                await live.flush(chunk.flush.id)
            case "silence":
                duration_ns = convert.duration_ns(chunk.silence.duration)
                if not 0 < duration_ns <= MAX_SILENCE_NS:
                    raise InvalidFieldError(
                        f"the silence lasts {duration_ns / convert.NANOSECONDS:g} s; "
                        f"send more than 0 and at most {MAX_SILENCE_NS // convert.NANOSECONDS} s",
                        "silence.duration",
                    )
                await live.silence(duration_ns)
            case "config":
                raise ProtocolViolationError(
                    "a second config; it is the first message of a stream and only that, "
                    "so open another stream for another config",
                    "config",
                )
            case _:
                raise ProtocolViolationError(
                    "a message without payload; set config, audio, flush or silence", "payload"
                )


def _config(data: bytes) -> asr_pb2.StreamingConfig:
    first = convert.parse(asr_pb2.AudioChunk, data)
    if first.WhichOneof("payload") != "config":
        raise ProtocolViolationError(
            "the first message has no config; send AudioChunk{config} before any audio", "config"
        )
    return first.config
