"""The RPCs: read, translate, pass on, write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import grpc

from protos.asr.v1 import asr_pb2
from service.core.errors import InvalidFieldError
from service.core.events import FinalResult
from service.engine.callers import Callers
from service.engine.engine import Engine, Recognition
from service.engine.refusals import LoadingError, RecordingTooSlowError, ResultsUnreadError
from service.rpc import convert
from service.rpc.caller import caller_of
from service.rpc.door import SCOPE_OF, Door, metadata_of
from service.rpc.intake import Intake, first_config
from service.rpc.limits import Limits
from service.rpc.patience import Patience
from service.rpc.record import Ledger, Record
from service.rpc.status import Context, Failure, abort, failure_of

SERVICE = "asr.v1.SpeechService"

LAST_WORD_S = 1.0
"""Time for the status to get through to a client that does not read."""


class SpeechServicer:
    """Implements SpeechService on an engine.

    Requests come as bytes and are parsed here, so that a malformed one is the client's
    error and not an unknown one.
    """

    def __init__(self, limits: Limits, callers: Callers, door: Door, ledger: Ledger) -> None:
        """Answer LOADING until there is an engine."""
        self._limits = limits
        self._door = door
        self._callers = callers
        self._engine: Engine | None = None
        self._last_words: set[asyncio.Task[None]] = set()
        self.ledger = ledger

    def serve(self, engine: Engine) -> None:
        """Recognize with this engine from now on."""
        self._engine = engine

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
        async with (
            Intake(requests, self._limits) as intake,
            self._call("StreamingRecognize", context, intake) as record,
        ):
            engine = self._ready_engine()
            # Who would be refused anyway need not have a good config.
            engine.slots.check()
            first = await intake.first(engine.slots.closing)
            if first is None:
                return
            request = convert.stream_request(first_config(first))
            record.model = engine.model_name(request)
            give_up = self._giving_up(context, record)
            # If a decode hangs, the status goes out before the slot is free.
            async with (
                engine.stream(request, record.caller.identity, record) as live,
                _statuses(context, record, intake),
                intake.passing_on_to(live),
            ):
                expires_at_s = record.caller.expires_at_s
                with Patience(self._limits, intake, live, give_up, expires_at_s) as patience:
                    await _send_headers(context)
                    patience.writing()
                    yield convert.stream_started(record.call_id, record.model)
                    patience.written()
                    async for update in live.updates():
                        patience.writing()
                        yield convert.transcript(update)
                        patience.written()

    async def recognize(self, data: bytes, context: Context) -> asr_pb2.RecognizeResponse:
        """Recognize one complete recording."""
        async with self._call("Recognize", context) as record:
            engine = self._ready_engine()
            message = convert.parse(asr_pb2.RecognizeRequest, data)
            self._check_recording(message.audio)
            request = convert.stream_request(message.config)
            record.model = engine.model_name(request)
            recognition = await self._in_time(
                engine.recognize(request, message.audio, record.caller.identity, record)
            )
            finals = [event for event in recognition.events if isinstance(event, FinalResult)]
            return asr_pb2.RecognizeResponse(
                results=[
                    convert.final_result(final, with_words=request.word_offsets) for final in finals
                ],
                audio_duration=convert.duration(recognition.duration_s),
                model=record.model,
            )

    async def list_models(self, data: bytes, context: Context) -> asr_pb2.ListModelsResponse:
        """List the models."""
        async with self._known("ListModels", context) as record:
            convert.parse(asr_pb2.ListModelsRequest, data)
            capabilities = self._ready_engine().capabilities
            record.succeed()
            return asr_pb2.ListModelsResponse(
                models=[convert.model(name, known) for name, known in capabilities.items()]
            )

    @asynccontextmanager
    async def _call(
        self, method: str, context: Context, intake: Intake | None = None
    ) -> AsyncIterator[Record]:
        """Run one RPC that takes a slot: within its caller's quota, and settled."""
        async with self._known(method, context, intake) as record:
            with self._callers.admit(record.caller):
                yield record
                record.succeed()

    @asynccontextmanager
    async def _known(
        self, method: str, context: Context, intake: Intake | None = None
    ) -> AsyncIterator[Record]:
        """Run one RPC of somebody who may call it; it is logged, whatever becomes of it."""
        # Until it is known better, a caller is an address.
        metadata = metadata_of(context)
        with self.ledger.record(method, caller_of(context), metadata) as record:
            async with _statuses(context, record, intake):
                record.caller = self._door.admit(record.caller, metadata, SCOPE_OF[method])
                yield record

    async def _in_time(self, recognizing: Awaitable[Recognition]) -> Recognition:
        limit_s = self._limits.recognize_s
        scope = asyncio.timeout(limit_s or None)
        try:
            async with scope:
                return await recognizing
        except TimeoutError as error:
            if scope.expired():
                raise RecordingTooSlowError(limit_s) from error
            raise

    def _ready_engine(self) -> Engine:
        if self._engine is None:
            raise LoadingError
        return self._engine

    def _check_recording(self, audio: bytes) -> None:
        if len(audio) > self._limits.recording_bytes:
            raise InvalidFieldError(
                f"the recording has {len(audio)} bytes, and this server takes "
                f"{self._limits.recording_bytes}; stream it instead",
                "audio",
                {"limit_bytes": str(self._limits.recording_bytes)},
            )

    def _giving_up(self, context: Context, record: Record) -> Callable[[ResultsUnreadError], None]:
        """Return what ends an RPC whose handler waits for its client to read."""
        running = asyncio.current_task()

        def give_up(error: ResultsUnreadError) -> None:
            failure = failure_of(error)
            record.fail(failure)
            task = asyncio.create_task(_last_word(context, failure, running))
            self._last_words.add(task)
            task.add_done_callback(self._last_words.discard)

        return give_up


@asynccontextmanager
async def _statuses(
    context: Context, record: Record, intake: Intake | None = None
) -> AsyncIterator[None]:
    """Make a status of whatever is raised in the block."""
    try:
        yield
    except grpc.aio.AbortError:
        raise
    except Exception as error:  # noqa: BLE001 - every failure becomes a status
        failure = failure_of(error)
        record.fail(failure)
        if intake is not None:
            await intake.hear_out()
        await abort(context, failure)


async def _send_headers(context: Context) -> None:
    """Send them by themselves: grpc refuses a status while they wait with the first answer."""
    # It fails where the client has gone, which the handler hears by being cancelled.
    with suppress(grpc.aio.InternalError):
        await context.send_initial_metadata(())


async def _last_word(
    context: Context, failure: Failure, running: asyncio.Task[object] | None
) -> None:
    """End an RPC from outside its handler, which waits in a write."""
    with suppress(TimeoutError, grpc.aio.AbortError):
        await asyncio.wait_for(asyncio.shield(abort(context, failure)), LAST_WORD_S)
    if running is not None:
        running.cancel()
