"""The client's half of a stream: its messages, checked and passed on in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

from protos.asr.v1 import asr_pb2
from service.core.errors import InvalidFieldError, ProtocolViolationError
from service.engine.refusals import FirstMessageLateError
from service.engine.slots import Refusal
from service.engine.stream import LiveStream
from service.rpc import convert
from service.rpc.limits import MAX_FLUSH_ID_CHARACTERS, MAX_SILENCE_S, Limits

CANCELLATION_DELAY_S = 0.002
"""grpc.aio shows a cancelled stream as a half-closed one first; the cancellation
arrives within a millisecond. Without the wait, dead streams would be finalized."""


LAST_HEARING_S = 1.0
"""Time for the first message of a stream that is refused anyway."""

QUIET_S = 0.003
"""Without a message for so long, a client is taken to wait for the answer, or for its speaker."""

LAST_WORDS_S = 0.05
"""Time for what a client sends behind its config without waiting for the answer."""


class Intake:
    """Reads a stream's messages, one at a time, in a task of its own.

    A read is never wrapped in a time-out: grpc.aio would lose audio and then show an end
    that is none. Whoever is out of patience looks at ``waiting_since_s`` and ends the RPC.
    """

    def __init__(self, requests: AsyncIterator[bytes], limits: Limits) -> None:
        """Read these requests."""
        self._requests = requests
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._reading: asyncio.Task[bytes | None] | asyncio.Task[None] | None = None
        self._has_begun = self._is_over = False
        self.waiting_since_s: float | None = None
        """Since when the next message is waited for, on the loop's clock; None while a
        message is worked on, or no more are wanted."""

    async def first(self, closing: asyncio.Future[Refusal]) -> bytes | None:
        """Wait for the first message; None if the client half-closed without one.

        Raises:
            FirstMessageLateError: it did not come in time.
            UnavailableError: the cause that ``closing`` has, which came before.
        """
        reading = await self._first_within(self._limits.first_message_s, closing)
        if not reading.done():
            if closing.done():
                refusal = closing.result()
                raise refusal()
            raise FirstMessageLateError(self._limits.first_message_s)
        return reading.result()

    async def hear_out(self) -> None:
        """Let a client that is to be refused finish what it is about to say.

        A client of grpc.aio that writes to a call which has just ended is told INTERNAL by
        its own library, and loses the status that says why
        (https://github.com/grpc/grpc/issues/36066). So its config is waited for, which it sends
        at once, and what comes right behind it is read and dropped. Against one that writes on
        and on nothing can be done.
        """
        if not self._has_begun:
            await self._first_within(LAST_HEARING_S)
        end_s = self._loop.time() + LAST_WORDS_S
        # A read that is under way or was given up is the last one, see above.
        while not self._is_over and self.waiting_since_s is None:
            left_s = end_s - self._loop.time()
            if left_s <= 0:
                return
            await self._first_within(min(QUIET_S, left_s))

    @asynccontextmanager
    async def passing_on_to(self, live: LiveStream) -> AsyncIterator[None]:
        """Pass all further messages on while the block runs.

        What goes wrong ends the stream's updates.
        """
        self._reading = asyncio.create_task(self._pass_on_all(live))
        try:
            yield
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Read no more. Idempotent."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            # Kept, it would be a circle: the task, its error, and the frame with this object.
            self._reading = None

    async def __aenter__(self) -> Self:
        """Nothing is read before it is asked for."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Read no more."""
        await self.stop()

    async def _first_within(
        self, limit_s: float, *others: asyncio.Future[Refusal]
    ) -> asyncio.Task[bytes | None]:
        reading = asyncio.create_task(self._next())
        self._reading = reading
        either: list[asyncio.Future[Any]] = [reading, *others]
        await asyncio.wait(either, timeout=limit_s or None, return_when=asyncio.FIRST_COMPLETED)
        return reading

    async def _next(self) -> bytes | None:
        self._has_begun = True
        self.waiting_since_s = self._loop.time()
        data = await anext(self._requests, None)
        self.waiting_since_s = None
        if data is None:
            self._is_over = True
            await asyncio.sleep(CANCELLATION_DELAY_S)
        return data

    async def _pass_on_all(self, live: LiveStream) -> None:
        try:
            while (data := await self._next()) is not None:
                await self._pass_on(convert.parse(asr_pb2.AudioChunk, data), live)
            await live.finish()
        except Exception as error:  # noqa: BLE001 - whoever reads the updates gets it
            live.fail(error)

    async def _pass_on(self, chunk: asr_pb2.AudioChunk, live: LiveStream) -> None:
        match chunk.WhichOneof("payload"):
            case "audio":
                audio = chunk.audio
                self._check_size(len(audio))
                await live.audio(audio)
            case "flush":
                _check_flush_id(chunk.flush.id)
                await live.flush(chunk.flush.id)
            case "silence":
                duration_ns = convert.duration_ns(chunk.silence.duration)
                _check_silence(duration_ns)
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

    def _check_size(self, size_bytes: int) -> None:
        limit_bytes = self._limits.audio_message_bytes
        if not 0 < size_bytes <= limit_bytes:
            raise InvalidFieldError(
                f"the audio message has {size_bytes} bytes; "
                f"send 1 to {limit_bytes}, best 100 ms at a time",
                "audio",
                {"limit_bytes": str(limit_bytes)},
            )


def first_config(data: bytes) -> asr_pb2.StreamingConfig:
    """Return the config that the first message holds.

    Raises:
        MalformedMessageError: it is no message.
        ProtocolViolationError: it holds something else.
    """
    first = convert.parse(asr_pb2.AudioChunk, data)
    if first.WhichOneof("payload") != "config":
        raise ProtocolViolationError(
            "the first message has no config; send AudioChunk{config} before any audio", "config"
        )
    return first.config


def _check_flush_id(flush_id: str) -> None:
    if len(flush_id) > MAX_FLUSH_ID_CHARACTERS:
        raise InvalidFieldError(
            f"the id has {len(flush_id)} characters; choose at most {MAX_FLUSH_ID_CHARACTERS}",
            "flush.id",
            {"limit_characters": str(MAX_FLUSH_ID_CHARACTERS)},
        )


def _check_silence(duration_ns: int) -> None:
    if not 0 < duration_ns <= MAX_SILENCE_S * convert.NANOSECONDS:
        raise InvalidFieldError(
            f"the silence lasts {duration_ns / convert.NANOSECONDS:g} s; "
            f"send more than 0 and at most {MAX_SILENCE_S} s",
            "silence.duration",
            {"limit_s": str(MAX_SILENCE_S)},
        )
