"""The models of a server, and the streams that run on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from service.core.audio import looks_like_a_file
from service.core.capabilities import Capabilities
from service.core.decoding import JobKind
from service.core.errors import InvalidFieldError, UnknownModelError, quoted
from service.core.events import Event
from service.core.hypothesis import DecodeOptions, Window
from service.core.session import RecognitionSession
from service.core.vad import DetectorFactory
from service.engine.observer import NOBODY, StreamObserver
from service.engine.recording import open_recording
from service.engine.request import StreamRequest, decode_options, session_config
from service.engine.scheduler import Scheduler
from service.engine.slots import Refusal, Slots
from service.engine.soundness import Soundness
from service.engine.stream import MAX_BACKLOG_S, LiveStream
from service.recognizers.base import Batching, Recognizer
from service.recognizers.warming import warm_up

CLOSE_S = 5.0
"""Time for the decodes that run to end; what takes longer is taken to hang."""


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded model under the name that clients know."""

    name: str
    recognizer: Recognizer
    decodes: int
    """Threads that decode with it at the same time."""
    memory_bytes: int = 0
    """By which loading it made its processes grow; 0 where that is not known."""
    is_on_trial: bool = True
    """Whether it is put to the test here when its decodes fail; a worker tests its own."""


@dataclass(frozen=True, slots=True)
class Recognition:
    """What a recording says."""

    events: tuple[Event, ...]
    duration_s: float


class Engine:
    """Owns the models, their threads and the slots."""

    def __init__(
        self,
        models: Sequence[Model],
        new_detector: DetectorFactory,
        slots: Slots,
        interim_interval_s: float = 0.5,
        max_backlog_s: float = MAX_BACKLOG_S,
    ) -> None:
        """Serve these models, the first as the default."""
        self._models = {model.name: model for model in models}
        self._default = models[0].name
        self._new_detector = new_detector
        self._interim_interval_s = interim_interval_s
        self._max_backlog_s = max_backlog_s
        self._schedulers = {model.name: Scheduler(model.name, model.decodes) for model in models}
        self._soundness = {
            model.name: Soundness(
                partial(self._hear_noise, model.name),
                partial(self.give_up, f"every decode of {model.name} fails"),
            )
            for model in models
            if model.is_on_trial
        }
        self._failure: asyncio.Future[str] | None = None
        self._streams: set[LiveStream] = set()
        self.slots = slots

    @property
    def capabilities(self) -> Mapping[str, Capabilities]:
        """What each model can do; the default model first."""
        return {name: model.recognizer.capabilities for name, model in self._models.items()}

    @property
    def schedulers(self) -> Mapping[str, Scheduler]:
        """The threads of each model, to watch over."""
        return self._schedulers

    @property
    def memory_bytes(self) -> Mapping[str, int]:
        """By how much loading each model made its processes grow."""
        return {name: model.memory_bytes for name, model in self._models.items()}

    @property
    def batch_sizes(self) -> Mapping[str, Mapping[int, int]]:
        """How many batches of each size there have been, of each model that batches."""
        return {
            name: model.recognizer.batch_sizes
            for name, model in self._models.items()
            if isinstance(model.recognizer, Batching)
            and model.recognizer.capabilities.batch_size > 1
        }

    @property
    def failure(self) -> asyncio.Future[str]:
        """Has the problem once this engine can recognize no more; to wait for."""
        if self._failure is None:
            self._failure = asyncio.get_running_loop().create_future()
        return self._failure

    def model_name(self, request: StreamRequest) -> str:
        """Return the name of the model that a request means.

        Raises:
            UnknownModelError: there is no such model.
        """
        name = request.model or self._default
        if name not in self._models:
            raise UnknownModelError(
                f"model {quoted(name)} is not served here; "
                f"choose one of: {', '.join(self._models)}",
                "model",
                {"models": ",".join(self._models)},
            )
        return name

    async def warm_up(self) -> None:
        """Decode with every model, so that the first stream does not wait for what comes once."""
        for name in self._models:
            await self._hear_noise(name)

    @asynccontextmanager
    async def stream(
        self, request: StreamRequest, caller: str = "", observer: StreamObserver = NOBODY
    ) -> AsyncIterator[LiveStream]:
        """Run a stream while the block runs.

        Args:
            request: What is wanted.
            caller: Whose share of the threads it takes.
            observer: Who is told of it.

        Raises:
            ClientError: the request cannot be honoured.
            UnavailableError: there is no slot for it.
        """
        name = self.model_name(request)
        recognizer = self._models[name].recognizer
        options = decode_options(request, name, recognizer.capabilities)
        config = session_config(request, recognizer.capabilities, self._interim_interval_s)
        await _check_options(recognizer, options)
        with self.slots.lease():
            session = RecognitionSession(config, self._new_detector)
            live = LiveStream(
                session,
                recognizer,
                options,
                self._schedulers[name],
                self._max_backlog_s,
                caller,
                observer,
                self._soundness.get(name),
            )
            observer.admitted(name, lambda: live.received_s)
            self._streams.add(live)
            try:
                yield live
            finally:
                self._streams.discard(live)
                # The slot stays taken until no thread works for the stream any more.
                await asyncio.shield(live.close())

    def warn(self, reason: str, time_left_s: float) -> None:
        """Tell every stream that it will be ended, for this reason, after this time."""
        for stream in self._streams:
            stream.warn(reason, time_left_s)

    def interrupt(self, error: Exception) -> None:
        """Make final what every stream has heard, and end it with this error."""
        for stream in self._streams:
            stream.interrupt(error)

    async def recognize(
        self,
        request: StreamRequest,
        data: bytes,
        caller: str = "",
        observer: StreamObserver = NOBODY,
    ) -> Recognition:
        """Recognize a complete recording: a file, or raw audio in the request's format.

        Args:
            request: What is wanted.
            data: The recording.
            caller: Whose share of the threads it takes.
            observer: Who is told of it.

        Raises:
            ClientError: the request cannot be honoured, or the audio not be read.
            UnavailableError: there is no slot for it.
        """
        for field, is_set in (
            ("interim_results", request.interim_results),
            ("endpointing.single_utterance", request.endpointing.single_utterance),
        ):
            if is_set:
                raise InvalidFieldError(
                    f"a recording has no {field.split('.')[-1]}; drop the field, or stream it",
                    field,
                )
        if request.audio_format is not None and looks_like_a_file(data):
            raise InvalidFieldError(
                "the audio begins like a file; leave audio_format unset for files",
                "audio_format",
            )
        recording = open_recording(data, request.audio_format)
        known = replace(request, audio_format=recording.audio_format)
        async with self.stream(known, caller, observer) as live:
            feeding = asyncio.create_task(_feed(live, recording.blocks))
            try:
                events = tuple([update.event async for update in live.updates()])
            finally:
                feeding.cancel()
        return Recognition(events, live.cursors.received_s)

    def give_up(self, problem: str) -> None:
        """Say that nothing can be recognized any more; the first problem counts."""
        if not self.failure.done():
            self.failure.set_result(problem)

    def fail(self, cause: Refusal) -> None:
        """End every stream with this error, at once, and admit no more."""
        self.slots.refuse(cause)
        for stream in self._streams:
            stream.fail(cause())

    async def _hear_noise(self, name: str) -> None:
        recognizer = self._models[name].recognizer
        await self._schedulers[name].run(JobKind.FINAL, partial(warm_up, recognizer))

    def close(self) -> None:
        """Stop the threads and free the models; a thread that hangs keeps its model."""
        for name, model in self._models.items():
            if self._schedulers[name].close(CLOSE_S):
                model.recognizer.close()


async def _check_options(recognizer: Recognizer, options: DecodeOptions) -> None:
    """Have refused now, not at the first speech, what only the recognizer knows to be wrong."""
    if options.phrases:
        # A recognizer in another process knows when it has been asked to hear something. The
        # thread ends what it began also where nobody waits for it any more.
        await asyncio.to_thread(_try_out, recognizer, options)
    else:
        recognizer.open_stream(options).close()


def _try_out(recognizer: Recognizer, options: DecodeOptions) -> None:
    stream = recognizer.open_stream(options)
    try:
        stream.interim(Window(np.zeros(0, dtype=np.float32)))
    finally:
        stream.close()


async def _feed(live: LiveStream, blocks: Iterator[bytes]) -> None:
    """Put a recording through a stream; what goes wrong ends the stream's updates."""
    try:
        # Decoding a compressed file is work for a thread, not for the loop.
        while (block := await asyncio.to_thread(next, blocks, None)) is not None:
            await live.audio(block)
        await live.finish()
    except Exception as error:  # noqa: BLE001 - whoever reads the updates gets it
        live.fail(error)
